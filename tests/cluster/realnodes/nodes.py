# SPDX-License-Identifier: GPL-3.0-or-later
"""Real nodes: kubelet, kube-proxy, containerd and runc, each node a process tree in namespaces of its own.

The tree hangs on one process: when that is killed, the kernel ends the daemons and containers and drops their mounts.
The addresses are fixed, so there is one such cluster on a machine at a time; others wait for its end.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import processes
from ..api import Api
from ..build import Say
from ..certificates import Authority, certificate_user, cluster_entry, write_kubeconfig
from ..construction import POLL_SECONDS, Construction, PortTaken, StartFailed
from ..journal import CGROUPS, hierarchies
from ..layout import Layout
from ..locks import LockTimeout, exclusive
from ..paths import SOURCES
from .machine import RealNodesImpossible, Runtime, address_conflict
from .network import (
    MACHINE_ADDRESS,
    VANISH_TIMEOUT_SECONDS,
    Address,
    connect,
    create_bridge,
    route_to_nodes,
    routes_inside,
    wait_for_cable_to_go,
)
from .settings import NodeFiles

MACHINE_LOCK = Path("/run/coalmine-canary-real-nodes.lock")
LOCK_TIMEOUT_SECONDS = 600
HOW_TO_END = "`python -m tests.cluster status` lists this user's clusters, `down --name NAME` removes one"
NAMESPACE_TIMEOUT_SECONDS = 10
READY_TIMEOUT_SECONDS = 120
PROXY_HEALTH_PORT = 10256
LOG_LINES, LOG_WIDTH = 8, 300
# nsenter and `ip netns exec` are no substitute: the latter mounts a fresh /sys, without /sys/fs/cgroup
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc",
           "--propagation", "private")  # fmt: skip


@dataclass(frozen=True)
class Preparation:
    """What the nodes of a cluster are made of."""

    count: int
    runtime: Runtime
    images: Path
    reserved: Mapping[str, str]


@contextlib.contextmanager
def machine_to_itself(say: Say) -> Iterator[int]:
    """Waits until no other cluster on this machine has real nodes; the descriptor that is given must go to the nodes.

    Raises RealNodesImpossible when that takes too long, or when something else uses the addresses.
    """

    def waiting(holder: str) -> None:
        say(
            f"real nodes already run here: {holder}; waiting up to {LOCK_TIMEOUT_SECONDS} s for their end ({HOW_TO_END})"
        )

    try:
        with exclusive(MACHINE_LOCK, timeout=LOCK_TIMEOUT_SECONDS, waiting=waiting) as descriptor:
            _wait_for_addresses()
            yield descriptor
    except LockTimeout as error:
        raise RealNodesImpossible(f"one cluster with real nodes at a time: {error}") from error


def boot(site: Construction, preparation: Preparation, lock: int) -> list[NodeFiles]:
    """Makes the network and starts the nodes as far as they get without an API server."""
    journal, bridge = site.layout.journal, _bridge(site.layout)
    create_bridge(journal, bridge)
    nodes = [files_of(site.layout, number) for number in range(1, preparation.count + 1)]
    for files in nodes:
        journal.cgroup(files.cgroup)
        _create_cgroup(files.cgroup)
        files.write(preparation.runtime, site.layout.pki / "ca.crt", dict(preparation.reserved))
        switch_on(site, preparation, files, [lock])
    route_to_nodes(bridge, [files.address for files in nodes])
    return nodes


def join(site: Construction, api: Api, nodes: list[NodeFiles]) -> None:
    """Lets the nodes into the cluster and waits until pods can run on them."""
    authority = Authority(site.layout.pki)
    for files in nodes:
        # the RBAC authorizer alone knows no nodes: their rights come from the group
        pair = authority.client(files.name, f"system:node:{files.name}", ["system:masters", "system:nodes"])
        unfinished = files.kubeconfig.with_suffix(".partial")
        write_kubeconfig(unfinished, cluster_entry(api.server, authority.certificate), certificate_user(pair))
        unfinished.rename(files.kubeconfig)
    for files in nodes:
        wait_until_up(site, api, files)


def wait_until_up(site: Construction, api: Api, files: NodeFiles) -> None:
    site.wait_until(partial(_is_up, api, files), f"{files.name} to be Ready", timeout=READY_TIMEOUT_SECONDS)


@contextlib.contextmanager
def explained(site: Construction) -> Iterator[None]:
    """Whatever does not start within: RealNodesImpossible, with the last lines of the nodes' own logs too."""
    try:
        yield
    except PortTaken:
        raise
    except StartFailed as error:
        logs = sorted(site.layout.directory.glob("real-*/log/*.log"))
        raise RealNodesImpossible("\n".join([str(error), *map(_tail, logs)])) from error


def files_of(layout: Layout, number: int) -> NodeFiles:
    name = f"real-{number}"
    return NodeFiles(layout.directory / name, name, f"coalmine-{layout.identity}-{number}", Address(number))


def switch_on(site: Construction, preparation: Preparation, files: NodeFiles, locks: Sequence[int] = ()) -> None:
    """Starts one node and plugs its cable in. It keeps `locks` until it ends."""
    _start(site, preparation, files, locks)
    connect(site.layout.journal, _bridge(site.layout), _namespaces_of(site, files), files.address)


def switch_off(layout: Layout, files: NodeFiles) -> None:
    """As when its power is cut: everything on it ends in a moment, and it says goodbye to nobody."""
    processes.end_all([layout.record(files.name), layout.record(f"{files.name}-init")])
    wait_for_cable_to_go(_bridge(layout), files.address)


def _bridge(layout: Layout) -> str:
    return f"cm{layout.identity}"


def _start(site: Construction, preparation: Preparation, files: NodeFiles, locks: Sequence[int]) -> None:
    """`unshare` stays outside as the parent: what kills it kills the node."""
    command = [*UNSHARE, "bash", str(SOURCES / "realnodes" / "init.sh")]
    environment = {
        "NODE": str(files.directory),
        "NAME": files.name,
        "ADDRESS": files.address.node,
        "ROUTES": "\n".join(routes_inside(files.address, preparation.count)),
        "BINARIES": str(site.binaries),
        "CONTAINERD": str(preparation.runtime.containerd),
        "CNI": str(preparation.runtime.cni),
        "IMAGES": str(preparation.images),
    }
    site.run(files.name, command, environment, inherited=locks)


def _namespaces_of(site: Construction, files: NodeFiles) -> int:
    """The pid of the node's first process, once it is in namespaces of its own; it is recorded, to be waited for."""
    outside = os.readlink("/proc/self/ns/net")
    parent = site.children[files.name].pid
    deadline = time.monotonic() + NAMESPACE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            if children and os.readlink(f"/proc/{children[0]}/ns/net") != outside:
                processes.note(site.layout.record(f"{files.name}-init"), int(children[0]))
                return int(children[0])
        time.sleep(POLL_SECONDS)
    raise RealNodesImpossible(f"no namespaces for {files.name}:\n{site.layout.log_tails([files.name])}")


def _create_cgroup(name: str) -> None:
    """The root of one node's pods in every hierarchy; a v1 cpuset must be filled before anything can enter it."""
    for root in hierarchies():
        if root == CGROUPS:
            controllers = (root / "cgroup.controllers").read_text().split()
            (root / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in controllers))
        (root / name).mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if root != CGROUPS and (root / setting).exists():
                (root / name / setting).write_text((root / setting).read_text())


def _is_up(api: Api, files: NodeFiles) -> bool:
    """Ready, its kubelet reachable through the API server, and its kube-proxy in step."""
    node = api.request("GET", f"/api/v1/nodes/{files.name}")
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", [])}
    return (
        conditions.get("Ready") == "True"
        and api.request("GET", f"/api/v1/nodes/{files.name}/proxy/healthz") == "ok"
        and _proxy_is_in_step(files.address)
    )


def _proxy_is_in_step(address: Address) -> bool:
    connection = http.client.HTTPConnection(address.node, PROXY_HEALTH_PORT, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


def _tail(log: Path) -> str:
    last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"--- {log.parent.parent.name} {log.stem}", *(line[:LOG_WIDTH] for line in last)])


def _wait_for_addresses() -> None:
    """The holder before us may still be taking its bridge down."""
    deadline = time.monotonic() + VANISH_TIMEOUT_SECONDS
    while conflict := address_conflict():
        if time.monotonic() > deadline:
            raise RealNodesImpossible(
                f"the addresses of real nodes are in use: {conflict}; remove it (`ip route show table all` lists it) "
                f"or, if it is left over from such a cluster, `python -m tests.cluster down`; {MACHINE_ADDRESS}/16 is fixed"
            )
        time.sleep(0.2)
