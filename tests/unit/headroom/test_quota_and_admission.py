# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many more pods the quotas allow, and what LimitRanges make of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.admission import (
    admitted_locally,
    pod_to_ask_for,
    with_default_class,
    with_priority_class,
    with_runtime_class,
    with_what_was_added,
)
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quota import (
    is_best_effort,
    quota_view,
    verdict,
    with_new_replica_set,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import ReplicaSet

from .clusters import MINOR, REQUIRED, container, pod

Object = dict[str, Any]


def quota(hard: Object, used: Object | None = None, **spec: Any) -> Object:
    used = dict.fromkeys(hard, "0") if used is None else used
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


def most(new: Object, *quotas: Object) -> int | None:
    return verdict([quota_view(one) for one in quotas], new, MINOR).most


LIMITED = pod(containers=[{"name": "a", "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}}])


@pytest.mark.parametrize(
    ("hard", "used", "allowed"),
    [
        ({"pods": "5"}, {"pods": "3"}, 2),
        ({"count/pods": "5"}, {"count/pods": "7"}, 0),
        ({"requests.cpu": "2"}, {"requests.cpu": "600m"}, 2),
        ({"cpu": "2"}, {"cpu": "0"}, 4),
        ({"limits.memory": "3Gi"}, {"limits.memory": "1Gi"}, 2),
        ({"requests.example.com/gpu": "0"}, {"requests.example.com/gpu": "0"}, None),
        ({"services": "1"}, {"services": "1"}, None),
        ({"pods": "5"}, {}, 0),  # usage not computed yet: the API server refuses
        ({"limits.cpu": "9"}, {"limits.cpu": "0"}, 0),  # every container must set what the quota tracks
    ],
)
def test_a_quota_allows_as_many_pods_as_fit_between_used_and_hard(
    hard: Object, used: Object, allowed: int | None
) -> None:
    assert most(LIMITED, quota(hard, used)) == allowed


FAST = {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}}
CLAIMING = {
    "metadata": {},
    "spec": {
        "containers": [{"name": "a"}],
        "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": FAST}}}, {"name": "e", "emptyDir": {}}],
        "resourceClaims": [
            {"name": "gpu", "resourceClaimTemplateName": "gpu"},
            {"name": "own", "resourceClaimName": "own"},
        ],
    },
}


@pytest.mark.parametrize(
    ("hard", "used", "allowed"),
    [
        ({"persistentvolumeclaims": "5"}, {"persistentvolumeclaims": "3"}, 2),
        ({"count/persistentvolumeclaims": "5"}, {"count/persistentvolumeclaims": "5"}, 0),
        ({"requests.storage": "25Gi"}, {"requests.storage": "0"}, 2),
        (
            {"fast.storageclass.storage.k8s.io/requests.storage": "9Gi"},
            {"fast.storageclass.storage.k8s.io/requests.storage": "0"},
            0,
        ),
        (
            {"slow.storageclass.storage.k8s.io/requests.storage": "9Gi"},
            {"slow.storageclass.storage.k8s.io/requests.storage": "0"},
            None,
        ),
        (
            {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"},
            {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "0"},
            1,
        ),
        ({"count/resourceclaims.resource.k8s.io": "3"}, {"count/resourceclaims.resource.k8s.io": "0"}, 3),
        ({"count/secrets": "0"}, {"count/secrets": "0"}, None),
    ],
)
def test_claims_that_are_made_for_each_pod_are_counted(hard: Object, used: Object, allowed: int | None) -> None:
    assert most(CLAIMING, quota(hard, used)) == allowed


def test_a_quota_with_scopes_counts_no_claims_and_no_replica_sets() -> None:
    scoped = quota({"persistentvolumeclaims": "0", "count/replicasets.apps": "0"}, scopes=["NotTerminating"])
    found = verdict([quota_view(scoped)], CLAIMING, MINOR)
    assert with_new_replica_set([quota_view(scoped)], found).most is None


def test_claims_go_with_the_pods_that_leave() -> None:
    tight = quota_view(quota({"persistentvolumeclaims": "4"}, {"persistentvolumeclaims": "4"}))
    assert verdict([tight], CLAIMING, MINOR, CLAIMING, 2).most == 2


@pytest.mark.parametrize(
    ("hard", "used", "refused"),
    [
        ("3", {"count/replicasets.apps": "2"}, ""),
        (
            "3",
            {"count/replicasets.apps": "3"},
            "count/replicasets.apps 3 of 3 used, and the new version needs a ReplicaSet of its own",
        ),
        ("3", {}, "status unknown for count/replicasets.apps"),
    ],
)
def test_a_new_version_needs_room_for_a_replica_set(hard: str, used: Object, refused: str) -> None:
    counted = [quota_view(quota({"count/replicasets.apps": hard}, used))]
    found = with_new_replica_set(counted, verdict(counted, LIMITED, MINOR))
    assert (found.most == 0) is bool(refused)
    assert refused in "".join(found.refusals)


def test_the_tightest_quota_counts() -> None:
    assert most(LIMITED, quota({"pods": "9"}), quota({"pods": "4"})) == 4


@pytest.mark.parametrize(
    ("new", "spec", "is_limited"),
    [
        (pod(), {"scopes": ["NotTerminating"]}, True),
        (pod(activeDeadlineSeconds=0), {"scopes": ["NotTerminating"]}, False),
        (pod(activeDeadlineSeconds=60), {"scopes": ["Terminating"]}, True),
        (pod(), {"scopes": ["BestEffort"]}, False),
        (pod(cpu=None), {"scopes": ["BestEffort"]}, True),
        (pod(), {"scopes": ["NotBestEffort", "Terminating"]}, False),
        (pod(priorityClassName="high"), {"scopes": ["PriorityClass"]}, True),
        (pod(), {"scopes": ["PriorityClass"]}, False),
        (pod(priorityClassName="high"), {"scopeSelector": ("In", ["high"])}, True),
        (pod(priorityClassName="low"), {"scopeSelector": ("In", ["high"])}, False),
        (pod(), {"scopeSelector": ("NotIn", ["high"])}, True),
        (pod(), {"scopeSelector": ("DoesNotExist", [])}, True),
        (pod(), {"scopes": ["CrossNamespacePodAffinity"]}, False),
        (
            pod(affinity={"podAffinity": {REQUIRED: [{"topologyKey": "z", "namespaces": ["other"]}]}}),
            {"scopes": ["CrossNamespacePodAffinity"]},
            True,
        ),
    ],
)
def test_a_quota_counts_only_pods_in_all_its_scopes(new: Object, spec: Object, is_limited: bool) -> None:
    if "scopeSelector" in spec:
        operator, values = spec["scopeSelector"]
        rule = {"scopeName": "PriorityClass", "operator": operator, "values": values}
        spec = {"scopeSelector": {"matchExpressions": [rule]}}
    assert (most(new, quota({"pods": "3"}, **spec)) == 3) is is_limited


def test_old_pods_that_will_have_left_give_back_what_they_hold() -> None:
    tight = quota({"requests.cpu": "10"}, {"requests.cpu": "10"})
    freed = verdict([quota_view(tight)], pod(cpu="2"), MINOR, pod(cpu="1"), 6)
    assert freed.most == 3


@pytest.mark.parametrize(
    ("old", "new", "scope", "allowed"),
    [
        (pod(priorityClassName="low"), pod(priorityClassName="high"), ("PriorityClass", "In", ["high"]), 3),
        (pod(priorityClassName="high"), pod(priorityClassName="high"), ("PriorityClass", "In", ["high"]), 9),
        (pod(cpu=None), pod(), ("NotBestEffort", "Exists", []), 3),
        (pod(cpu="2"), pod(), ("NotBestEffort", "Exists", []), 9),
        (pod(), pod(activeDeadlineSeconds=60), ("Terminating", "Exists", []), 3),
    ],
)
def test_a_quota_gets_back_only_what_it_has_charged(
    old: Object, new: Object, scope: tuple[str, str, list[str]], allowed: int
) -> None:
    """Ten pods of others hold ten of thirteen; six old ones leave, and where they are in another scope nothing comes free."""
    rule = dict(zip(("scopeName", "operator", "values"), scope, strict=True))
    raw = quota({"pods": "13"}, {"pods": "10"}, scopeSelector={"matchExpressions": [rule]})
    assert verdict([quota_view(raw)], new, MINOR, old, 6).most == allowed
    # Assumed old pods are charged only there, too.
    assert verdict([quota_view(raw)], new, MINOR, old, -2).most == (3 if allowed == 3 else 1)


def test_a_quota_whose_status_lags_behind_is_said_to_be_unknown() -> None:
    raw = quota({"pods": "5"})
    raw["spec"]["hard"] = {"pods": "1"}
    assert verdict([quota_view(raw)], pod(), MINOR).unknown == {"quota_status_pending: q"}


def test_best_effort_means_nothing_asked_for_anywhere() -> None:
    assert is_best_effort(pod(cpu=None), MINOR)
    assert not is_best_effort(pod(cpu=None, initContainers=[container("1m")]), MINOR)
    assert not is_best_effort(pod(cpu=None, resources={"limits": {"cpu": "1"}}), MINOR)


def limit_range(**limit: Any) -> Object:
    return {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Container", **limit}]}}


def test_a_limit_becomes_the_request_before_a_limit_range_fills_the_rest() -> None:
    raw = pod(containers=[{"name": "a", "resources": {"limits": {"cpu": "300m"}}}])
    defaults = limit_range(defaultRequest={"cpu": "1m", "memory": "5Mi"}, default={"memory": "9Mi"})
    admitted, refusals = admitted_locally(raw, [defaults], MINOR)
    assert admitted["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "300m", "memory": "9Mi"},
        "requests": {"cpu": "300m", "memory": "5Mi"},
    }
    assert (refusals, raw["spec"]["containers"][0]["resources"]) == ([], {"limits": {"cpu": "300m"}})


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ({"min": {"cpu": "2"}}, "at least 2 of cpu"),
        ({"max": {"memory": "1Mi"}}, "at most 1Mi of memory"),
        ({"maxLimitRequestRatio": {"memory": "2"}}, "at most 2 times its request"),
    ],
)
def test_a_limit_range_refuses_with_the_rule(limit: Object, why: str) -> None:
    _, refusals = admitted_locally(pod(), [limit_range(**limit)], MINOR)
    assert len(refusals) == 1
    assert why in refusals[0]


@pytest.mark.parametrize(
    ("limit", "refused"),
    [
        ({"type": "Pod", "max": {"cpu": "1"}}, ["LimitRange lr: the pod must be limited to at most 1 of cpu"]),
        ({"type": "Pod", "min": {"cpu": "1"}}, []),
        ({"type": "PersistentVolumeClaim", "min": {"cpu": "9"}}, []),
    ],
)
def test_a_limit_range_of_pods_counts_all_containers_together(limit: Object, refused: list[str]) -> None:
    half = {"requests": {"cpu": "600m"}, "limits": {"cpu": "600m"}}
    raw = pod(containers=[{"name": name, "resources": half} for name in "ab"])
    assert admitted_locally(raw, [limit_range(**limit)], MINOR)[1] == refused


@pytest.mark.parametrize(
    ("asked", "admitted"),
    [
        ({"limits": {"cpu": "2", "memory": "1Gi"}}, {"cpu": "300m", "memory": "1Gi"}),
        ({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}, {"cpu": "1"}),
        ({"limits": {"hugepages-2Mi": "4Mi"}}, {"cpu": "300m", "hugepages-2Mi": "4Mi"}),
        ({"limits": {"example.com/gpu": "1"}}, {"cpu": "300m"}),
    ],
)
def test_the_limits_of_a_whole_pod_become_its_requests(asked: Object, admitted: Object) -> None:
    raw = pod(resources=asked, containers=[container(cpu="300m")])
    assert admitted_locally(raw, [], MINOR)[0]["spec"]["resources"]["requests"] == admitted
    assert admitted_locally(raw, [], 33)[0]["spec"]["resources"] == asked, "older servers know no pod-level resources"


def test_in_the_network_of_the_node_every_port_is_one_of_the_node() -> None:
    raw = pod(
        hostNetwork=True, containers=[container(ports=[{"containerPort": 80}, {"containerPort": 8, "hostPort": 9}])]
    )
    ports = admitted_locally(raw, [], MINOR)[0]["spec"]["containers"][0]["ports"]
    assert [port["hostPort"] for port in ports] == [80, 9]


@pytest.mark.parametrize(
    ("priority_class", "ranked"),
    [
        ({"value": 7}, (7, "PreemptLowerPriority")),
        ({"value": 7, "preemptionPolicy": "Never"}, (7, "Never")),
        ({}, (0, "PreemptLowerPriority")),
    ],
)
def test_a_priority_class_ranks_the_pod(priority_class: Object, ranked: tuple[int, str]) -> None:
    raw = {"metadata": {}, "spec": {}}
    spec = with_priority_class(raw, priority_class)["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == ranked
    assert with_priority_class({**raw, "spec": {"priority": 1}}, priority_class)["spec"]["priority"] == 1


@pytest.mark.parametrize(
    ("new", "old", "running", "refused"),
    [
        (pod(), pod(), pod(priorityClassName="default"), True),
        (pod(), pod(priorityClassName="default"), pod(priorityClassName="default"), False),
        (pod(priorityClassName="low"), pod(), pod(priorityClassName="default"), False),
        (pod(), pod(), pod(), False),
    ],
)
def test_a_quota_counts_pods_of_the_class_that_is_the_default(
    new: Object, old: Object, running: Object, refused: bool
) -> None:
    rule = {"scopeName": "PriorityClass", "operator": "In", "values": ["default"]}
    full = quota({"pods": "3"}, {"pods": "3"}, scopeSelector={"matchExpressions": [rule]})
    assert (most(with_default_class(new, old, running), full) == 0) is refused


def test_the_pod_to_ask_for_carries_a_hash_that_no_other_pod_has_and_is_owned_by_the_stable_replica_set() -> None:
    stable = ReplicaSet.parse(
        {"metadata": {"name": "web-1", "uid": "u-1"}, "spec": {"template": {"spec": {"containers": [container()]}}}}
    )
    asked = pod_to_ask_for({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}, "shop", "web", stable)
    assert asked["metadata"]["labels"] == {"app": "web", "pod-template-hash": "coalmine-canary-not-yet"}
    assert (asked["metadata"]["namespace"], asked["metadata"]["generateName"]) == ("shop", "web-")
    assert asked["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u-1", "controller": True}
    ]


SANDBOX = {
    "metadata": {"name": "sandboxed"},
    "overhead": {"podFixed": {"cpu": "100m"}},
    "scheduling": {"nodeSelector": {"sandbox": "yes"}, "tolerations": [{"key": "sandbox", "operator": "Exists"}]},
}


def test_a_runtime_class_adds_its_nodes_and_its_overhead_to_the_pods_own() -> None:
    raw = pod(nodeSelector={"disk": "ssd"}, tolerations=[{"key": "own", "operator": "Exists"}])
    found, refusals = with_runtime_class(raw, SANDBOX)
    assert found["spec"]["nodeSelector"] == {"disk": "ssd", "sandbox": "yes"}
    assert [one["key"] for one in found["spec"]["tolerations"]] == ["own", "sandbox"]
    assert (found["spec"]["overhead"], refusals) == ({"cpu": "100m"}, [])
    assert raw["spec"]["nodeSelector"] == {"disk": "ssd"}


def test_a_pod_that_wants_other_nodes_than_its_runtime_class_is_refused() -> None:
    _, refusals = with_runtime_class(pod(nodeSelector={"sandbox": "no"}), SANDBOX)
    assert refusals == ["RuntimeClass sandboxed wants nodes with sandbox=yes, the pod those with sandbox=no"]
    assert with_runtime_class(pod(nodeSelector={"sandbox": "yes"}), SANDBOX)[1] == []


def test_what_a_running_pod_has_beyond_its_template_is_added_once_with_its_limits() -> None:
    plain, new = pod(cpu="500m"), pod(cpu="300m", overhead={"cpu": "100m"})
    sidecar = {"name": "s", "resources": {"requests": {"cpu": "200m"}, "limits": {"memory": "1Gi"}}}
    running = pod(containers=[*plain["spec"]["containers"], sidecar], overhead={"cpu": "100m"})
    found, added = with_what_was_added(new, plain, running, MINOR)
    assert added == {"cpu": 200}
    assert found["spec"]["containers"][-1]["resources"] == {"requests": {"cpu": "200m"}, "limits": {"memory": "1Gi"}}
    assert found["spec"]["containers"][:-1] == new["spec"]["containers"]


def test_nothing_is_added_where_the_running_pod_is_as_its_template_says_or_smaller() -> None:
    assert with_what_was_added(pod(cpu="2"), pod(cpu="500m"), pod(cpu="400m"), MINOR) == (pod(cpu="2"), {})


def test_label_keys_are_merged_as_the_api_server_merges_them() -> None:
    term = {"topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["app"], "mismatchLabelKeys": ["tier", "app"]}
    raw = pod(affinity={"podAffinity": {REQUIRED: [term]}})
    admitted, _ = admitted_locally(raw, [], MINOR)
    merged = admitted["spec"]["affinity"]["podAffinity"][REQUIRED][0]["labelSelector"]["matchExpressions"]
    assert [(one["key"], one["operator"], one["values"]) for one in merged] == [
        ("app", "In", ["web"]),
        ("app", "NotIn", ["web"]),
    ]
