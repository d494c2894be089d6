# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of nodes and pods that headroom reads. In a large cluster nothing else of them is decoded.

Whoever reads one more field of an object out of a list adds it here; a test watches what is read. Everything may be absent, and
null where Go writes null for nothing. Fields annotated LATER stay undecoded bytes: they are
compared for equality, and decoded only for the few pods a rule looks at.
This module is private to the collection.
"""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

# The word by which cluster/lists.py knows what it may leave undecoded.
LATER = "later"


class Owner(TypedDict, total=False):
    uid: str
    kind: str
    controller: bool | None


class Metadata(TypedDict, total=False):
    name: str
    namespace: str
    labels: Annotated[dict[str, str] | None, LATER]
    creationTimestamp: str | None
    deletionTimestamp: str | None
    ownerReferences: Annotated[list[Owner] | None, LATER]


class Condition(TypedDict, total=False):
    type: str
    status: str
    reason: str
    lastTransitionTime: str | None


class Resources(TypedDict, total=False):
    requests: dict[str, str] | None
    limits: dict[str, str] | None


class HostPort(TypedDict, total=False):
    hostIP: str
    hostPort: int
    protocol: str


class Container(TypedDict, total=False):
    name: str
    restartPolicy: str | None
    resources: Annotated[Resources | None, LATER]
    ports: Annotated[list[HostPort] | None, LATER]


class Claim(TypedDict, total=False):
    claimName: str


class Volume(TypedDict, total=False):
    persistentVolumeClaim: Claim | None
    gcePersistentDisk: dict[str, Any] | None
    awsElasticBlockStore: dict[str, Any] | None
    iscsi: dict[str, Any] | None
    rbd: dict[str, Any] | None


class AntiAffinity(TypedDict, total=False):
    requiredDuringSchedulingIgnoredDuringExecution: list[Any] | None


class Affinity(TypedDict, total=False):
    podAntiAffinity: AntiAffinity | None


class PodSpec(TypedDict, total=False):
    nodeName: str
    priority: int | None
    priorityClassName: str
    activeDeadlineSeconds: int | None
    containers: list[Container] | None
    initContainers: list[Container] | None
    volumes: list[Volume] | None
    affinity: Annotated[Affinity | None, LATER]
    overhead: dict[str, str] | None
    resources: Resources | None


class Granted(TypedDict, total=False):
    requests: dict[str, str] | None


class ContainerStatus(TypedDict, total=False):
    name: str
    resources: Annotated[Granted | None, LATER]
    allocatedResources: Annotated[dict[str, str] | None, LATER]


class PodStatus(TypedDict, total=False):
    phase: str
    nominatedNodeName: str
    startTime: str | None
    conditions: Annotated[list[Condition] | None, LATER]
    containerStatuses: list[ContainerStatus] | None
    initContainerStatuses: list[ContainerStatus] | None
    resources: Granted | None
    allocatedResources: dict[str, str] | None


class PodFields(TypedDict, total=False):
    """Of a pod that exists."""

    metadata: Metadata
    spec: PodSpec | None
    status: PodStatus | None


class Taint(TypedDict, total=False):
    key: str
    value: str
    effect: str


class NodeSpec(TypedDict, total=False):
    taints: list[Taint] | None
    unschedulable: bool | None


class NodeStatus(TypedDict, total=False):
    allocatable: dict[str, str] | None
    conditions: list[Condition] | None
    declaredFeatures: list[str] | None


class NodeFields(TypedDict, total=False):
    """Of a node."""

    metadata: Metadata
    spec: NodeSpec | None
    status: NodeStatus | None
