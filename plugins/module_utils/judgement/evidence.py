# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anytime-valid evidence of one stream of counts: for "above tolerated" (fail) and for "below tolerated" (pass).

Evidence may be looked at after every bucket without spoiling the promise: under the tolerated (or, for pass, the not
tolerated) rates it ever reaches `Promise.limit` with a probability of at most `1 - confidence`.

This module is private to the collection.
"""

from __future__ import annotations

import math

from ..values import dataclass
from .bets import FAIL_BETS, PASS_BETS, log_gains
from .buckets import Bucket
from .dispersion import NO_SCATTER
from .tolerance import JudgementError, Tolerance

# exp of more overflows a float; evidence beyond this has long decided.
_LARGEST_EXPONENT = 700.0
# Guards against a sum of capped bets that falls short of the limit by rounding only.
_ROUNDING = 1e-9
BUCKETS_THAT_MUST_SPEAK = 3
# What evidence begins with: below, it speaks for the canary.
NO_EVIDENCE = 1.0
# Where no evidence decides. One restart is an accident of a node, and two may be.
EVENTS_THAT_MUST_SPEAK = 3

_FAIL_WEIGHTS = tuple(bet.weight for bet in FAIL_BETS)
_PASS_WEIGHTS = tuple(bet.weight for bet in PASS_BETS)
_FIRST_PASS = len(FAIL_BETS)


@dataclass(frozen=True)
class Promise:
    """What the evidence must reach. `confidence` bounds false fails and false passes, each, of a whole run.

    `guarded`: bursts of errors are expected, so each bet's gain a bucket is capped (three buckets must speak) and log
    evidence is divided by the scatter of stable. As E ** (1 / phi) <= 1 + E, the limit is raised by 1 in return.
    """

    confidence: float = 0.95
    guarded: bool = True

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise JudgementError(
                f"confidence is {self.confidence}, but it must be at least 0.5 and below 1, for example 0.95"
            )

    @property
    def limit(self) -> float:
        return self.limit_for(1.0 - self.confidence)

    def limit_for(self, error: float) -> float:
        """The limit whose false alarms are at most `error`."""
        return 1.0 / error + (1.0 if self.guarded else 0.0)

    @property
    def cap(self) -> float:
        """The most that a bet may gain in one bucket, as a logarithm."""
        if not self.guarded:
            return math.inf
        return math.log(self.limit) / BUCKETS_THAT_MUST_SPEAK + _ROUNDING


def mixture(weights: tuple[float, ...], log_sums: list[float], scatter_factor: float) -> float:
    """The evidence of a mixture of bets from the sums of their log gains."""
    total = 0.0
    for weight, log_sum in zip(weights, log_sums, strict=True):
        total += weight * math.exp(min(log_sum / scatter_factor, _LARGEST_EXPONENT))
    return total


def _added(sums: list[float], gains: list[float]) -> list[float]:
    return [total + gain for total, gain in zip(sums, gains, strict=True)]


class Evidence:
    """Adds buckets up. `fresh_starts`: how many times the run will start afresh (one a rollout step after the first).

    A good past hides a canary that turns bad late. So half of the weight to fail stays on the whole run and half is
    spread over the announced starts (a mean of valid evidences is valid; one not begun counts 1). Evidence to pass
    counts from the newest start only: the past of a canary is no reason to promote what it has become.
    """

    def __init__(self, tolerance: Tolerance, promise: Promise, fresh_starts: int = 0) -> None:
        self._tolerance = tolerance
        self._cap = promise.cap
        self._guarded = promise.guarded
        self._announced = fresh_starts
        self._fail_sums = [[0.0] * len(FAIL_BETS)]
        self._pass_sums = [0.0] * len(PASS_BETS)
        self._late_fail_sums = [0.0] * len(FAIL_BETS)
        self._scatter = NO_SCATTER

    @property
    def scatter_factor(self) -> float:
        return self._scatter.factor if self._guarded else 1.0

    def start_afresh(self) -> None:
        self._pass_sums = [0.0] * len(PASS_BETS)
        self._late_fail_sums = [0.0] * len(FAIL_BETS)
        if len(self._fail_sums) <= self._announced:
            self._fail_sums.append([0.0] * len(FAIL_BETS))

    def add(self, bucket: Bucket) -> None:
        cap = self._cap
        gains = [min(gain, cap) for gain in log_gains(bucket.canary, bucket.stable, self._tolerance)]
        self._fail_sums = [_added(sums, gains[:_FIRST_PASS]) for sums in self._fail_sums]
        self._pass_sums = _added(self._pass_sums, gains[_FIRST_PASS:])
        self._late_fail_sums = _added(self._late_fail_sums, gains[:_FIRST_PASS])
        self._scatter += bucket.scatter

    @property
    def to_fail(self) -> float:
        whole, *starts = (mixture(_FAIL_WEIGHTS, sums, self.scatter_factor) for sums in self._fail_sums)
        if not self._announced:
            return whole
        not_begun = self._announced - len(starts)
        return 0.5 * whole + 0.5 * (sum(starts) + not_begun) / self._announced

    @property
    def to_fail_lately(self) -> float:
        """Since the newest start alone, announced or not. One of several such, it fails no run, but is a reason to go on."""
        return mixture(_FAIL_WEIGHTS, self._late_fail_sums, self.scatter_factor)

    @property
    def to_pass(self) -> float:
        return mixture(_PASS_WEIGHTS, self._pass_sums, self.scatter_factor)
