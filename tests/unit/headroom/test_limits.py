# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many nodes autoscalers may still add: what they say, and which nodes they mean."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.yamltext import YamlError, read_yaml
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.groups import Group, groups
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.limits import (
    AutoscalerState,
    Rooms,
    Scaled,
    StatusError,
    autoscaler_state,
    room_of_node_pool,
    rooms_of_autoscaler,
)
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quantity import amounts

from .clusters import node, scene

Object = dict[str, Any]
SENTENCES = """\
Cluster-autoscaler status at 2023-03-27 10:38:18.722053187 +0000 UTC:
Cluster-wide:
  Health:      Healthy (ready=5 unready=0 (resourceUnready=0) notStarted=0 longNotStarted=0 registered=5 longUnregistered=0)
               LastProbeTime:      2023-03-27 10:38:18.722053187 +0000 UTC m=+31.288748032
  ScaleUp:     NoActivity (ready=5 registered=5)

NodeGroups:
  Name:        pool-a
  Health:      Healthy (ready=4 unready=0 (resourceUnready=0) notStarted=0 registered=4 cloudProviderTarget=4 (minSize=3, maxSize=10))
  ScaleUp:     NoActivity (ready=4 cloudProviderTarget=4)
  ScaleDown:   CandidatesPresent (candidates=2)

  Name:        pool-b
  Health:      Healthy (ready=1 unready=0 notStarted=0 longNotStarted=0 registered=1 cloudProviderTarget=1 (minSize=1, maxSize=1))
  ScaleUp:     Backoff (ready=1 cloudProviderTarget=1)
"""
YAML = """\
autoscalerStatus: Running
clusterWide:
  health: {status: Healthy}
nodeGroups:
- health:
    cloudProviderTarget: 4
    maxSize: 10
    minSize: 3
    status: Healthy
  name: pool-a
  scaleUp: {status: NoActivity}
- health: {cloudProviderTarget: 1, maxSize: 1, minSize: 1}
  name: pool-b
  scaleUp:
    status: Backoff
    backoffInfo: {errorCode: QUOTA_EXCEEDED, errorMessage: "Quota 'CPUS' exceeded."}
time: 2023-03-27 10:38:18.722053187 +0000 UTC
"""


def state(*found: Scaled) -> AutoscalerState:
    return AutoscalerState(found, None)


def kinds(*nodes: Object) -> tuple[Group, ...]:
    return groups(scene(list(nodes)), {})


def rooms(nodes: list[Object], *found: Scaled) -> Rooms:
    return rooms_of_autoscaler(kinds(*nodes), state(*found))


@pytest.mark.parametrize(
    ("content", "why"),
    [(SENTENCES, "it does not say why"), (yaml.safe_load(YAML), "QUOTA_EXCEEDED: Quota 'CPUS' exceeded.")],
    ids=["sentences", "yaml"],
)
def test_both_forms_of_cluster_autoscalers_state_say_the_same(content: object, why: str) -> None:
    found = autoscaler_state(content)
    assert found.groups == (Scaled("pool-a", 4, 10), Scaled("pool-b", 1, 1, why))
    assert found.written == "2023-03-27 10:38:18"
    assert [one.room for one in found.groups] == [6, 0]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Initializing",
        None,
        [],
        {"nodeGroups": []},
        {"autoscalerStatus": "Running", "nodeGroups": ["pool-a"]},
        {"autoscalerStatus": "Running", "nodeGroups": [{"name": "a", "health": {"maxSize": "many"}}]},
        {"autoscalerStatus": "Running", "nodeGroups": [{"name": "a", "health": {}}]},
        SENTENCES.replace("maxSize=10", "maxSize=ten"),
        SENTENCES.replace("maxSize=10", f"maxSize={'1' * 5000}"),
        {"autoscalerStatus": "Running", "nodeGroups": [{"name": "a", "health": {"maxSize": float("inf")}}]},
    ],
)
def test_anything_else_is_not_guessed_at(content: object) -> None:
    with pytest.raises(StatusError):
        autoscaler_state(content)


@pytest.mark.parametrize("text", ["", "\n" * 10**6, "Name:" * 10**5, " " * 10**6])
def test_sentences_without_a_group_say_that_there_is_none(text: str) -> None:
    assert autoscaler_state(SENTENCES.partition("  Name:")[0] + text).groups == ()


@pytest.mark.parametrize(
    "text", ["!!timestamp x", "!!int ''", "!!bool x", "a: 2026-99-99", "[" * 5000, "a: " + "9" * 5000]
)
def test_a_text_with_a_value_that_is_none_is_no_yaml(text: str) -> None:
    with pytest.raises(YamlError):
        read_yaml(text)


EKS = {"eks.amazonaws.com/nodegroup": "ng-1"}
EKSCTL = {"alpha.eksctl.io/nodegroup-name": "ng-1", "alpha.eksctl.io/cluster-name": "shop"}


@pytest.mark.parametrize(
    ("name", "labels", "scaled"),
    [
        ("ip-10-0-0-1", EKS, "eks-ng-1-7ac51fbb-24bb-7be9-4938-10959e334240"),
        ("ip-10-0-0-1", EKSCTL, "eksctl-shop-nodegroup-ng-1-NodeGroup-1A2B3C4D5E6F"),
        ("gke-shop-pool-8de6040c-h2d0", {}, "https://www.googleapis.com/compute/v1/projects/p/zones/z/instanceGroups/gke-shop-pool-8de6040c-grp"),
        ("aks-user-25795745-vmss00000a", {"kubernetes.azure.com/agentpool": "user"}, "aks-user-25795745-vmss"),
        ("pool-q1x2", {"doks.digitalocean.com/node-pool-id": "da8977ba-244f"}, "da8977ba-244f"),
        ("worker-1", {"agentpool": "MachineDeployment-a"}, "MachineDeployment/default/MachineDeployment-a"),
    ],
    ids=["EKS", "eksctl", "GKE", "AKS", "a pool's id", "Cluster API"],
)  # fmt: skip
def test_a_group_is_recognised_as_its_cloud_names_it(name: str, labels: Object, scaled: str) -> None:
    found = rooms([node(name, labels=labels)], Scaled(scaled, 1, 4))
    assert (list(found.by_kind.values()), found.notes) == ([3], ())


@pytest.mark.parametrize(
    "scaled",
    [
        "eks-ng-10-7ac51fbb-24bb-7be9-4938-10959e334240",
        "eks-ng-1-two-7ac51fbb-24bb-7be9-4938-10959e334240",
        "aks-user-25795745-vmss",
        "ip",
    ],
)
def test_a_group_that_only_looks_alike_is_named_and_not_counted(scaled: str) -> None:
    found = rooms([node("ip-10-0-0-1", labels=EKS)], Scaled(scaled, 1, 4))
    assert found.by_kind == {}
    assert found.notes == (f"cluster_autoscaler_group_not_matched: {scaled}", "limit_of_node_group_not_known: ng-1")


def test_one_group_a_zone_is_added_up() -> None:
    nodes = [node("gke-shop-pool-aaaa-1111", zone="a"), node("gke-shop-pool-bbbb-2222", zone="b")]
    for one in nodes:
        one["metadata"]["labels"]["cloud.google.com/gke-nodepool"] = "pool"
    found = rooms(nodes, Scaled("gke-shop-pool-aaaa-grp", 1, 3), Scaled("gke-shop-pool-bbbb-grp", 1, 5))
    assert found == Rooms({("pool", "", ""): 6})


def test_what_cluster_autoscaler_does_not_scale_has_no_room() -> None:
    nodes = [node("ip-1", labels=EKS), node("control-plane", labels={"agentpool": "control"})]
    found = rooms(nodes, Scaled("ng-1", 1, 4))
    assert found.by_kind == {("ng-1", "", ""): 3, ("control", "", ""): 0}
    assert found.notes == ("not_scaled_by_cluster_autoscaler: control",)


def test_karpenters_nodes_are_not_cluster_autoscalers() -> None:
    nodes = [node("ip-1", labels=EKS), node("ip-2", labels={"karpenter.sh/nodepool": "np-a"})]
    assert rooms(nodes, Scaled("ng-1", 4, 4)).by_kind == {("ng-1", "", ""): 0}


def test_why_no_nodes_come_for_now_is_passed_on() -> None:
    found = rooms([node("ip-1", labels=EKS)], Scaled("ng-1", 1, 4, "QUOTA_EXCEEDED"))
    assert found.notes == ("cluster_autoscaler_backs_off: ng-1 (QUOTA_EXCEEDED)",)


def test_an_autoscaler_that_is_only_starting_says_nothing_of_any_group() -> None:
    assert rooms([node()]) == Rooms({}, ("cluster_autoscaler_names_no_groups",))


SIZE = amounts({"cpu": "4", "memory": "16Gi", "pods": "58"})


@pytest.mark.parametrize(
    ("limits", "used", "room"),
    [
        ({"cpu": "16"}, {"cpu": "8", "memory": "32Gi"}, 2),
        ({"cpu": "15900m"}, {"cpu": "8"}, 1),
        ({"cpu": "1000", "memory": "40Gi"}, {"memory": "16Gi"}, 1),
        ({"cpu": "8"}, {"cpu": "9"}, 0),
        ({"nodes": "5"}, {"nodes": "3"}, 2),
        ({"nvidia.com/gpu": "0"}, {}, None),
        ({}, {"cpu": "9"}, None),
    ],
)
def test_a_node_pool_takes_whole_nodes_within_its_limits(limits: Object, used: Object, room: int | None) -> None:
    assert room_of_node_pool({"spec": {"limits": limits}, "status": {"resources": used}}, SIZE) == room
