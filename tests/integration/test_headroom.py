# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_headroom_info against a real API server and scheduler: is there room, how many nodes may come, which strategy
gets through, and what it says where it may not read all that it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from tests.cluster.build import minor_version
from tests.integration.shops import Object, Shop, asking, codes
from tests.sim.test_headroom import DEMANDING as OF_SOME_PODS

SERVER = ".".join(map(str, minor_version()))


def test_a_canary_with_room_fits_and_the_answer_says_what_it_read(shop: Shop) -> None:
    shop.deploy()
    found = shop.ask()
    assert (found["verdict"], found["exactness"], found["server_version"]) == ("fits", "exact", SERVER)
    assert found["pod_request"]["cpu"] == "500m"
    assert found["pod_request"]["source"] == "dry_run"
    assert (found["read"]["nodes"], found["read"]["requests"] <= 9, found["unknown"]) == (2, True, [])
    # Two nodes and two pods and what else is asked: some kilobytes.
    assert 4_000 < found["read"]["bytes"] < 200_000
    assert found["advice"]["best"]["fits"]


def test_a_version_that_outgrows_the_nodes_needs_new_ones_at_the_users_price(shop: Shop) -> None:
    shop.deploy(replicas=3)
    prices = {"currency": "EUR", "nodes": [{"node_group": "nodes like fake-0", "hourly": "0.21"}]}
    found = shop.ask(template=asking("1500m"), prices=prices)
    assert found["verdict"] == "needs_nodes"
    assert [one["at"] for one in found["peaks"] if one["verdict"] == "needs_nodes"]
    bought = next(one for one in found["new_nodes"] if one["group"] == "nodes like fake-0")
    assert (bought["hourly_each"], bought["currency"], bought["price_source"]) == (0.21, "EUR", "user")
    assert found["surge"]["steady_state_delta"]["cpu"] == "3"


def test_a_quota_at_the_steady_state_stops_the_surge(shop: Shop) -> None:
    shop.deploy()
    shop.limit_pods(2)
    found = shop.ask()
    assert found["verdict"] == "quota_exceeded"
    assert found["quota"] == [
        {"name": "q", "resource": "pods", "used": "2", "hard": "2", "per_pod": "1", "max_pods": 0}
    ]


def test_a_quota_of_replica_sets_stops_a_version_that_has_none(shop: Shop) -> None:
    shop.deploy()
    hard = {"count/replicasets.apps": "1"}
    shop.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}})

    def is_counted() -> bool:
        refusals = shop.ask()["refusals"]
        return any("count/replicasets.apps 1 of 1 used" in text for text in refusals)

    shop.wait_for(is_counted)
    assert shop.ask()["verdict"] == "quota_exceeded"


def test_the_advised_strategy_completes_where_the_own_one_gets_stuck(shop: Shop) -> None:
    shop.deploy(replicas=4, cpu="900m", maxSurge=1, maxUnavailable=0)
    found = shop.ask()
    advice, best = found["advice"], found["advice"]["best"]
    own = next(one for one in advice["strategies"] if one["own"])
    assert (found["verdict"], own["fits"], best["max_unavailable"] > 0) == ("needs_nodes", False, True)

    shop.patch(image="none.invalid/app:2")
    # The status counts a new pod as missing a moment before it counts it as new.
    shop.wait_for(lambda: shop.pods("Pending") == 1 and shop.status().get("updatedReplicas") == 1)
    stuck = shop.samples(seconds=1)
    # All old pods go on, one new one waits for a node, and nothing changes any more.
    assert {(one["readyReplicas"], one["updatedReplicas"]) for one in stuck} == {(4, 1)}

    shop.patch(maxSurge=best["surge"], maxUnavailable=best["max_unavailable"])
    seen: list[Object] = []

    def is_out() -> bool:
        seen.append(shop.status())
        return seen[-1].get("updatedReplicas") == seen[-1].get("availableReplicas") == seen[-1]["replicas"] == 4

    shop.wait_for(is_out)
    assert shop.pods("Pending") == 0
    assert min(one.get("readyReplicas", 0) for one in seen) >= 4 * best["lowest_ready_percent"] / 100
    # The next version is told the same, of what is its own strategy by now.
    again = shop.ask(template=NewTemplate(images={"app": "none.invalid/app:3"}))["advice"]["best"]
    assert (again["surge"], again["max_unavailable"], again["own"]) == (best["surge"], best["max_unavailable"], True)


def test_under_a_quota_that_refuses_the_surge_the_advised_strategy_completes(shop: Shop) -> None:
    shop.deploy(replicas=3, cpu="100m", maxSurge=1, maxUnavailable=0)
    shop.limit_pods(3)
    found = shop.ask()
    best, own = found["advice"]["best"], next(one for one in found["advice"]["strategies"] if one["own"])
    assert (found["verdict"], own["fits"], best["surge"], best["fits"]) == ("quota_exceeded", False, 0, True)

    shop.patch(image="none.invalid/app:2")
    shop.wait_for(lambda: "ReplicaFailure" in {one["type"] for one in shop.status()["conditions"]})
    assert {one.get("updatedReplicas", 0) for one in shop.samples(seconds=0.5)} == {0}
    shop.patch(maxSurge=best["surge"], maxUnavailable=best["max_unavailable"])
    shop.wait_for(lambda: shop.status().get("updatedReplicas") == shop.status().get("availableReplicas") == 3)
    assert shop.pods("Running") == 3


def test_a_rollout_that_gets_stuck_half_way_is_foretold(shop: Shop) -> None:
    """Four pods fill two nodes, the new version needs a node of these for each: a third one has room for two of them."""
    shop.deploy(replicas=4, cpu="1", maxSurge=1, maxUnavailable=0)
    with shop.large_node():
        found = shop.ask(template=asking("2"))
        between = next(one for one in found["peaks"] if one["verdict"] != "fits")
        assert (found["verdict"], between["at"], between["old_pods_gone"]) == ("needs_nodes", "between", 2)
        assert shop.ask(template=asking("1"))["verdict"] == "fits"

        shop.patch(cpu="2")
        shop.wait_for(
            lambda: (
                (shop.pods("Pending"), shop.status().get("updatedReplicas"), shop.status()["readyReplicas"])
                == (1, 3, 4)
            )
        )
        # Two old pods have left a half of a node each; of the new ones two run and the third waits, for good.
        assert {(one["readyReplicas"], one["updatedReplicas"]) for one in shop.samples(seconds=1)} == {(4, 3)}


def test_a_node_that_is_not_ready_gives_no_room_and_is_named(shop: Shop) -> None:
    shop.deploy(cpu="1500m")
    with shop.silent_node():
        found = shop.ask()
    assert found["verdict"] == "needs_nodes"
    assert found["rejected_nodes"] == {
        "Insufficient cpu": 2,
        "untolerated taint node.kubernetes.io/not-ready:NoSchedule": 1,
    }
    assert {one["group"] for one in found["new_nodes"]} == {"nodes like fake-0", "nodes like fake-1"}
    assert any("1x untolerated taint node.kubernetes.io/not-ready" in line for line in found["summary"])


def test_what_is_pending_today_already_is_said_and_no_room_is_counted_for_it(shop: Shop) -> None:
    """Two nodes of two CPUs take two pods of 1.5; the third waits. When it goes, no room comes free."""
    shop.deploy(replicas=2, cpu="1500m")
    shop.lab.kubectl("-n", shop.namespace, "scale", "deployment/web", "--replicas=3")
    shop.wait_for(lambda: shop.pods("Pending") == 1)
    found = shop.ask(template=asking("1500m"), surge=0)
    assert found["verdict"] == "needs_nodes"
    assert any("Pending today already, before anything changes: 1 pod of" in line for line in found["summary"])
    assert "pending_pods_take_no_room: 1" in found["assumptions"]
    smaller = shop.ask(template=asking("300m"))
    assert smaller["peaks"][0]["verdict"] == "fits"


def test_a_manifest_is_asked_about_like_the_patch_that_says_the_same(shop: Shop) -> None:
    """Under the rights that docs/ ships; of a manifest, the defaults are the server's."""
    shop.deploy(replicas=2, cpu="300m")
    manifest = json.loads(shop.lab.kubectl("-n", shop.namespace, "get", "deployment/web", "-o", "json"))
    app = {"name": "app", "image": "none.invalid/app:2", "resources": {"requests": {"cpu": "1.2"}}}
    manifest["spec"]["template"] = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [app]}}
    by_manifest = shop.ask(shop.account(), template=NewTemplate(definition=manifest))
    by_patch = shop.ask(template=NewTemplate(patch={"spec": {"containers": [app]}}))
    assert by_manifest["verdict"] == by_patch["verdict"] and by_manifest["peaks"] == by_patch["peaks"]


def cluster_autoscaler(shop: Shop, status: str) -> None:
    metadata = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
    shop.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"status": status}})


def rooms(found: Mapping[str, Any]) -> set[int | None]:
    return {one["group_room"] for one in found["new_nodes"]}


SENTENCES = """\
Cluster-autoscaler status at 2023-03-27 10:38:18.722053187 +0000 UTC:
NodeGroups:
  Name:        eks-ng-1-7ac51fbb-24bb-7be9-4938-10959e334240
  Health:      Healthy (ready=2 cloudProviderTarget=2 (minSize=1, maxSize=%d))
  ScaleUp:     NoActivity (ready=2 cloudProviderTarget=2)
"""
YAML = """\
autoscalerStatus: Running
nodeGroups:
- name: eks-ng-1-7ac51fbb-24bb-7be9-4938-10959e334240
  health: {cloudProviderTarget: 2, minSize: 1, maxSize: %d}
time: 2023-03-27 10:38:18.722053187 +0000 UTC
"""


def test_cluster_autoscaler_says_how_many_nodes_may_come(shop: Shop) -> None:
    shop.deploy(replicas=3)
    assert "no_autoscaler_found: somebody has to add the nodes" in shop.ask(template=asking("1500m"))["assumptions"]
    with shop.labelled(**{"eks.amazonaws.com/nodegroup": "ng-1"}):
        for form in (YAML, SENTENCES):
            cluster_autoscaler(shop, form % 9)
            found = shop.ask(template=asking("1500m"))
            assert (found["verdict"], rooms(found), found["unknown"]) == ("needs_nodes", {7}, [])
            assert "cluster_autoscaler_silent_since: 2023-03-27 10:38:18 UTC" in found["assumptions"]
        cluster_autoscaler(shop, YAML % 2)
        assert shop.ask(template=asking("1500m"))["verdict"] == "cannot_fit"
        cluster_autoscaler(shop, "Initializing")
        found = shop.ask(template=asking("1500m"))
    shop.lab.kubectl("-n", "kube-system", "delete", "configmap", "cluster-autoscaler-status")
    assert (found["verdict"], rooms(found)) == ("needs_nodes", {None})
    assert any(one.startswith("cluster_autoscaler_status_not_understood") for one in found["unknown"])


# The parts of Karpenter's own definition that matter here.
NODE_POOLS: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nodepools.karpenter.sh"},
    "spec": {
        "group": "karpenter.sh",
        "scope": "Cluster",
        "names": {"kind": "NodePool", "plural": "nodepools"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_the_limits_of_a_node_pool_say_how_many_nodes_may_come(shop: Shop) -> None:
    shop.deploy(replicas=3)
    kubectl = shop.lab.kubectl
    with shop.labelled(**{"karpenter.sh/nodepool": "np-a"}):
        # Karpenter's labels on the nodes, and no such API: nothing limits them.
        assert rooms(shop.ask(template=asking("1500m"))) == {None}
        shop.apply(NODE_POOLS)
        kubectl("wait", "--for=condition=Established", "crd/nodepools.karpenter.sh", "--timeout=30s")
        pool = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "np-a"}}
        used = {"resources": {"cpu": "4", "memory": "8Gi", "nodes": "2"}}

        def limited(**limits: str) -> Object:
            shop.apply({**pool, "spec": {"limits": limits}, "status": used})
            return shop.ask(template=asking("1500m"))

        assert rooms(limited(cpu="15")) == {5}
        assert rooms(limited(nodes="6", cpu="100")) == {4}
        assert limited(cpu="5")["verdict"] == "cannot_fit"
        limited(cpu="100")
        unsure = shop.ask_until(lambda it: codes(it) == {"nodepools_not_readable"}, shop.account(("nodepools", "list")))
        sure = shop.ask_until(lambda it: it["unknown"] == [], shop.account())
        kubectl("delete", "crd", "nodepools.karpenter.sh")
    assert (unsure["verdict"], rooms(unsure)) == ("needs_nodes", {None})
    assert (sure["verdict"], rooms(sure)) == ("needs_nodes", {48})


MISSING = {
    ("nodes", "list"): "nodes_not_readable",
    ("pods", "list"): "pods_not_readable",
    ("resourcequotas", "list"): "resourcequotas_not_readable",
    ("configmaps", "get"): "cluster_autoscaler_status_not_readable",
    ("pods", "create"): "admission_not_simulated",
}
# What a pod may ask for that takes a right of its own to judge, with the right and with the name of what is not known without it.
DEMANDING: Object = {"runtimeClassName": "sandboxed", "priorityClassName": "urgent", **OF_SOME_PODS}
ALSO_MISSING = {
    ("pods", "create"): "",
    ("limitranges", "list"): "limitranges_not_readable",
    ("runtimeclasses", "get"): "runtimeclasses_not_readable",
    ("priorityclasses", "get"): "priorityclasses_not_readable",
    ("namespaces", "list"): "namespaces_not_readable",
    ("deviceclasses", "list"): "deviceclasses_not_readable",
    ("persistentvolumes", "get"): "persistentvolumes_not_readable",
    ("csinodes", "list"): "csinodes_not_readable",
    ("horizontalpodautoscalers", "list"): "horizontalpodautoscalers_not_readable",
}


def test_without_rights_for_the_cluster_it_is_unknown_and_says_which(shop: Shop) -> None:
    shop.deploy()
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "least"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "least"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "least"},
        "subjects": [{"kind": "User", "name": "least", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    shop.apply(role, binding)
    kubeconfig = shop.lab.client_for("least")
    found = shop.ask(kubeconfig)
    assert found["verdict"] == "unknown"
    assert found["pod_request"]["source"] == "template"
    assert {"nodes_not_readable", "resourcequotas_not_readable", "limitranges_not_readable"} <= codes(found)
    assert "admission_not_simulated" in found["assumptions"]


def test_the_shipped_rights_are_all_that_it_takes_and_what_is_missing_is_named(shop: Shop) -> None:
    shop.deploy(replicas=3)
    whole = shop.ask_until(lambda it: it["unknown"] == [], shop.account())
    assert (whole["verdict"], whole["pod_request"]["source"]) == ("needs_nodes", "dry_run")
    for right, name in MISSING.items():
        shop.ask_until(lambda it, name=name: name in (codes(it) or it["assumptions"]), shop.account(right))


def test_rights_that_only_some_pods_take_are_named_too_where_they_are_missing(shop: Shop) -> None:
    shop.deploy()
    claim = {"accessModes": ["ReadWriteOnce"], "volumeName": "none", "resources": {"requests": {"storage": "1Gi"}}}
    claim |= {"storageClassName": ""}
    shop.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim})
    names = set(ALSO_MISSING.values()) - {""}
    asked = {"template": NewTemplate(patch={"spec": DEMANDING}), "assume_replicas": "max"}
    shop.ask_until(lambda it: names <= codes(it), shop.account(*ALSO_MISSING), **asked)
    claimless = shop.account(*ALSO_MISSING, ("persistentvolumeclaims", "get"))
    shop.ask_until(lambda it: "persistentvolumeclaims_not_readable" in codes(it), claimless, **asked)
