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
    evictions = _Evictions(board, scene, pod)
    placed = len(place_around(board, wanted, board.by_room()))
    while placed < wanted:
        index = evictions.carry_out()
        if index is None:
            break
        board.place(index)
        placed += 1 + len(place_around(board, wanted - placed - 1, board.by_room()))
    return placed


class _Evictions:
    """Whom the scheduler would evict on each candidate. Where pods do not influence other nodes, that is worked out once a node."""

    def __init__(self, board: Board, scene: Scene, pod: Incoming) -> None:
        self._board = board
        self._is_local = board.is_independent and not (pod.affinity or pod.anti_affinity or pod.spreads)
        lower = {
            index: [one for one in scene.load(node.name).kept if one.priority < pod.priority]
            for index, node in enumerate(board.candidates)
        }
        self._evictable = {index: pods for index, pods in sorted(lower.items(), key=lambda item: len(item[1])) if pods}
        self._known: dict[int, list[Pod]] = {}

    def carry_out(self) -> int | None:
        """Evicts where the scheduler's first criteria prefer; answers with the candidate, None when no eviction helps."""
        best: tuple[_Cost, int] | None = None
        found = 0
        for index in self._evictable:
            victims = self._victims(index)
            if not victims:
                continue
            cost = (max(one.priority for one in victims), sum(one.priority + 2**31 for one in victims), len(victims))
            best = min(best or (cost, index), (cost, index))
            found += 1
            if found >= ENOUGH_CANDIDATES:
                break
        if best is None:
            return None
        self._evict(best[1])
        return best[1]

    def _evict(self, index: int) -> None:
        victims = self._known[index]
        for victim in victims:
            self._board.remove(victim)
        gone = set(map(id, victims))
        self._evictable[index] = [one for one in self._evictable[index] if id(one) not in gone]
        if self._is_local and not any(one.anti_affinity or one.claims for one in victims):
            del self._known[index]
        else:
            self._known.clear()

    def _victims(self, index: int) -> list[Pod]:
        """Whom the scheduler would evict here (`SelectVictimsOnNode`); nobody when that does not help."""
        if index in self._known:
            return self._known[index]
        gone = self._evictable[index]
        if not gone or not self._board.takes_without(index, gone):
            gone = []
        for one in sorted(gone, key=lambda other: (-other.priority, other.started)):
            spared = [other for other in gone if other is not one]
            if self._board.takes_without(index, spared):
                gone = spared
        self._known[index] = gone
        return gone
