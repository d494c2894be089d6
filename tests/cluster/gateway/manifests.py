# SPDX-License-Identifier: GPL-3.0-or-later
"""What Traefik may do in a cluster, and the Gateways that it serves there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..rights import Manifests, granted

NAMESPACE, USER = "gateway", "traefik"
CONTROLLER = "traefik.io/gateway-controller"
# Each Traefik serves the Gateways of one class, and would call those of another unserved: it has no such port.
SERVED_BY = "lab.coalmine/served-by"
GROUP = "gateway.networking.k8s.io"
GATEWAY_API = f"/apis/{GROUP}/v1"
GATEWAYS = f"{GATEWAY_API}/namespaces/{NAMESPACE}/gateways"
_READ = ["get", "list", "watch"]
_WITH_STATUS = (
    "gatewayclasses",
    "gateways",
    "httproutes",
    "grpcroutes",
    "tlsroutes",
    "tcproutes",
    "backendtlspolicies",
)


def rights() -> Manifests:
    """Collection and manifest of each; the rules are those of Traefik's own documentation (kubernetes-gateway-rbac.yml and
    kubernetes-ingress-nginx-rbac.yml)."""
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "services", "secrets", "configmaps"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": [GROUP], "resources": ["*"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        {"apiGroups": [GROUP], "resources": [f"{kind}/status" for kind in _WITH_STATUS], "verbs": ["update"]},
    ]
    return of_controller(USER, rules)


def of_controller(user: str, rules: Sequence[dict[str, Any]]) -> Manifests:
    """These rights in the whole cluster, for the user and for a ServiceAccount of this name."""
    account = {"kind": "ServiceAccount", "name": user, "namespace": NAMESPACE}
    return [
        ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
        (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": user}}),
        *granted(user, rules, account),
    ]


def ingress_class(name: str) -> Manifests:
    """Of Ingresses that a Traefik serves as ingress-nginx would."""
    spec = {"controller": ingress_controller(name)}
    return [("/apis/networking.k8s.io/v1/ingressclasses", {"metadata": {"name": name}, "spec": spec})]


def ingress_controller(name: str) -> str:
    return f"lab.coalmine/{name}"


def gateway(name: str, port: int) -> Manifests:
    """Collection and manifest of a class and its Gateway, both of this name, which is open to routes of every namespace."""
    labelled = {"name": name, "labels": {SERVED_BY: name}}
    of_class = {**_kind("GatewayClass"), "metadata": labelled, "spec": {"controllerName": CONTROLLER}}
    return [(f"{GATEWAY_API}/gatewayclasses", of_class), gateway_of_class(name, port, name)]


def gateway_of_class(name: str, port: int, of_class: str, takes: str = "All") -> tuple[str, dict[str, Any]]:
    """Collection and manifest of a Gateway alone. `takes`: routes of which namespaces (`All`, `Same`)."""
    listener = {
        "name": "web", "protocol": "HTTP", "port": port, "allowedRoutes": {"namespaces": {"from": takes}},
    }  # fmt: skip
    spec = {"gatewayClassName": of_class, "listeners": [listener]}
    found = {**_kind("Gateway"), "metadata": {"name": name}, "spec": spec}
    return GATEWAYS, found


def _kind(kind: str) -> dict[str, str]:
    """Which a server wants to be told of custom resources."""
    return {"apiVersion": f"{GROUP}/v1", "kind": kind}
