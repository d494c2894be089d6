# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sources hand over: counts of bad events out of exposure for both versions, a reading, or why neither.

This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import field
from itertools import pairwise
from typing import Any, Collection, Iterable, Mapping, Sequence, Union

from ..values import dataclass
from .tolerance import JudgementError

# Up to here a float counts every event.
HIGHEST_COUNT = 2.0**53
# Less exposure than this is none: of nothing that can be counted, nor of a pod in any measurable time.
LEAST_EXPOSURE = 1e-9


@dataclass(frozen=True)
class Count:
    """`bad` events out of `total` exposure: requests, log lines or pod-seconds."""

    bad: float = 0.0
    total: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.bad + other.bad, self.total + other.total)

    @property
    def rate(self) -> float | None:
        """Bad events a unit of exposure; None without exposure."""
        return self.bad / self.total if self.total > 0 else None


@dataclass(frozen=True)
class Sample:
    """What happened in both versions since the sample before, over the same seconds.

    `at`: seconds since the run began, when the counting ended. `stable_pods`: bad events in every stable pod (those
    with 0 too), by which bursts are recognised (empty: stable counts as one pod). `pods`: how many pods the exposure
    is spread over.
    Exposure must not depend on the outcome: a request counts when it is sent, a timeout is bad.
    """

    at: float
    canary: Count
    stable: Count
    stable_pods: Mapping[str, float] = field(default_factory=dict)
    pods: int = 2

    def __post_init__(self) -> None:
        for count in (self.canary, self.stable):
            if not (0 <= count.bad <= HIGHEST_COUNT and 0 <= count.total <= HIGHEST_COUNT):
                raise JudgementError(
                    f"a sample has {count.bad} bad of {count.total}, but counts are finite and not negative: "
                    "hand over what was added since the sample before"
                )
            if 0 < count.total < LEAST_EXPOSURE or (count.bad > 0 and count.total == 0):
                raise JudgementError(
                    f"a sample has {count.bad} bad events and no exposure: count a request when it is sent"
                )


@dataclass(frozen=True)
class Reading:
    """One value for a plain bound. `at`: seconds since the run began."""

    at: float
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise JudgementError(f"a reading is {self.value}, which no bound can judge: report it as no data")


@dataclass(frozen=True)
class NoData:
    """The source could not say. `reason` is for people and free of secrets."""

    at: float
    reason: str


Observation = Union[Sample, Reading, NoData]


def given_samples(rows: Iterable[Mapping[str, Any]]) -> tuple[Sample, ...]:
    """Samples that the user's own tasks counted, in the order of their times.

    Each row: `canary` and `stable`, each a mapping with `bad` and `total` (requests, what was added since the row
    before), and `time` in seconds since the run began. Errors: JudgementError names the row and the field.
    """
    samples = [_given_sample(number, row) for number, row in enumerate(rows)]
    for before, after in pairwise(samples):
        if after.at < before.at:
            raise JudgementError(
                f"samples go back in time, from {before.at} to {after.at} seconds: hand them over in order"
            )
    return tuple(samples)


# Hexadecimal digits.
_MARK_LENGTH = 16


def mark_of(samples: Iterable[Sample]) -> str:
    """By which a later call knows a list again that was counted."""
    return _marks(samples)[-1]


def not_counted_yet(samples: Sequence[Sample], marks: Collection[str]) -> Sequence[Sample]:
    """Without those at the beginning that are a list which was counted before, by its mark."""
    counted = (number for number, mark in enumerate(_marks(samples)) if mark in marks)
    return samples[max(counted, default=0) :]


def _marks(samples: Iterable[Sample]) -> list[str]:
    """Of the first none, one, two, ... of them."""
    digest = hashlib.sha256()
    marks = [""]
    for sample in samples:
        row = (sample.at, sample.canary.bad, sample.canary.total, sample.stable.bad, sample.stable.total)
        digest.update(repr(row).encode())
        marks.append(digest.hexdigest()[:_MARK_LENGTH])
    return marks


def _given_sample(number: int, row: Mapping[str, Any]) -> Sample:
    counts = {}
    for version in ("canary", "stable"):
        fields = row.get(version)
        if not isinstance(fields, Mapping):
            raise JudgementError(f"samples[{number}] lacks {version}: give a mapping with bad and total")
        bad = _number(fields.get("bad"), f"samples[{number}].{version}.bad")
        total = _number(fields.get("total"), f"samples[{number}].{version}.total")
        if bad > total:
            raise JudgementError(f"samples[{number}].{version} has {bad:g} bad of {total:g}: more bad than all")
        counts[version] = Count(bad, total)
    at = _number(row.get("time"), f"samples[{number}].time")
    try:
        return Sample(at, counts["canary"], counts["stable"])
    except JudgementError as error:
        raise JudgementError(f"samples[{number}]: {error}") from error


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise JudgementError(f"{where} is something else, but a number is needed")
    try:
        number = float(value)
    except (OverflowError, ValueError) as cause:
        raise JudgementError(f"{where} is something else, but a number is needed") from cause
    if not 0 <= number <= HIGHEST_COUNT:
        raise JudgementError(f"{where} is something else, but a finite number of at least 0 is needed")
    return number
