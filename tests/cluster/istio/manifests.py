# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio's control plane may do in a cluster, and the gateway that is made by hand there: without injection and without an operator."""

from __future__ import annotations

from typing import Any

from ..gateway.manifests import GROUP, NAMESPACE, gateway_of_class, of_controller
from ..images import PAUSE
from ..rights import Manifests

NAME, USER = "istio", "istiod"
NETWORKING = "networking.istio.io"
KINDS = ("VirtualService", "DestinationRule", "Gateway")
PODS, SERVICES = f"/api/v1/namespaces/{NAMESPACE}/pods", f"/api/v1/namespaces/{NAMESPACE}/services"
_READ, _CHANGE = ["get", "list", "watch"], ["update", "patch"]
_WITH_STATUS = ("gatewayclasses", "gateways", "grpcroutes", "httproutes", "backendtlspolicies", "listenersets")


def rights() -> Manifests:
    """Collection and manifest of each. Source: the rules of Istio's own chart that concern a control plane which neither injects nor signs
    (manifests/charts/istio-control/istio-discovery/templates/clusterrole.yaml)."""
    rules = [
        {"apiGroups": [NETWORKING, "security.istio.io", "telemetry.istio.io", "extensions.istio.io"],
         "resources": ["*"], "verbs": _READ},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": _READ},
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
         "verbs": _READ},
        {"apiGroups": [""], "resources": ["pods", "nodes", "services", "namespaces", "endpoints", "secrets"], "verbs": _READ},
        {"apiGroups": [""], "resources": ["services/status"], "verbs": _CHANGE},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": [*_READ, "create", "update"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": _READ},
        {"apiGroups": [GROUP], "resources": ["*"], "verbs": _READ},
        {"apiGroups": [GROUP], "resources": [f"{kind}/status" for kind in _WITH_STATUS], "verbs": _CHANGE},
        {"apiGroups": [GROUP], "resources": ["gatewayclasses"], "verbs": ["create", *_CHANGE]},
    ]  # fmt: skip
    return of_controller(USER, rules)


def labels(name: str) -> dict[str, str]:
    """By which the gateway of this name is selected."""
    return {"istio": f"edge-{name}"}


def workload(name: str) -> tuple[str, dict[str, Any]]:
    """A pod whose address the proxy has."""
    pod = {"containers": [{"name": "proxy", "image": PAUSE}]}
    return PODS, {"metadata": {"name": name, "labels": labels(name)}, "spec": pod}


def reached_at(name: str, port: int) -> Manifests:
    """The Service by which a Gateway names that pod, and, both open to every namespace, a Gateway of Gateway API for routes and one of Istio
    for VirtualServices, all of this name."""
    ports = [{"name": "http", "port": port, "targetPort": port}]
    service = {"selector": labels(name), "ports": ports, "type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}
    collection, of_routes = gateway_of_class(name, port, NAME)
    place = {"type": "Hostname", "value": f"{name}.{NAMESPACE}.svc.cluster.local"}
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    of_istio = {"selector": labels(name), "servers": [server]}
    meta = {"metadata": {"name": name}}
    return [
        (SERVICES, {**meta, "spec": service}),
        (collection, {**of_routes, "spec": {**of_routes["spec"], "addresses": [place]}}),
        (
            f"/apis/{NETWORKING}/v1/namespaces/{NAMESPACE}/gateways",
            {"apiVersion": f"{NETWORKING}/v1", "kind": "Gateway", **meta, "spec": of_istio},
        ),
    ]
