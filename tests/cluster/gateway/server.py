# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways for a cluster whose pods answer HTTP: Traefik as a process of this machine, which reads the cluster as a proxy
in it would, with rights of its own, and sends real requests to the pods' addresses.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..build import Say, tell
from ..construction import Construction, started
from ..controlplane import LOOPBACK
from ..layout import Layout
from ..locks import exclusive
from ..objects import create, remove, serve
from ..ports import free_ports
from ..processes import end_all
from .manifests import GATEWAYS, NAMESPACE, SERVED_BY, USER, gateway, ingress_class, ingress_controller, rights
from .program import definitions, ensure_traefik

if TYPE_CHECKING:
    from ..lab import Lab

ONLY_ANSWERING = "a gateway needs pods that answer: start the cluster with answering, or with real nodes"
NAME = "traefik"
# How long Traefik waits between two configurations. Its default is two seconds, which most tests need not wait for.
SWIFT, DEFAULT = "100ms", "2s"


@dataclass(frozen=True)
class Gateway:
    """A Gateway of the cluster, its class of the same name, and the port at which this machine reaches it. `processes`: the names
    of those that serve it, one for each replica."""

    name: str
    port: int
    processes: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def parent(self) -> dict[str, str]:
        """What a route names to be served by it."""
        return {"name": self.name, "namespace": NAMESPACE}

    def end(self, lab: Lab) -> None:
        """Its processes are gone, and nobody finds it any more. What it served is served no longer; its objects stay."""
        end_all(map(lab.layout.record, self.processes))
        _told(lab.layout, self.name).unlink()


def add_gateway(
    lab: Lab, say: Say = tell, *, name: str = NAME, throttles: Sequence[str] = (SWIFT,), kubeconfig: Path | None = None
) -> Gateway:
    """Runs Traefik for the cluster and returns when it serves the Gateway of this name. A second call finds it there.

    `throttles`: one for each replica; several share one address, over which the kernel spreads new connections.
    `kubeconfig`: its way to the API server, where that is to be another than the straight one.
    """
    if not (lab.facts["port"] or lab.facts["real_nodes"]):
        raise ValueError(ONLY_ANSWERING)
    program = ensure_traefik(say)
    with exclusive(lab.directory / "gateway.lock"):
        if there := gateway_of(lab.layout, name):
            return there
        define(lab)
        create(lab, rights())
        return announced(lab, _started(lab, name, program, throttles, kubeconfig or lab.client_for(USER)))


def announced(lab: Lab, gateway: Gateway) -> Gateway:
    """Others find it now."""
    _told(lab.layout, gateway.name).write_text(json.dumps([gateway.port, gateway.processes]))
    return gateway


def gateway_of(layout: Layout, name: str = NAME) -> Gateway | None:
    """The one of this name, in a cluster that has it."""
    try:
        port, processes = json.loads(_told(layout, name).read_text())
    except FileNotFoundError:
        return None
    return Gateway(name, port, tuple(processes))


def _told(layout: Layout, name: str) -> Path:
    return layout.directory / f"gateway-{name}.json"


def define(lab: Lab) -> None:
    """Gateway API's kinds are served."""
    serve(lab, definitions())


def _started(lab: Lab, name: str, program: Path, throttles: Sequence[str], kubeconfig: Path) -> Gateway:
    def start(site: Construction, attempt: int, taking_back: ExitStack) -> Gateway:
        (port,) = free_ports(1)
        found = Gateway(name, port, tuple(f"{name}-{number}-{attempt}" for number in range(1, len(throttles) + 1)))
        for process, throttle in zip(found.processes, throttles, strict=True):
            site.run(process, _command(program, found, throttle), {"KUBECONFIG": str(kubeconfig)})
        taking_back.callback(remove, lab, f"{GATEWAYS}/{name}")
        create(lab, [*gateway(name, port), *ingress_class(name)])
        site.wait_until(lambda: is_programmed(lab, name), f"Gateway {name} to be served")
        return found

    return started(lab.layout, lab.binaries, start)


def _command(program: Path, served: Gateway, throttle: str) -> list[str | Path]:
    """One Traefik with one entry, where the other replicas may listen, too."""
    shared = str(len(served.processes) > 1).lower()
    return [
        program, "--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO",
        f"--entrypoints.web.address={served.address}", f"--entrypoints.web.reuseport={shared}",
        "--providers.kubernetesgateway=true", f"--providers.kubernetesgateway.statusaddress.ip={LOOPBACK}",
        f"--providers.kubernetesgateway.labelselector={SERVED_BY}={served.name}",
        # Traefik goes by the annotations of ingress-nginx, too, for the Ingresses of its class.
        "--providers.kubernetesingressnginx=true",
        f"--providers.kubernetesingressnginx.controllerclass={ingress_controller(served.name)}",
        f"--providers.kubernetesingressnginx.ingressclass={served.name}",
        f"--providers.providersthrottleduration={throttle}",
    ]  # fmt: skip


def is_programmed(lab: Lab, name: str) -> bool:
    found = lab.api.request("GET", f"{GATEWAYS}/{name}")
    status: dict[str, Any] = found.get("status") or {}
    said = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return said.get("Programmed") == "True" and bool(status.get("addresses"))
