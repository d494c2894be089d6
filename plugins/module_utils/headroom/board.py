# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board on which copies of one pod are placed one after another, as the scheduler would let them.

This module is private to the collection.
"""

from __future__ import annotations

from .filters import Rejection, copies, fixed_objection, shortage
from .neighbours import Neighbours
from .scene import Scene
from .spreading import Spreading
from .views import Incoming, Node
from .volumes import VolumeRules


class Board:
    """`candidates` are the nodes that may take a copy at some point; `rejected` says why each of the others never will."""

    def __init__(self, scene: Scene, pod: Incoming, volumes: VolumeRules) -> None:
        self._pod = pod
        self._scene = scene
        self._volumes = volumes
        self.rejected: dict[str, Rejection] = {}
        self.candidates: list[Node] = []
        self.room: list[int] = []
        self._promised = {name: _outranking(pods, pod) for name, pods in scene.nominated.items()}
        self._neighbours = Neighbours(pod, scene)
        self._spreading = Spreading(pod, scene)
        self._claim_free = not volumes.single or not volumes.is_in_use(pod.namespace, scene)
        self._placed = 0
        for node in scene.nodes:
            self._sort_in(node)

    @property
    def placed(self) -> int:
        return self._placed

    @property
    def is_independent(self) -> bool:
        """Whether copies do not influence each other's choice of a node, but for the room on it."""
        return not (self._neighbours.changes_with_copies or self._spreading.changes_with_copies or self._volumes.single)

    def objection(self, index: int) -> str | None:
        """Why the candidate refuses the next copy now."""
        if self.room[index] <= 0:
            return "full"
        if self._volumes.single and (self._placed or not self._claim_free):
            return "claim in use by another pod (ReadWriteOncePod)"
        return self._crowd_objection(self.candidates[index])

    def place(self, index: int) -> None:
        """Puts a copy on a candidate."""
        self._move(index, 1)

    def take_back(self, index: int) -> None:
        """Undoes `place`."""
        self._move(index, -1)

    def open_nodes(self) -> list[int]:
        """All candidates that take the next copy."""
        return [index for index in range(len(self.candidates)) if self.objection(index) is None]

    def refusals(self) -> dict[str, Rejection]:
        """Why each node refuses the next copy, by node name; nodes that take it are left out."""
        found = dict(self.rejected)
        for index, node in enumerate(self.candidates):
            objection = self.objection(index)
            if objection == "full":
                found[node.name] = self._shortage_after_copies(index)
            elif objection is not None:
                found[node.name] = Rejection((objection,), curable=True)
        return found

    def keeps_copies_apart_by_node(self) -> bool:
        """Whether the only influence of copies on each other is: not two on one node.

        That is so for anti-affinity to itself over a label that is different on each candidate.
        """
        keys = self._neighbours.repelled_keys
        if not keys or self._spreading.changes_with_copies or self._volumes.single or self._pod.affinity:
            return False
        values = [[node.labels.get(key) for node in self.candidates] for key in keys]
        return all(len({value for value in column if value is not None}) == len(column) for column in values)

    def _sort_in(self, node: Node) -> None:
        if self._volumes.blocked:
            self.rejected[node.name] = Rejection((self._volumes.blocked,))
            return
        objection = fixed_objection(self._pod, node, self._volumes)
        if objection is not None:
            self.rejected[node.name] = Rejection((objection,))
            return
        load, promised = self._scene.load(node.name), self._promised.get(node.name, ())
        room = (
            min(copies(self._pod, node, load), copies(self._pod, node, load, promised))
            if promised
            else copies(self._pod, node, load)
        )
        if room <= 0:
            refusal = shortage(self._pod, node, load) or shortage(self._pod, node, load, promised)
            if refusal is not None:
                self.rejected[node.name] = refusal
                return
        self.candidates.append(node)
        self.room.append(room)

    def _crowd_objection(self, node: Node) -> str | None:
        promised = self._promised.get(node.name, ())
        return self._spreading.objection(node, promised) or self._neighbours.objection(node, promised)

    def _shortage_after_copies(self, index: int) -> Rejection:
        return Rejection(("full after the copies placed before",), curable=False)

    def _move(self, index: int, step: int) -> None:
        node = self.candidates[index]
        self.room[index] -= step
        self._placed += step
        self._neighbours.place(node, step)
        self._spreading.place(node, step)


def _outranking(promised: tuple, pod: Incoming) -> tuple:
    """Promised pods that the incoming pod must yield to (RunFilterPluginsWithNominatedPods)."""
    return tuple(one for one in promised if one.priority >= pod.priority)
