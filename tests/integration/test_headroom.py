# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_headroom_info against a real API server and scheduler: two fake nodes of two CPUs each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from tests.cluster.api import ApiError
from tests.cluster.build import minor_version
from tests.cluster.fakes import Capacity
from tests.cluster.fakes import node as fake_node
from tests.cluster.lab import Lab, is_ready, start_lab
from tests.integration.playbooks import FAILED, Playbooks, ansible_playbook
from tests.integration.situations import SINCE_POLICIES
from tests.integration.test_frontdoor import AS_MODULE, Stage
from tests.sim.test_headroom import DEMANDING as OF_SOME_PODS
from tests.unit.probes.serving import serving

Object = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs"
CLUSTER_WIDE = (
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "NodePool",
    "RuntimeClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
NEW = NewTemplate(images={"app": "none.invalid/app:2"})


@pytest.fixture(scope="module")
def small() -> Iterator[Lab]:
    lab = start_lab(fake_nodes=2, capacity=Capacity(cpu="2", memory="4Gi", pods=20))
    with lab:
        yield lab


@dataclass
class Shop:
    """A namespace of its own on the small cluster, and what tests do there."""

    lab: Lab
    namespace: str

    def apply(self, *objects: Object) -> None:
        """In this namespace, unless the object says another or is of the cluster."""
        for one in objects:
            kind, meta = one["kind"], one["metadata"]
            root = "/api/v1" if one["apiVersion"] == "v1" else f"/apis/{one['apiVersion']}"
            space = "" if kind in CLUSTER_WIDE else f"/namespaces/{meta.get('namespace', self.namespace)}"
            path = f"{root}{space}/{plural(kind)}/{meta['name']}?fieldManager=tests&force=true"
            self.lab.api.request("PATCH", path, one, "application/apply-patch+yaml")

    def deploy(self, replicas: int = 2, cpu: str = "500m", **strategy: int) -> None:
        """A Deployment whose pods are all running; `strategy` as of its rollingUpdate."""
        container = {"name": "app", "image": "none.invalid/app:1", "resources": {"requests": {"cpu": cpu}}}
        pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
        spec |= {"strategy": {"rollingUpdate": strategy}} if strategy else {}
        self.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        self.lab.kubectl("-n", self.namespace, "rollout", "status", "deployment/web", "--timeout=60s")

    def ask(self, kubeconfig: Path | None = None, **more: Any) -> Object:
        template = more.pop("template", NEW)
        outcome = self.answers(kubeconfig, template=template, **more)
        assert (outcome.changed, "steps" in outcome.extra) == (False, False)
        return dict(outcome.extra["headroom"])

    def answers(self, kubeconfig: Path | None = None, **more: Any) -> Outcome:
        with connect(Connection(kubeconfig=str(kubeconfig or self.lab.kubeconfig))) as api:
            call = Call(Target(more.pop("name", "web"), self.namespace))
            return headroom(api, HeadroomRequest(call, more.pop("template"), **more), lambda line: None)

    def limit_pods(self, most: int) -> None:
        """A quota for exactly the pods that there are, once it has counted them."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "q"},
                "spec": {"hard": {"pods": str(most)}},
            }
        )
        used = ("-n", self.namespace, "get", "resourcequota", "q", "-o", "jsonpath={.status.used.pods}")
        self.wait_for(lambda: self.lab.kubectl(*used) == str(most))

    @contextmanager
    def labelled(self, **labels: str) -> Iterator[None]:
        """All nodes carry these labels meanwhile."""
        self._label(labels)
        try:
            yield
        finally:
            self._label(dict.fromkeys(labels))

    def _label(self, labels: Mapping[str, str | None]) -> None:
        for name in ("fake-0", "fake-1"):
            body = {"metadata": {"labels": dict(labels)}}
            self.lab.api.request("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")

    def account(self, *without: tuple[str, str]) -> Path:
        """A kubeconfig of the service account that docs/ ships, with its rights but for these verbs on these resources."""
        documents: list[Object] = []
        for manifest in ("rbac.yaml", "rbac-headroom.yaml"):
            text = (DOCS / manifest).read_text(encoding="utf-8").replace("shop", self.namespace)
            documents += yaml.safe_load_all(text)
        for document in documents:
            document["rules"] = [
                {**rule, "resources": [resource], "verbs": [verb]}
                for rule in document.pop("rules", ())
                for resource in rule["resources"]
                for verb in rule["verbs"]
                if (resource, verb) not in without
            ]
        self.apply(*({key: value for key, value in one.items() if value} for one in documents))
        return self.lab.service_account_kubeconfig(self.namespace, "canary")

    def patch(self, image: str = "none.invalid/app:2", cpu: str | None = None, **strategy: int) -> None:
        """Rolls the Deployment by its own strategy, or by this one."""
        container: Object = {"name": "app", "image": image}
        container |= {"resources": {"requests": {"cpu": cpu}}} if cpu else {}
        changed: Object = {"template": {"spec": {"containers": [container]}}}
        changed |= {"strategy": {"rollingUpdate": strategy}} if strategy else {}
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/web"
        self.lab.api.request("PATCH", path, {"spec": changed}, "application/strategic-merge-patch+json")

    def status(self) -> Object:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/web"
        return dict(self.lab.api.request("GET", path)["status"])

    def samples(self, seconds: float) -> list[Object]:
        """The Deployment's status, again and again."""
        end, found = time.monotonic() + seconds, [self.status()]
        while time.monotonic() < end:
            time.sleep(0.05)
            found.append(self.status())
        return found

    def pods(self, phase: str) -> int:
        path = f"/api/v1/namespaces/{self.namespace}/pods?fieldSelector=status.phase={phase}"
        return len(self.lab.api.request("GET", path)["items"])

    def ask_until(self, said: Callable[[Object], bool], kubeconfig: Path, **asked: Any) -> Object:
        """What it answers once new rights are known to the API server, which takes them in a moment after they are made."""
        answers: list[Object] = []

        def is_said() -> bool:
            answers.append(self.ask(kubeconfig, **{"template": asking("1500m"), **asked}))
            return said(answers[-1])

        self.wait_for(is_said)
        return answers[-1]

    @contextmanager
    def silent_node(self) -> Iterator[None]:
        """A large node whose kubelet is not ready and reports no more; controllers keep the taint that it has from the API server."""
        size = {"cpu": "64", "memory": "64Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "no network yet"}
        status = {"capacity": size, "allocatable": size, "conditions": [ready]}
        self.lab.api.request("POST", "/api/v1/nodes", {"metadata": {"name": "silent"}, "status": status})
        try:
            yield
        finally:
            self.lab.api.request("DELETE", "/api/v1/nodes/silent")

    @contextmanager
    def large_node(self, cpu: str = "4") -> Iterator[None]:
        """A third fake node, with at least as much room as the two others have together."""
        self.lab.api.request("POST", "/api/v1/nodes", fake_node(2, Capacity(cpu=cpu, memory="8Gi", pods=20)))
        try:
            self.wait_for(lambda: is_ready(self.lab.api.request("GET", "/api/v1/nodes/fake-2")))
            yield
        finally:
            self.lab.api.request("DELETE", "/api/v1/nodes/fake-2")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "the cluster did not get there in 30 s"
            time.sleep(0.05)


def plural(kind: str) -> str:
    """The resource of a kind, in the paths of the API server."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"


@pytest.fixture
def shop(small: Lab) -> Iterator[Shop]:
    name = small.create_namespace("shop")
    yield Shop(small, name)
    # the next test needs the room: controllers first, then their pods at once
    for kinds in ("deployments", "replicasets", "pods"):
        small.kubectl("-n", name, "delete", kinds, "--all", "--force", "--grace-period=0", "--wait=true")
    small.delete_namespace(name)


SERVER = ".".join(map(str, minor_version()))
POLICIES = pytest.mark.since(*SINCE_POLICIES)


def asking(cpu: str) -> NewTemplate:
    patch = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]}}
    return NewTemplate(images=NEW.images, patch=patch)


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


def test_a_limit_range_that_refuses_the_pod_is_quoted(shop: Shop) -> None:
    shop.deploy()
    limits = {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "1"}}]}
    shop.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr"}, "spec": limits})

    def is_refused() -> bool:
        return bool(shop.ask(template=asking("1200m"))["verdict"] == "refused")

    shop.wait_for(is_refused)
    assert any("cpu" in text for text in shop.ask(template=asking("1200m"))["refusals"])


ADMISSION = "admissionregistration.k8s.io/v1"
NAKED_PODS = "only controllers make pods here"


def forbid_naked_pods(shop: Shop) -> None:
    """The API server's own policy engine refuses pods without a controller, as the policies of Kyverno and Gatekeeper do."""
    owned = "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(one, one.controller)"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}}
    policy: Object = {
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
        "validations": [{"expression": owned, "message": NAKED_PODS}],
    }
    name = {"metadata": {"name": shop.namespace}}
    binding = {"policyName": shop.namespace, "validationActions": ["Deny"]}
    shop.apply(
        {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", **name, "spec": policy},
        {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicyBinding", **name, "spec": binding},
    )
    naked = {"metadata": {"name": "naked"}, "spec": {"containers": [{"name": "app", "image": "none.invalid/app:1"}]}}

    def is_enforced() -> bool:
        try:
            shop.lab.api.request("POST", f"/api/v1/namespaces/{shop.namespace}/pods?dryRun=All", naked)
        except ApiError as refused:
            return NAKED_PODS in str(refused)
        return False

    shop.wait_for(is_enforced)


def test_a_policy_against_pods_without_a_controller_lets_the_dry_run_pass_with_the_shipped_rights(shop: Shop) -> None:
    shop.deploy()
    forbid_naked_pods(shop)
    asked = shop.ask_until(lambda it: it["pod_request"]["source"] == "dry_run" or it["refusals"], shop.account())
    assert (asked["pod_request"]["source"], asked["refusals"]) == ("dry_run", [])


def inject_sidecars(shop: Shop, cpu: str) -> None:
    """The API server adds a container to every pod of this namespace, as the webhook of a service mesh does."""
    resources = f'{{"requests": {{"cpu": "{cpu}"}}}}'
    value = f'{{"name": dyn("sidecar"), "image": dyn("none.invalid/sidecar:1"), "resources": dyn({resources})}}'
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {value}}}]'
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}}
    policy: Object = {
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
    }
    name = {"metadata": {"name": shop.namespace}}
    shop.apply(
        {"apiVersion": ADMISSION, "kind": "MutatingAdmissionPolicy", **name, "spec": policy},
        {
            "apiVersion": ADMISSION,
            "kind": "MutatingAdmissionPolicyBinding",
            **name,
            "spec": {"policyName": shop.namespace},
        },
    )
    plain = {"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "app", "image": "none.invalid/app:1"}]}}

    def is_injected() -> bool:
        made = shop.lab.api.request("POST", f"/api/v1/namespaces/{shop.namespace}/pods?dryRun=All", plain)
        return len(made["spec"]["containers"]) == 2

    shop.wait_for(is_injected)


@POLICIES
def test_a_sidecar_is_counted_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    inject_sidecars(shop, cpu="400m")
    shop.deploy()
    account = shop.account(("pods", "create"))
    for template, cpu in ((NEW, "900m"), (asking("1500m"), "1900m"), (asking("300m"), "700m")):
        assert shop.ask(template=template)["pod_request"]["cpu"] == cpu
        found = shop.ask_until(lambda it: it["unknown"] == [], account, template=template)
        assert (found["pod_request"]["cpu"], found["pod_request"]["source"]) == (cpu, "template")
        assert "admission_adds_as_to_a_running_pod: 400m of cpu" in found["assumptions"]


@POLICIES
def test_a_sidecar_is_counted_also_where_a_full_quota_stops_the_dry_run(shop: Shop) -> None:
    inject_sidecars(shop, cpu="400m")
    shop.deploy()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    shop.apply(quota)
    shop.wait_for(lambda: shop.ask()["pod_request"]["source"] == "template")
    found = shop.ask()
    assert (found["verdict"], found["pod_request"]["cpu"]) == ("quota_exceeded", "900m")


def test_a_runtime_class_says_where_pods_go_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    shop.deploy()
    account = shop.account(("pods", "create"))
    runtime: Object = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandboxed"}}
    scheduling = {"nodeSelector": {"sandbox": "yes"}}
    sandboxed = NewTemplate(images=NEW.images, patch={"spec": {"runtimeClassName": "sandboxed"}})
    missing = shop.ask_until(lambda it: it["verdict"] != "unknown", account, template=sandboxed)
    assert (missing["verdict"], missing["refusals"]) == (
        "refused",
        ["RuntimeClass sandboxed, which the pod names, is not there"],
    )
    shop.apply({**runtime, "handler": "sandbox", "scheduling": scheduling, "overhead": {"podFixed": {"cpu": "100m"}}})

    def answers() -> list[Object]:
        return [shop.ask(kubeconfig, template=sandboxed) for kubeconfig in (None, account)]

    # The API server's admission learns of a new class a moment after it is made.
    shop.wait_for(lambda: all(one["verdict"] != "refused" for one in answers()))
    elsewhere = answers()
    with shop.labelled(sandbox="yes"):
        here = answers()
    shop.lab.kubectl("delete", "runtimeclass", "sandboxed")
    assert [one["verdict"] for one in elsewhere] == ["cannot_fit", "cannot_fit"]
    assert [one["verdict"] for one in here] == ["fits", "fits"]
    assert [one["pod_request"]["cpu"] for one in here] == ["600m", "600m"]
    assert [one["pod_request"]["source"] for one in here] == ["dry_run", "template"]


def test_a_priority_class_that_is_not_there_is_a_refusal(shop: Shop) -> None:
    shop.deploy()
    urgent = NewTemplate(images=NEW.images, patch={"spec": {"priorityClassName": "urgent"}})
    account = shop.account(("pods", "create"))
    found = shop.ask_until(lambda it: it["verdict"] != "unknown", account, template=urgent)
    assert (found["verdict"], found["refusals"]) == (
        "refused",
        ["PriorityClass urgent, which the pod names, is not there"],
    )


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


PATCH = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1500m"}}}]}}
SECRETS = ("s3cr3t-t0ken", "s3cr3t-header")


def echo(request: BaseHTTPRequestHandler) -> None:
    """A server that is indiscreet with what it was sent."""
    told = json.dumps({"error": f"no: {request.headers['Authorization']} {request.headers['X-Api-Key']}"}).encode()
    request.send_response(422)
    request.end_headers()
    request.wfile.write(told)


def test_both_doors_give_the_same_answer_and_tell_no_secret(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    stage = Stage(tmp_path, shop.lab.kubeconfig, shop.namespace)
    with serving(echo) as url, shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        arguments = {
            "name": "web",
            "namespace": shop.namespace,
            "images": NEW.images,
            "pod_template_patch": PATCH,
            "price_metrics": {"url": url, "token": SECRETS[0], "headers": {"X-Api-Key": SECRETS[1]}},
            "kubeconfig": str(shop.lab.kubeconfig),
        }
        task = {"coalmine.canary.canary_headroom_info": arguments}
        played = stage.play(task, {**task, **AS_MODULE}, {**task, "check_mode": True}, options=("-vvv",))
    results = played.results
    answers = [{**one["headroom"], "read": {}, "assumptions": []} for one in results]
    assert answers[0] == answers[1] == answers[2]
    assert [one["changed"] for one in results] == [False, False, False]
    assert results[0]["msg"] == results[0]["headroom"]["summary"][0]
    assert f"price: {url} answers 422" in answers[0]["unknown"]
    told = played.output + json.dumps(results)
    assert not any(secret in told for secret in SECRETS)


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


def codes(found: Object) -> set[str]:
    """What is unknown, without the details."""
    return {text.partition(":")[0] for text in found["unknown"]}


MISSING = {
    ("nodes", "list"): "nodes_not_readable",
    ("pods", "list"): "pods_not_readable",
    ("resourcequotas", "list"): "resourcequotas_not_readable",
    ("configmaps", "get"): "cluster_autoscaler_status_not_readable",
    ("pods", "create"): "admission_not_simulated",
}


def test_the_shipped_rights_are_all_that_it_takes_and_what_is_missing_is_named(shop: Shop) -> None:
    shop.deploy(replicas=3)
    whole = shop.ask_until(lambda it: it["unknown"] == [], shop.account())
    assert (whole["verdict"], whole["pod_request"]["source"]) == ("needs_nodes", "dry_run")
    for right, name in MISSING.items():
        shop.ask_until(lambda it, name=name: name in (codes(it) or it["assumptions"]), shop.account(right))


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


# Room for it comes only by evicting pods of lower priority: beside three pods of 500m and the two that fill() adds.
URGENT = {
    "spec": {
        "priorityClassName": "system-cluster-critical",
        "containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}],
    }
}
PRICES = {"currency": "EUR", "nodes": [{"instance_type": "m6i.xlarge", "hourly": 0.25}]}
BUY = {"canary_headroom": "allow_new_nodes"}
# What the role is asked, how it ends, and what it says of it.
SITUATIONS: dict[str, tuple[Object, str, str]] = {
    "no room": ({}, "refused", "headroom: allow_new_nodes would let an autoscaler add them."),
    "too dear": ({**BUY, "canary_prices": PRICES, "canary_max_hourly_cost": 0.2}, "refused", "max_hourly_cost allows 0.2 an hour."),
    "no price": (
        {**BUY, "canary_max_hourly_cost": 9, "canary_on_unknown": "fail"},
        "refused",
        "A price is not known, and max_hourly_cost is set.",
    ),
    "no price, warned": ({**BUY, "canary_max_hourly_cost": 9}, "planned", "price unknown"),
    "cheap enough": ({**BUY, "canary_prices": PRICES, "canary_max_hourly_cost": 9}, "planned", "would hold"),
    "only told": ({"canary_headroom": "report"}, "planned", "does not fit on the nodes that are there"),
    "not asked": ({"canary_headroom": "skip"}, "planned", "would hold"),
    "not known": ({"account": "least", "canary_on_unknown": "fail"}, "refused", "Unknown: nodes_not_readable"),
    "not known, warned": ({"account": "least"}, "planned", "Unknown: nodes_not_readable"),
    "evicts": ({"canary_pod_template_patch": URGENT, "canary_on_unknown": "fail"}, "refused", "on_unknown is fail."),
    "evicts, warned": ({**BUY, "canary_pod_template_patch": URGENT}, "planned", "pods of lower priority are evicted"),
}  # fmt: skip


def released(shop: Shop, directory: Path, *names: str, options: tuple[str, ...] = ()) -> dict[str, Object]:
    """The role's results in these situations, one after another in one run."""
    accounts = {"admin": str(shop.lab.kubeconfig), "least": str(shop.account(("nodes", "list")))}
    asked = {"canary_name": "web", "canary_namespace": shop.namespace, "canary_pod_template_patch": PATCH}
    results, tasks = directory / "results.json", []
    for number, name in enumerate(names):
        given = {**asked, "canary_images": NEW.images, **SITUATIONS[name][0]}
        where = {"group/coalmine.canary.canary": {"kubeconfig": accounts[given.pop("account", "admin")]}}
        release = {"ansible.builtin.include_role": {"name": "coalmine.canary.canary"}, "vars": given}
        tasks.append(
            {
                "module_defaults": where,
                "block": [release],
                "rescue": [{"ansible.builtin.debug": {"msg": name}}],
                "always": [{"ansible.builtin.set_fact": {f"result_{number}": "{{ canary_result }}"}}],
            }
        )
    kept = "{{ [" + ", ".join(f"result_{number}" for number in range(len(names))) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": kept, "dest": str(results), "mode": "0600"}, "check_mode": False})
    playbook = directory / "role.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = ansible_playbook(*options, playbook, directory=directory)
    assert done.code == 0, done.output
    return dict(zip(names, json.loads(results.read_text()), strict=True))


def fill(shop: Shop) -> None:
    """Two pods of somebody else."""
    container = {"name": "app", "image": "none.invalid/app:1", "resources": {"requests": {"cpu": "500m"}}}
    pod = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "other"}}, "template": pod}
    shop.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"}, "spec": spec})
    shop.lab.kubectl("-n", shop.namespace, "rollout", "status", "deployment/other", "--timeout=60s")


def test_the_role_refuses_what_does_not_fit_and_says_why(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    with shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        results = released(shop, tmp_path, "no room")
    first, *reasons, aftermath = results["no room"]["why"]
    assert "does not fit on the nodes that are there; new nodes would hold it" in first
    assert SITUATIONS["no room"][2] in reasons
    assert len(reasons) <= 8
    assert any(line.startswith("Advice: ") or "No rolling update" in line for line in reasons)
    assert aftermath == "This run changed nothing."


def unschedulable(shop: Shop) -> list[str]:
    """What the scheduler says of each pod that it has found no node for."""
    pods = shop.lab.api.request("GET", f"/api/v1/namespaces/{shop.namespace}/pods")["items"]
    conditions = [one for pod in pods for one in pod.get("status", {}).get("conditions", ())]
    return [one["message"] for one in conditions if one.get("reason") == "Unschedulable"]


def test_the_role_goes_on_to_the_node_that_an_autoscaler_adds(shop: Shop) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    playbooks = Playbooks(shop.lab.kubeconfig, shop.namespace)
    asked = {"images": NEW.images, "pod_template_patch": PATCH, "prices": PRICES}
    with ExitStack() as meanwhile:
        meanwhile.enter_context(shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}))
        assert shop.ask(template=asking("1500m"))["verdict"] == "needs_nodes"

        def autoscaler() -> list[str]:
            """It sees a pod without a node, and that nothing else has been changed."""
            shop.wait_for(lambda: bool(unschedulable(shop)))
            said = unschedulable(shop)
            assert (shop.pods("Pending"), shop.status()["readyReplicas"]) == (1, 3)
            meanwhile.enter_context(shop.large_node(cpu="8"))
            return said

        with ThreadPoolExecutor(max_workers=1) as beside:
            said = beside.submit(autoscaler)
            run = playbooks.run("canary", **asked, headroom="allow_new_nodes", max_hourly_cost=9)
        assert "Insufficient cpu" in said.result()[0]
        assert (run.code, run.outcome) == (0, "released"), run.output
        on = shop.lab.kubectl("-n", shop.namespace, "get", "pods", "-l", "app=web", "-o", "jsonpath={..spec.nodeName}")
        assert len(on.split()) == 3
        assert "fake-2" in on.split()


@pytest.mark.slow
def test_the_role_begins_only_what_it_may_in_check_mode_as_in_a_real_run(shop: Shop, tmp_path: Path) -> None:
    shop.deploy(replicas=3)
    fill(shop)
    with shop.labelled(**{"node.kubernetes.io/instance-type": "m6i.xlarge"}):
        planned = released(shop, tmp_path, *SITUATIONS, options=("--check",))
        refused = [name for name, result in planned.items() if result["outcome"] == "refused"]
        real = released(shop, tmp_path, *refused)
    for name, (_given, outcome, words) in SITUATIONS.items():
        assert (planned[name]["outcome"], name) == (outcome, name)
        assert any(words in line for line in planned[name]["why"]), (name, planned[name]["why"])
    assert "fits only after pods of lower priority are evicted" in planned["evicts"]["why"][0]
    assert {name: result["why"] for name, result in real.items()} == {name: planned[name]["why"] for name in refused}
    assert not any("does not fit" in line for line in planned["not asked"]["why"])


def test_the_playbook_asks_alone_and_shows_what_was_counted(shop: Shop) -> None:
    shop.deploy(replicas=3)
    playbooks = Playbooks(shop.lab.kubeconfig, shop.namespace)
    version = ("-n", shop.namespace, "get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    before = shop.lab.kubectl(*version)
    refused = playbooks.run("headroom", images=NEW.images, pod_template_patch=PATCH)
    assert (refused.code, refused.changed) == (FAILED, 0)
    assert "<- the Deployment's own" in refused.output
    assert " of nodes like fake-0 would hold the rest: price unknown" in refused.output
    assert shop.lab.kubectl(*version) == before
