# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates are the same where Kubernetes takes them for the same: what its comparison says is tried in
tests/integration/test_template_equality.py, with these pairs among others."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.equality import same_template
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.quantity import QuantityError, billionths
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import (
    changed_paths,
    digest,
    replica_set_of,
    same_version,
)

from .objects import deployment, ordinary, record, replica_set, situation
from .pairs import PAIRS, Json, memory


@pytest.mark.parametrize(("one", "other", "same"), [*PAIRS.values()], ids=[*PAIRS])
def test_templates_are_compared_and_digested_as_kubernetes_compares_them(one: Json, other: Json, same: bool) -> None:
    before = copy.deepcopy((one, other))
    assert same_template(one, other) is same
    assert (digest(one) == digest(other)) is same
    assert same_version(one, other) is same
    assert (changed_paths(one, other) == ()) is same
    assert (one, other) == before


def test_a_rollout_is_over_whose_amounts_are_written_otherwise_than_its_replica_sets() -> None:
    running = replica_set("v1", 4, 1, template=memory("1Gi"))
    applied = ordinary(template=memory("1073741824"))
    assert replica_set_of(applied.template, (running,)) is running
    assert situation(applied, running).stable is running


def test_a_hold_is_known_whose_amounts_are_written_otherwise_than_its_record_says() -> None:
    note = record(canary="v2", stable="v1", asked=digest(memory("1Gi")))
    note = replace(note, canary=note.asked)
    held = deployment(template=memory("1024Mi"), record=note)
    canary = replica_set("v2", 1, 2, template=memory("1073741824"))
    assert situation(held, canary, replica_set("v1", 4, 1)).phase is Phase.HELD


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_amounts_are_the_same_when_their_values_are(one: int, other: int) -> None:
    for written in (f"{one}m", f"{one}e-3", f"{one}000u", f"{one / Decimal(1000):f}", f"{one}000000E-9"):
        assert digest(memory(written)) == digest(memory(f"{one}m"))
        assert (digest(memory(written)) == digest(memory(f"{other}m"))) is (one == other)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("1", 10**9), ("0.5", 5 * 10**8), ("500m", 5 * 10**8), ("0.1n", 1), ("-0.1n", -1), ("1e3", 10**12), ("0", 0),
     ("9Ei", (2**63 - 1) * 10**9), ("9E", 9 * 10**27), (1, 10**9), (" 1Ki ", 1024 * 10**9)],
)  # fmt: skip
def test_an_amount_is_read_as_billionths_rounded_away_from_zero(text: str, nanos: int) -> None:
    assert billionths(text) == nanos


def test_true_is_no_amount_also_where_one_was_read_before() -> None:
    assert billionths(1) == 10**9
    with pytest.raises(QuantityError):
        billionths(True)
