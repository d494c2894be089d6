# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rolling updates there is room for: waves played on the board, so that a strategy is chosen by what fits, not by habit.

A wave: the controller ends old pods down to replicas - maxUnavailable and creates new ones up to replicas + surge; the ended ones go, the
new ones find a place and become Ready (source: `NewRSNewReplicas` and `reconcileOldReplicaSets`, pkg/controller/deployment). New
pods that find no place, or that a quota refuses, wait. A strategy completes when no wave gets stuck.
This module is private to the collection.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Sequence

from .answer import Advice, Question, Strategy
from .board import Board
from .charges import quota_at
from .placement import fit, place_around
from .views import Incoming, Pod
from .volumes import VolumeRules

# Beyond this size playing waves costs more than advice is worth.
MOST_REPLICAS = 300
AS_MANY_AS_ONE_LIKES = 10**9
_SHARES = (Fraction(1, 4), Fraction(1, 2), Fraction(1))


def advise(question: Question, incoming: Incoming, rules: VolumeRules) -> Advice:
    """Strategies for the whole rollout, and how many more pods fit right now."""
    total = question.rollout.replicas
    board, quotas = Board(question.scene, incoming, rules), _Quotas(question)
    surge_now = min(total, fit(board, total).least, quotas.allow(0))
    if total > MOST_REPLICAS:
        return Advice((), None, surge_now)
    own = (question.rollout.own_surge, question.rollout.own_max_unavailable)
    pods = _own_pods(question)
    tried = tuple(
        _play(question, board.copy(), quotas, pods, surge, unavailable)
        for surge, unavailable in _candidates(total, own, surge_now)
    )
    completing = [one for one in tried if one.completes]
    best = max(completing, key=lambda one: (one.lowest_ready, -one.waves, -one.surge), default=None)
    return Advice(tried, best, surge_now)


def _candidates(total: int, own: tuple[int, int], surge_now: int) -> list[tuple[int, int]]:
    shares = [max(1, -(-total * share.numerator // share.denominator)) for share in _SHARES]
    found = [
        own,
        (1, 0),
        *((share, 0) for share in shares),
        (surge_now, 0),
        (0, 1),
        (1, 1),
        (shares[0], shares[0]),
        (0, shares[0]),
    ]
    return [one for one in dict.fromkeys(found) if one != (0, 0) and one[1] <= total]


def _own_pods(question: Question) -> list[Pod]:
    found = (pod for _place, pod in question.scene.kept_pods())
    return [pod for pod in found if pod.owner in question.owners and not pod.terminating]


class _Quotas:
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


def _play(
    question: Question, board: Board, quotas: _Quotas, pods: Sequence[Pod], surge: int, unavailable: int
) -> Strategy:
    """Waves on this board, which is not as it was afterwards. `pods` are all of the Deployment's."""
    total = question.rollout.replicas
    old = [pod for pod in pods if pod.owner != question.canary_owner]
    there = new = len(pods) - len(old)
    all_old = len(old)
    order = board.by_room()
    lowest, waves = total, 0
    while new < total or old:
        ready = len(old) + new
        ending = min(len(old), max(0, ready - (total - unavailable)))
        wanted = max(0, min(total - new, total + surge - (ready - ending)))
        wanted = min(wanted, max(0, quotas.allow(all_old - len(old) + ending) - (new - there)))
        for pod in old[:ending]:
            board.remove(pod)
        placed = len(place_around(board, wanted, order))
        if not placed and not ending:
            break
        lowest = min(lowest, ready - ending)
        old, new = old[ending:], new + placed
        waves += 1
    seconds = None if question.ready_seconds is None else waves * question.ready_seconds
    completes = new >= total and not old
    is_own = (surge, unavailable) == (question.rollout.own_surge, question.rollout.own_max_unavailable)
    return Strategy(surge, unavailable, completes, waves, seconds, min(lowest, total), is_own)
