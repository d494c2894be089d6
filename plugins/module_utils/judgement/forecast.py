# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the run: can this window decide at all, and how long would it take.

This module is private to the collection.
"""

from __future__ import annotations

import math
from enum import Enum

from ..values import dataclass
from .bets import FAIL_BETS, PASS_BETS, log_gains
from .buckets import BucketRule
from .evidence import BUCKETS_THAT_MUST_SPEAK, Promise, mixture
from .samples import Count
from .tolerance import JudgementError, Tolerance

_FAIL_WEIGHTS = tuple(bet.weight for bet in FAIL_BETS)
_PASS_WEIGHTS = tuple(bet.weight for bet in PASS_BETS)
# Nine runs in ten have decided after about twice the mean (simulated, docs/judgement-truth.md).
_NINE_IN_TEN = 2.0
_LONGEST_SECONDS = 400 * 86400.0
_EXCESSES = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# What is tried where nothing is tolerated, because stable has no bad event.
_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class Reach(Enum):
    """How far the window reaches: nine runs in ten decide (`LIKELY`), about half, few, none."""

    LIKELY = "likely"
    UNCERTAIN = "uncertain"
    UNLIKELY = "unlikely"
    NEVER = "never"


@dataclass(frozen=True)
class Traffic:
    """Exposure a second (requests, lines or pod-seconds) in all pods of each version, and pods of both versions."""

    canary: float
    stable: float
    pods: int = 2

    def __post_init__(self) -> None:
        if not all(math.isfinite(rate) and rate >= 0 for rate in (self.canary, self.stable)):
            raise JudgementError("traffic is given as exposure a second, 0 or more, for canary and for stable")


@dataclass(frozen=True)
class Forecast:
    """`seconds_to_pass`: for a canary that is as good as stable. `samples_to_pass`: both versions' exposure until then.
    `idle`: one version has no traffic. `rate_seen`: the rate that a canary must have for a fail within the window to be
    likely, and `excess_seen` as a multiple of what is tolerated. None means never. `hidden`: by stable's own rate, beside which any is tolerated.
    All are means of what is random: runs differ by a factor of two and more.
    """

    window: float
    idle: bool
    seconds_to_pass: float | None
    samples_to_pass: float | None
    excess_seen: float | None
    reach: Reach
    rate_seen: float | None = None
    hidden: bool = False

    @property
    def message(self) -> str:
        """Whether a canary as good as stable will pass, and how bad one must be to fail, in one sentence."""
        return self._to_pass if self.idle else f"{self._to_pass}; {self.to_fail}"

    @property
    def to_fail(self) -> str:
        if self.rate_seen is None:
            return "no canary is likely to be caught, however bad"
        return f"a canary is likely to be caught from {100 * self.rate_seen:.3g} % bad on"

    @property
    def _to_pass(self) -> str:
        if self.idle:
            return "one of the versions has no traffic, so there is nothing to compare: send some to both"
        if self.hidden:
            return "stable is so bad itself that no canary could be told from it, and none passes: mend stable first, or what counts as bad"
        if self.seconds_to_pass is None:
            return (
                f"a canary as good as stable never passes with this tolerance, whatever the {self.window:.0f} seconds: "
                "give max_increase besides max_ratio"
            )
        needed = f"about {self.seconds_to_pass:.0f} seconds ({self.samples_to_pass:.0f} of exposure in both versions)"
        says = {
            Reach.LIKELY: f"the window of {self.window:.0f} seconds suffices for a pass: it needs {needed}",
            Reach.UNCERTAIN: f"the window of {self.window:.0f} seconds may be too short: a pass needs {needed}",
            Reach.UNLIKELY: f"the window of {self.window:.0f} seconds is too short: a pass needs {needed}",
            Reach.NEVER: f"the window of {self.window:.0f} seconds cannot decide: a pass needs {needed}",
        }[self.reach]
        return says if self.reach is Reach.LIKELY else f"{says}; lengthen it, send more traffic or tolerate more"


def forecast(
    tolerance: Tolerance,
    traffic: Traffic,
    stable_rate: float,
    window: float,
    promise: Promise,
    buckets: BucketRule,
) -> Forecast:
    """What `window` seconds (without warmup) can decide at this traffic and this rate of stable."""
    if traffic.canary == 0 or traffic.stable == 0:
        return Forecast(window, True, None, None, None, Reach.NEVER)
    bucket = bucket_seconds(traffic, buckets)
    to_pass = _seconds(_PASS, tolerance, traffic, (stable_rate, stable_rate), promise, bucket)
    samples = None if to_pass is None else to_pass * (traffic.canary + traffic.stable)
    rate_seen = _rate_seen(tolerance, traffic, stable_rate, window, promise, bucket)
    tolerated = tolerance.tolerated(stable_rate)
    return Forecast(
        window=window,
        idle=False,
        seconds_to_pass=to_pass,
        samples_to_pass=samples,
        excess_seen=rate_seen / tolerated if rate_seen is not None and tolerated else None,
        reach=_reach(to_pass, window, bucket if promise.guarded else 0.0),
        rate_seen=rate_seen,
        hidden=tolerance.takes_any(stable_rate),
    )


def bucket_seconds(traffic: Traffic, rule: BucketRule) -> float:
    """How long a bucket will be at this traffic."""
    requests = rule.requests_a_pod * traffic.pods
    return min(rule.at_most, max(rule.at_least, requests / (traffic.canary + traffic.stable)))


def _reach(needed: float | None, window: float, bucket: float) -> Reach:
    if needed is None or window < BUCKETS_THAT_MUST_SPEAK * bucket:
        return Reach.NEVER
    if window >= _NINE_IN_TEN * needed:
        return Reach.LIKELY
    return Reach.UNCERTAIN if window >= needed else Reach.UNLIKELY


def _rate_seen(
    tolerance: Tolerance, traffic: Traffic, stable_rate: float, window: float, promise: Promise, bucket: float
) -> float | None:
    """The lowest canary rate of those tried that is likely to fail within the window."""
    tolerated = tolerance.tolerated(stable_rate)
    tried = [tolerated * excess for excess in _EXCESSES] if tolerated else list(_RATES)
    for rate in [rate for rate in tried if rate < 1] + [1.0]:
        needed = _seconds(_FAIL, tolerance, traffic, (rate, stable_rate), promise, bucket)
        if needed is not None and _NINE_IN_TEN * needed <= window:
            return rate
    return None


_FAIL = (slice(0, len(FAIL_BETS)), _FAIL_WEIGHTS)
_PASS = (slice(len(FAIL_BETS), None), _PASS_WEIGHTS)


def _seconds(
    side: tuple[slice, tuple[float, ...]],
    tolerance: Tolerance,
    traffic: Traffic,
    rates: tuple[float, float],
    promise: Promise,
    bucket: float,
) -> float | None:
    """Seconds until expected counts at these `rates` (canary's, stable's) reach the limit; None for never."""
    bets, weights = side
    canary = Count(traffic.canary * rates[0] * bucket, traffic.canary * bucket)
    stable = Count(traffic.stable * rates[1] * bucket, traffic.stable * bucket)
    gains = [min(gain, promise.cap) for gain in log_gains(canary, stable, tolerance)[bets]]

    def decided(seconds: float) -> bool:
        grown = seconds / bucket
        return mixture(weights, [gain * grown for gain in gains], 1.0) >= promise.limit

    if not decided(_LONGEST_SECONDS):
        return None
    low, high = 0.0, _LONGEST_SECONDS
    for _halving in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high
