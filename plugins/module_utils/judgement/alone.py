# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The new version after its promotion, when no stable pod is left: plain bounds, and a plain count of pod events.

With nothing to compare with there is no evidence, and so no promise about errors. The past of the stable version is not
put in its place: base rates drift, and a rate that is taken for known makes false alarms. So rates are not judged any more.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Union

from ..values import dataclass
from .bounds import BoundTrial
from .checks import BoundCheck, Check, RateCheck
from .evidence import EVENTS_THAT_MUST_SPEAK
from .gaps import Gaps
from .samples import Count, NoData, Reading
from .tolerance import JudgementError
from .trial import overall
from .verdicts import BoundFigures, CheckVerdict, Rule, RunVerdict, Verdict

# Its pods have served all through the promotion.
NO_WARMUP = 0.0
# Longer than the only pod of a version takes as a rule to be there again, on another node, too.
UNSERVED_SECONDS = 60.0


@dataclass(frozen=True)
class Unserved:
    """Looks one after the other, in seconds since the run began, at which no pod was Ready."""

    since: float
    until: float
    looks: int = 1

    @property
    def seconds(self) -> float:
        """So long nobody was served; 0 as long as it may have been seen by chance."""
        return self.until - self.since if self.looks >= EVENTS_THAT_MUST_SPEAK else 0.0

    def at(self, now: float) -> Unserved:
        return replace(self, until=now, looks=self.looks + 1)

    @property
    def verdict(self) -> CheckVerdict:
        why = f"no pod has been Ready for {self.seconds:.0f} seconds, so that nobody is served"
        return CheckVerdict("readiness", Verdict.FAIL, Rule.EVENTS, why, decided_after=self.until)


class EventTrial:
    """Counts bad events of the new version's pods. It fails when there were at least three, and more than the tolerated
    increase allows in so many pod-seconds."""

    def __init__(self, check: RateCheck) -> None:
        self._check = check
        self._count = Count()
        self._series: list[Reading] = []
        self._gaps = Gaps()
        self._failed_after: float | None = None

    def add(self, at: float, count: Count) -> None:
        self._count += count
        self._series.append(Reading(at, self._count.rate or 0.0))
        self._gaps.answered()

    def miss(self, gap: NoData) -> None:
        self._gaps.miss(gap)

    @property
    def fails(self) -> bool:
        return self._count.bad >= EVENTS_THAT_MUST_SPEAK and self._count.bad > self._allowed

    @property
    def _allowed(self) -> float:
        return self._check.tolerance.increase * self._count.total

    def look(self, at: float) -> None:
        if self.fails and self._failed_after is None:
            self._failed_after = at

    def report(self) -> CheckVerdict:
        verdict, rule, reason = self._verdict()
        return CheckVerdict(
            name=self._check.name,
            verdict=verdict,
            rule=rule,
            reason=reason,
            decided_after=self._failed_after,
            decided_on=self._count.total if verdict is Verdict.FAIL else None,
            bound=BoundFigures(None, self._check.tolerance.increase, tuple(self._series)),
            gaps=self._gaps.count,
            last_gap=self._gaps.last_reason,
        )

    def _verdict(self) -> tuple[Verdict, Rule, str]:
        found = f"{self._count.bad:g} bad events in {self._count.total:.0f} pod-seconds"
        if self.fails:
            return Verdict.FAIL, Rule.EVENTS, f"{found}, where {self._allowed:.2g} are tolerated"
        if self._gaps.silent or not self._count.total:
            return Verdict.INCONCLUSIVE, Rule.NO_DATA, self._gaps.sentence
        return Verdict.PASS, Rule.EVENTS, f"{found}, which is not too many"


class LoneTrial:
    """`going_on`: names of the checks whose sources need no stable version. The others are left out of the verdict, and told.
    It never passes early: it cannot tell when enough has been seen. Whatever the checks are, it fails when no pod of the new version is Ready
    for a minute, or at three looks up to the last one: each may have lost its readiness once, and there is nothing to count where nobody is
    served."""

    def __init__(self, checks: Iterable[Check], going_on: frozenset[str]) -> None:
        self._checks = tuple(checks)
        self._trials: dict[str, Union[EventTrial, BoundTrial]] = {
            check.name: BoundTrial(check, NO_WARMUP) if isinstance(check, BoundCheck) else EventTrial(check)
            for check in self._checks
            if check.name in going_on
        }
        self._unserved: Unserved | None = None

    def observe(self, name: str, at: float, seen: Count | float) -> None:
        """Bad events of the new version since the look before, or one value. Errors: JudgementError."""
        trial = self._trials.get(name)
        if isinstance(trial, EventTrial) and isinstance(seen, Count):
            trial.add(at, seen)
        elif isinstance(trial, BoundTrial) and not isinstance(seen, Count):
            trial.add(Reading(at, seen))
        else:
            raise JudgementError(f"the check {name!r} does not go on without the stable version, or takes another kind")

    def miss(self, name: str, gap: NoData) -> None:
        self._trials[name].miss(gap)

    def serves(self, at: float, ready: bool) -> None:
        """Whether any pod of the new version is Ready, at a look that has seen them."""
        if ready:
            self._unserved = None
        else:
            self._unserved = self._unserved.at(at) if self._unserved else Unserved(at, at)

    def fails(self, at: float) -> bool:
        for trial in self._trials.values():
            trial.look(at)
        unserved = self._unserved.seconds if self._unserved else 0.0
        return unserved >= UNSERVED_SECONDS or any(trial.fails for trial in self._trials.values())

    def report(self, at: float) -> RunVerdict:
        self.fails(at)
        nobody = [self._unserved.verdict] if self._unserved and self._unserved.seconds else []
        told = [*nobody, *(self._report(check) for check in self._checks)]
        judged = [*nobody, *(check for check in told if check.name in self._trials)]
        verdict = overall(judged) if judged else Verdict.INCONCLUSIVE
        matters = [check for check in judged if check.verdict is verdict]
        why = "; ".join(f"{check.name}: {check.reason}" for check in matters)
        return RunVerdict(
            verdict=verdict,
            reason=why
            or "no check can go on without the stable version: give pods, or a query of the new version with a bound",
            after=at,
            confidence=None,
            evidence=None,
            limit=None,
            checks=tuple(told),
        )

    def _report(self, check: Check) -> CheckVerdict:
        trial = self._trials.get(check.name)
        if trial is not None:
            return trial.report()
        return CheckVerdict(check.name, Verdict.INCONCLUSIVE, Rule.ALONE, Rule.ALONE.value)
