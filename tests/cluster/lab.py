# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster for tests: start it, use it, and it is gone afterwards.

    with start_lab(fake_nodes=3) as lab:
        lab.kubectl("apply", "-f", "-", input=manifest)

Needs Linux or another Unix, openssl, and Go for the first start (toolchain.py). Several can run at once.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from . import watchdog
from .answering import reserve_range, start_answering
from .api import Api, ApiError
from .build import CONTROL_PLANE, NODE, Say, ensure_built, tell
from .certificates import Authority, KeyPair, certificate_user, cluster_entry, write_kubeconfig
from .construction import POLL_SECONDS, PORT_ATTEMPTS, Construction, PortTaken
from .controlplane import LOOPBACK, start_control_plane
from .fakes import ORDINARY, POD_RANGE, Capacity, node, start_fake_nodes
from .gateway.program import ensure_traefik
from .gateway.server import NAME as TRAEFIK
from .gateway.server import ONLY_ANSWERING, Gateway, add_gateway
from .images import ensure_programs
from .istio.manifests import NAME as ISTIO
from .istio.program import ensure_istio
from .istio.server import add_istio
from .kubectl import kubectl
from .layout import Layout
from .locks import open_lock, try_lock
from .metrics.server import ONLY_REAL_NODES, add_metrics, ensure_metrics_server
from .paths import labs_root
from .realnodes.machine import Runtime, require_runtime
from .realnodes.network import MACHINE_ADDRESS, MOST_NODES
from .realnodes.nodes import Preparation, boot, explained, join, machine_to_itself
from .teardown import room_for, tear_down

NAMESPACE_TIMEOUT_SECONDS = 20
# What the node lifecycle controller puts on a node that is not Ready, and takes off when it has seen that it is.
NOT_YET = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

# Owners before what they would make again.
WHAT_RUNS = (
    ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    ("apis/apps/v1", "deployments"),
    ("apis/apps/v1", "replicasets"),
    ("api/v1", "pods"),
)


class NotALab(RuntimeError):
    """The directory holds no cluster that is ready."""


class Lab:
    """A running cluster. Whoever holds this object keeps the cluster alive; `stop` removes it."""

    def __init__(self, directory: Path, children: Sequence[subprocess.Popen[bytes]] = ()) -> None:
        """Joins the cluster in `directory`. Raises NotALab when none is ready there."""
        self.layout = Layout(directory)
        self._lock = _share(self.layout)
        facts = self.layout.described()
        if facts is None:
            os.close(self._lock)
            raise NotALab(f"no cluster is ready in {directory}")
        self.facts: dict[str, Any] = facts
        self.kubeconfig = self.layout.kubeconfig
        self.server: str = facts["server"]
        self.binaries = Path(facts["binaries"])
        pki = self.layout.pki
        self.api = Api(self.server, str(pki / "ca.crt"), KeyPair(pki / "admin.crt", pki / "admin.key"))
        self._children = list(children)

    @property
    def programs(self) -> Path:
        """Where `load`, the load generator, is."""
        return ensure_programs()

    @property
    def user(self) -> int:
        """The descriptor by which this process is a user of the cluster, and so is every program that inherits it."""
        return self._lock

    @property
    def directory(self) -> Path:
        return self.layout.directory

    @property
    def port(self) -> int:
        """Where fake pods that answer HTTP listen, each at its own address. Another one in every cluster."""
        return int(self.facts["port"])

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:
        """What kubectl prints, as the administrator. Raises KubectlFailed with its error text."""
        return kubectl(self.binaries, self.kubeconfig, *arguments, input=input)

    def client_for(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig with a new client certificate for this user: no rights but those that RBAC gives it."""
        name = f"client-{uuid.uuid4().hex[:8]}"
        pair = Authority(self.layout.pki).client(name, user, groups)
        return self._kubeconfig(name, certificate_user(pair))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of an existing ServiceAccount."""
        return self._kubeconfig(f"token-{uuid.uuid4().hex[:8]}", {"token": self.token(namespace, name)})

    def token(self, namespace: str, name: str) -> str:
        """Of an existing ServiceAccount (TokenRequest, one hour)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        return str(self.api.request("POST", path, asked)["status"]["token"])

    def add_fake_node(
        self,
        number: int,
        capacity: Capacity,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """One more fake node, `fake-NUMBER`; returns its name. Its pods are scheduled by the real scheduler."""
        manifest = node(number, capacity, labels, taints)
        self.api.request("POST", "/api/v1/nodes", manifest)
        return str(manifest["metadata"]["name"])

    def create_namespace(self, prefix: str = "test") -> str:
        """A new namespace with a name of its own, ready for pods: a controller has made its ServiceAccount."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        deadline = time.monotonic() + NAMESPACE_TIMEOUT_SECONDS
        while True:
            try:
                self.api.request("GET", account)
                return name
            except ApiError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def delete_namespace(self, name: str) -> None:
        """Asks for the removal of a namespace, and does not wait for it."""
        self.api.request("DELETE", f"/api/v1/namespaces/{name}")

    def vacate(self, namespace: str) -> None:
        """Asks for the removal of what runs in a namespace, which itself goes with the cluster: to remove it costs the controllers a look
        at every kind of object."""
        for group, kind in WHAT_RUNS:
            self.api.request("DELETE", f"/{group}/namespaces/{namespace}/{kind}")

    def leave(self) -> None:
        """Lets go of a cluster that others may still use; the last one's leaving removes it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def stop(self) -> None:
        """Removes the cluster: processes, network, files. Can be called again."""
        tear_down(self.directory)
        for child in self._children:
            child.wait()
        self.leave()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _kubeconfig(self, name: str, user: dict[str, str]) -> Path:
        cluster = cluster_entry(self.server, self.layout.pki / "ca.crt")
        return write_kubeconfig(self.directory / f"{name}.conf", cluster, user)


# By its name: what builds its programs, and what runs it for a cluster.
GATEWAYS: Mapping[str, tuple[Callable[[Say], object], Callable[[Lab, Say], Gateway]]] = {
    TRAEFIK: (ensure_traefik, add_gateway),
    ISTIO: (ensure_istio, add_istio),
}


@dataclass(frozen=True)
class Wanted:
    """What a cluster is to have; see start_lab."""

    fake_nodes: int
    capacity: Capacity
    real_nodes: int
    reserved: Mapping[str, str]
    answering: bool
    controller_manager_flags: Sequence[str]
    address: str
    kept: bool
    metrics: bool
    gateway: str

    @property
    def needs_kwok(self) -> bool:
        """A cluster without any node has kwok too: nodes may be added."""
        return self.fake_nodes > 0 or self.real_nodes == 0


def start_lab(
    directory: Path | None = None,
    *,
    fake_nodes: int | None = None,
    capacity: Capacity = ORDINARY,
    real_nodes: int = 0,
    reserved: Mapping[str, str] = MappingProxyType({}),
    answering: bool = False,
    controller_manager_flags: Sequence[str] = (),
    address: str = LOOPBACK,
    kept: bool = False,
    metrics: bool = False,
    gateway: str = "",
    say: Say = tell,
) -> Lab:
    """Starts a cluster and returns when it can be used; builds what it is made of first when that is missing.

    `fake_nodes` (3 unless there are real ones) have `capacity` each, and pods that answer HTTP if `answering`.
    `real_nodes` (0 to 3) keep `reserved` quantities from pods and know the images of images.py.
    `metrics`: metrics-server on the real nodes, built first if need be (metrics/server.py).
    `gateway`: one of GATEWAYS, before pods that answer, built first if need be (gateway/server.py, istio/server.py).
    `address`: the API server's only one; with real nodes it is that of their bridge.
    `kept`: outlive this process; otherwise the cluster goes with it, even by kill -9.
    Raises StartFailed with the last lines of the logs, or its kinds RealNodesImpossible and AnsweringImpossible;
    whatever had been started is gone then.
    """
    fakes = fake_nodes if fake_nodes is not None else 0 if real_nodes else 3
    wanted = Wanted(
        fakes, capacity, real_nodes, reserved, answering, controller_manager_flags, address, kept, metrics, gateway
    )
    if real_nodes > MOST_NODES:
        raise ValueError(f"at most {MOST_NODES} real nodes, not {real_nodes}")
    if metrics and not real_nodes:
        raise ValueError(ONLY_REAL_NODES)
    if gateway and not (answering or real_nodes):
        raise ValueError(ONLY_ANSWERING)
    runtime = require_runtime(say) if real_nodes else None
    binaries = ensure_built(CONTROL_PLANE + (NODE if real_nodes else ()), say)
    programs = ensure_programs(say) if real_nodes or answering else None
    if metrics:
        ensure_metrics_server(say)
    if gateway:
        build, _add = GATEWAYS[gateway]
        build(say)
    for _attempt in range(PORT_ATTEMPTS):
        place = Layout(directory or labs_root() / f"lab-{uuid.uuid4().hex[:12]}")
        try:
            return _start(Construction(place, binaries), wanted, runtime, programs, say)
        except PortTaken as error:
            taken = error
    raise taken


def _start(site: Construction, wanted: Wanted, runtime: Runtime | None, programs: Path | None, say: Say) -> Lab:
    place = site.layout
    with room_for(place.directory):
        lock = _share(place)
        try:
            _build(site, wanted, runtime, programs, say)
            lab = Lab(place.directory, list(site.children.values()))
            if wanted.metrics:
                add_metrics(lab, say)
            if wanted.gateway:
                _build_it, add = GATEWAYS[wanted.gateway]
                add(lab, say)
            # Last of all: who is killed before leaves nothing.
            if wanted.kept:
                place.kept.touch()
            return lab
        except BaseException:
            site.abandon()
            raise
        finally:
            os.close(lock)


def _build(site: Construction, wanted: Wanted, runtime: Runtime | None, programs: Path | None, say: Say) -> None:
    place = site.layout
    site.children["watchdog"] = watchdog.start(place)
    if runtime and programs:
        api = _start_real(site, wanted, runtime, programs / "images.tar", say)
    else:
        flags = wanted.controller_manager_flags
        api = start_control_plane(site, address=wanted.address, controller_manager_flags=flags)
    port = _add_fakes(site, api, wanted, programs)
    nodes_in_all = wanted.real_nodes + wanted.fake_nodes
    site.wait_until(lambda: _usable(api, nodes_in_all), f"{nodes_in_all} nodes to be Ready and the controllers to work")
    place.describe(
        server=api.server, binaries=str(site.binaries), programs=programs and str(programs),
        fake_nodes=wanted.fake_nodes, real_nodes=wanted.real_nodes, port=port,
    )  # fmt: skip


def _start_real(site: Construction, wanted: Wanted, runtime: Runtime, images: Path, say: Say) -> Api:
    """The nodes boot while the control plane starts. They keep the machine's lock until the last of them ends."""
    with explained(site):
        with machine_to_itself(say) as machine:
            nodes = boot(site, Preparation(wanted.real_nodes, runtime, images, wanted.reserved), machine)
        flags = wanted.controller_manager_flags
        api = start_control_plane(site, address=MACHINE_ADDRESS, reaches_kubelets=True, controller_manager_flags=flags)
        join(site, api, nodes)
    return api


def _add_fakes(site: Construction, api: Api, wanted: Wanted, programs: Path | None) -> int | None:
    """The port on which the pods answer; None if they do not."""
    if not wanted.needs_kwok:
        return None
    pod_range = reserve_range(site) if wanted.answering else POD_RANGE
    start_fake_nodes(site, api, wanted.fake_nodes, wanted.capacity, pod_range)
    return start_answering(site, str(programs), api.server) if wanted.answering else None


def _usable(api: Api, nodes: int) -> bool:
    """All nodes are Ready, and a namespace has the ServiceAccount that every pod needs (a controller makes it)."""
    api.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    return nodes == sum(map(is_ready, api.request("GET", "/api/v1/nodes")["items"]))


def is_ready(node: Mapping[str, Any]) -> bool:
    """Ready, and seen so: a moment longer the taint keeps pods away that a new node bears."""
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", [])}
    awaited = any(taint["key"] in NOT_YET for taint in node["spec"].get("taints", []))
    return conditions.get("Ready") == "True" and not awaited


def _share(place: Layout) -> int:
    """Becomes a user of the cluster: the descriptor of a shared lock. Raises NotALab while it is being removed."""
    if not place.directory.exists():
        raise NotALab(f"there is no cluster in {place.directory}")
    descriptor = open_lock(place.users)
    if try_lock(descriptor, fcntl.LOCK_SH):
        return descriptor
    os.close(descriptor)
    raise NotALab(f"the cluster in {place.directory} is being removed")
