# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways that hear of the cluster otherwise than they would by themselves: late of some objects, or of nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.certificates import cluster_entry, write_kubeconfig
from tests.cluster.gateway import manifests as of_traefik
from tests.cluster.gateway.server import Gateway, add_gateway
from tests.cluster.istio import manifests as of_istio
from tests.cluster.istio.server import add_istio
from tests.cluster.lab import Lab
from tests.cluster.objects import create
from tests.faults.proxy import FaultProxy, fault_proxy, late

# More streams than a proxy opens of one kind.
STREAMS = 50
ENDPOINTS = r"^GET .*/endpointslices.*[?&]watch="
EVERYTHING = r"^GET .*[?&]watch="


@dataclass(frozen=True)
class Kind:
    """What reads the cluster for a gateway: what adds one, and as whom it reads, with which rights."""

    add: Callable[..., Gateway]
    user: str
    rights: Callable[[], list[tuple[str, dict[str, Any]]]]


TRAEFIK = Kind(add_gateway, of_traefik.USER, of_traefik.rights)
ISTIO = Kind(add_istio, of_istio.USER, of_istio.rights)


@contextmanager
def hearing_late(lab: Lab, folder: Path, name: str, whose: Kind = TRAEFIK, seconds: float = 1.5) -> Iterator[Gateway]:
    """One that hears of endpoints so much later, and the gateway that it serves."""
    with behind_a_proxy(lab, folder, name, whose) as (proxy, kubeconfig):
        proxy.go_wrong(ENDPOINTS, *[late(seconds)] * STREAMS)
        with ending(lab, whose.add(lab, name=name, kubeconfig=kubeconfig)) as gateway:
            yield gateway


@contextmanager
def behind_a_proxy(lab: Lab, folder: Path, name: str, whose: Kind = TRAEFIK) -> Iterator[tuple[FaultProxy, Path]]:
    """A way to the API server that can go wrong, and a kubeconfig for it with the rights of this one."""
    create(lab, whose.rights())
    with fault_proxy(lab.server, str(lab.layout.pki / "ca.crt"), folder) as proxy:
        token = lab.token(of_traefik.NAMESPACE, whose.user)
        cluster = cluster_entry(proxy.host, proxy.authority)
        yield proxy, write_kubeconfig(folder / f"{name}.conf", cluster, {"token": token})


@contextmanager
def ending(lab: Lab, gateway: Gateway) -> Iterator[Gateway]:
    """Its processes end with the with statement, and nobody finds it any more."""
    try:
        yield gateway
    finally:
        gateway.end(lab)
