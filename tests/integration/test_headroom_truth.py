# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headroom against the real scheduler: random clusters predicted, then tried. `make headroom-truth` runs many more."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.cluster.lab import start_lab
from tests.truth.headroom.__main__ import ALONE
from tests.truth.headroom.run import run, summary

FRESH = 50
# On each of these naive formulas are known to be wrong. Fresh ones would not do: some formulas are wrong on few clusters.
KNOWN = (1002, 1015, 1036, 1045, 1047, 1059, 1069, 1141)

Line = dict[str, Any]


@pytest.fixture(scope="module")
def lines() -> Iterator[list[Line]]:
    first = secrets.randbelow(10**8) + 10**6
    with start_lab(fake_nodes=0, controller_manager_flags=ALONE) as lab:
        known = (run(lab.kubeconfig, seed, 1, None) for seed in KNOWN)
        yield [*chain.from_iterable(known), *run(lab.kubeconfig, first, FRESH, None)]


def test_nothing_is_said_to_fit_that_does_not(lines: list[Line]) -> None:
    assert [line for line in lines if line["agreement"] == "false_fits"] == []


def test_every_prediction_agrees_with_what_happened(lines: list[Line]) -> None:
    assert [line for line in lines if line["agreement"] in ("wrong", "unknown")] == []


def test_how_many_are_placed_after_evictions_is_an_approximation_that_holds_nearly_always(lines: list[Line]) -> None:
    assert sum(line["agreement"] == "preemption" for line in lines) <= 1


def test_the_cases_are_neither_all_easy_nor_all_hopeless(lines: list[Line]) -> None:
    found = summary(lines)
    assert found["all_fit"] >= FRESH // 10
    assert found["none_fit"] >= FRESH // 10


@pytest.mark.parametrize(
    "formula",
    [
        "summed free capacity",
        "resources by node, nothing else",
        "containers only",
        "no sidecars, no pod level",
        "containers only, all other rules exact",
        "no sidecars, all other rules exact",
        "no resize status",
    ],
)
def test_a_naive_formula_is_caught(lines: list[Line], formula: str) -> None:
    assert summary(lines)["naive_wrong"][formula] > 0
