# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes would take one copy of a pod by themselves, and how many copies each holds: all filters that other copies do not touch.

Source: the default Filter plugins of kube-scheduler 1.34 to 1.37 (pkg/scheduler/apis/config/v1/default_plugins.go), in their order.
This module is private to the collection.
"""

from __future__ import annotations

from typing import Iterable, Mapping

from ..values import dataclass
from . import selectors as sel
from .scene import Load
from .views import Incoming, Node, Pod
from .volumes import VolumeRules

TOO_MANY_PODS = "Too many pods"
PORTS_TAKEN = "host ports in use"
DISK_CONFLICT = "disk in use"


@dataclass(frozen=True)
class Rejection:
    """Why a node refuses the pod. `short_of`: missing amounts in the scheduler's units. `curable`: evicting pods could help."""

    reasons: tuple[str, ...]
    curable: bool = False
    short_of: tuple[tuple[str, int], ...] = ()


def fixed_objection(pod: Incoming, node: Node, volumes: VolumeRules) -> str | None:
    """What no eviction changes: cordon, name, taints, node affinity, volumes, declared features."""
    if node.unschedulable and not any(one.tolerates(sel.UNSCHEDULABLE) for one in pod.tolerations):
        return "cordoned"
    if pod.node_name and pod.node_name != node.name:
        return "pod names another node"
    if node.taints:
        taint = sel.untolerated(node.taints, pod.tolerations)
        if taint is not None:
            return f"untolerated taint {taint}"
    if not pod.wants_node(node):
        return "node selector or affinity"
    objection = volumes.objection(node)
    if objection is not None:
        return objection
    if not pod.features <= node.features:
        return f"lacks node feature {', '.join(sorted(pod.features - node.features))}"
    return None


def shortage(pod: Incoming, node: Node, load: Load, extra: Iterable[Pod] = ()) -> Rejection | None:
    """What the pods on the node leave too little of (`fitsRequest`, plugins/noderesources/fit.go), ports and disks.

    `extra` are pods that are promised to this node. Resources that the pod does not ask for are not looked at, so that a pod
    without requests fits on an overcommitted node.
    """
    extra = tuple(extra)
    reasons: list[str] = []
    short: list[tuple[str, int]] = []
    curable = True
    if load.count + len(extra) + 1 > node.pods:
        reasons.append(TOO_MANY_PODS)
    for name, wanted in pod.request.items():
        if wanted <= 0:
            continue
        held = load.request.get(name, 0) + sum(one.request.get(name, 0) for one in extra)
        missing = wanted - (node.allocatable.get(name, 0) - held)
        if missing > 0:
            reasons.append(f"Insufficient {name}")
            short.append((name, missing))
            curable = curable and wanted <= node.allocatable.get(name, 0)
    if pod.ports and _ports_conflict(pod, load, extra):
        reasons.append(PORTS_TAKEN)
    if pod.disks and any(mine.conflicts(other) for mine in pod.disks for other in load.disks):
        reasons.append(DISK_CONFLICT)
    return Rejection(tuple(reasons), curable, tuple(short)) if reasons else None


def copies(pod: Incoming, node: Node, load: Load, extra: Iterable[Pod] = ()) -> int:
    """How many copies of the pod the node holds by these rules alone: the floor of what is free over what one takes. Never negative."""
    extra = tuple(extra)
    most = node.pods - load.count - len(extra)
    for name, wanted in pod.request.items():
        if wanted > 0:
            held = load.request.get(name, 0) + sum(one.request.get(name, 0) for one in extra)
            most = min(most, (node.allocatable.get(name, 0) - held) // wanted)
    if most > 0 and pod.ports:
        most = 0 if _ports_conflict(pod, load, extra) else 1
    if most > 0 and pod.disks:
        if any(mine.conflicts(other) for mine in pod.disks for other in load.disks):
            most = 0
        elif any(mine.conflicts(other) for mine in pod.disks for other in pod.disks):
            most = 1
    return max(0, most)


def _ports_conflict(pod: Incoming, load: Load, extra: Iterable[Pod]) -> bool:
    taken = (*load.ports, *(port for one in extra for port in one.ports))
    return any(mine.conflicts(other) for mine in pod.ports for other in taken)


def tally(rejections: Iterable[Rejection]) -> Mapping[str, int]:
    """How many nodes give each reason, the most frequent first."""
    counts: dict[str, int] = {}
    for rejection in rejections:
        for reason in rejection.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
