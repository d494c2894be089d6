# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board on which copies of one pod are placed one after another, as the scheduler would let them.

This module is private to the collection.
"""

from __future__ import annotations

from copy import copy
from typing import Iterable, Sequence

from .filters import Rejection, copies, fixed_objection, shortage
from .neighbours import Neighbours
from .scene import Load, Scene
from .spreading import Spreading
from .views import Incoming, Node, Pod
from .volumes import VolumeRules

FULL = "full"
CLAIM_IN_USE = "claim in use by another pod (ReadWriteOncePod)"


class Board:
    """`candidates` are the nodes that nothing fixed keeps the pod from; `rejected` says why each of the others never takes it.

    `room` is how many copies each candidate still holds by what is free on it.
    """

    def __init__(self, scene: Scene, pod: Incoming, volumes: VolumeRules) -> None:
        self._pod = pod
        self._volumes = volumes
        self._promised = {name: _outranking(pods, pod) for name, pods in scene.nominated.items()}
        self._neighbours = Neighbours(pod, scene)
        self._spreading = Spreading(pod, scene)
        self._claims_held = sum(scene.claims_in_use.get((pod.namespace, claim), 0) for claim in volumes.single)
        self._nodes = {node.name: node for node in scene.nodes}
        self._index: dict[str, int] = {}
        self._loads: list[Load] = []
        self._copies: list[int] = []
        self.rejected: dict[str, Rejection] = {}
        self.candidates: list[Node] = []
        self.room: list[int] = []
        for node in scene.nodes:
            self._sort_in(node, scene.load(node.name))

    def copy(self) -> Board:
        """The same position, to be played on apart from this one. Much cheaper than a new board of a large cluster."""
        twin = copy(self)
        twin._neighbours, twin._spreading = self._neighbours.copy(), self._spreading.copy()
        twin._loads, twin._copies, twin.room = list(self._loads), list(self._copies), list(self.room)
        return twin

    @property
    def is_independent(self) -> bool:
        """Whether copies do not influence each other's choice of a node, but for the room on it."""
        return not (self._neighbours.changes_with_copies or self._spreading.changes_with_copies or self._volumes.single)

    def objection(self, index: int) -> str | None:
        """Why the candidate refuses the next copy now."""
        if self.room[index] <= 0:
            return FULL
        if self._claims_held > 0:
            return CLAIM_IN_USE
        node = self.candidates[index]
        promised = self._promised.get(node.name, ())
        return self._spreading.objection(node, promised) or self._neighbours.objection(node, promised)

    def place(self, index: int) -> None:
        """Puts a copy on a candidate."""
        self._move(index, 1)

    def take_back(self, index: int) -> None:
        """Undoes `place`."""
        self._move(index, -1)

    def remove(self, pod: Pod) -> None:
        """Takes an existing pod, one that was kept, off its node."""
        self._recount(pod, -1)
        index = self._index.get(pod.node)
        if index is not None:
            self._set_load(index, self._loads[index].without({id(pod)}))

    def takes_without(self, index: int, pods: Sequence[Pod]) -> bool:
        """Whether this candidate would take the next copy if these pods of its own were gone. Nothing stays changed."""
        return self.room_without(index, pods) > 0

    def room_without(self, index: int, pods: Sequence[Pod]) -> int:
        """How many more copies this candidate would hold if these pods of its own were gone, 0 if it refuses the next one."""
        if not pods:
            return self.room[index] if self.objection(index) is None else 0
        load = self._loads[index]
        for pod in pods:
            self._recount(pod, -1)
        self._set_load(index, load.without({id(pod) for pod in pods}))
        room = self.room[index] if self.objection(index) is None else 0
        for pod in pods:
            self._recount(pod, 1)
        self._set_load(index, load)
        return room

    def gain(self, pod: Pod) -> int:
        """How many more copies the node of this existing pod would hold without it, by what is free there alone."""
        index = self._index.get(pod.node)
        if index is None:
            return 0
        node, load = self.candidates[index], self._loads[index]
        return self._capacity(node, load.without({id(pod)})) - self._capacity(node, load)

    def open_nodes(self) -> list[int]:
        """All candidates that take the next copy."""
        return [index for index in range(len(self.candidates)) if self.objection(index) is None]

    def alike(self) -> list[list[int]]:
        """The candidates that have room, in groups whose members differ only in how much: to all copies one is as good as another.

        Members have the same value of every label by which copies count each other, and the same standing with the pods that are there.
        """
        found: dict[tuple[object, ...], list[int]] = {}
        for index, node in enumerate(self.candidates):
            if self.room[index] <= 0:
                continue
            promised = self._promised.get(node.name)
            sign = (index,) if promised else (self._neighbours.sign(node), self._spreading.sign(node))
            found.setdefault(sign, []).append(index)
        return list(found.values())

    def with_room(self, members: Sequence[int]) -> int | None:
        """The first of these that has room for a copy."""
        return next((index for index in members if self.room[index] > 0), None)

    def next_open(self, order: Sequence[int], start: int) -> int | None:
        """The first position in `order`, from `start` once around, of a candidate that takes the next copy."""
        for step in range(len(order)):
            position = (start + step) % len(order)
            if self.objection(order[position]) is None:
                return position
        return None

    def by_room(self) -> list[int]:
        """All candidates, the emptiest first."""
        return sorted(range(len(self.candidates)), key=lambda index: -self.room[index])

    def refusals(self) -> dict[str, Rejection]:
        """Why each node refuses the next copy, by node name; nodes that take it are left out."""
        found = dict(self.rejected)
        for index, node in enumerate(self.candidates):
            objection = self.objection(index)
            if objection == FULL:
                found[node.name] = self._shortage(node, self._loads[index]) or Rejection((FULL,))
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

    def _recount(self, pod: Pod, times: int) -> None:
        """Counts an existing pod out of the rules between pods, or in again."""
        node = self._nodes.get(pod.node)
        if node is None:
            return
        self._neighbours.recount(node, pod, times)
        self._spreading.recount(node, pod, times)
        if pod.namespace == self._pod.namespace:
            self._claims_held += times * sum(claim in self._volumes.single for claim in set(pod.claims))

    def _set_load(self, index: int, load: Load) -> None:
        self._loads[index] = load
        self.room[index] = self._capacity(self.candidates[index], load) - self._copies[index]

    def _sort_in(self, node: Node, load: Load) -> None:
        objection = self._volumes.blocked or fixed_objection(self._pod, node, self._volumes)
        if objection:
            self.rejected[node.name] = Rejection((objection,))
            return
        self._index[node.name] = len(self.candidates)
        self.candidates.append(node)
        self._loads.append(load)
        self._copies.append(0)
        self.room.append(self._capacity(node, load))

    def _capacity(self, node: Node, load: Load) -> int:
        """Copies that fit both with and without the pods that are promised to the node."""
        room = copies(self._pod, node, load)
        promised = self._promised.get(node.name, ())
        return min(room, copies(self._pod, node, load, promised)) if promised else room

    def _shortage(self, node: Node, load: Load) -> Rejection | None:
        alone = shortage(self._pod, node, load)
        return alone or shortage(self._pod, node, load, self._promised.get(node.name, ()))

    def _move(self, index: int, step: int) -> None:
        node = self.candidates[index]
        self.room[index] -= step
        self._copies[index] += step
        self._claims_held += step * len(self._volumes.single)
        self._neighbours.place(node, step)
        self._spreading.place(node, step)


def _outranking(promised: Iterable[Pod], pod: Incoming) -> tuple[Pod, ...]:
    """Promised pods that the incoming pod must yield to (RunFilterPluginsWithNominatedPods)."""
    return tuple(one for one in promised if one.priority >= pod.priority)
