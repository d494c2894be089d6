# SPDX-License-Identifier: GPL-3.0-or-later
"""The application that the demonstration releases, as a user would have it: a Deployment and a Service."""

from __future__ import annotations

import json
from typing import Any

NAME, CONTAINER, PORT, REPLICAS = "web", "web", 8080, 10
NAMESPACE = "demo"
# Long enough for every kube-proxy to have dropped a pod that is ending before it stops answering.
DRAIN_MS = 5000


def image(version: str) -> str:
    return f"lab.local/app:{version}"


def manifests(version: str) -> str:
    """JSON documents for kubectl apply."""
    documents = (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _deployment(version),
        _service(),
    )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})


def _deployment(version: str) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": image(version),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "DRAIN_MS", "value": str(DRAIN_MS)}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": NAME}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 15,
                    "containers": [container],
                },
            },
        },
    }


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
