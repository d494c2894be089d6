# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the real API server and the real scheduler what becomes of a cluster: builds it, creates the pods, looks, clears away."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from .clusters import NAMESPACES, OVERHEADS, PRIORITIES, Cluster, Object

CORE = "/api/v1"
MERGE = "application/merge-patch+json"
PATIENCE = 30.0
# The scheduler backs off for a second or two before it tries a pod again.
QUIET = 3.0


class Refused(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Server:
    """One kept-alive connection to the API server that a kubeconfig names, by client certificate."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=_file(cluster, "certificate-authority"))
        context.load_cert_chain(_file(user, "client-certificate"), _file(user, "client-key"))
        address = urlsplit(cluster["server"])
        self._connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=context, timeout=30
        )

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        payload = None if body is None else json.dumps(body)
        self._connection.request(method, path, payload, {"Content-Type": kind, "Accept": "application/json"})
        response = self._connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        if response.status >= 400:
            raise Refused(response.status, answer.get("message", ""))
        return answer

    def items(self, path: str) -> list[Object]:
        return self.request("GET", path)["items"]


def _file(entry: Object, name: str) -> str:
    if name in entry:
        return str(entry[name])
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(entry[f"{name}-data"]))
    return file.name


@dataclass(frozen=True)
class Reading:
    """The cluster as a client reads it, before any of the new pods is created. `admitted` is None when the dry run was refused."""

    nodes: list[Object]
    pods: list[Object]
    claims: list[Object]
    volumes: list[Object]
    quotas: list[Object]
    limit_ranges: list[Object]
    admitted: Object | None
    refusal: str


@dataclass(frozen=True)
class Happened:
    """What became of the copies: `created` passed admission, `placed` got a node, `promised` wait for victims to leave."""

    created: int
    placed: int
    promised: int
    refusal: str
    reasons: tuple[str, ...]


def prepare(server: Server) -> None:
    """What all clusters share: namespaces, priorities, runtime classes."""
    for name, labels in NAMESPACES.items():
        _ensure(server, f"{CORE}/namespaces", {"metadata": {"name": name, "labels": labels}})
        _ensure(server, f"{CORE}/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    for name, value in PRIORITIES.items():
        for suffix, policy in (("", "PreemptLowerPriority"), ("-polite", "Never")):
            body = {"metadata": {"name": name + suffix}, "value": value, "preemptionPolicy": policy}
            _ensure(server, "/apis/scheduling.k8s.io/v1/priorityclasses", body)
    for name, overhead in OVERHEADS.items():
        body = {"metadata": {"name": name}, "handler": name, "overhead": {"podFixed": overhead}}
        _ensure(server, "/apis/node.k8s.io/v1/runtimeclasses", body)


def build(server: Server, cluster: Cluster) -> None:
    """Creates all that is there before."""
    for node in cluster.nodes:
        server.request("POST", f"{CORE}/nodes", node)
        # The API server taints new nodes not-ready; here nobody else would take that back.
        path = f"{CORE}/nodes/{node['metadata']['name']}"
        server.request("PATCH", path, {"spec": {"taints": node["spec"]["taints"] or None}}, MERGE)
    for volume in cluster.volumes:
        server.request("POST", f"{CORE}/persistentvolumes", volume)
    for claim in cluster.claims:
        server.request("POST", f"{CORE}/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims", claim)
    for existing in cluster.existing:
        meta = existing.pod["metadata"]
        path = f"{CORE}/namespaces/{meta['namespace']}/pods"
        server.request("POST", path, existing.pod)
        if existing.status:
            server.request("PATCH", f"{path}/{meta['name']}/status", {"status": existing.status}, MERGE)
        if existing.leaving:
            server.request("DELETE", f"{path}/{meta['name']}?gracePeriodSeconds=0")
    for limit_range in cluster.limit_ranges:
        server.request("POST", f"{CORE}/namespaces/{limit_range['metadata']['namespace']}/limitranges", limit_range)
    for quota in cluster.quotas:
        path = f"{CORE}/namespaces/{quota['metadata']['namespace']}/resourcequotas"
        server.request("POST", path, quota)
        server.request("PATCH", f"{path}/{quota['metadata']['name']}/status", {"status": quota["status"]}, MERGE)


def read(server: Server, cluster: Cluster) -> Reading:
    """What a client with all rights would see. Quotas and LimitRanges reach admission by caches: asked until they have arrived."""
    home = f"{CORE}/namespaces/{cluster.pod['metadata']['namespace']}"
    admitted, refusal = None, ""
    try:
        admitted = server.request("POST", f"{home}/pods?dryRun=All", cluster.pod)
    except Refused as error:
        refusal = error.message
    return Reading(
        nodes=server.items(f"{CORE}/nodes"),
        pods=server.items(f"{CORE}/pods"),
        claims=server.items(f"{home}/persistentvolumeclaims"),
        volumes=server.items(f"{CORE}/persistentvolumes"),
        quotas=server.items(f"{home}/resourcequotas"),
        limit_ranges=server.items(f"{home}/limitranges"),
        admitted=admitted,
        refusal=refusal,
    )


def try_it(server: Server, cluster: Cluster) -> Happened:
    """Creates the copies and waits until the scheduler has decided about each."""
    path = f"{CORE}/namespaces/{cluster.pod['metadata']['namespace']}/pods"
    created: list[str] = []
    refusal = ""
    for _ in range(cluster.copies):
        try:
            created.append(server.request("POST", path, cluster.pod)["metadata"]["name"])
        except Refused as error:
            refusal = error.message
            break
    return _happened(_settled(server, path, created, f"seed {cluster.seed}"), refusal)


def _settled(server: Server, path: str, names: list[str], case: str) -> list[Object]:
    """The pods once the scheduler has decided about each. After an eviction it comes back to those that found no place: waited for too."""
    deadline = time.monotonic() + PATIENCE
    quiet_since, before, evicted = time.monotonic(), None, False
    while True:
        pods = [pod for pod in server.items(path) if pod["metadata"]["name"] in names]
        open_ones = [pod for pod in pods if not pod["spec"].get("nodeName")]
        undecided = [pod for pod in open_ones if not _unschedulable(pod)]
        promised = [pod for pod in open_ones if pod["status"].get("nominatedNodeName")]
        evicted = evicted or bool(promised)
        if (len(open_ones), len(promised)) != before:
            quiet_since, before = time.monotonic(), (len(open_ones), len(promised))
        is_quiet = not evicted or not open_ones or time.monotonic() - quiet_since > QUIET
        if not undecided and is_quiet:
            return pods
        if time.monotonic() > deadline:
            raise TimeoutError(f"{case}: {len(undecided)} of {len(names)} pods undecided after {PATIENCE} s")
        time.sleep(0.01)


def _happened(pods: list[Object], refusal: str) -> Happened:
    placed = sum(bool(pod["spec"].get("nodeName")) for pod in pods)
    promised = sum(bool(pod["status"].get("nominatedNodeName")) for pod in pods if not pod["spec"].get("nodeName"))
    reasons = tuple(sorted({_unschedulable(pod) for pod in pods if not pod["spec"].get("nodeName")}))
    return Happened(len(pods), placed, promised, refusal, reasons)


def take_back(server: Server, cluster: Cluster) -> None:
    """Removes the new pods only."""
    path = f"{CORE}/namespaces/{cluster.pod['metadata']['namespace']}/pods"
    server.request("DELETE", f"{path}?gracePeriodSeconds=0&labelSelector=pod-template-hash%3Dnewhash")


def clear(server: Server) -> None:
    """Removes everything that a cluster made, also one that a crashed run left behind."""
    for name in NAMESPACES:
        home = f"{CORE}/namespaces/{name}"
        for kind in ("resourcequotas", "limitranges"):
            server.request("DELETE", f"{home}/{kind}")
        for kind in ("pods", "persistentvolumeclaims"):
            for one in server.items(f"{home}/{kind}"):
                if one["metadata"].get("finalizers"):
                    _release(server, f"{home}/{kind}/{one['metadata']['name']}")
            server.request("DELETE", f"{home}/{kind}?gracePeriodSeconds=0")
    for volume in server.items(f"{CORE}/persistentvolumes"):
        _release(server, f"{CORE}/persistentvolumes/{volume['metadata']['name']}")
    server.request("DELETE", f"{CORE}/persistentvolumes")
    server.request("DELETE", f"{CORE}/nodes")


def _release(server: Server, path: str) -> None:
    try:
        server.request("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    except Refused as error:
        if error.status != 404:
            raise


def _unschedulable(pod: Object) -> str:
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("message") or condition.get("reason") or "?"
    return ""


def _ensure(server: Server, path: str, body: dict[str, Any]) -> None:
    try:
        server.request("POST", path, body)
    except Refused as error:
        if error.status != 409:
            raise
