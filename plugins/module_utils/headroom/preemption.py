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
from .placement import place_around
from .scene import Scene
from .views import Incoming, Pod
from .volumes import VolumeRules

# The scheduler too is content with this many nodes to choose from (minCandidateNodesAbsolute).
ENOUGH_CANDIDATES = 100

_Cost = tuple[int, int, int]


def after_preemption(scene: Scene, pod: Incoming, volumes: VolumeRules, wanted: int) -> int:
    """How many of `wanted` copies have a node, or a node promised, after preemption. Preemption must be allowed to the pod."""
    board = Board(scene, pod, volumes)
    evictable = _evictable(scene, pod, board)
    placed = len(place_around(board, wanted, board.by_room()))
    while placed < wanted:
        choice = _cheapest(board, evictable)
        if choice is None:
            break
        index, victims = choice
        for victim in victims:
            board.remove(victim)
        evictable[index] = [one for one in evictable[index] if one not in victims]
        board.place(index)
        placed += 1 + len(place_around(board, wanted - placed - 1, board.by_room()))
    return placed


def _evictable(scene: Scene, pod: Incoming, board: Board) -> dict[int, list[Pod]]:
    """Pods of lower priority by candidate, those with fewest first."""
    found = {
        index: [one for one in scene.load(node.name).kept if one.priority < pod.priority]
        for index, node in enumerate(board.candidates)
    }
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


def _cheapest(board: Board, evictable: dict[int, list[Pod]]) -> tuple[int, list[Pod]] | None:
    """The node that the scheduler's first criteria prefer, and whom it would evict there; None when no eviction helps."""
    best: tuple[_Cost, int, list[Pod]] | None = None
    candidates = 0
    for index, pods in evictable.items():
        victims = _victims(board, index, pods) if pods else None
        if not victims:
            continue
        cost = (max(one.priority for one in victims), sum(one.priority + 2**31 for one in victims), len(victims))
        if best is None or cost < best[0]:
            best = (cost, index, victims)
        candidates += 1
        if candidates >= ENOUGH_CANDIDATES:
            break
    return None if best is None else best[1:]


def _victims(board: Board, index: int, pods: list[Pod]) -> list[Pod] | None:
    """Whom the scheduler would evict here (`SelectVictimsOnNode`), None when that does not help."""
    gone = pods
    if not _takes(board, index, gone):
        return None
    for one in sorted(pods, key=lambda other: (-other.priority, other.started)):
        spared = [other for other in gone if other is not one]
        if _takes(board, index, spared):
            gone = spared
    return gone


def _takes(board: Board, index: int, gone: list[Pod]) -> bool:
    with board.without(gone):
        return board.objection(index) is None
