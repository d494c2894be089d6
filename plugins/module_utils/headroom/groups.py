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

from collections import Counter
from dataclasses import replace
from itertools import accumulate
from typing import Callable, Mapping, Sequence

from ..values import dataclass
from .board import Board
from .filters import copies, fixed_objection
from .placement import places_all
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
# Cluster Autoscaler adds no node for pods below this priority (--expendable-pods-priority-cutoff); Karpenter knows no such thing.
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
    """`count` new nodes of a group hold all copies that found no place; each takes `per_node` of them.

    `partial`: only together with the other purchases, because no group alone has room for so many nodes.
    `hasty`: how many more an autoscaler may add that looks while old pods are still ending.
    """

    group: Group
    count: int
    per_node: int
    partial: bool = False
    hasty: int = 0

    @property
    def most(self) -> int:
        """How many there may be in the end."""
        return self.count + self.hasty


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
    """For each group that would do alone: how many new nodes. If there is none that has room for so many, what several do together.

    Groups that would not do, or have no room left, are left out.
    """
    if pod.priority < EXPENDABLE_BELOW:
        known = tuple(group for group in known if NODEPOOL in group.template.labels)
    found = _by_closed_form(scene, pod, volumes, unplaced, known)
    if found is None:
        found = [one for group in known if (one := _purchase(scene, pod, volumes, wanted, unplaced, group)) is not None]
    alone = [one for one in found if one.group.room is None or one.count <= one.group.room]
    return alone or _together(scene, pod, volumes, wanted, unplaced, found)


def with_hasty(bought: Sequence[Purchase], sooner: Sequence[Purchase]) -> tuple[Purchase, ...]:
    """What has to be bought, with what else may be: as many as it would take at once (`sooner`), within the room of each group.

    Worked example: 1 of a group in the end, 2 of it at once -> 1 and 1 hasty. Not to be had in that number: all the room that it has.
    """
    wished = {one.group.kind: one.count for one in sooner}
    most = [wished.get(one.group.kind, one.group.room or 0) for one in bought]
    return tuple(replace(one, hasty=max(one.most, top) - one.count) for one, top in zip(bought, most, strict=True))


def heavier(one: Purchase, other: Purchase) -> Purchase:
    """What does for two moments: the larger of both numbers, and what there may be at most of either."""
    count = max(one.count, other.count)
    return replace(one, count=count, hasty=max(one.most, other.most) - count)


def _by_closed_form(
    scene: Scene, pod: Incoming, volumes: VolumeRules, unplaced: int, known: tuple[Group, ...]
) -> list[Purchase] | None:
    """One look at a new node of each kind, where copies do not influence each other; None where they do."""
    fresh = [_named(group.template, f"new-{number}") for number, group in enumerate(known)]
    loads = {node.name: group.load for node, group in zip(fresh, known, strict=True)}
    board = Board(scene.with_nodes(fresh, loads), pod, volumes)
    if not board.is_independent:
        return None
    kinds = {node.name: group for node, group in zip(fresh, known, strict=True)}
    return [
        Purchase(kinds[board.candidates[index].name], -(-unplaced // board.room[index]), board.room[index])
        for index in board.open_nodes()
        if board.candidates[index].name in kinds
    ]


def _together(
    scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int, unplaced: int, found: list[Purchase]
) -> list[Purchase]:
    """As many nodes as each group has room for, those that take most copies first, until all copies have a place."""
    nodes: list[Purchase] = []
    shared: Counter[str] = Counter()
    for one in sorted(found, key=lambda it: -it.per_node):
        # Kinds of one group share its room; how much of it a node of another kind takes is not told, so it is taken to be one.
        more = max(0, (one.group.room or 0) - shared[one.group.name])
        nodes.extend([one] * more)
        shared[one.group.name] += more
    held = list(accumulate(one.per_node for one in nodes))
    if not held or held[-1] < unplaced:
        return []
    enough = next(number for number, total in enumerate(held, 1) if total >= unplaced)
    taken = _least(enough, len(nodes), lambda number: _holds(scene, pod, volumes, wanted, nodes[:number]))
    counts = Counter(one.group.kind for one in nodes[:taken]) if taken else {}
    by_kind = {one.group.kind: one for one in nodes}
    return [replace(by_kind[kind], count=count, partial=True) for kind, count in counts.items()]


def _holds(scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int, taken: list[Purchase]) -> bool:
    """Whether all copies find a place with one new node for each entry."""
    fresh = [_named(one.group.template, f"new-{number}") for number, one in enumerate(taken)]
    loads = {node.name: one.group.load for node, one in zip(fresh, taken, strict=True)}
    return places_all(Board(scene.with_nodes(fresh, loads), pod, volumes), wanted)


def _purchase(
    scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int, unplaced: int, group: Group
) -> Purchase | None:
    per_node = copies(pod, group.template, group.load)
    if per_node <= 0 or fixed_objection(pod, group.template, volumes) is not None:
        return None

    def holds(count: int) -> bool:
        return _holds(scene, pod, volumes, wanted, [Purchase(group, count, per_node)] * count)

    count = _least(-(-unplaced // per_node), unplaced, holds)
    return None if count is None else Purchase(group, count, per_node)


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The least number from `low` to `high` that holds, by halves: what holds does so with more nodes, too. None: not even `high`."""
    if holds(low):
        return low
    if low >= high or not holds(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _as_new(node: Node) -> Node:
    lasting = tuple(taint for taint in node.taints if not taint.key.startswith(_PASSING_TAINTS))
    return replace(node, taints=lasting)


def _named(template: Node, name: str) -> Node:
    labels = {**template.labels, HOSTNAME: name} if HOSTNAME in template.labels else template.labels
    return replace(template, name=name, labels=labels)
