# SPDX-License-Identifier: GPL-3.0-or-later
"""What metrics-server is in a cluster: its account and rights, one pod, a Service, and the API that it answers."""

from __future__ import annotations

from typing import Any

NAMESPACE, NAME = "kube-system", "metrics-server"
PORT = 10250
GROUP = "rbac.authorization.k8s.io"
LABELS = {"app": NAME}
SUBJECTS = [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]


def manifests(image: str) -> dict[str, Any]:
    """A List for kubectl apply."""
    items = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(NAME)}]
    return {"apiVersion": "v1", "kind": "List", "items": [*items, *_rights(), _deployment(image), _service(), _api()]}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE}


def _rights() -> list[dict[str, Any]]:
    """To measure nodes and pods, and to ask the API server who is asking."""
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    measuring = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"system:{NAME}"},
        "rules": rules,
    }
    return [
        measuring,
        _binding("ClusterRoleBinding", {"name": f"system:{NAME}"}, "ClusterRole", f"system:{NAME}"),
        _binding("ClusterRoleBinding", {"name": f"{NAME}-delegator"}, "ClusterRole", "system:auth-delegator"),
        _binding("RoleBinding", _named(f"{NAME}-reader"), "Role", "extension-apiserver-authentication-reader"),
    ]


def _binding(kind: str, metadata: dict[str, Any], role_kind: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
        "subjects": SUBJECTS,
    }


def _deployment(image: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={PORT}",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-insecure-tls",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",  # the program refuses one that is no shorter than the resolution
        ],
        "ports": [{"name": "https", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"}, "periodSeconds": 2},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _named(NAME),
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {"serviceAccountName": NAME, "containers": [container]},
            },
        },
    }


def _service() -> dict[str, Any]:
    spec = {"selector": LABELS, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(NAME), "spec": spec}


def _api() -> dict[str, Any]:
    spec = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,  # it makes its own certificate at its start
        "service": {"name": NAME, "namespace": NAMESPACE},
    }
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": spec,
    }
