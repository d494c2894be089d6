# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways that hear of the cluster otherwise than they would by themselves: late of some objects, or of nothing any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.certificates import cluster_entry, write_kubeconfig
from tests.cluster.gateway.manifests import NAMESPACE, USER, rights
from tests.cluster.gateway.server import Gateway, add_gateway, create
from tests.cluster.lab import Lab
from tests.faults.proxy import FaultProxy, fault_proxy, late

# More streams than a proxy opens of one kind.
STREAMS = 50
ENDPOINTS = r"^GET .*/endpointslices.*[?&]watch="
EVERYTHING = r"^GET .*[?&]watch="


@contextmanager
def hearing_late(lab: Lab, folder: Path, name: str, of: str = ENDPOINTS, seconds: float = 1.5) -> Iterator[Gateway]:
    """Traefik whose streams that match `of` come so much later, and the gateway that it serves."""
    with behind_a_proxy(lab, folder, name) as (proxy, kubeconfig):
        proxy.go_wrong(of, *[late(seconds)] * STREAMS)
        with ending(lab, add_gateway(lab, name=name, kubeconfig=kubeconfig)) as gateway:
            yield gateway


@contextmanager
def behind_a_proxy(lab: Lab, folder: Path, name: str) -> Iterator[tuple[FaultProxy, Path]]:
    """A way to the API server that can go wrong, and a kubeconfig for it with Traefik's own rights."""
    create(lab, rights())
    with fault_proxy(lab.server, str(lab.layout.pki / "ca.crt"), folder) as proxy:
        token = lab.token(NAMESPACE, USER)
        cluster = cluster_entry(proxy.host, proxy.authority)
        yield proxy, write_kubeconfig(folder / f"{name}.conf", cluster, {"token": token})


@contextmanager
def ending(lab: Lab, gateway: Gateway) -> Iterator[Gateway]:
    """Its processes end with the with statement, and nobody finds it any more."""
    try:
        yield gateway
    finally:
        gateway.end(lab)
