# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities are exact, and rounded where Kubernetes rounds them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quantity import (
    scheduler_units,
    thousandths,
    written,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.quantity import QuantityError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1000),
        (2, 2000),
        (0.5, 500),
        ("100m", 100),
        ("100.5m", 101),
        ("1u", 1),
        ("0", 0),
        ("1.5Gi", 1610612736000),
        ("128974848", 128974848000),
        ("129e6", 129000000000),
        ("1E3", 1000000),
        ("1E", 10**21),
        (".5", 500),
        ("5.", 5000),
        ("1k", 10**6),
        ("1Ki", 1024000),
        ("-1", -1000),
        ("-0.0005", -1),
    ],
)
def test_a_quantity_is_read_as_thousandths_rounded_away_from_zero(text: str, expected: int) -> None:
    assert thousandths(text) == expected


@pytest.mark.parametrize(
    "text", ["", "m", "1x", "1 Gi", "0x10", "1KI", "1e", "--1", "None", "1.2.3", "²", "٣", "1e999999999", "9" * 5000]
)
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a Kubernetes quantity"):
        thousandths(text)


@given(st.integers(0, 10**7), st.sampled_from(["n", "u", "m", "", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_rounding_never_takes_anything_away_and_adds_less_than_a_thousandth(number: int, suffix: str) -> None:
    scale = {
        "n": Fraction(1, 10**9),
        "u": Fraction(1, 10**6),
        "m": Fraction(1, 1000),
        "": 1,
        "k": 10**3,
        "M": 10**6,
        "G": 10**9,
    }
    scale |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    exact = number * Fraction(scale[suffix]) * 1000
    assert 0 <= thousandths(f"{number}{suffix}") - exact < 1


@given(st.integers(0, 10**15), st.sampled_from(["cpu", "memory", "example.com/gpu"]))
def test_what_is_written_reads_back_the_same(amount: int, name: str) -> None:
    assert thousandths(written(name, amount)) == amount


def test_the_scheduler_counts_cpu_in_thousandths_and_the_rest_in_whole_units() -> None:
    counted = scheduler_units(
        {"cpu": 101, "memory": 1500, "example.com/gpu": 1000, "hugepages-2Mi": 1, "storage": 5, "pods": 1000}
    )
    assert counted == {"cpu": 101, "memory": 2, "example.com/gpu": 1, "hugepages-2Mi": 1}
