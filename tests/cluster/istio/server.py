# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio for a cluster whose pods answer HTTP, as processes of this machine: its control plane, which reads the cluster with rights of its
own, and one Envoy that it configures as a gateway. There are no sidecars.

Envoy is this machine's own, but the control plane is told that it is a pod: one of the cluster lends it its address.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..build import Say, tell
from ..construction import Construction, started
from ..controlplane import LOOPBACK
from ..gateway.manifests import NAMESPACE
from ..gateway.server import ONLY_ANSWERING, Gateway, announced, define, gateway_of, is_programmed
from ..locks import exclusive
from ..objects import MERGE_PATCH, create, remove, serve, until_it_holds
from ..ports import free_ports
from .definitions import definition
from .manifests import KINDS, NAME, PODS, SERVICES, USER, labels, reached_at, rights, workload
from .program import ensure_istio

if TYPE_CHECKING:
    from ..lab import Lab

# What the controller of a cloud says of a Service that is reached from outside.
REACHED = {"status": {"loadBalancer": {"ingress": [{"ip": LOOPBACK}]}}}
# Nothing signs certificates, nothing injects, nothing elects; and the filters are left out that only Istio's own build of Envoy has.
PLAIN = {
    "ENABLE_CA_SERVER": "false",
    "ENABLE_LEADER_ELECTION": "false",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
    "PILOT_CERT_PROVIDER": "none",
    "PILOT_DISABLE_MX_ALPN": "true",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_TELEMETRY_LABEL": "false",
    "POD_NAMESPACE": NAMESPACE,
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "XDS_AUTH": "false",
}


def add_istio(lab: Lab, say: Say = tell, *, name: str = NAME, kubeconfig: Path | None = None) -> Gateway:
    """Runs both for the cluster and returns when they serve the Gateways of this name. A second call finds them there.

    `kubeconfig`: the control plane's way to the API server, where that is to be another than the straight one.
    """
    if not (lab.facts["port"] or lab.facts["real_nodes"]):
        raise ValueError(ONLY_ANSWERING)
    pilot, envoy = ensure_istio(say)
    with exclusive(lab.directory / "gateway.lock"):
        if there := gateway_of(lab.layout, name):
            return there
        define(lab)
        serve(lab, map(definition, KINDS))
        create(lab, rights())
        return announced(lab, _started(lab, name, pilot, envoy, kubeconfig or lab.client_for(USER)))


def _started(lab: Lab, name: str, pilot: Path, envoy: Path, kubeconfig: Path) -> Gateway:
    def start(site: Construction, attempt: int, taking_back: ExitStack) -> Gateway:
        port, discovery, http, monitoring = free_ports(4)
        found = Gateway(name, port, tuple(f"{name}-{program}-{attempt}" for program in ("pilot", "envoy")))
        command = _pilot(lab, name, pilot, kubeconfig, (discovery, http, monitoring))
        site.run(found.processes[0], command, {**PLAIN, "POD_NAME": name})
        for collection, manifest in reached_at(name, port):
            taking_back.callback(remove, lab, f"{collection}/{manifest['metadata']['name']}")
        create(lab, [workload(name), *reached_at(name, port)])
        lab.api.request("PATCH", f"{SERVICES}/{name}/status", REACHED, MERGE_PATCH)
        site.run(found.processes[1], _envoy(lab, name, envoy, discovery))
        site.wait_until(lambda: is_programmed(lab, name), f"Gateway {name} to be programmed")
        site.wait_until(partial(_listens, port), f"Envoy to listen at port {port}")
        return found

    return started(lab.layout, lab.binaries, start)


def _pilot(lab: Lab, name: str, program: Path, kubeconfig: Path, ports: tuple[int, int, int]) -> list[str | Path]:
    """Of a mesh without certificates, telemetry and sidecars."""
    discovery, http, monitoring = ports
    settings = {
        "defaultConfig": {"discoveryAddress": f"{LOOPBACK}:{discovery}"},
        "defaultProviders": {},
        "enableAutoMtls": False,
        "enablePrometheusMerge": False,
        "trustDomain": "cluster.local",
    }
    mesh = lab.directory / f"{name}-mesh.json"
    mesh.write_text(json.dumps(settings))
    return [
        program, "discovery", f"--kubeconfig={kubeconfig}", f"--meshConfig={mesh}",
        f"--grpcAddr={LOOPBACK}:{discovery}", f"--httpAddr={LOOPBACK}:{http}", f"--monitoringAddr={LOOPBACK}:{monitoring}",
        "--httpsAddr=", "--secureGRPCAddr=", "--ctrlz_port=0",
    ]  # fmt: skip


def _envoy(lab: Lab, name: str, program: Path, discovery: int) -> list[str | Path]:
    """One thread: of several, each takes a configuration for itself, and of many connections a few would tell how late."""
    until_it_holds(lambda: bool(_pod_address(lab, name)), "the gateway's pod has an address")
    bootstrap = lab.directory / f"{name}-envoy.json"
    bootstrap.write_text(json.dumps(_bootstrap(name, _pod_address(lab, name), discovery)))
    return [program, "-c", bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]


def _pod_address(lab: Lab, name: str) -> str:
    return str(lab.api.request("GET", f"{PODS}/{name}")["status"].get("podIP", ""))


def _bootstrap(name: str, address: str, discovery: int) -> Mapping[str, Any]:
    """What Istio's agent would write: a gateway of this namespace that asks the control plane for everything else."""
    of_http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": discovery}}}}
    control_plane = {
        "name": "xds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": of_http2},
        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    together = {"ads": {}, "resource_api_version": "V3"}
    stream = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
    }
    return {
        "node": {
            "id": f"router~{address}~{name}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"{name}.{NAMESPACE}",
            "metadata": {"CLUSTER_ID": "Kubernetes", "NAMESPACE": NAMESPACE, "LABELS": labels(name)},
        },
        "dynamic_resources": {"lds_config": together, "cds_config": together, "ads_config": stream},
        "static_resources": {"clusters": [control_plane]},
    }


def _listens(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=1):
        return True
