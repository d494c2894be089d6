# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pod templates are the same, as Kubernetes' own types and the Deployment controller's own comparison say."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.equality import (
    EMPTY_IS_ABSENT,
    QUANTITIES,
    same_template,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.slips import NUMBERS, TEXTS
from tests.cluster.semantics import Semantics
from tests.unit.rollout.pairs import PAIRS, divided, in_pod, marked, memory, volume

Json = dict[str, Any]
AMOUNTS = ["1Gi", "1024Mi", "1073741824", "1.5Gi", "1536Mi", "1k", "1e3", "1E3", "1000", "1000.0", "0.5", "500m", "5e-1", ".5",
           "0", "0.0", "0m", "-1", "-1000m", "100.5m", "1n", "0.3n", "1e-9", "9Ei", "8Ei", "9E", "9223372036854775807"]  # fmt: skip
PLACES = {
    "limits": memory,
    "overhead": lambda amount: in_pod(overhead={"cpu": amount}),
    "sizeLimit": lambda amount: volume(emptyDir={"sizeLimit": amount}),
    "divisor": lambda amount: divided(divisor=amount),
    "annotation": lambda amount: marked(annotations={"divisor": amount}),
}


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Semantics:
    return Semantics.built(tmp_path_factory.mktemp("semantics"))


def test_the_pairs_of_the_unit_tests_are_as_kubernetes_says(kubernetes: Semantics) -> None:
    said = kubernetes.same((one, other) for one, other, _same in PAIRS.values())
    assert dict(zip(PAIRS, said, strict=True)) == {name: same for name, (_one, _other, same) in PAIRS.items()}


def test_two_amounts_are_the_same_exactly_where_kubernetes_says_so(kubernetes: Semantics) -> None:
    pairs = [
        (place(one), place(other)) for place in PLACES.values() for one, other in itertools.combinations(AMOUNTS, 2)
    ]
    said = kubernetes.same(pairs)
    wrong = [pair for pair, same in zip(pairs, said, strict=True) if same_template(*pair) is not same]
    assert not wrong and len(set(said)) == 2


def test_what_is_a_quantity_and_what_is_absent_when_empty_are_the_fields_of_kubernetes_types(
    kubernetes: Semantics,
) -> None:
    said = kubernetes.schema()
    for told, table in (("quantities", QUANTITIES), ("empty", EMPTY_IS_ABSENT)):
        assert _members(table) == set(said[told]), told
    for told, table in (("texts", TEXTS), ("numbers", NUMBERS)):
        assert _members(table) <= set(said[told]), told


def _members(table: Mapping[str, frozenset[str]]) -> set[str]:
    return {f"{holder}.{member}" for holder, members in table.items() for member in members}


def test_templates_in_which_something_was_emptied_are_compared_as_kubernetes_does(kubernetes: Semantics) -> None:
    """Any mapping or list of a full template, emptied or left out: the same exactly where Kubernetes says so."""
    rich = in_pod(
        nodeSelector={"a": "b"}, securityContext={"sysctls": [{"name": "n", "value": "1"}]}, overhead={"cpu": "1"},
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}]}},
        topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "z", "labelSelector": {"matchLabels": {"a": "b"}}}],
        volumes=[{"name": "e", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "s", "secret": {"items": [{"key": "k", "path": "p"}]}},
                 {"name": "c", "csi": {"driver": "d", "volumeAttributes": {"a": "b"}}}],
    )  # fmt: skip
    rich["metadata"]["annotations"] = {"a": "b"}
    rich["spec"]["containers"][0].update(
        resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, env=[{"name": "A", "value": "x"}], args=["x"],
        securityContext={"capabilities": {"drop": ["ALL"]}}, lifecycle={"preStop": {"exec": {"command": ["x"]}}},
    )  # fmt: skip
    pairs = [pair for path in _paths(rich) for pair in itertools.combinations(_variants(rich, path), 2)]
    random.Random(7).shuffle(pairs)
    said = kubernetes.same(pairs)
    wrong = [pair for pair, same in zip(pairs, said, strict=True) if same_template(*pair) is not same]
    assert not wrong and len(set(said)) == 2


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where `value` has a mapping or a list in it that is a member of a mapping."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, member in members:
        if isinstance(member, dict | list):
            found += [(*path, key)] if isinstance(value, dict) else []
            found += _paths(member, (*path, key))
    return found


def _variants(shown: Json, path: tuple[Any, ...]) -> list[Json]:
    """As it is, with that member emptied, and without it."""
    variants = [copy.deepcopy(shown) for _ in range(3)]
    for variant, change in zip(variants[1:], ("empty", "absent"), strict=True):
        holder: Any = variant
        for key in path[:-1]:
            holder = holder[key]
        if change == "empty":
            holder[path[-1]] = type(holder[path[-1]])()
        else:
            del holder[path[-1]]
    return variants
