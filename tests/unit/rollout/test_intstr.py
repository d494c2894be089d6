# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""maxSurge and maxUnavailable, resolved as the Deployment controller does."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import (
    Fenceposts,
    IntOrPercent,
    resolve_fenceposts,
    scaled,
)

replicas = st.integers(0, 5000)
percentages = st.integers(0, 400)
counts_or_percentages = st.one_of(st.integers(0, 50), percentages.map("{}%".format))


@given(percentages, replicas)
def test_surge_rounds_up_and_unavailable_rounds_down(percentage: int, total: int) -> None:
    exact = Fraction(percentage * total, 100)
    assert scaled(f"{percentage}%", total, round_up=True) == ceil(exact)
    assert scaled(f"{percentage}%", total, round_up=False) == floor(exact)


@given(st.integers(0, 5000), replicas, st.booleans())
def test_a_count_is_itself(count: int, total: int, round_up: bool) -> None:
    assert scaled(count, total, round_up=round_up) == count


@pytest.mark.parametrize(
    ("max_surge", "max_unavailable", "total", "surge", "unavailable"),
    [
        # the examples of the docstring
        ("25%", "25%", 10, 3, 2),
        ("25%", "25%", 1, 1, 0),
        (0, "1%", 2, 0, 1),
        (1, 8, 5, 1, 5),
        (1, 1, 0, 1, 0),
        # the examples of ResolveFenceposts
        ("0%", "1%", 2, 0, 1),
        ("0%", "1%", 1, 0, 1),
        ("1%", "25%", 2, 1, 0),
        ("1%", "25%", 1, 1, 0),
        ("1%", "0%", 2, 1, 0),
        ("1%", "0%", 1, 1, 0),
        # beyond all pods
        ("200%", "100%", 4, 8, 4),
    ],
)
def test_fenceposts(
    max_surge: IntOrPercent, max_unavailable: IntOrPercent, total: int, surge: int, unavailable: int
) -> None:
    assert resolve_fenceposts(max_surge, max_unavailable, total) == Fenceposts(surge, unavailable)


@given(counts_or_percentages, counts_or_percentages, st.integers(1, 500))
def test_a_rollout_can_always_move_and_never_takes_more_than_all(
    max_surge: IntOrPercent, max_unavailable: IntOrPercent, total: int
) -> None:
    fenceposts = resolve_fenceposts(max_surge, max_unavailable, total)
    assert fenceposts.surge + fenceposts.unavailable >= 1
    assert 0 <= fenceposts.unavailable <= total


@pytest.mark.parametrize("value", [-1, "", "%", "25", "2.5%", "-5%", "+5%", " 5%", "5% ", "5%\n", "\u0665%", "five"])
def test_what_the_api_server_refuses_is_an_error_that_says_what_to_give(value: IntOrPercent) -> None:
    with pytest.raises(ValueError, match="'25%'"):
        scaled(value, 10, round_up=True)
