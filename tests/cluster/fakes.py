# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake nodes: objects whose pods kwok moves through the stages of stages/*.yaml. The scheduler that fills them is real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api import Api
from .construction import Construction
from .controlplane import LOOPBACK
from .paths import SOURCES
from .ports import free_ports

MANAGED = {"kwok.x-k8s.io/node": "fake"}
POD_RANGE = "10.202.0.0/16"
ZONES = 3


@dataclass(frozen=True)
class Capacity:
    """What a fake node can hold, as Kubernetes quantities."""

    cpu: str = "32"
    memory: str = "64Gi"
    pods: int = 110

    def resources(self) -> dict[str, str]:
        return {"cpu": self.cpu, "memory": self.memory, "pods": str(self.pods)}


ORDINARY = Capacity()


# in the format of the container runtime interface: what `kubectl logs` prints is the last part
LOG_LINE = "fatal: no connection to the database (every fake container says this)"
LOG = f"2026-01-01T00:00:00.000000000Z stderr F {LOG_LINE}\n"


def start_fake_nodes(site: Construction, api: Api, count: int, capacity: Capacity, pod_range: str = POD_RANGE) -> None:
    """Creates the nodes and starts kwok; its pods get addresses of `pod_range` (objects only: nothing listens there)."""
    for number in range(count):
        api.request("POST", "/api/v1/nodes", node(number, capacity))
    pki, (port,) = site.layout.pki, free_ports(1)
    site.run("kwok", [
        site.binaries / "kwok", f"--kubeconfig={site.layout.kubeconfig}", f"--config={_write_config(site)}",
        "--manage-all-nodes=false", f"--manage-nodes-with-annotation-selector={_selector()}", f"--cidr={pod_range}",
        # where the API server finds the logs of fake containers
        f"--server-address={LOOPBACK}:{port}", f"--node-ip={LOOPBACK}", f"--node-port={port}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}", f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
    ])  # fmt: skip


def _write_config(site: Construction) -> Path:
    """All stages, and the log that every fake container has, in one file."""
    log = site.layout.directory / "fake-containers.log"
    log.write_text(LOG)
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [{"logsFile": str(log), "follow": False}]},
    }
    stages = [path.read_text() for path in sorted((SOURCES / "stages").glob("*.yaml"))]
    config = site.layout.directory / "kwok.yaml"
    config.write_text("\n---\n".join([*stages, json.dumps(logs)]))
    return config


def node(
    number: int, capacity: Capacity, labels: Mapping[str, str] | None = None, taints: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """The manifest of fake node `number`; the nodes spread over three zones."""
    name = f"fake-{number}"
    own = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "type": "kwok",
        "topology.kubernetes.io/zone": f"zone-{number % ZONES}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": MANAGED, "labels": own | dict(labels or {})},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": capacity.resources(), "capacity": capacity.resources()},
    }


def _selector() -> str:
    return ",".join(f"{key}={value}" for key, value in MANAGED.items())
