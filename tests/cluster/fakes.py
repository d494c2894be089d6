# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake nodes: objects whose pods kwok moves through the stages of stages/*.yaml. The scheduler that fills them is real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .api import Api
from .construction import Construction
from .paths import SOURCES

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


def start_fake_nodes(site: Construction, api: Api, count: int, capacity: Capacity, pod_range: str = POD_RANGE) -> None:
    """Creates the nodes and starts kwok; its pods get addresses of `pod_range` (objects only: nothing listens there)."""
    stages = site.layout.directory / "stages.yaml"
    stages.write_text("\n---\n".join(path.read_text() for path in sorted((SOURCES / "stages").glob("*.yaml"))))
    for number in range(count):
        api.request("POST", "/api/v1/nodes", node(number, capacity))
    site.run("kwok", [
        site.binaries / "kwok", f"--kubeconfig={site.layout.kubeconfig}", f"--config={stages}", f"--cidr={pod_range}",
        "--manage-all-nodes=false", f"--manage-nodes-with-annotation-selector={_selector()}",
    ])  # fmt: skip


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
