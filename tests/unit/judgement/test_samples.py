# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples that sources and the user's own tasks hand over."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import (
    Count,
    Reading,
    Sample,
    given_samples,
    mark_of,
    not_counted_yet,
)
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError

GOOD = {"time": 5, "canary": {"bad": 1, "total": 100}, "stable": {"bad": 2, "total": 300}}


def test_the_users_own_counts_become_samples() -> None:
    rows = [GOOD, {**GOOD, "time": "10.5"}]
    assert given_samples(rows) == (
        Sample(5, Count(1, 100), Count(2, 300)),
        Sample(10.5, Count(1, 100), Count(2, 300)),
    )


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ([], []),
        ([5, 10], []),
        ([5, 10, 15], [15]),
        ([20], []),
        ([5], [5]),
        ([10, 5], [10, 5]),
    ],
    ids=["none", "the same", "more behind the same", "of a call before that", "fewer", "others"],
)
def test_what_was_counted_at_a_step_before_is_not_counted_again(now: list[int], left: list[int]) -> None:
    def at(*times: int) -> tuple[Sample, ...]:
        return tuple(Sample(time, Count(1, 100), Count(2, 300)) for time in times)

    before = [mark_of(at(5, 10)), mark_of(at(20))]
    assert not_counted_yet(at(*now), before) == at(*left)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{**GOOD, "canary": 3}], r"samples\[0\] lacks canary"),
        ([GOOD, {**GOOD, "stable": {"bad": 1}}], r"samples\[1\].stable.total"),
        ([{**GOOD, "canary": {"bad": 5, "total": 4}}], "more bad than all"),
        ([{**GOOD, "canary": {"bad": -1, "total": 4}}], "at least 0"),
        ([{**GOOD, "canary": {"bad": "many", "total": 4}}], "a number is needed"),
        ([{**GOOD, "canary": {"bad": "nan", "total": 4}}], "finite"),
        ([{**GOOD, "canary": {"bad": True, "total": 4}}], "a number is needed"),
        ([{**GOOD, "time": 9}, GOOD], "back in time"),
    ],
)
def test_counts_that_cannot_be_are_refused(rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(JudgementError, match=says):
        given_samples(rows)


@pytest.mark.parametrize("count", [Count(1, 0), Count(-1, 5), Count(1, math.nan), Count(math.inf, math.inf)])
def test_a_source_cannot_hand_over_nonsense(count: Count) -> None:
    with pytest.raises(JudgementError, match="a sample has"):
        Sample(1, count, Count(0, 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reading_is_a_number(value: float) -> None:
    with pytest.raises(JudgementError, match="no data"):
        Reading(1, value)
