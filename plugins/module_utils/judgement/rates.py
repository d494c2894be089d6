# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check by rates within a run: its streams, whether it passes now, and what it reports.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Iterable

from .buckets import Bucket
from .checks import Plan, RateCheck
from .evidence import BUCKETS_THAT_MUST_SPEAK, EVENTS_THAT_MUST_SPEAK, NO_EVIDENCE, Promise
from .gaps import Gaps
from .interval import Quantity
from .samples import NoData, Sample
from .streams import Stream
from .tolerance import JudgementError, Tolerance
from .verdicts import CheckVerdict, Counted, Rule, StreamFigures, Verdict


class RateTrial:
    """Streams of one check. To fail, their evidence is averaged; to pass, each must pass, but for those by which any canary would be
    tolerated where others tell more: a bound of a latency that most requests of stable take longer than."""

    def __init__(self, check: RateCheck, plan: Plan) -> None:
        self._check = check
        self._promise: Promise = plan.promise
        self._warmup = plan.warmup
        self._streams = {
            name: Stream(name, check.tolerance, check.buckets, plan.promise, plan.fresh_starts, plan.warmup)
            for name in check.streams
        }
        self._gaps = Gaps()
        self._reached_after: float | None = None
        self._reached_on: float | None = None

    def add(self, sample: Sample, stream: str) -> None:
        self._stream(stream).add(sample)
        self._gaps.answered()

    def resume(self, stream: str, buckets: Iterable[Bucket]) -> None:
        self._stream(stream).resume(buckets)

    def miss(self, gap: NoData) -> None:
        self._gaps.miss(gap)

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()

    def begin_step(self, at: float) -> None:
        for stream in self._streams.values():
            stream.begin_step(at, at + self._warmup)
        self._reached_after = self._reached_on = None

    def _stream(self, name: str) -> Stream:
        if name not in self._streams:
            known = ", ".join(repr(stream) for stream in self._streams)
            raise JudgementError(f"check {self._check.name!r} has no stream {name!r}; it has {known}")
        return self._streams[name]

    @property
    def to_fail(self) -> float:
        return sum(stream.to_fail for stream in self._streams.values()) / len(self._streams)

    @property
    def counted(self) -> Counted:
        """Of the stream that speaks most against the canary."""
        worst = max(self._streams.values(), key=lambda stream: stream.to_fail)
        canary, stable = worst.counted
        tolerated = None if stable.rate is None else self._check.tolerance.tolerated(stable.rate)
        name = f"{self._check.name} at {worst.name}" if worst.name else self._check.name
        return Counted(name, (canary.bad, canary.total), (stable.bad, stable.total), tolerated)

    @property
    def to_pass(self) -> float:
        return self._least.to_pass

    @property
    def _least(self) -> Stream:
        """Of those that must pass the one that is farthest from it."""
        told = [stream for stream in self._streams.values() if not stream.takes_any]
        return min(told or self._streams.values(), key=lambda stream: stream.to_pass)

    @property
    def passes(self) -> bool:
        """A source that has just fallen silent lets nothing pass, whatever it said before."""
        return self.to_pass >= self._promise.limit and not self._gaps.silent

    @property
    def stands_in_no_way(self) -> bool:
        """It passes; or need not, has data of both versions, and does not speak against the canary, as the next looks may tell more then."""
        if self.passes or self._check.must_pass:
            return self.passes
        return self._lack is None and not any(map(self._speaks_against, self._streams.values()))

    @property
    def _lack(self) -> Rule | None:
        """What keeps this check from being judged at all."""
        streams = self._streams.values()
        if self._gaps.silent or any(stream.canary_seen + stream.stable_seen == 0 for stream in streams):
            return Rule.NO_DATA
        if any(stream.canary_seen == 0 or stream.stable_seen == 0 for stream in streams):
            return Rule.NO_TRAFFIC
        if not self._check.must_pass and any(map(self._is_cut_short, streams)):
            return Rule.WINDOW_ENDED
        return None

    def _speaks_against(self, stream: Stream) -> bool:
        """In the newest step there is more evidence against it than for it, by more than an accident or two."""
        canary, _stable = stream.counted_lately
        return canary.bad >= EVENTS_THAT_MUST_SPEAK and stream.to_fail_lately > NO_EVIDENCE

    def _is_cut_short(self, stream: Stream) -> bool:
        """Looked at too seldom for any evidence to decide, or it would, and only a mean with other checks and steps hides it: a watch is no
        reason to pass then."""
        few = stream.looks_lately < BUCKETS_THAT_MUST_SPEAK
        return self._speaks_against(stream) and (few or stream.to_fail_lately >= self._promise.limit)

    def look(self, at: float) -> None:
        """Remembers when the evidence, in either direction, reached the limit for good."""
        reached = max(self.to_pass, self.to_fail) >= self._promise.limit
        if not reached:
            self._reached_after = self._reached_on = None
        elif self._reached_after is None:
            self._reached_after = at
            self._reached_on = max(stream.exposure for stream in self._streams.values())

    def report(self, convicted: bool, suspect: bool) -> CheckVerdict:
        """`convicted`: this check's evidence alone fails the run; `suspect`: it gave most of a mean that did."""
        streams = tuple(stream.figures() for stream in self._streams.values())
        verdict, rule = self._verdict(convicted, suspect)
        decided = rule is Rule.EVIDENCE or rule is Rule.MEAN_EVIDENCE
        worst = max(streams, key=lambda stream: stream.to_fail)
        waited_for = rule is Rule.WINDOW_ENDED and self._check.must_pass
        return CheckVerdict(
            name=self._check.name,
            verdict=verdict,
            rule=rule,
            reason=self._reason(verdict, rule, self._least.figures() if waited_for else worst),
            suspect=suspect and not convicted,
            decided_after=self._reached_after if decided else None,
            decided_on=self._reached_on if decided else None,
            streams=streams,
            gaps=self._gaps.count,
            last_gap=self._gaps.last_reason,
        )

    def _verdict(self, convicted: bool, suspect: bool) -> tuple[Verdict, Rule]:
        if convicted:
            return Verdict.FAIL, Rule.EVIDENCE
        if suspect:
            return Verdict.INCONCLUSIVE, Rule.MEAN_EVIDENCE
        if self.passes:
            return Verdict.PASS, Rule.EVIDENCE
        if self._lack is not None:
            return Verdict.INCONCLUSIVE, self._lack
        if not self._check.must_pass:
            return Verdict.PASS, Rule.WATCHED
        return Verdict.INCONCLUSIVE, Rule.WINDOW_ENDED

    def _reason(self, verdict: Verdict, rule: Rule, worst: StreamFigures) -> str:
        if rule is Rule.NO_DATA:
            return self._gaps.sentence
        if rule is Rule.NO_TRAFFIC:
            idle = "the canary" if any(stream.canary_seen == 0 for stream in self._streams.values()) else "stable"
            return f"{idle} had no traffic, so there is nothing to compare"
        found = f"{_rates(worst)}; tolerated {_tolerated(self._check.tolerance)}{_estimated(worst)}"
        if worst.name:
            found = f"at {worst.name}: {found}"
        says = {
            Verdict.FAIL: "the canary is worse than tolerated",
            Verdict.PASS: "the canary is not worse than tolerated",
            Verdict.INCONCLUSIVE: f"undecided, evidence {self.to_fail:.3g} to fail and {self.to_pass:.3g} to pass, "
            f"where {self._promise.limit:.3g} decides",
        }[verdict]
        if rule is Rule.WATCHED:
            says = "watched, nothing bad enough was seen"
        if rule is Rule.MEAN_EVIDENCE:
            says = "suspected: it gave most of the evidence by which the run failed"
        return f"{says}: {found}{self._undecided(worst) if rule is Rule.WINDOW_ENDED else ''}"

    def _undecided(self, worst: StreamFigures) -> str:
        hidden = sum(self._check.tolerance.takes_any(look.stable.bad / look.stable.total) for look in worst.series)
        if hidden:
            return f"; in {hidden} of {len(worst.series)} looks stable was so bad itself that no canary could be told from it, and none passes by these"
        hidden_by_mean = "" if self._check.must_pass else "; by this step alone it would fail, so that it does not pass"
        return _too_few(sum(look.step == worst.series[-1].step for look in worst.series)) or hidden_by_mean


def _too_few(looks: int) -> str:
    """Whatever they saw in the newest step, the evidence of fewer lets nothing pass."""
    if looks >= BUCKETS_THAT_MUST_SPEAK:
        return ""
    counted = f"counted in {looks} look{'' if looks == 1 else 's'}"
    return f"; {counted}, and at least {BUCKETS_THAT_MUST_SPEAK} decide: a look takes 5 seconds or more, and samples need a row for each"


def _rates(stream: StreamFigures) -> str:
    canary, stable = stream.canary, stream.stable
    return (
        f"canary {canary.bad:g} bad of {canary.total:g} ({_rate(canary.rate)}), "
        f"stable {stable.bad:g} of {stable.total:g} ({_rate(stable.rate)})"
    )


def _rate(rate: float | None) -> str:
    return "no rate" if rate is None else f"{100 * rate:.3g} %"


def _tolerated(tolerance: Tolerance) -> str:
    times = "" if tolerance.ratio == 1 else f"{tolerance.ratio:g} times "
    more = f" + {_rate(tolerance.increase)}" if tolerance.increase else ""
    return f"is {times}stable{more}"


def _estimated(stream: StreamFigures) -> str:
    estimate = stream.estimate
    if estimate.value is None:
        return ""
    show = _rate if estimate.quantity is Quantity.INCREASE else "{:.3g}".format
    low = "unbounded" if estimate.low is None else show(estimate.low)
    high = "unbounded" if estimate.high is None else show(estimate.high)
    return f"; {estimate.quantity.value} = {show(estimate.value)} ({low} to {high})"
