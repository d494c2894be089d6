# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole run: several checks, one promise.

The checks' evidences to fail are averaged: a mean of evidences keeps the promise without any independence between
checks, and is never later than sharing the error out. To pass, every check has to pass, at the same look.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Iterable, Mapping, TypeVar

from .bounds import BoundTrial
from .buckets import Bucket
from .checks import ONLY_STREAM, BoundCheck, Plan, RateCheck
from .rates import RateTrial
from .samples import Observation, Reading, Sample
from .tolerance import JudgementError
from .verdicts import CheckVerdict, Counted, RunVerdict, Verdict

_Trial = TypeVar("_Trial")

# The buckets of an earlier part of the same run, by check and stream.
History = Mapping[tuple[str, str], Iterable[Bucket]]


class Trial:
    """Takes observations as they come, answers at each look, reports at the end. Times are seconds since the run began.

    `history`: what an earlier part of the same run counted (a rollout step before), so that the promise of the whole
    run holds over several calls; the plan must be the same.
    """

    def __init__(self, plan: Plan, history: History | None = None) -> None:
        self._plan = plan
        self._rates = {check.name: RateTrial(check, plan) for check in plan.rate_checks}
        self._bounds = {
            check.name: BoundTrial(check, plan.warmup) for check in plan.checks if isinstance(check, BoundCheck)
        }
        self._all: tuple[RateTrial | BoundTrial, ...] = (*self._rates.values(), *self._bounds.values())
        self._decided: Verdict | None = None
        for (name, stream), buckets in (history or {}).items():
            self._rate(name).resume(stream, buckets)

    def observe(self, name: str, observation: Observation, stream: str = ONLY_STREAM) -> None:
        """Errors: JudgementError when the plan has no such check, takes the other kind there, or the run failed."""
        self._must_go_on()
        if isinstance(observation, Sample):
            self._rate(name).add(observation, stream)
        elif isinstance(observation, Reading):
            self._bound(name).add(observation)
        elif name in self._rates:
            self._rates[name].miss(observation)
        else:
            self._bound(name).miss(observation)

    def begin_step(self, at: float) -> None:
        """The split has changed: closes what is open, warms up again and starts afresh. A pass before is void."""
        self._must_go_on()
        for trial in self._all:
            trial.begin_step(at)
        self._decided = None

    def _must_go_on(self) -> None:
        if self._decided is Verdict.FAIL:
            raise JudgementError("the run has failed and counts nothing any more: report it, and begin a new one")

    def look(self, at: float) -> Verdict | None:
        """PASS or FAIL as soon as the evidence decides, None until then. A FAIL ends the run.

        What passes by closed buckets has to pass by all that was seen: what speaks against a canary may be in the open ones.
        """
        if self._looked(at) is Verdict.PASS:
            self._looked_at_all(at)
        return self._decided

    def _looked(self, at: float) -> Verdict | None:
        for trial in self._all:
            trial.look(at)
        self._decided = self._decide()
        return self._decided

    def _looked_at_all(self, at: float) -> None:
        """No outcome closes a bucket here: what had been closed before does, or the end of the time. So the promise holds."""
        for trial in self._rates.values():
            trial.close()
        self._looked(at)

    def _decide(self) -> Verdict | None:
        if self._fails_by_mean() or any(bound.fails for bound in self._bounds.values()):
            return Verdict.FAIL
        # Bounds and checks that are only watched never pass a run early: they cannot tell when enough has been seen.
        told = any(check.must_pass for check in self._plan.rate_checks)
        return Verdict.PASS if told and all(trial.stands_in_no_way for trial in self._all) else None

    @property
    def evidence(self) -> float | None:
        """The mean evidence to fail; None when there are only plain bounds."""
        if not self._rates:
            return None
        weights = sum(check.weight for check in self._plan.rate_checks)
        return sum(check.weight * self._rates[check.name].to_fail for check in self._plan.rate_checks) / weights

    @property
    def least_to_pass(self) -> float:
        """The evidence to pass of the check that is farthest from it; 0 when there are only plain bounds."""
        return min((trial.to_pass for trial in self._rates.values()), default=0.0)

    @property
    def counted(self) -> tuple[Counted, ...]:
        """What every check by rates has counted so far."""
        return tuple(trial.counted for trial in self._rates.values())

    @property
    def readings(self) -> tuple[str, ...]:
        """What every plain bound has read last, for people."""
        return tuple(filter(None, (trial.so_far for trial in self._bounds.values())))

    def _fails_by_mean(self) -> bool:
        evidence = self.evidence
        return evidence is not None and evidence >= self._plan.promise.limit

    def report(self, at: float) -> RunVerdict:
        """The verdict of a run that ends now, by all that was seen."""
        if self.look(at) is None:
            self._looked_at_all(at)
        by_mean = self._fails_by_mean()
        shares = self._shares()
        suspect = max(shares, key=lambda name: shares[name]) if by_mean else None
        checks = []
        for check in self._plan.checks:
            if isinstance(check, RateCheck):
                convicted = by_mean and shares[check.name] >= self._plan.promise.limit
                checks.append(self._rates[check.name].report(convicted, check.name == suspect))
            else:
                checks.append(self._bounds[check.name].report())
        verdict = Verdict.FAIL if self._decided is Verdict.FAIL else overall(checks)
        return RunVerdict(
            verdict=verdict,
            reason=_reason(verdict, checks),
            after=at,
            confidence=self._plan.promise.confidence,
            evidence=self.evidence,
            limit=self._plan.promise.limit,
            checks=tuple(checks),
        )

    def _shares(self) -> dict[str, float]:
        """What each check adds to the mean evidence; one that reaches the limit by itself is convicted by itself."""
        weights = sum(check.weight for check in self._plan.rate_checks)
        return {
            check.name: check.weight * self._rates[check.name].to_fail / weights for check in self._plan.rate_checks
        }

    def _rate(self, name: str) -> RateTrial:
        return _known(self._rates, name, "counts")

    def _bound(self, name: str) -> BoundTrial:
        return _known(self._bounds, name, "readings")


def _known(trials: Mapping[str, _Trial], name: str, what: str) -> _Trial:
    if name not in trials:
        raise JudgementError(f"there is no check {name!r} that takes {what}; there are: {', '.join(trials) or 'none'}")
    return trials[name]


def overall(checks: list[CheckVerdict]) -> Verdict:
    verdicts = {check.verdict for check in checks}
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def _reason(verdict: Verdict, checks: list[CheckVerdict]) -> str:
    """One sentence a check that matters for the verdict."""
    matters = [check for check in checks if check.verdict is verdict or check.suspect]
    return "; ".join(f"{check.name}: {check.reason}" for check in matters)
