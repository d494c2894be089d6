# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of rights and of other writers is what their sources say (tests/sim shows that these are right)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.toolchain import writers
from tests.toolchain.rights import MANIFESTS, applied, manifest, rules, written


@pytest.mark.parametrize(("path", "text"), written().items(), ids=lambda one: one.name if isinstance(one, Path) else "")
def test_it_is_as_make_rights_writes_it(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run make rights"


def test_the_page_of_writers_is_as_make_writers_writes_it() -> None:
    assert writers.PAGE.read_text(encoding="utf-8") == writers.page(), "run make writers"


def test_every_rule_of_a_role_is_in_its_manifest() -> None:
    given = [
        (rule["apiGroups"], rule["resources"], rule["verbs"])
        for name in MANIFESTS
        for document in yaml.safe_load_all(manifest(name))
        for rule in document.get("rules", ())
    ]
    wanted = [
        ([rule.group], list(rule.resources), list(rule.verbs))
        for rule in rules()
        if rule.role not in ("cluster_reader", "creator", "mirror")
    ]
    assert sorted(given) == sorted(wanted)


def test_only_reading_is_granted_for_the_whole_cluster() -> None:
    assert {verb for rule in rules() if rule.where != "namespace" for verb in rule.verbs} <= {"get", "list", "watch"}


EVERY_ROLE = sorted({rule.role for rule in rules()})


def objects(**given: str) -> dict[tuple[str, ...], Any]:
    """By kind, namespace and name, as `kubectl apply` knows them."""
    found: dict[tuple[str, ...], Any] = {}
    for one in yaml.safe_load_all(applied(EVERY_ROLE, **given)):
        key = one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]
        assert key not in found, f"{key} is applied twice"
        found[key] = one
    return found


def test_names_that_look_like_numbers_stay_names() -> None:
    found = objects(namespace="1e3", name="007", account_namespace="on")
    names = {(kind, namespace) for kind, namespace, _name in found}
    assert names == {(kind, namespace) for kind, namespace in names if isinstance(namespace, str)}
    assert ("ServiceAccount", "on", "007") in found and ("Role", "1e3", "canary-operator") in found
    accounts = [one for binding in found.values() for one in binding.get("subjects", ())]
    assert accounts and all((one["name"], one["namespace"]) == ("007", "on") for one in accounts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"account_namespace": "ci-a"}, {"account_namespace": "ci-b"}),
        ({"kind": "User"}, {"kind": "Group"}),
        ({"namespace": "shop", "name": "eu-canary"}, {"namespace": "shop-eu", "name": "canary"}),
        ({"kind": "Group", "name": "a/b"}, {"kind": "Group", "name": "a=2Fb"}),
        ({"kind": "User", "name": "shop:canary"}, {}),
    ],
)
def test_what_is_given_to_one_takes_nothing_from_another(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = objects(**one), objects(**other)
    assert [key for key in first.keys() & second.keys() if first[key] != second[key]] == []
    assert not {key for key in first.keys() & second.keys() if key[0].endswith("Binding")}


@pytest.mark.parametrize("namespace", ["shop", "kube-system"])
def test_no_role_is_written_twice_and_each_binding_has_one(namespace: str) -> None:
    found = objects(namespace=namespace)
    for (kind, where, _name), one in found.items():
        if kind.endswith("Binding"):
            assert (one["roleRef"]["kind"], where, one["roleRef"]["name"]) in found


def test_the_name_of_a_binding_is_one_for_kubernetes() -> None:
    names = [name for _kind, _namespace, name in objects(kind="Group", name="https://id.example.org/a%b")]
    assert not [name for name in names if "/" in name or "%" in name]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_of_another_namespace_where_its_name_is_replaced_as_it_says(name: str) -> None:
    text = manifest(name)
    assert f"sed s/shop/YOURS/g docs/{name}" in text
    of_yours = applied(MANIFESTS[name][0], namespace="yours", account_namespace="yours")
    assert list(yaml.safe_load_all(text.replace("shop", "yours"))) == list(yaml.safe_load_all(of_yours))
