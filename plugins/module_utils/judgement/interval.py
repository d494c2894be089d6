# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate and its interval: the tolerances that the same evidence does not exclude.

The interval is a confidence sequence: it holds at every look, so also at the one where the run stopped. It is made by
asking which other ratio (or increase) the same buckets would have failed, and passed, at half of the error each.

This module is private to the collection.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Callable, Sequence

from ..values import dataclass
from .bets import FAIL_BETS, PASS_BETS, gains_at
from .buckets import Bucket
from .dispersion import NO_SCATTER
from .evidence import Promise, mixture
from .tolerance import Tolerance

_FAIL_WEIGHTS = tuple(bet.weight for bet in FAIL_BETS)
_PASS_WEIGHTS = tuple(bet.weight for bet in PASS_BETS)
# Ratios searched, as natural logarithms: beyond a factor of a million a ratio is reported as 0 or as unbounded.
_LOG_RATIOS = (-math.log(1e6), math.log(1e6))
_HALVINGS = 30


class Quantity(Enum):
    """What is estimated: the one that the tolerance speaks about."""

    RATIO = "p_canary / p_stable"
    INCREASE = "p_canary - max_ratio * p_stable"


@dataclass(frozen=True)
class Estimate:
    """`value`, `low` and `high` are None where the counts set no bound (a ratio to a stable without bad events)."""

    quantity: Quantity
    value: float | None
    low: float | None
    high: float | None
    confidence: float


class PairedRates:
    """Mantel-Haenszel sums: rates compared within each bucket, never over totals, which a changing share falsifies."""

    def __init__(self) -> None:
        self._canary = self._stable = self._weight = 0.0

    def add(self, bucket: Bucket) -> None:
        canary, stable = bucket.canary, bucket.stable
        both = canary.total + stable.total
        self._canary += canary.bad * stable.total / both
        self._stable += stable.bad * canary.total / both
        self._weight += canary.total * stable.total / both

    @property
    def ratio(self) -> float | None:
        return self._canary / self._stable if self._stable > 0 else None

    def increase_over(self, ratio: float) -> float | None:
        """p_canary - ratio * p_stable, bad events a unit of exposure."""
        return (self._canary - ratio * self._stable) / self._weight if self._weight > 0 else None


def quantity_of(tolerance: Tolerance) -> Quantity:
    return Quantity.INCREASE if tolerance.increase > 0 else Quantity.RATIO


def estimate(buckets: Sequence[Bucket], tolerance: Tolerance, promise: Promise) -> Estimate:
    """Estimate with its interval at `promise.confidence`. About a millisecond a bucket: for reports, not looks."""
    rates = PairedRates()
    for bucket in buckets:
        rates.add(bucket)
    asked = _Asked(tuple(buckets), promise)
    if quantity_of(tolerance) is Quantity.RATIO:
        low, high = _ratio_interval(asked)
        return Estimate(Quantity.RATIO, rates.ratio, low, high, promise.confidence)
    low, high = _increase_interval(asked, tolerance.ratio, _highest_rate(buckets))
    value = rates.increase_over(tolerance.ratio)
    return Estimate(Quantity.INCREASE, value, low, high, promise.confidence)


class _Asked:
    """The evidence that the buckets would have given against another ratio and increase."""

    def __init__(self, buckets: tuple[Bucket, ...], promise: Promise) -> None:
        self._buckets = buckets
        self._cap = promise.cap
        scatter = sum((bucket.scatter for bucket in buckets), NO_SCATTER)
        self._factor = scatter.factor if promise.guarded else 1.0
        self._limit = promise.limit_for((1.0 - promise.confidence) / 2)

    def fails(self, ratio: float, increase: float) -> bool:
        sums = self._sums(ratio, increase)[: len(FAIL_BETS)]
        return mixture(_FAIL_WEIGHTS, sums, self._factor) >= self._limit

    def passes(self, ratio: float, increase: float) -> bool:
        sums = self._sums(ratio, increase)[len(FAIL_BETS) :]
        return mixture(_PASS_WEIGHTS, sums, self._factor) >= self._limit

    def _sums(self, ratio: float, increase: float) -> list[float]:
        sums = [0.0] * (len(FAIL_BETS) + len(PASS_BETS))
        for bucket in self._buckets:
            gains = gains_at(bucket.canary, bucket.stable, ratio, increase)
            sums = [total + min(gain, self._cap) for total, gain in zip(sums, gains, strict=True)]
        return sums


def _ratio_interval(asked: _Asked) -> tuple[float | None, float | None]:
    lowest, highest = _LOG_RATIOS
    low = _highest_where(lambda at: asked.fails(math.exp(at), 0.0), lowest, highest)
    high = _lowest_where(lambda at: asked.passes(math.exp(at), 0.0), lowest, highest)
    return (0.0 if low is None else math.exp(low), None if high is None else math.exp(high))


def _increase_interval(asked: _Asked, ratio: float, highest_rate: float) -> tuple[float | None, float | None]:
    lowest, highest = -ratio * highest_rate, highest_rate
    low = _highest_where(lambda at: asked.fails(ratio, at), lowest, highest)
    high = _lowest_where(lambda at: asked.passes(ratio, at), lowest, highest)
    return (low, high)


def _highest_rate(buckets: Sequence[Bucket]) -> float:
    """Rates above it are out of the question: 1 for shares, for counts a second ten times the worst bucket."""
    seen = [count.bad / count.total for bucket in buckets for count in (bucket.canary, bucket.stable)]
    return max([1.0] + [10.0 * rate for rate in seen if rate > 1.0])


def _highest_where(holds: Callable[[float], bool], low: float, high: float) -> float | None:
    """The end of a range that starts at `low` and in which `holds`; None when it holds nowhere."""
    if not holds(low):
        return None
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _lowest_where(holds: Callable[[float], bool], low: float, high: float) -> float | None:
    """The begin of a range that ends at `high` and in which `holds`; None when it holds nowhere."""
    mirrored = _highest_where(lambda at: holds(-at), -high, -low)
    return None if mirrored is None else -mirrored
