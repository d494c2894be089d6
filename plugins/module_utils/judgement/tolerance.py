# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much worse than stable a canary may be before it counts as bad.

This module is private to the collection.
"""

from __future__ import annotations

from ..values import dataclass

# Of a ratio, an increase and a weight: more is beyond what evidence can be counted with, and beyond what anybody can mean.
HIGHEST = 1e6


class JudgementError(ValueError):
    """What was asked cannot be judged. The message says what, why and what to do."""


@dataclass(frozen=True)
class Tolerance:
    """Tolerated is `p_canary <= max_ratio * p_stable + max_increase`, both in bad events a unit of exposure.

    A missing `max_ratio` counts as 1, a missing `max_increase` as 0. Recommend both together: the ratio alone can
    never pass while stable has no bad event, the increase alone is slow on high rates.
    `of_requests`: bad events are some of what is exposed, so that no rate is above 1.
    Errors: JudgementError for a ratio that is not above 0, a negative increase, or a value above a million.
    """

    max_ratio: float | None = None
    max_increase: float | None = None
    of_requests: bool = False

    def __post_init__(self) -> None:
        if self.max_ratio is not None and not 0 < self.max_ratio <= HIGHEST:
            raise JudgementError(
                f"max_ratio is {self.max_ratio}, but a rate is compared with that many times stable's: "
                f"give a number above 0 and up to {HIGHEST:g}, for example 1.5"
            )
        if self.max_increase is not None and not 0 <= self.max_increase <= HIGHEST:
            raise JudgementError(
                f"max_increase is {self.max_increase}, but it is added to stable's rate: "
                f"give 0 to {HIGHEST:g}, for example 0.005 for half a per cent of requests"
            )

    @property
    def ratio(self) -> float:
        return 1.0 if self.max_ratio is None else self.max_ratio

    @property
    def increase(self) -> float:
        return 0.0 if self.max_increase is None else self.max_increase

    def tolerated(self, stable_rate: float) -> float:
        """The highest canary rate that is still tolerated beside this rate of stable."""
        return self.ratio * stable_rate + self.increase

    def takes_any(self, stable_rate: float) -> bool:
        """Stable itself is so bad at this rate that no canary could be told from one that is tolerated."""
        return self.of_requests and self.tolerated(stable_rate) >= 1
