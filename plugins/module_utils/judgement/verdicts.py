# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says at its end: a verdict with everything that a person needs to believe it, or to argue with it.

This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..values import dataclass
from .buckets import Bucket
from .interval import Estimate
from .samples import Count, Reading


class Verdict(Enum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Rule(Enum):
    """What decided. Only the first three keep the run's promise about errors."""

    EVIDENCE = "the check's own evidence reached the limit"
    MEAN_EVIDENCE = "the mean evidence of all checks reached the limit"
    WINDOW_ENDED = "the window ended before the evidence reached a limit"
    BOUND = "a plain bound, without an error promise"
    WATCHED = "only watched: nothing bad enough was seen, and no evidence to pass was asked for"
    NO_TRAFFIC = "one of the versions had no exposure"
    NO_DATA = "the source gave no data"
    EVENTS = "a plain count of what happened to pods, without an error promise"
    ALONE = "no stable pod was left to compare with"


class Counted(NamedTuple):
    """What a check has counted while it goes on: bad events and exposure of both versions, and the highest rate of the canary that is
    tolerated beside stable's (None without stable's)."""

    check: str
    canary: tuple[float, float]
    stable: tuple[float, float]
    tolerated: float | None


@dataclass(frozen=True)
class StreamFigures:
    """One stream of counts. `series` holds every bucket; `warmup_series` those that were not counted."""

    name: str
    canary: Count
    stable: Count
    estimate: Estimate
    to_fail: float
    to_pass: float
    scatter_factor: float
    series: tuple[Bucket, ...]
    warmup_series: tuple[Bucket, ...]


@dataclass(frozen=True)
class BoundFigures:
    """Readings of a plain bound, oldest first."""

    minimum: float | None
    maximum: float | None
    series: tuple[Reading, ...]


@dataclass(frozen=True)
class CheckVerdict:
    """`suspect`: the run failed by the mean, and this check contributed most without being convicted by itself.
    `decided_after`: seconds since the run began; `decided_on`: exposure of both versions counted until then.
    `gaps`: how often the source gave no data, `last_gap`: why, the last time.
    """

    name: str
    verdict: Verdict
    rule: Rule
    reason: str
    suspect: bool = False
    decided_after: float | None = None
    decided_on: float | None = None
    streams: tuple[StreamFigures, ...] = ()
    bound: BoundFigures | None = None
    gaps: int = 0
    last_gap: str = ""


@dataclass(frozen=True)
class RunVerdict:
    """`evidence`: the mean of the checks' evidence to fail (None without rate checks); it fails at `limit`.
    `confidence` and `limit` are None where nothing was compared, and so nothing is promised.
    """

    verdict: Verdict
    reason: str
    after: float
    confidence: float | None
    evidence: float | None
    limit: float | None
    checks: tuple[CheckVerdict, ...]
