# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shops on a small cluster, two fake nodes of two CPUs each, and what canary_headroom_info says there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from tests.cluster.fakes import Capacity
from tests.cluster.fakes import node as fake_node
from tests.cluster.lab import Lab, is_ready

Object = dict[str, Any]
# Each look is a handshake, or several: it costs both sides more than the test gains by an earlier one.
LOOK_AGAIN_SECONDS = 0.2
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
PATCH = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1500m"}}}]}}


def asking(cpu: str) -> NewTemplate:
    patch = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]}}
    return NewTemplate(images=NEW.images, patch=patch)


def codes(found: Object) -> set[str]:
    """What is unknown, without the details."""
    return {text.partition(":")[0] for text in found["unknown"]}


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
            # Nobody ends the pods of a node that is gone, and the collector of garbage comes after a minute.
            pods = f"/api/v1/namespaces/{self.namespace}/pods?fieldSelector=spec.nodeName=fake-2&gracePeriodSeconds=0"
            self.lab.api.request("DELETE", pods)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "the cluster did not get there in 30 s"
            time.sleep(LOOK_AGAIN_SECONDS)


def plural(kind: str) -> str:
    """The resource of a kind, in the paths of the API server."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"
