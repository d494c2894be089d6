# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What headroom reads and what becomes of it: two nodes of two CPUs, whose pods take turns on them.

What a real scheduler and real admission make of the same is in tests/integration/test_headroom.py and test_headroom_truth.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError, Unauthorized
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate, Size
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import (
    HeadroomRequest,
    Rooms,
    headroom,
    room_for_all,
)
from tests.cluster.fakes import Capacity
from tests.cluster.fakes import node as fake_node
from tests.sim.objects import Json
from tests.sim.refusals import Refused, denied
from tests.sim.stage import Stage
from tests.situations import Web, image, silent

AUTOSCALER = """
autoscalerStatus: Running
nodeGroups:
- name: eks-ng-1-7ac51fbb-24bb-7be9-4938-10959e334240
  health: {cloudProviderTarget: 2, minSize: 1, maxSize: %d}
time: 2023-03-27 10:38:18.722053187 +0000 UTC
"""
SENTENCES = """
Cluster-autoscaler status at 2023-03-27 10:38:18.722053187 +0000 UTC:
NodeGroups:
  Name:        eks-ng-1-7ac51fbb-24bb-7be9-4938-10959e334240
  Health:      Healthy (ready=2 cloudProviderTarget=2 (minSize=1, maxSize=%d))
  ScaleUp:     NoActivity (ready=2 cloudProviderTarget=2)
"""
GROUP, POOL = {"eks.amazonaws.com/nodegroup": "ng-1"}, {"karpenter.sh/nodepool": "np-a"}
PRICES = {"currency": "EUR", "nodes": [{"node_group": "nodes like fake-0", "hourly": "0.21"}]}


@dataclass
class Shop:
    """A Deployment on two nodes, and whoever asks about it."""

    stage: Stage
    web: Web

    def nodes(self) -> Shop:
        for number in range(2):
            made = fake_node(number, Capacity(cpu="2", memory="4Gi", pods=20))
            made["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
            self.stage.store.put("nodes", made, "somebody")
        return self

    def labelled(self, labels: dict[str, str]) -> None:
        for name in ("fake-0", "fake-1"):
            self.web.admin.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}}, PatchKind.MERGE)

    def deploy(self, replicas: int = 2, cpu: str = "500m") -> Shop:
        manifest = self.web.manifest(replicas)
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
        self.web.admin.create(f"{self.web.apps}/deployments", manifest)
        self.web.settle()
        return self

    def put(self, kind: str, name: str, **members: Any) -> None:
        there = (self.stage.store.get(kind, name) or {}).get("metadata", {}) if self.stage.store.serves(kind) else {}
        found = {**members, "metadata": {**there, "name": name, **members.get("metadata", {})}}
        self.stage.store.put(kind, {"kind": kind, **found}, "somebody")

    def without(self, *missing: tuple[str, str]) -> None:
        """Whoever asks lacks these rights, (verb, resource)."""
        self.web.api = api = self.stage.api("releaser")
        self.stage.server.forbidden[api.user] = frozenset(missing)

    def answers(self, template: NewTemplate | None = None, **more: Any) -> Outcome:
        asked = template or NewTemplate(images={"app": image("v2")})
        return headroom(self.web.api, HeadroomRequest(self.web.call, asked, **more), silent)

    def ask(self, cpu: str = "", **more: Any) -> Json:
        template = asking(cpu) if cpu else None
        with self.web.unchanged():
            outcome = self.answers(**{"template": template, **more})
        assert not outcome.changed
        return dict(outcome.extra["headroom"])


def asking(cpu: str) -> NewTemplate:
    return NewTemplate(patch={"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]}})


@pytest.fixture
def shop(stage: Stage) -> Shop:
    return Shop(stage, stage.web("web")).nodes()


def rooms(found: Json) -> set[int | None]:
    return {one["group_room"] for one in found["new_nodes"]}


def test_a_canary_with_room_fits_and_the_answer_says_what_it_read(shop: Shop) -> None:
    shop.deploy().without()  # requests are counted by whoever asks nothing else
    found = shop.ask()
    assert (found["verdict"], found["exactness"], found["server_version"]) == ("fits", "exact", "1.37")
    assert (found["pod_request"]["cpu"], found["pod_request"]["source"]) == ("500m", "dry_run")
    read = found["read"]
    assert (read["nodes"], read["pods"], read["requests"] <= 9, found["unknown"]) == (2, 2, True, [])


def test_each_release_beside_it_costs_three_requests_and_their_namespace_is_read_once(shop: Shop) -> None:
    shop.deploy().without()
    alone = shop.ask()["read"]["requests"]
    for count in (1, 3):
        shop.web.api = shop.stage.api("releaser")
        beside = HeadroomRequest(shop.web.call, NewTemplate(images={"app": image("v3")}))
        assert shop.ask(others=(beside,) * count)["read"]["requests"] == alone + 3 * count


VERDICTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a pod larger than any node": ("cannot_fit", {"cpu": "9"}),
    "a version that outgrows the nodes": ("needs_nodes", {"cpu": "1700m"}),
    "two canary pods by weight": ("fits", {"size": Size(None, 40), "surge": 2, "cpu": "300m"}),
    "more replicas than there are": ("needs_nodes", {"assume_replicas": 9}),
    "no autoscaler to assume the most of": ("fits", {"assume_replicas": "max"}),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict(case: str, shop: Shop) -> None:
    verdict, asked = VERDICTS[case]
    found = shop.deploy(3).ask(**asked)
    assert found["verdict"] == verdict, found["summary"]


def test_new_nodes_have_the_users_price(shop: Shop) -> None:
    found = shop.deploy(3).ask("1700m", prices=PRICES)
    bought = next(one for one in found["new_nodes"] if one["group"] == "nodes like fake-0")
    assert (bought["hourly_each"], bought["currency"], bought["price_source"]) == (0.21, "EUR", "user")


def test_each_of_several_steps_is_answered_as_if_it_were_asked_for_alone(shop: Shop) -> None:
    shop.deploy(4)
    sizes = (Size(1), Size(2), Size(None, 50))
    together = shop.answers(asking("800m"), steps=sizes, surge=2)
    alone = [shop.ask("800m", size=size, surge=2) for size in sizes]
    counted = [
        [{**one, "read": None, "assumptions": None} for one in found] for found in (together.extra["steps"], alone)
    ]
    assert counted[0] == counted[1] and [one["surge"]["pods"] for one in alone] == [1, 2, 2]
    worst = next(one for one in together.extra["steps"] if one["verdict"] != "fits")
    assert (together.extra["headroom"], together.message) == (worst, worst["summary"][0])


def test_a_deployment_that_is_not_there_is_refused_by_name(shop: Shop) -> None:
    shop.deploy().web.name = "weeb"
    with pytest.raises(VerbFailure, match="Did you mean web"):
        shop.answers()


def test_an_autoscalers_maximum_is_assumed(shop: Shop) -> None:
    shop.deploy()
    shop.web.autoscaler(2, 8)
    assert (shop.ask()["verdict"], shop.ask(assume_replicas="max")["verdict"]) == ("fits", "needs_nodes")
    shop.without(("list", "horizontalpodautoscalers.autoscaling"))
    assert shop.ask(assume_replicas="max")["unknown"] == [
        "horizontalpodautoscalers_not_readable: needs the right to list horizontalpodautoscalers.autoscaling in namespace shop"
    ]


def test_what_is_held_already_is_counted_as_held(shop: Shop) -> None:
    shop.deploy(2)
    shop.web.start("v2")
    found = shop.ask()
    assert found["verdict"] == "fits" and found["surge"]["pods"] == 0


def test_a_deployment_without_replicas_asks_for_nothing(shop: Shop) -> None:
    found = shop.deploy(0).ask()
    assert (found["verdict"], found["surge"]["from"]) == ("fits", "the Deployment has no replicas")


def test_a_manifest_is_asked_about_like_the_patch_that_says_the_same(shop: Shop) -> None:
    manifest = shop.deploy().web.get()
    app = {"name": "app", "image": image("v2"), "resources": {"requests": {"cpu": "1200m"}}}
    manifest["spec"]["template"]["spec"]["containers"] = [app]
    by_manifest = shop.ask(template=NewTemplate(definition=manifest))
    by_patch = shop.ask(template=NewTemplate(patch={"spec": {"containers": [app]}}))
    assert by_manifest["peaks"] == by_patch["peaks"]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a malformed price": (
        {"prices": {"nodes": [{"instance_type": "a", "hourly": "cheap"}]}},
        "invalid",
        "is not a number",
    ),
    "no room at all": ({"surge": 0, "max_unavailable": 0}, "impossible_size", "there is no room for a canary pod"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case: str, shop: Shop) -> None:
    asked, code, message = REFUSED[case]
    shop.deploy()
    with pytest.raises(VerbFailure, match=message) as raised:
        shop.answers(**asked)
    assert raised.value.code == code


# Quotas, limits and admission.


def quota(name: str, used: str, hard: str) -> dict[str, Any]:
    return {"spec": {"hard": {name: hard}}, "status": {"hard": {name: hard}, "used": {name: used}}}


def test_a_quota_at_the_steady_state_stops_the_surge(shop: Shop) -> None:
    shop.deploy().put("resourcequotas", "q", **quota("pods", "2", "2"))
    found = shop.ask()
    assert found["verdict"] == "quota_exceeded"
    assert found["quota"] == [
        {"name": "q", "resource": "pods", "used": "2", "hard": "2", "per_pod": "1", "max_pods": 0}
    ]


def test_a_quota_of_replica_sets_stops_a_version_that_has_none(shop: Shop) -> None:
    shop.deploy().put("resourcequotas", "few", **quota("count/replicasets.apps", "1", "1"))
    found = shop.ask()
    assert found["verdict"] == "quota_exceeded"
    assert any("count/replicasets.apps 1 of 1 used" in text for text in found["refusals"])


@dataclass
class Admits:
    """What admission does to the pod of a dry run."""

    why: str = ""
    names: list[str] = field(default_factory=list)

    def __call__(self, kind: str, before: Json | None, after: Json) -> Json:
        if kind == "pods" and before is None and self.why:
            raise denied("pods.example.org", self.why)
        return after


@pytest.mark.parametrize(
    ("why", "verdict", "assumed"),
    [
        ("no pod of this kind", "refused", ""),
        ("exceeded quota: q, requested: pods=1", "fits", ""),
        ("it does not support dry run", "fits", "dry_run_of_a_pod_not_possible"),
    ],
)
def test_what_admission_says_of_the_dry_run(why: str, verdict: str, assumed: str, shop: Shop) -> None:
    shop.deploy().stage.server.admission.append(Admits(why))
    found = shop.ask()
    assert (found["verdict"], found["pod_request"]["source"]) == (verdict, "template")
    assert any(text.startswith(assumed) for text in found["assumptions"])
    assert (why in " ".join(found["refusals"])) is (verdict == "refused")


def test_a_limit_range_refuses_the_pod_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    limits = [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "1"}}]
    shop.deploy().put("limitranges", "lr", spec={"limits": limits})
    shop.without(("create", "pods"))
    found = shop.ask("1200m")
    assert found["verdict"] == "refused" and any("cpu" in text for text in found["refusals"])


def with_sidecar(kind: str, before: Json | None, after: Json) -> Json:
    """As the webhook of a service mesh; the ReplicaSet controller's pods have come through it as well."""
    if kind != "pods" or before is not None:
        return after
    sidecar = {"name": "sidecar", "image": "mesh:1", "resources": {"requests": {"cpu": "400m"}}}
    return {**after, "spec": {**after["spec"], "containers": [*after["spec"]["containers"], sidecar]}}


def test_a_sidecar_is_counted_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    shop.deploy().stage.server.admission.append(with_sidecar)
    for name, pod in list(shop.stage.store.of("pods").items()):
        shop.stage.store.put("pods", with_sidecar("pods", None, pod), "mesh")
        assert name
    assert shop.ask()["pod_request"]["cpu"] == "900m"
    shop.without(("create", "pods"))
    found = shop.ask()
    assert (found["pod_request"]["cpu"], found["pod_request"]["source"]) == ("900m", "template")
    assert "admission_adds_as_to_a_running_pod: 400m of cpu" in found["assumptions"]


CLASSES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "RuntimeClass": ("runtimeclasses", "runtimeClassName", {"overhead": {"podFixed": {"cpu": "100m"}}}, "600m"),
    "PriorityClass": ("priorityclasses", "priorityClassName", {"value": 1000}, "500m"),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_class_that_the_pod_names_has_to_be_there(kind: str, shop: Shop) -> None:
    resource, member, members, cpu = CLASSES[kind]
    shop.deploy().without(("create", "pods"))
    template = NewTemplate(images={"app": image("v2")}, patch={"spec": {member: "special"}})
    missing = shop.ask(template=template)
    assert (missing["verdict"], missing["refusals"]) == (
        "refused",
        [f"{kind} special, which the pod names, is not there"],
    )
    shop.put(resource, "special", **members)
    found = shop.ask(template=template)
    assert (found["verdict"], found["pod_request"]["cpu"]) == ("fits", cpu)


# What cannot be read.


def codes(found: Json) -> set[str]:
    """What is unknown, without the details (tests/sim/test_rights.py has the rights)."""
    return {text.partition(":")[0] for text in found["unknown"]}


UNKNOWN = {
    ("list", "nodes"): "nodes_not_readable",
    ("list", "pods"): "pods_not_readable",
    ("list", "resourcequotas"): "resourcequotas_not_readable",
    ("get", "configmaps"): "cluster_autoscaler_status_not_readable",
    ("get", "/version"): "server_version_not_readable",
}


@pytest.mark.parametrize("right", UNKNOWN, ids=" ".join)
def test_each_missing_right_is_named_and_nothing_is_said_to_fit(right: tuple[str, str], shop: Shop) -> None:
    shop.deploy(3).without(right)
    found = shop.ask("1700m")
    assert UNKNOWN[right] in codes(found) and found["verdict"] != "fits"


# What a pod may ask for that takes a right of its own to judge.
DEMANDING: Json = {
    "affinity": {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "zone",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                    "namespaceSelector": {"matchLabels": {"team": "shop"}},
                }
            ]
        }
    },
    "containers": [{"name": "app", "resources": {"limits": {"example.com/gpu": "1"}}}],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
}
OF_SOME_PODS = {
    ("list", "namespaces"): "namespaces_not_readable",
    ("list", "deviceclasses.resource.k8s.io"): "deviceclasses_not_readable",
    ("get", "persistentvolumeclaims"): "persistentvolumeclaims_not_readable",
    ("get", "persistentvolumes"): "persistentvolumes_not_readable",
    ("list", "csinodes.storage.k8s.io"): "csinodes_not_readable",
}


def demands(shop: Shop) -> Json:
    shop.put("persistentvolumeclaims", "data", spec={"volumeName": "disk"})
    return shop.ask(template=NewTemplate(patch={"spec": DEMANDING}))


@pytest.mark.parametrize("right", OF_SOME_PODS, ids=" ".join)
def test_rights_that_only_some_pods_take_are_named_too(right: tuple[str, str], shop: Shop) -> None:
    shop.deploy().without(right)
    assert OF_SOME_PODS[right] in codes(demands(shop))


def test_a_resource_that_a_driver_may_give_is_unknown(shop: Shop) -> None:
    shop.deploy().put("deviceclasses", "gpu", spec={"extendedResourceName": "example.com/gpu"})
    shop.put("csinodes", "fake-0", spec={"drivers": [{"name": "disks", "allocatable": {"count": 4}}]})
    shop.put("namespaces", "shop", metadata={"labels": {"team": "shop"}})
    assert "dra_extended_resource: example.com/gpu" in demands(shop)["unknown"]


# What may be bought.


def test_cluster_autoscaler_says_how_many_nodes_may_come(shop: Shop) -> None:
    shop.deploy(3)
    assert "no_autoscaler_found: somebody has to add the nodes" in shop.ask("1700m")["assumptions"]
    shop.labelled(GROUP)

    def told(status: str) -> Json:
        shop.put("configmaps", "cluster-autoscaler-status", data={"status": status.lstrip()})
        return shop.ask("1700m")

    for form in (AUTOSCALER, SENTENCES):
        found = told(form % 9)
        assert (found["verdict"], rooms(found), found["unknown"]) == ("needs_nodes", {7}, [])
        assert "cluster_autoscaler_silent_since: 2023-03-27 10:38:18 UTC" in found["assumptions"]
    assert told(AUTOSCALER % 2)["verdict"] == "cannot_fit"
    undated = told((AUTOSCALER % 9).replace("2023-03-27", "2023-02-31"))
    assert not [text for text in undated["assumptions"] if text.startswith("cluster_autoscaler_silent")]
    unread = told("Initializing")
    assert (unread["verdict"], rooms(unread)) == ("needs_nodes", {None})
    assert any(text.startswith("cluster_autoscaler_status_not_understood") for text in unread["unknown"])


def test_the_limits_of_a_node_pool_say_how_many_nodes_may_come(shop: Shop) -> None:
    shop.deploy(3).labelled(POOL)
    assert rooms(shop.ask("1700m")) == {None}, "there is no such API: nothing limits them"

    def limited(**limits: str) -> Json:
        used = {"resources": {"cpu": "4", "memory": "8Gi", "nodes": "2"}}
        shop.put("nodepools", "np-a", spec={"limits": limits}, status=used)
        return shop.ask("1700m")

    assert rooms(limited()) == {None}
    assert rooms(limited(cpu="15")) == {5}
    assert rooms(limited(nodes="6", cpu="100")) == {4}
    assert limited(cpu="5")["verdict"] == "cannot_fit"
    assert any(text.startswith("limits_of_nodepool_not_understood") for text in limited(cpu="many")["unknown"])
    shop.without(("list", "nodepools.karpenter.sh"))
    assert codes(limited(cpu="15")) == {"nodepools_not_readable"}


# Releases at the same time.


@dataclass
class InTrouble:
    """A server that answers so to the dry run of a pod of v3."""

    status: int

    def __call__(self, kind: str, before: Json | None, after: Json) -> Json:
        if kind == "pods" and before is None and after["spec"]["containers"][0]["image"] == image("v3"):
            raise Refused(self.status, "InternalError", "etcdserver: request timed out")
        return after


@pytest.mark.parametrize("status", [409, 429, 500, 504])
def test_the_trouble_of_one_release_is_its_own_answer(status: int, shop: Shop) -> None:
    shop.deploy().stage.server.admission.append(InTrouble(status))
    requests = [
        HeadroomRequest(shop.web.call, NewTemplate(images={"app": image(version)})) for version in ("v3", "v2", "v3")
    ]
    answers = room_for_all(shop.web.api, requests, silent)
    assert [isinstance(answer, ApiError) for answer in answers] == [True, False, True], answers
    assert isinstance(answers[1], Rooms) and answers[1].decisive["verdict"] == "fits"


def test_credentials_that_do_not_count_are_the_trouble_of_all(shop: Shop) -> None:
    shop.deploy().stage.server.admission.append(InTrouble(401))
    request = HeadroomRequest(shop.web.call, NewTemplate(images={"app": image("v3")}))
    with pytest.raises(Unauthorized):
        room_for_all(shop.web.api, [request], silent)


def test_a_quota_that_makes_no_sense_is_the_answer_to_those_that_it_counts(shop: Shop) -> None:
    shop.deploy().put("resourcequotas", "odd", **quota("pods", "2", "many"))
    request = HeadroomRequest(shop.web.call, NewTemplate(images={"app": image("v2")}))
    answers = room_for_all(shop.web.api, [request, request], silent)
    assert [isinstance(answer, VerbFailure) and "makes no sense" in answer.message for answer in answers] == [True] * 2
