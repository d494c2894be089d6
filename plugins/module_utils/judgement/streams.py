# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stream of samples on its way to evidence: warmup set aside, buckets closed, evidence added up.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Iterable

from .buckets import Bucket, Bucketer, BucketRule
from .evidence import Evidence, Promise
from .interval import estimate
from .samples import Count, Sample
from .tolerance import Tolerance
from .verdicts import StreamFigures


class Stream:
    """`warm_at`: seconds since the run began from which samples count."""

    def __init__(
        self, name: str, tolerance: Tolerance, rule: BucketRule, promise: Promise, fresh_starts: int, warm_at: float
    ) -> None:
        self._name = name
        self._tolerance = tolerance
        self._rule = rule
        self._promise = promise
        self._evidence = Evidence(tolerance, promise, fresh_starts)
        self._buckets: list[Bucket] = []
        self._warmup: list[Bucket] = []
        self._warm_at = warm_at
        self._bucketer = Bucketer(rule, warm_at)
        self._warmup_bucketer = Bucketer(rule)
        self._step = 0
        # All exposure seen in the newest step, also where only one version had some: what "no traffic" is told from.
        self.canary_seen = self.stable_seen = 0.0

    @property
    def name(self) -> str:
        return self._name

    @property
    def to_fail(self) -> float:
        return self._evidence.to_fail

    @property
    def to_fail_lately(self) -> float:
        return self._evidence.to_fail_lately

    @property
    def to_pass(self) -> float:
        return self._evidence.to_pass

    @property
    def takes_any(self) -> bool:
        """In the newest step stable is so bad itself that any canary would be tolerated."""
        _canary, stable = self.counted_lately
        return stable.rate is not None and self._tolerance.takes_any(stable.rate)

    @property
    def exposure(self) -> float:
        """Of both versions, in closed buckets."""
        return sum(bucket.canary.total + bucket.stable.total for bucket in self._buckets)

    @property
    def looks_lately(self) -> int:
        """How many buckets of the newest step are closed, each of which is one look."""
        return len(self._lately)

    @property
    def newest_bucket(self) -> Bucket | None:
        return self._buckets[-1] if self._buckets else None

    def add(self, sample: Sample) -> None:
        """A sample whose seconds reach back into the warmup counts as warmup when it ends in it: time decides."""
        if sample.at <= self._warm_at and self._warm_at > 0:
            closed = self._warmup_bucketer.add(sample)
            self._warmup += [closed] if closed else []
            return
        self.canary_seen += sample.canary.total
        self.stable_seen += sample.stable.total
        self._take(self._bucketer.add(sample))

    def resume(self, buckets: Iterable[Bucket]) -> None:
        """Adds what an earlier part of the same run has counted, with its steps; before any sample."""
        for bucket in buckets:
            while self._step < bucket.step:
                self._start_afresh()
            self.canary_seen += bucket.canary.total
            self.stable_seen += bucket.stable.total
            self._take(bucket)
        self._bucketer = Bucketer(self._rule, self._warm_at, self._step)

    def close(self) -> None:
        """Counts what is open too: the run ends, whatever was seen."""
        self._take(self._bucketer.close())

    def begin_step(self, at: float, warm_at: float) -> None:
        self._take(self._bucketer.begin_step(warm_at))
        self._warmup_bucketer.begin_step(at)
        self._warm_at = warm_at
        self.canary_seen = self.stable_seen = 0.0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._step += 1
        self._evidence.start_afresh()

    def _take(self, bucket: Bucket | None) -> None:
        if bucket is not None:
            self._buckets.append(bucket)
            self._evidence.add(bucket)

    @property
    def counted(self) -> tuple[Count, Count]:
        """Canary and stable, in closed buckets."""
        return _summed(self._buckets)

    @property
    def counted_lately(self) -> tuple[Count, Count]:
        """As `counted`, in the newest step."""
        return _summed(self._lately)

    @property
    def _lately(self) -> list[Bucket]:
        return [bucket for bucket in self._buckets if bucket.step == self._step]

    def figures(self) -> StreamFigures:
        canary, stable = self.counted
        return StreamFigures(
            name=self._name,
            canary=canary,
            stable=stable,
            estimate=estimate(self._buckets, self._tolerance, self._promise),
            to_fail=self.to_fail,
            to_pass=self.to_pass,
            scatter_factor=self._evidence.scatter_factor,
            series=tuple(self._buckets),
            warmup_series=tuple(self._warmup),
        )


def _summed(buckets: list[Bucket]) -> tuple[Count, Count]:
    return sum((bucket.canary for bucket in buckets), Count()), sum((bucket.stable for bucket in buckets), Count())
