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
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from .clusters import NAMESPACES, OVERHEADS, PRIORITIES, Cluster, Existing, Object

CORE = "/api/v1"
MERGE = "application/merge-patch+json"
PATIENCE = 120.0
SIDE_BY_SIDE = 4
# The scheduler backs off for a second or two before it tries a pod again.
QUIET = 3.0


class Refused(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Server:
    """A kept-alive connection to the API server that a kubeconfig names, by client certificate; and more for `all_of`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._own = threading.local()
        self._beside = ThreadPoolExecutor(SIDE_BY_SIDE, initializer=self._connect)
        self._connect()

    def all_of(self, asks: Sequence[Callable[[Server], Any]]) -> None:
        """Carries all of them out, in no order. Raises the first error when all have ended."""
        running = [self._beside.submit(ask, self) for ask in asks]
        wait(running)
        for done in running:
            done.result()

    def _connect(self) -> None:
        kubeconfig = self._kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=_file(cluster, "certificate-authority"))
        context.load_cert_chain(_file(user, "client-certificate"), _file(user, "client-key"))
        address = urlsplit(cluster["server"])
        self._own.connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=context, timeout=120
        )

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        payload = None if body is None else json.dumps(body)
        connection = self._own.connection
        connection.request(method, path, payload, {"Content-Type": kind, "Accept": "application/json"})
        response = connection.getresponse()
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
    """Creates all that is there before. What stands for itself goes side by side; policies come last, or they would refuse the rest."""
    pods = [partial(_existing_pod, existing=existing) for existing in cluster.existing]
    volumes = [
        partial(Server.request, method="POST", path=f"{CORE}/persistentvolumes", body=one) for one in cluster.volumes
    ]
    claims = [
        partial(Server.request, method="POST", path=_claims(one["metadata"]["namespace"]), body=one)
        for one in cluster.claims
    ]
    server.all_of([*(partial(_node, node=node) for node in cluster.nodes), *volumes, *claims, *pods])
    for limit_range in cluster.limit_ranges:
        server.request("POST", f"{CORE}/namespaces/{limit_range['metadata']['namespace']}/limitranges", limit_range)
    for quota in cluster.quotas:
        path = f"{CORE}/namespaces/{quota['metadata']['namespace']}/resourcequotas"
        server.request("POST", path, quota)
        server.request("PATCH", f"{path}/{quota['metadata']['name']}/status", {"status": quota["status"]}, MERGE)


def _node(server: Server, node: Object) -> None:
    server.request("POST", f"{CORE}/nodes", node)
    # The API server taints new nodes not-ready; here nobody else would take that back.
    path = f"{CORE}/nodes/{node['metadata']['name']}"
    server.request("PATCH", path, {"spec": {"taints": node["spec"]["taints"] or None}}, MERGE)


def _existing_pod(server: Server, existing: Existing) -> None:
    meta = existing.pod["metadata"]
    path = f"{CORE}/namespaces/{meta['namespace']}/pods"
    server.request("POST", path, existing.pod)
    if existing.status:
        server.request("PATCH", f"{path}/{meta['name']}/status", {"status": existing.status}, MERGE)
    if existing.leaving:
        server.request("DELETE", f"{path}/{meta['name']}?gracePeriodSeconds=0")


def _claims(namespace: str) -> str:
    return f"{CORE}/namespaces/{namespace}/persistentvolumeclaims"


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
        claims=server.items(f"{home}/persistentvolumeclaims") if cluster.claims else [],
        volumes=server.items(f"{CORE}/persistentvolumes") if cluster.volumes else [],
        quotas=server.items(f"{home}/resourcequotas") if cluster.quotas else [],
        limit_ranges=server.items(f"{home}/limitranges") if cluster.limit_ranges else [],
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


def tidy(server: Server, cluster: Cluster) -> None:
    """Removes what this cluster consists of, and the new pods."""
    home = cluster.pod["metadata"]["namespace"]
    held = [one.pod["metadata"] for one in cluster.existing if one.leaving]
    server.all_of(
        [partial(_release, path=f"{CORE}/namespaces/{meta['namespace']}/pods/{meta['name']}") for meta in held]
        + [partial(_release, path=f"{_claims(home)}/{claim['metadata']['name']}") for claim in cluster.claims]
        + [partial(_release, path=f"{CORE}/persistentvolumes/{one['metadata']['name']}") for one in cluster.volumes]
    )
    spaces = {home, *(one.pod["metadata"]["namespace"] for one in cluster.existing)}
    gone = [f"{CORE}/namespaces/{name}/pods?gracePeriodSeconds=0" for name in sorted(spaces)]
    gone += [_claims(home)] if cluster.claims else []
    gone += [f"{CORE}/persistentvolumes"] if cluster.volumes else []
    gone += [f"{CORE}/namespaces/{home}/resourcequotas"] if cluster.quotas else []
    gone += [f"{CORE}/namespaces/{home}/limitranges"] if cluster.limit_ranges else []
    server.all_of([partial(Server.request, method="DELETE", path=path) for path in (*gone, f"{CORE}/nodes")])


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
