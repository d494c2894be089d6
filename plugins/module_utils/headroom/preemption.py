# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many copies would have a node once the scheduler has evicted pods of lower priority.

Source: plugins/defaultpreemption: on one node at a time, all pods of lower priority are taken away; if the pod fits then, as many
as possible are spared, the most important first. Disruption budgets are best effort there and not looked at here, and which node
is chosen follows the scheduler's first criteria only: the answer is an approximation, and is said to be one.
This module is private to the collection.
"""

from __future__ import annotations

from .board import Board
from .filters import fixed_objection
from .scene import Scene
from .views import Incoming, Node, Pod
from .volumes import VolumeRules

# Nodes on which the full rules are tried for one eviction; beyond it only those with the most to evict.
MOST_NODES = 200


def after_preemption(scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int) -> int:
    """How many of `wanted` copies have a node, or a node promised, after preemption. Preemption must be allowed to the pod."""
    placed = 0
    while placed < wanted:
        board = Board(scene, pod, volumes)
        choices = board.open_nodes()
        if choices:
            scene = _with_copy(scene, pod, board.candidates[choices[0]])
        else:
            made_room = _evict_somewhere(scene, pod, volumes)
            if made_room is None:
                break
            node, scene = made_room
            scene = _with_copy(scene, pod, node)
        placed += 1
    return placed


def _evict_somewhere(scene: Scene, pod: Incoming, volumes: VolumeRules) -> tuple[Node, Scene] | None:
    """The cluster after the cheapest eviction that lets the pod in, and where; None when none does."""
    nodes = [node for node in scene.nodes if not fixed_objection(pod, node, volumes) and _evictable(scene, pod, node)]
    nodes.sort(key=lambda node: len(_evictable(scene, pod, node)))
    best: tuple[tuple[int, int, int], Node, Scene] | None = None
    for node in nodes[:MOST_NODES]:
        victims = _victims(scene, pod, node, volumes)
        if victims is None:
            continue
        cost = (max(one.priority for one in victims), sum(one.priority + 2**31 for one in victims), len(victims))
        if best is None or cost < best[0]:
            best = (cost, node, scene.without(victims))
    return None if best is None else (best[1], best[2])


def _evictable(scene: Scene, pod: Incoming, node: Node) -> list[Pod]:
    return [one for one in scene.load(node.name).kept if one.priority < pod.priority]


def _victims(scene: Scene, pod: Incoming, node: Node, volumes: VolumeRules) -> list[Pod] | None:
    """Whom the scheduler would evict here (`SelectVictimsOnNode`), None when that does not help."""
    gone = _evictable(scene, pod, node)
    if not _takes(scene.without(gone), pod, node, volumes):
        return None
    for one in sorted(gone, key=lambda other: (-other.priority, other.started)):
        spared = [other for other in gone if other is not one]
        if _takes(scene.without(spared), pod, node, volumes):
            gone = spared
    return gone or None


def _takes(scene: Scene, pod: Incoming, node: Node, volumes: VolumeRules) -> bool:
    board = Board(scene, pod, volumes)
    return any(board.candidates[index].name == node.name for index in board.open_nodes())


def _with_copy(scene: Scene, pod: Incoming, node: Node) -> Scene:
    """The cluster with one more copy of the pod on this node."""
    return scene.with_pod(pod.as_pod(node.name))
