# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest

from tests.toolchain.sampled import in_turn, sampled


@pytest.mark.parametrize("number", [1, 2, 6, 40])
def test_a_sixth_of_the_cases_is_played_and_the_others_are_left_to_make_slow(number: int) -> None:
    cases = sampled(range(number))
    left = [case.values[0] for case in cases if not isinstance(case, int)]
    played = [case for case in cases if isinstance(case, int)]
    assert sorted([*left, *played]) == [*range(number)] and len(played) == -(-number // 6)
    assert all(case.marks[0].name == "slow" for case in cases if not isinstance(case, int))


def test_the_same_ones_in_each_run_and_not_each_sixth() -> None:
    played = [case for case in sampled(range(180)) if isinstance(case, int)]
    assert played == [case for case in sampled(range(180)) if isinstance(case, int)]
    assert {case % 6 for case in played} == {*range(6)} and {case % 2 for case in played} == {0, 1}


def test_each_number_has_its_turn_and_make_slow_plays_each_case_with_all_of_them() -> None:
    turns = in_turn(["lost", "late", "busy"], range(7), one_in=3)
    played = [case.values for case in turns if not case.marks]
    assert Counter(number for _case, numbers in played for number in numbers) == Counter(range(7))
    assert [case.values for case in turns if case.marks] == [(case, range(7)) for case in ("lost", "late", "busy")]
