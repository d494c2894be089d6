# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the real nodes: one bridge of this machine, one cable from it into each node's namespace.

    this machine   10.200.0.1/16 on the bridge, where the API server listens; it does not forward
    node I         10.200.1.I/16 on eth0; its pods 10.201.I.0/24
    Services       10.96.0.0/16, routed from this machine to all nodes, whose kube-proxies know them

Routing tables apart, this machine stays as it is: no iptables rule, no sysctl, no default route, no resolv.conf.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..controlplane import SERVICE_RANGE
from ..journal import Journal

MOST_NODES = 3
MACHINE_ADDRESS = "10.200.0.1"
LINKS = Path("/sys/class/net")
VANISH_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Address:
    """Where node `number` is (from 1)."""

    number: int

    @property
    def node(self) -> str:
        return f"10.200.1.{self.number}"

    @property
    def pods(self) -> str:
        return f"10.201.{self.number}.0/24"


def create_bridge(journal: Journal, bridge: str) -> None:
    journal.link(bridge)
    _ip("link", "add", bridge, "type", "bridge")
    _ip("address", "add", f"{MACHINE_ADDRESS}/16", "dev", bridge)
    _ip("link", "set", bridge, "up")


def connect(journal: Journal, bridge: str, pid: int, address: Address) -> None:
    """Gives the network namespace of process `pid` its eth0.

    The kernel removes the cable with that namespace: when it comes to it, and nothing holds the namespace any more.
    """
    cable = _cable(bridge, address)
    journal.link(cable)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("link", "set", cable, "master", bridge, "up")


def wait_for_cable_to_go(bridge: str, address: Address) -> None:
    """After the end of the node's namespace: until then there is no other cable of this name."""
    deadline = time.monotonic() + VANISH_TIMEOUT_SECONDS
    while (LINKS / _cable(bridge, address)).exists():
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{_cable(bridge, address)} is still there {VANISH_TIMEOUT_SECONDS} s after its node ended"
            )
        time.sleep(0.02)


def _cable(bridge: str, address: Address) -> str:
    return f"{bridge}-{address.number}"


def route_to_nodes(bridge: str, addresses: Iterable[Address]) -> None:
    """Pods and Services become reachable from this machine; Services over all nodes in turn."""
    hops: list[str] = []
    for address in addresses:
        _ip("route", "add", address.pods, "via", address.node, "dev", bridge)
        hops += ["nexthop", "via", address.node, "dev", bridge]
    _ip("route", "add", SERVICE_RANGE, *hops)


def routes_inside(address: Address, nodes: int) -> list[str]:
    """What `ip route add` gets in the node itself.

    The default route leads to a machine that does not forward: nothing leaves. Without one, a process in the node is told
    "network unreachable" for the address of a Service, before kube-proxy's rules could translate it.
    """
    others = (Address(number) for number in range(1, nodes + 1) if number != address.number)
    return [f"default via {MACHINE_ADDRESS}", *(f"{other.pods} via {other.node}" for other in others)]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
