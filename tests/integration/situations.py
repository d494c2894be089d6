# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations (tests/situations.py) in a real cluster with fake nodes."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.faults.proxy import Fault, FaultProxy, Passage, fault_proxy, pass_on
from tests.integration.access import read_access, service_account_token
from tests.situations import MARK, MIRROR, Policy, Right, Web, until

# The first Kubernetes that has them by default, for the mark `since`. Before, a policy that changes objects took a webhook.
SINCE_POLICIES = ("1.36", "MutatingAdmissionPolicy is not served")
PATCHES = r"^PATCH /apis/apps/v1/namespaces/[^/]+/deployments/(?!.*dryRun)"
CHANGES = {
    Policy.MARKS: f'metadata: Object.spec.template.metadata{{annotations: {{"policy": "{MARK}"}}}}',
    Policy.REWRITES_IMAGES: (
        "spec: Object.spec.template.spec{containers: object.spec.template.spec.containers.map(c, "
        "Object.spec.template.spec.containers{name: c.name, "
        f'image: c.image.startsWith("{MIRROR}") ? c.image : "{MIRROR}" + c.image}})}}'
    ),
}

AGING_SECONDS = 0.3


class RealCluster:
    """`held`: what has to be closed once everything is over."""

    def __init__(self, lab: Lab | ForeignCluster, held: ExitStack) -> None:
        self.lab, self._held = lab, held
        self._found: FaultProxy | None = None

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return str(self.lab.kubectl(*arguments, **options))

    def account(self, web: Web, rights: Sequence[Right]) -> Api:
        name = f"may-{uuid.uuid4().hex[:8]}"
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for group, resource, verb in rights]
        service_account_token(web.admin, web.namespace, name, rules)
        kubeconfig = self.lab.service_account_kubeconfig(web.namespace, name)
        return connect(Connection(kubeconfig=str(kubeconfig)))

    @property
    def _proxy(self) -> FaultProxy:
        if self._found is None:
            folder = Path(self._held.enter_context(TemporaryDirectory()))
            access = read_access(self.lab.kubeconfig, folder)
            self._found = self._held.enter_context(fault_proxy(access.server, access.ca, folder))
        return self._found

    def right_before(self, web: Web, edits: Sequence[Callable[[], object]]) -> Api:
        def first(edit: Callable[[], object]) -> Fault:
            def passes(passage: Passage) -> None:
                edit()
                pass_on(passage)

            return passes

        proxy = self._proxy
        proxy.forget()
        proxy.go_wrong(PATCHES, *map(first, edits))
        token = service_account_token(web.admin, web.namespace, f"through-{uuid.uuid4().hex[:8]}")
        return connect(Connection(host=proxy.host, api_key=token, ca_cert=str(proxy.authority)))

    @contextmanager
    def meanwhile(self, web: Web, doing: Callable[[Web], object]) -> Iterator[None]:
        with connect(Connection(kubeconfig=str(self.lab.kubeconfig))) as api:
            somebody = threading.Thread(target=lambda: doing(replace(web, admin=api)))
            somebody.start()
            try:
                yield
            finally:
                somebody.join()

    @contextmanager
    def admission(self, web: Web, policy: Policy) -> Iterator[None]:
        kinds, name = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolic", f"{web.namespace}.{web.name}"
        rule = {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "resources": ["deployments"],
            "operations": ["CREATE", "UPDATE"],
        }
        expression = f"Object{{spec: Object.spec{{template: Object.spec.template{{{CHANGES[policy]}}}}}}}"
        spec = {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule]},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        }
        here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": web.namespace}}}
        binding = {"policyName": name, "matchResources": here}
        try:
            web.admin.create(f"{kinds}ies", {"metadata": {"name": name}, "spec": spec})
            web.admin.create(f"{kinds}ybindings", {"metadata": {"name": name}, "spec": binding})
            until(lambda: _changes(web), "the policy is in force")
            yield
        finally:
            both = "mutatingadmissionpolicy,mutatingadmissionpolicybinding"
            self.lab.kubectl("delete", both, name, "--ignore-not-found")
            until(lambda: not _changes(web), "the policy is out of force")


def _changes(web: Web) -> bool:
    """Whether admission changes a pod template now."""
    fresh = {**web.manifest(1), "metadata": {"name": f"{web.name}-tried"}}
    tried = json.dumps(web.admin.create(f"{web.apps}/deployments", fresh, dry_run=True)["spec"]["template"])
    return MARK in tried or MIRROR in tried


@contextmanager
def old_pods(web: Web) -> Iterator[None]:
    """Its pods say that they have been Ready for an hour, and those that come meanwhile soon do so as well: no minReadySeconds holds them
    back, although nothing is written to the Deployment."""
    over, pods = threading.Event(), f"/api/v1/namespaces/{web.namespace}/pods"

    def ages() -> None:
        while not over.wait(AGING_SECONDS):
            for pod in web.admin.list(pods, {"labelSelector": f"app={web.name}"})["items"]:
                ready = [one for one in pod["status"].get("conditions") or () if one["type"] == "Ready"]
                if ready and ready[0]["status"] == "True" and ready[0]["lastTransitionTime"] > long_ago:
                    old = {"status": {"conditions": [{"type": "Ready", "lastTransitionTime": long_ago}]}}
                    with suppress(NotFound):
                        web.admin.patch(f"{pods}/{pod['metadata']['name']}/status", old, PatchKind.STRATEGIC)

    long_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with ThreadPoolExecutor(1) as beside:
        aging = beside.submit(ages)
        try:
            yield
        finally:
            over.set()
        aging.result()


@contextmanager
def webs(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    """Makes Deployments with names of their own in one namespace, which is gone afterwards."""
    namespace = lab.create_namespace("situations")
    with ExitStack() as held:
        world = RealCluster(lab, held)

        def new(name: str = "") -> Web:
            # A session each: what the server warns of in it is told by every verb that uses it.
            admin = held.enter_context(connect(Connection(kubeconfig=str(lab.kubeconfig))))
            return Web(admin, namespace, name or f"web-{uuid.uuid4().hex[:6]}", world)

        yield new
        lab.vacate(namespace)
