# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new node would look like, and how many of them the pods that found no place would need.

A node's group is read off its labels. A new node is taken to be like a Ready one of its group with nothing on it but its DaemonSet
and static pods, which is how Cluster Autoscaler predicts it. A group whose nodes are of several instance or capacity types (Karpenter's
often are) is looked at once for each. Which group is chosen is the autoscaler's own taste: a range is given.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping

from .board import Board
from .filters import copies, fixed_objection
from .placement import fit
from .scene import Load, Scene
from .views import HOSTNAME, Incoming, Node
from .volumes import VolumeRules

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
NODEPOOL = "karpenter.sh/nodepool"
GROUP_LABELS = (
    NODEPOOL,
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
)
_SPOT_LABELS = {
    "karpenter.sh/capacity-type": None,
    "eks.amazonaws.com/capacityType": None,
    "cloud.google.com/gke-spot": "spot",
    "cloud.google.com/gke-preemptible": "preemptible",
    "kubernetes.azure.com/scalesetpriority": None,
}
# Taints that come and go with a node's condition; a new node has none of them.
_PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidate",
)
# Cluster Autoscaler adds no node for pods below this priority (--expendable-pods-priority-cutoff).
EXPENDABLE_BELOW = -10


# What tells nodes of one kind from others: the name of their group, their instance type, their capacity type.
Kind = tuple[str, str, str]


@dataclass(frozen=True)
class Group:
    """Nodes of one kind. `template` is an empty one; `room` how many more may be added, None when that is not known.

    `members`: the names of the nodes of this kind that are there, `zones`: where they are.
    """

    name: str
    template: Node
    load: Load
    members: tuple[str, ...]
    zones: frozenset[str]
    room: int | None

    @property
    def kind(self) -> Kind:
        return self.name, self.instance_type or "", self.capacity_type or ""

    @property
    def instance_type(self) -> str | None:
        return self.template.labels.get(INSTANCE_TYPE)

    @property
    def capacity_type(self) -> str | None:
        return capacity_type(self.template.labels)


@dataclass(frozen=True)
class Purchase:
    """`count` new nodes of a group hold all copies that found no place; each takes `per_node` of them."""

    group: Group
    count: int
    per_node: int


def group_of(labels: Mapping[str, str], user_label: str | None = None) -> str | None:
    """The name of the node group, None when no label tells."""
    for key in (user_label, *GROUP_LABELS):
        if key and labels.get(key):
            return labels[key]
    return None


def capacity_type(labels: Mapping[str, str]) -> str | None:
    """Spot, on-demand and so on, in lower case as the provider's label says; None when no label tells."""
    for key, meaning in _SPOT_LABELS.items():
        if labels.get(key):
            return meaning or labels[key].lower().replace("_", "-")
    return None


def groups(scene: Scene, rooms: Mapping[Kind, int], user_label: str | None = None) -> tuple[Group, ...]:
    """All groups that have a Ready node to learn from. Nodes without a group label are grouped by instance type, or by size."""
    found: dict[Kind, list[Node]] = {}
    for node in scene.nodes:
        name = group_of(node.labels, user_label) or f"nodes like {node.labels.get(INSTANCE_TYPE) or node.name}"
        kind = (name, node.labels.get(INSTANCE_TYPE, ""), capacity_type(node.labels) or "")
        found.setdefault(kind, []).append(node)
    result = []
    for kind, members in sorted(found.items()):
        ready = [node for node in members if node.ready and not node.unschedulable]
        if ready:
            load = scene.load(ready[0].name)
            resident = Load(count=load.daemon_count, request=dict(load.daemon_request))
            names = tuple(node.name for node in members)
            zones = frozenset(node.labels[ZONE] for node in members if ZONE in node.labels)
            result.append(Group(kind[0], _as_new(ready[0]), resident, names, zones, rooms.get(kind)))
    return tuple(result)


def purchases(
    scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int, unplaced: int, known: tuple[Group, ...]
) -> list[Purchase]:
    """For each group that would do: how many new nodes. Groups that would not, or have no room left, are left out."""
    if pod.priority < EXPENDABLE_BELOW:
        return []
    found = (_purchase(scene, pod, volumes, wanted, unplaced, group) for group in known)
    return [one for one in found if one is not None and (one.group.room is None or one.count <= one.group.room)]


def _purchase(
    scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int, unplaced: int, group: Group
) -> Purchase | None:
    per_node = copies(pod, group.template, group.load)
    if per_node <= 0 or fixed_objection(pod, group.template, volumes) is not None:
        return None
    count = -(-unplaced // per_node)
    while count <= unplaced:
        names = [f"new-{number}" for number in range(count)]
        fresh = [_named(group.template, name) for name in names]
        grown = scene.with_nodes(fresh, dict.fromkeys(names, group.load))
        if fit(Board(grown, pod, volumes), wanted).least >= wanted:
            return Purchase(group, count, per_node)
        count += 1
    return None


def _as_new(node: Node) -> Node:
    lasting = tuple(taint for taint in node.taints if not taint.key.startswith(_PASSING_TAINTS))
    return replace(node, taints=lasting)


def _named(template: Node, name: str) -> Node:
    labels = {**template.labels, HOSTNAME: name} if HOSTNAME in template.labels else template.labels
    return replace(template, name=name, labels=labels)
