# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as it is after an autoscaler has brought the old version to the replicas that are assumed.

Those pods hold room and quota before the first canary pod comes. They are put on the emptiest nodes that take them, as the
scheduler's default scoring tends to do; which nodes it will be is not certain, so such an answer is an approximation.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, Mapping

from ..values import dataclass
from .board import Board
from .finding import Question
from .placement import place_around
from .quantity import greatest
from .scene import Scene
from .views import incoming_view, pod_view
from .volumes import Storage, volume_rules


def grown(question: Question) -> tuple[Question, int]:
    """The question with the pods of the old version that are not there yet, and how many of these find no node."""
    if not question.absent or question.absent_pod is None or not question.cluster_known:
        return question, 0
    owner = min(question.owners - {question.canary_owner}, default="")
    asked = Newcomers(question.absent_pod, question.minor, question.absent, owner, question.storage, question.old_pod)
    scene, homeless = joined(question.scene, asked)
    return replace(question, scene=scene), homeless


@dataclass(frozen=True)
class Newcomers:
    """So many more pods like `pod`. `shown`: a running one of their kind, which shows what admission has added."""

    pod: Mapping[str, Any]
    minor: int
    count: int
    owner: str = ""
    storage: Storage = field(default_factory=Storage)
    shown: Mapping[str, Any] | None = None


def joined(scene: Scene, come: Newcomers) -> tuple[Scene, int]:
    """The cluster with them, and how many of them find no node."""
    running = pod_view(come.pod, come.minor)
    if come.shown is not None:
        shown = pod_view(come.shown, come.minor).request
        running = running._replace(kind=replace(running.kind, request=greatest(running.request, shown)))
    asked = replace(incoming_view(come.pod, come.minor), request=running.request)
    board = Board(scene, asked, volume_rules(asked, come.storage))
    places = [board.candidates[index].name for index in place_around(board, come.count, board.by_room())]
    kind = replace(running.kind, owner=come.owner, owner_kind="ReplicaSet")
    loads = dict(scene.loads)
    for place in places:
        load = loads[place].copy()
        load.take(running._replace(kind=kind, node=place, terminating=False))
        loads[place] = load
    return replace(scene, loads=loads), come.count - len(places)
