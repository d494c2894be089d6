# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a release as a plan: in which order, which are judged together, and which are behind the canary already.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Sequence


def still_to_judge(judged: Sequence[bool], guarded: bool) -> int:
    """How many judgements follow the first one under the same promise. `judged`: which steps have checks, in their order.

    Two judged steps and a guard -> 2.
    """
    return max(sum(judged) + guarded - 1, 0)


def shrinks(planned: Sequence[int]) -> int | None:
    """The first step, counted from 0, that would make the canary smaller: canary pods 1, 3, 2 -> 2."""
    return next((n for n in range(1, len(planned)) if planned[n] < max(planned[:n])), None)
