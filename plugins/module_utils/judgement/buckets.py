# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples gathered into buckets: one bucket is one look, short enough to be early and longer than a burst of errors.

This module is private to the collection.
"""

from __future__ import annotations

from ..values import dataclass
from .dispersion import NO_SCATTER, Scatter, StableScatter
from .samples import Count, Sample
from .tolerance import JudgementError


@dataclass(frozen=True)
class BucketRule:
    """A bucket closes after `at_least` seconds with enough requests a pod, after `at_most` seconds without.

    Time and exposure alone decide, never an outcome. A bucket should outlast the bursts in which errors come.
    """

    at_least: float = 5.0
    at_most: float = 15.0
    requests_a_pod: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.at_least <= self.at_most:
            raise JudgementError(
                f"a bucket of at least {self.at_least} and at most {self.at_most} seconds cannot be: "
                "the first must be 0 or more, and not above the second"
            )


@dataclass(frozen=True)
class Bucket:
    """What one look saw. `begin` and `end` in seconds since the run began; `step` counts fresh starts from 0."""

    begin: float
    end: float
    canary: Count
    stable: Count
    scatter: Scatter = NO_SCATTER
    step: int = 0


class Bucketer:
    """Adds samples up until a bucket closes. One version without exposure keeps the bucket open."""

    def __init__(self, rule: BucketRule, begin: float = 0.0, step: int = 0) -> None:
        self._rule = rule
        self._scatter = StableScatter()
        self._step = step
        self._open_at(begin)

    def _open_at(self, begin: float) -> None:
        self._begin = self._end = begin
        self._canary = self._stable = Count()
        self._pods = 1
        self._bad_by_pod: dict[str, float] = {}

    def add(self, sample: Sample) -> Bucket | None:
        """The bucket that this sample closed, if it did."""
        self._canary += sample.canary
        self._stable += sample.stable
        self._pods = max(self._pods, sample.pods)
        self._end = max(self._end, sample.at)
        for pod, bad in (sample.stable_pods or {"": sample.stable.bad}).items():
            self._bad_by_pod[pod] = self._bad_by_pod.get(pod, 0.0) + bad
        return self._close() if self._is_due() else None

    def close(self) -> Bucket | None:
        """What is open, as a bucket, because nothing more comes into it. What only one version saw says nothing and is none."""
        return self._close() if self._both_seen() else None

    def begin_step(self, at: float) -> Bucket | None:
        """Closes what is open, as shares change at a step. What only one version saw is dropped."""
        closed = self.close()
        self._step += 1
        self._scatter = StableScatter()
        self._open_at(at)
        return closed

    def _both_seen(self) -> bool:
        return self._canary.total > 0 and self._stable.total > 0

    def _is_due(self) -> bool:
        seconds = self._end - self._begin
        if not self._both_seen() or seconds < self._rule.at_least:
            return False
        enough = self._canary.total + self._stable.total >= self._rule.requests_a_pod * self._pods
        return enough or seconds >= self._rule.at_most

    def _close(self) -> Bucket:
        scatter = self._scatter.add(self._bad_by_pod)
        bucket = Bucket(self._begin, self._end, self._canary, self._stable, scatter, self._step)
        self._open_at(self._end)
        return bucket
