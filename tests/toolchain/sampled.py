# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of cases that differ by nothing but a seed, or by the moment of a fault: those that `make test` plays. `make slow` plays all of them.

Others, of every kind, are played with each change anyway (docs/decisions/0010-new-histories-for-each-change.md).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

ONE_IN = 6


def sampled(cases: Sequence[Any]) -> list[Any]:
    """For pytest.mark.parametrize, of one name or of several: all of them, most with the mark `slow`.

    Drawn, and the same ones in each run: where more is decided by the remainders of a number, each sixth would be of one sort.
    """
    played = set(random.Random(len(cases)).sample(range(len(cases)), -(-len(cases) // ONE_IN)))
    return [case if place in played else _left(case) for place, case in enumerate(cases)]


def in_turn(
    cases: Sequence[Any], numbers: Sequence[int], name: Callable[[Any], str] = str, one_in: int = ONE_IN
) -> list[Any]:
    """For pytest.mark.parametrize of two: each case with those of the numbers at which it is played, so that each number has its turn where
    there are `one_in` cases or more; and, with the mark `slow`, each case with all numbers."""
    turns = ((case, numbers[turn % one_in :: one_in]) for turn, case in enumerate(cases))
    return [
        *(pytest.param(case, some, id=f"{name(case)}-in turn") for case, some in turns),
        *(pytest.param(case, numbers, id=name(case), marks=pytest.mark.slow) for case in cases),
    ]


def _left(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
