# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a release as a plan: in which order, which are judged together, and which are behind the canary already.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence


@dataclass(frozen=True)
class Step:
    """`pods` or `weight` (per cent of all pods) is the size; `bake` in seconds.

    `judged`: it has checks. `own_checks`: they are its own, which is another question than that of the other steps.
    """

    pods: int | None = None
    weight: int | None = None
    bake: float = 0.0
    judged: bool = False
    own_checks: bool = False

    @property
    def size(self) -> str:
        return f"{self.weight} % of all pods" if self.weight is not None else f"{self.pods} pod(s)"


def still_to_judge(steps: Sequence[Step], guarded: bool) -> int:
    """How many judgements follow the first one under the same promise: two judged steps and a guard -> 2."""
    judged = sum(step.judged for step in steps) + guarded
    return max(judged - 1, 0)


def shrinks(planned: Sequence[int]) -> int | None:
    """The first step, counted from 0, that would make the canary smaller: canary pods 1, 3, 2 -> 2."""
    return next((n for n in range(1, len(planned)) if planned[n] < max(planned[:n])), None)
