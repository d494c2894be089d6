# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check asks, apart from where its samples come from.

This module is private to the collection.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Union

from ..values import dataclass
from .buckets import BucketRule
from .evidence import Promise
from .tolerance import HIGHEST, JudgementError, Tolerance

ONLY_STREAM = ""


@dataclass(frozen=True)
class RateCheck:
    """Bad events out of exposure, canary against stable.

    `streams`: several counts of the same traffic, such as one a histogram bound; evidence to fail is their mean, and
    all of them must pass, which together asks whether the canary is slower at any of the bounds. `weight`: this
    check's share in the mean over all checks. `must_pass`: without it the check is only watched: it may fail the run,
    and a run passes without its evidence to pass, which rare events such as restarts take hours to give.
    """

    name: str
    tolerance: Tolerance = field(default_factory=Tolerance)
    streams: tuple[str, ...] = (ONLY_STREAM,)
    buckets: BucketRule = field(default_factory=BucketRule)
    weight: float = 1.0
    must_pass: bool = True

    def __post_init__(self) -> None:
        if not self.streams or len(set(self.streams)) != len(self.streams):
            raise JudgementError(f"check {self.name!r} needs one or more bounds, each once")
        if not 1 / HIGHEST <= self.weight <= HIGHEST:
            raise JudgementError(
                f"weight is {self.weight}: a check's share is above 0, so give {1 / HIGHEST:g} to {HIGHEST:g}"
            )


@dataclass(frozen=True)
class BoundCheck:
    """A reading that must stay within plain bounds. It carries no evidence and no error promise: it decides by itself.

    `in_a_row`: so many readings outside, one after the other, fail; so many inside are needed to pass.
    """

    name: str
    minimum: float | None = None
    maximum: float | None = None
    in_a_row: int = 3

    def __post_init__(self) -> None:
        given = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if not given or not all(math.isfinite(bound) for bound in given):
            raise JudgementError("min and max are the bounds of one value: give one of them or both, as finite numbers")
        if len(given) == 2 and given[0] > given[1]:
            raise JudgementError(f"min is {given[0]:g}, above max, which is {given[1]:g}: swap them")
        if self.in_a_row < 1:
            raise JudgementError(f"in_a_row is {self.in_a_row}: readings are counted, so give 1 or more")

    def contains(self, value: float) -> bool:
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


Check = Union[RateCheck, BoundCheck]


@dataclass(frozen=True)
class Plan:
    """A whole run. `warmup`: seconds after the run's begin and after each step in which samples are not counted,
    because cold caches are the canary's youth and not its fault. `fresh_starts`: how many steps will follow the first.
    """

    checks: tuple[Check, ...]
    promise: Promise = field(default_factory=Promise)
    warmup: float = 0.0
    fresh_starts: int = 0

    def __post_init__(self) -> None:
        names = [check.name for check in self.checks]
        if not names:
            raise JudgementError("checks is empty, so there is nothing to judge by: give at least one check")
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise JudgementError(f"checks have names that come twice: {', '.join(twice)}. Give each a name of its own")
        if not (math.isfinite(self.warmup) and self.warmup >= 0):
            raise JudgementError(f"warmup is {self.warmup} seconds: give 0 or more")

    @property
    def rate_checks(self) -> tuple[RateCheck, ...]:
        return tuple(check for check in self.checks if isinstance(check, RateCheck))
