# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling updates played wave by wave on a board, and whether one surely comes to its end.

A wave: the controller ends old pods down to replicas - maxUnavailable and creates new ones up to replicas + surge; the ended ones go, the
new ones find a place and become Ready (source: `NewRSNewReplicas` and `reconcileOldReplicaSets`, pkg/controller/deployment). New
pods that find no place, or that a quota refuses, wait.

Which old pods go first: those without a node, then those whose node has most pods of the Deployment (source: `ActivePodsWithRanks`,
pkg/controller/controller_utils.go, `getPodsRankedByRelatedPodsOnSameNode`, pkg/controller/replicaset). Among equals the controller
goes by how long they have been Ready, on a scale so coarse that chance decides: so several orders are played.
This module is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Sequence

from ..values import dataclass
from .board import Board
from .charges import quota_at
from .finding import Question
from .placement import place_around
from .views import Incoming, Pod

AS_MANY_AS_ONE_LIKES = 10**9
# Beyond this size the least room is not worked out for every number of old pods.
MOST_COUNTED = 1000


class Order(Enum):
    """Which of the old pods that the controller does not tell apart goes first."""

    AS_LISTED = "as_listed"
    LAST_LISTED = "last_listed"
    LEAST_ROOM = "least_room"
    MOST_ROOM = "most_room"


@dataclass(frozen=True)
class Stage:
    """New pods come until there are `target`, while all pods stay between replicas - `unavailable` and replicas + `surge`."""

    target: int
    surge: int
    unavailable: int


@dataclass(frozen=True)
class Crowd:
    """The Deployment's pods of today: `old` ones that stay, those that are `ending`; how many old ones are `homeless`.

    `placed` and `waiting`: how many pods of the new version have a node, and have none yet.
    """

    old: tuple[Pod, ...]
    ending: tuple[Pod, ...]
    homeless: int
    placed: tuple[Pod, ...]
    waiting: int


@dataclass(frozen=True)
class Standstill:
    """Where nothing goes on any more: `new` pods have a node, `wanted` more find none or are not allowed, `gone` have left."""

    new: int
    wanted: int
    gone: tuple[Pod, ...]
    swept: int


@dataclass(frozen=True)
class Course:
    """How a rolling update went. `standstill`: None when it came to its end."""

    waves: int
    lowest_ready: int
    standstill: Standstill | None


class Quotas:
    """How many new pods the quotas allow, by how many old ones have left; worked out once for each number."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[int, int] = {}

    def allow(self, old_gone: int) -> int:
        """As many as one likes where there are no quotas."""
        if not self._question.quotas:
            return AS_MANY_AS_ONE_LIKES
        if old_gone not in self._known:
            most = quota_at(self._question, old_gone).most
            self._known[old_gone] = AS_MANY_AS_ONE_LIKES if most is None else most
        return self._known[old_gone]


def crowd_of(question: Question) -> Crowd:
    found = (pod for _place, pod in question.scene.kept_pods())
    own = [pod for pod in found if pod.owner in question.owners]
    waiting = question.scene.waiting
    return Crowd(
        old=tuple(pod for pod in own if pod.owner != question.canary_owner and not pod.terminating),
        ending=tuple(pod for pod in own if pod.terminating),
        homeless=sum(waiting.get(owner, 0) for owner in question.owners if owner != question.canary_owner),
        placed=tuple(pod for pod in own if pod.owner == question.canary_owner and not pod.terminating),
        waiting=waiting.get(question.canary_owner, 0) if question.canary_owner else 0,
    )


def leavers(crowd: Crowd, count: int) -> tuple[tuple[Pod, ...], tuple[Pod, ...]]:
    """Which `count` old pods the controller may end: all in one wave, and one after another with ties broken the other way."""
    crowded = Counter(pod.node for pod in (*crowd.old, *crowd.placed))
    at_once = sorted(crowd.old, key=lambda pod: -crowded[pod.node])
    seen: Counter[str] = Counter()
    places: dict[int, tuple[int, int]] = {}
    for number, pod in enumerate(reversed(crowd.old)):
        places[id(pod)] = (seen[pod.node] - crowded[pod.node], number)
        seen[pod.node] += 1
    one_by_one = sorted(crowd.old, key=lambda pod: places[id(pod)])
    return tuple(at_once[:count]), tuple(one_by_one[:count])


def release(question: Question) -> tuple[Stage, Stage]:
    """The canary as it is held, and then the Deployment's own rolling update."""
    rollout = question.rollout
    canary = min(rollout.canary, rollout.replicas)
    return (
        _stage(canary, rollout.surge, rollout.max_unavailable),
        _stage(rollout.replicas, rollout.own_surge, rollout.own_max_unavailable),
    )


def _stage(target: int, surge: int, unavailable: int) -> Stage:
    """Where both are 0 Kubernetes takes one pod away (`ResolveFenceposts`)."""
    return Stage(target, surge, unavailable if surge or unavailable else 1)


@dataclass(frozen=True)
class _Wave:
    """How many pods a wave moves: homeless old ones `swept` away, others `ending`, new ones `wanted`."""

    swept: int
    ending: int
    wanted: int


def _wave(stage: Stage, total: int, old: int, homeless: int, new: int) -> _Wave:
    everyone, least = old + homeless + new, total - stage.unavailable
    swept = min(homeless, max(0, everyone - least))
    ending = min(old, max(0, old + new - least))
    if stage.target < total:
        # A hold keeps all old pods but those that have to make way for it.
        ending = min(ending, max(0, everyone - swept + stage.target - new - total - stage.surge))
    wanted = max(0, min(stage.target - new, total + stage.surge - (everyone - swept - ending)))
    return _Wave(swept, ending, wanted)


def _is_over(stage: Stage, total: int, old: int, homeless: int, new: int) -> bool:
    return new >= stage.target and (stage.target < total or not old and not homeless)


def play(
    board: Board, crowd: Crowd, stages: Sequence[Stage], quotas: Quotas, total: int, order: Order = Order.AS_LISTED
) -> Course:
    """The stages on this board, which is not as it was afterwards; new pods go to the emptiest nodes first."""
    for pod in crowd.ending:
        board.remove(pod)
    old, homeless, new = list(crowd.old), crowd.homeless, len(crowd.placed)
    gone: list[Pod] = []
    crowded = Counter(pod.node for pod in (*crowd.old, *crowd.placed))
    places, gains = board.by_room(), _Gains(board)
    lowest, waves = total, 0
    for stage in stages:
        while not _is_over(stage, total, len(old), homeless, new):
            wave = _wave(stage, total, len(old), homeless, new)
            old = _in_order(gains, old, crowded, order, wave.ending)
            leaving, old = old[: wave.ending], old[wave.ending :]
            for pod in leaving:
                board.remove(pod)
            crowded.subtract(pod.node for pod in leaving)
            gone.extend(leaving)
            homeless -= wave.swept
            left = len(gone) + len(crowd.ending) + crowd.homeless - homeless
            allowed = quotas.allow(left) + crowd.waiting - (new - len(crowd.placed))
            moves = place_around(board, max(0, min(wave.wanted, allowed)), places)
            if not moves and not wave.ending and not wave.swept:
                standstill = Standstill(new, wave.wanted, (*crowd.ending, *gone), crowd.homeless - homeless)
                return Course(waves, lowest, standstill)
            crowded.update(board.candidates[index].name for index in moves)
            lowest = min(lowest, len(old) + new)
            new += len(moves)
            waves += 1
    return Course(waves, lowest, None)


class _Gains:
    """What the leaving of old pods gives to new ones, worked out once for each node and number of old ones on it."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._known: dict[tuple[str, int], int] = {}

    def of(self, pod: Pod, left: int) -> int:
        key = (pod.node, left)
        if key not in self._known:
            self._known[key] = self._board.gain(pod)
        return self._known[key]


def _in_order(gains: _Gains, old: list[Pod], crowded: Counter[str], order: Order, ending: int) -> list[Pod]:
    """The old pods as the controller sorts them before it ends the first of them."""
    if not 0 < ending < len(old):
        return old
    if order is Order.LAST_LISTED:
        old = old[::-1]
    elif order is not Order.AS_LISTED:
        sign = 1 if order is Order.LEAST_ROOM else -1
        left = Counter(pod.node for pod in old)
        old = sorted(old, key=lambda pod: sign * gains.of(pod, left[pod.node]))
    ordered = sorted(old, key=lambda pod: -crowded[pod.node])
    # What is left is put back as it was listed, so that the next wave breaks ties alike.
    going = {id(pod) for pod in ordered[:ending]}
    rest = [pod for pod in (old[::-1] if order is Order.LAST_LISTED else old) if id(pod) not in going]
    return [*ordered[:ending], *rest]


def surely_ends(
    board: Board, incoming: Incoming, crowd: Crowd, stages: Sequence[Stage], quotas: Quotas, total: int
) -> bool:
    """Whether the stages come to their end whichever old pods go first and wherever new ones are put. False: not certain.

    Only counts are played, against the least room that any so many old pods can leave. That holds where a new pod takes room on its
    own node alone: then it does not matter for the others where it went.
    """
    apart = board.keeps_copies_apart_by_node()
    if not (board.is_independent or apart) or incoming.affinity or incoming.spreads:
        return False
    room = _least_room(board, crowd, 1 if apart else AS_MANY_AS_ONE_LIKES, total - len(crowd.placed))
    if room is None:
        return False
    old, homeless, new = len(crowd.old), crowd.homeless, len(crowd.placed)
    for stage in stages:
        while not _is_over(stage, total, old, homeless, new):
            wave = _wave(stage, total, old, homeless, new)
            old, homeless = old - wave.ending, homeless - wave.swept
            taken, gone = new - len(crowd.placed), len(crowd.old) - old
            left = gone + len(crowd.ending) + crowd.homeless - homeless
            come = min(wave.wanted, room[gone] - taken, quotas.allow(left) + crowd.waiting - taken)
            if come <= 0 and not wave.ending and not wave.swept:
                return False
            new += max(0, come)
    return True


def _least_room(board: Board, crowd: Crowd, most_a_node: int, enough: int) -> list[int] | None:
    """For each number of old pods the least room for new ones that is left when any so many have gone; None: not known."""
    by_node: dict[str, list[Pod]] = {}
    for pod in crowd.old:
        by_node.setdefault(pod.node, []).append(pod)
    at = {node.name: index for index, node in enumerate(board.candidates)}
    today = {name: min(most_a_node, board.room_without(index, ())) for name, index in at.items()}
    if sum(today.values()) >= enough:
        return [enough] * (len(crowd.old) + 1)
    if len(crowd.old) > MOST_COUNTED:
        return None
    least = [sum(amount for name, amount in today.items() if name not in by_node)]
    for name, pods in by_node.items():
        if any(pod.request != pods[0].request for pod in pods):
            return None
        index = at.get(name)
        rooms = [
            0 if index is None else min(most_a_node, board.room_without(index, pods[:count]))
            for count in range(len(pods) + 1)
        ]
        least = [
            min(
                least[before] + rooms[count - before]
                for before in range(max(0, count - len(pods)), min(count, len(least) - 1) + 1)
            )
            for count in range(len(least) + len(pods))
        ]
    return least
