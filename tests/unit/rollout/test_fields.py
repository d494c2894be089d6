# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are no longer what the API says: everything that is made of them is a value, `Malformed` or a refusal."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout import autoscaler as autoscalers
from ansible_collections.coalmine.canary.plugins.module_utils.rollout import patches
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.describe import describe
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import (
    MOST_DEPTH,
    Fields,
    Malformed,
    items,
    pod_template,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST, LastRelease
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.owners import owners
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, diagnose
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.progress import towards_rollout, towards_stable
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    AUTOSCALER,
    LIVE,
    RECORD,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.start import unsettled
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore, Undoing, decide
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import (
    REVISION,
    Autoscaler,
    Deployment,
    Picture,
    Pod,
    ReplicaSet,
    controller_uid,
    owned_replica_sets,
    scales,
    selector_query,
)
from tests.toolchain.sampled import in_turn

from .objects import UID, record, template

OWNER = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": UID, "controller": True}]
CONDITION = {
    "type": "Available", "status": "True", "reason": "Enough", "message": "so it is", "lastTransitionTime": "2026-01-01T00:00:00Z",
}  # fmt: skip
STATUS = {"replicas": 5, "readyReplicas": 5, "availableReplicas": 4, "observedGeneration": 3, "conditions": [CONDITION]}


def a_replica_set(version: str, pods: int, revision: str) -> dict[str, Any]:
    shown = template(version)
    shown["metadata"]["labels"]["pod-template-hash"] = version
    notes = {REVISION: revision, RECORD: record(generation=2).encode()}
    return {
        "metadata": {
            "name": f"web-{version}", "uid": f"uid-{version}", "labels": {"pod-template-hash": version}, "annotations": notes,
            "ownerReferences": copy.deepcopy(OWNER), "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1,
        },
        "spec": {"replicas": pods, "minReadySeconds": 5, "template": shown},
        "status": {**copy.deepcopy(STATUS), "replicas": pods},
    }  # fmt: skip


def a_cluster() -> dict[str, Any]:
    """A held canary as a server shows it, with a pod and a pinned autoscaler."""
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    container = {
        "name": "app", "image": "app:v2", "restartCount": 2, "state": state,
        "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
    }  # fmt: skip
    return {
        "deployment": {
            "metadata": {
                "name": "web", "namespace": "shop", "uid": UID, "generation": 3, "labels": {LIVE: "true"},
                "annotations": {RECORD: record(generation=2).encode(), LAST: LastRelease("undone", {}, "", "", "").encode()},
                "managedFields": [
                    {"manager": "argocd-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}},
                ],
                "ownerReferences": copy.deepcopy(OWNER),
            },
            "spec": {
                "replicas": 4, "paused": False, "minReadySeconds": 2147483646, "progressDeadlineSeconds": 2147483647,
                "revisionHistoryLimit": 10, "template": template("v2"),
                "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["a", "b"]},
                ]},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            },
            "status": {**copy.deepcopy(STATUS), "terminatingReplicas": 1, "updatedReplicas": 1},
        },
        "replicasets": [a_replica_set("v1", 4, "1"), a_replica_set("v2", 1, "2")],
        "pods": [{
            "metadata": {
                "name": "web-v2-x", "uid": "p", "labels": {"pod-template-hash": "v2"}, "deletionTimestamp": None,
                "ownerReferences": [{**OWNER[0], "kind": "ReplicaSet", "uid": "uid-v2"}],
            },
            "spec": {"nodeName": "n1"},
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "conditions": [{**CONDITION, "type": "Ready"}],
                "containerStatuses": [container], "initContainerStatuses": [copy.deepcopy(container)],
            },
        }],
        "autoscalers": [{
            "metadata": {
                "name": "hpa", "uid": "u", "resourceVersion": "7", "generation": 2, "ownerReferences": [],
                "annotations": {AUTOSCALER: '{"minReplicas":2,"maxReplicas":9,"pinned":4}'},
            },
            "spec": {
                "minReplicas": 4, "maxReplicas": 4,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
            "status": {"observedGeneration": 2},
        }],
    }  # fmt: skip


def everything(cluster: dict[str, Any]) -> Phase:
    """All that a verb makes of these objects, from reading them to the patches and what is told."""
    deployment = Deployment.parse(cluster["deployment"])
    owned = owned_replica_sets(items({"items": cluster["replicasets"]}, "ReplicaSet"), deployment.uid)
    pods = tuple(Pod.parse(item) for item in items({"items": cluster["pods"]}, "Pod"))
    targeting = [item for item in items({"items": cluster["autoscalers"]}, "HPA") if scales(item, "web")]
    found = tuple(Autoscaler.parse(item) for item in targeting)
    situation = diagnose(Picture(deployment, owned, pods, found))
    told = [
        describe(situation),
        [owner.warning(deployment) for owner in owners(deployment)],
        selector_query(deployment.selector),
        unsettled(situation.picture),
    ]
    told += [str(towards_rollout(situation, digest(deployment.template))), str(towards_stable(situation, ""))]
    asked = Undoing("ana", "2026-01-01T00:00:00Z", "slow", Restore(0, 600, 1, 0))
    for restore in (None, asked.restore):
        with suppress(Refusal):
            plan = decide(situation, Undoing(asked.name, asked.now, asked.reason, restore))
            told.append(plan.operations if plan else None)
    if situation.record is not None:
        told.append(patches.promote(situation, situation.record).operations)
    for autoscaler in found:
        with suppress(Refusal):
            told.append([autoscalers.give_back(autoscaler), autoscalers.pin(autoscaler, 4)])
    json.dumps(told, ensure_ascii=False).encode()  # what is told and sent can be
    return situation.phase


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from paths(item, (*path, key))


PLACES = [path for path in paths(a_cluster()) if path]
DEEP: Any = "x"
for _ in range(2 * MOST_DEPTH):
    DEEP = {"x": [DEEP]}
ODD = [None, True, False, 0, 1, -1, 1.5, 2**31, 2**63, 10**400, "", "x", "²", "\ud800", "\x00", "[" * 90_000, [], [[]], {}, {"x": 1},
       [None], ["\udfff"], {"\ud800": "\ud800"}, DEEP, float("nan"), float("inf"), "'; touch x; '"]  # fmt: skip
ANY = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def with_changes(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    cluster = a_cluster()
    for path, value in changes:
        place: Any = cluster
        with suppress(TypeError, KeyError, IndexError):  # an earlier change took that place away
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = copy.deepcopy(value)
    return cluster


def test_unchanged_they_are_a_held_canary() -> None:
    assert everything(a_cluster()) is Phase.HELD


@pytest.mark.parametrize(("odd", "places"), in_turn(range(len(ODD)), PLACES))
def test_whatever_stands_in_the_place_of_any_one_field_no_other_error_is_raised(
    odd: int, places: Sequence[tuple[Any, ...]]
) -> None:
    for path in places:
        with suppress(Malformed):
            everything(with_changes((path, ODD[odd])))


@given(st.lists(st.tuples(st.sampled_from(PLACES), ANY), min_size=1, max_size=4))
def test_nor_in_the_place_of_several(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    with suppress(Malformed):
        everything(with_changes(*changes))


SAID: dict[str, tuple[Any, str]] = {
    "a text for a number": (
        {"spec": {"replicas": "4"}},
        "Deployment.spec.replicas is a text, and not a whole number of 64 bits",
    ),
    "a negative number": (
        {"spec": {"replicas": -1}},
        "Deployment.spec.replicas is a number, and not a number from 0 on",
    ),
    "a number for a label": (
        {"metadata": {"labels": {"a": 5}}},
        "Deployment.metadata.labels.a is a number, and not a text",
    ),
    "a list for an object": ({"spec": []}, "Deployment.spec is a list, and not an object"),
    "nothing": ({"spec": None}, "Deployment.spec is nothing, and not an object"),
}


@pytest.mark.parametrize(("change", "message"), [*SAID.values()], ids=[*SAID])
def test_the_error_names_the_field_and_not_its_value(change: dict[str, Any], message: str) -> None:
    good = a_cluster()["deployment"]
    for part, value in change.items():
        good[part] = {**good[part], **value} if isinstance(value, dict) else value
    with pytest.raises(Malformed) as raised:
        Deployment.parse(good)
    assert str(raised.value) == message


def test_a_template_of_too_many_levels_is_malformed() -> None:
    with pytest.raises(Malformed, match="one of at most 60 levels"):
        pod_template(Fields({"spec": {"volumes": DEEP}}, "Deployment.spec.template"))


REVISIONS = {"7": 7, "²": 0, "７": 0, "-1": 0, "9" * 5_000: 0, "[" * 90_000: 0, "": 0, "0x1": 0}


@pytest.mark.parametrize("text", REVISIONS, ids=lambda text: text[:9])
def test_a_revision_that_is_none_is_the_oldest(text: str) -> None:
    assert ReplicaSet.parse(a_replica_set("v1", 1, text)).revision == REVISIONS[text]


TARGETS: dict[str, tuple[dict[str, Any], bool]] = {
    "as usual": ({"apiVersion": "apps/v1", "kind": "Deployment"}, True),
    "in lower case, which the controller's mapper knows": ({"apiVersion": "apps/v1", "kind": "deployment"}, True),
    "of another version, which the controller does not read": (
        {"apiVersion": "apps/v1beta2", "kind": "Deployment"},
        True,
    ),
    "of the group that Deployments had once": ({"apiVersion": "extensions/v1beta1", "kind": "Deployment"}, True),
    "without a group": ({"kind": "Deployment"}, True),
    "of the core group": ({"apiVersion": "v1", "kind": "Deployment"}, True),
    "in capitals": ({"apiVersion": "apps/v1", "kind": "DEPLOYMENT"}, True),
    "of another group": ({"apiVersion": "example.com/v1", "kind": "Deployment"}, False),
    "of another kind": ({"apiVersion": "apps/v1", "kind": "StatefulSet"}, False),
    "of another name": ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}, False),
    "in the plural": ({"apiVersion": "apps/v1", "kind": "deployments"}, False),
}


@pytest.mark.parametrize(("target", "ours"), [*TARGETS.values()], ids=[*TARGETS])
def test_an_autoscaler_is_found_as_its_controller_finds_its_target(target: dict[str, Any], ours: bool) -> None:
    assert scales({"spec": {"scaleTargetRef": {"name": "web", **target}}}, "web") is ours


OWNERS: dict[str, tuple[Any, str]] = {
    "none": ([], ""),
    "no controller": ([{"uid": "a"}, {"uid": "b", "controller": False}], ""),
    "the first controller": ([{"uid": "a"}, {"uid": "b", "controller": True}, {"uid": "c", "controller": True}], "b"),
    "null": (None, ""),
}


@pytest.mark.parametrize(("owners", "uid"), [*OWNERS.values()], ids=[*OWNERS])
def test_the_owner_is_the_first_controller(owners: Any, uid: str) -> None:
    assert controller_uid({"metadata": {"ownerReferences": owners}}, "Pod") == uid


SELECTORS: dict[str, tuple[dict[str, Any], str]] = {
    "labels": ({"matchLabels": {"b": "2", "a": ""}}, "a=,b=2"),
    "expressions": (
        {"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"},
        ]},
        "a in (x,y),b notin (z),c,!d",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("selector", "query"), [*SELECTORS.values()], ids=[*SELECTORS])
def test_a_selector_is_asked_for_as_the_server_reads_it(selector: dict[str, Any], query: str) -> None:
    assert selector_query(selector) == query


@pytest.mark.parametrize("requirement", [{"key": "a", "operator": "Gt"}, {"operator": "In"}, {}, None, {"key": "a"}])
def test_a_selector_that_nobody_can_ask_for_is_malformed(requirement: Any) -> None:
    cluster = with_changes((("deployment", "spec", "selector", "matchExpressions"), [requirement]))
    with pytest.raises(Malformed, match="and not a requirement of labels"):
        Deployment.parse(cluster["deployment"])
