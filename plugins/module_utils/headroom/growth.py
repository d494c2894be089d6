# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as it is after an autoscaler has brought the old version to the replicas that are assumed.

Those pods hold room and quota before the first canary pod comes. They are put on the emptiest nodes that take them, as the
scheduler's default scoring tends to do; which nodes it will be is not certain, so such an answer is an approximation.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from .board import Board
from .finding import Question
from .placement import place_around
from .quantity import greatest
from .views import incoming_view, pod_view
from .volumes import volume_rules


def grown(question: Question) -> tuple[Question, int]:
    """The question with the pods of the old version that are not there yet, and how many of these find no node."""
    if not question.absent or question.absent_pod is None or not question.cluster_known:
        return question, 0
    raw = question.absent_pod
    running = pod_view(raw, question.minor)
    if question.old_pod is not None:
        # A running one shows what admission has added.
        shown = pod_view(question.old_pod, question.minor).request
        running = running._replace(kind=replace(running.kind, request=greatest(running.request, shown)))
    asked = replace(incoming_view(raw, question.minor), request=running.request)
    board = Board(question.scene, asked, volume_rules(asked, question.storage))
    places = [board.candidates[index].name for index in place_around(board, question.absent, board.by_room())]
    owner = min(question.owners - {question.canary_owner}, default="")
    kind = replace(running.kind, owner=owner, owner_kind="ReplicaSet")
    loads = dict(question.scene.loads)
    for place in places:
        load = loads[place].copy()
        load.take(running._replace(kind=kind, node=place, terminating=False))
        loads[place] = load
    return replace(question, scene=replace(question.scene, loads=loads)), question.absent - len(places)
