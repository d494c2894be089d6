# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rolling updates there is room for: waves played on the board, so that a strategy is chosen by what fits, not by habit.

A wave: the controller ends old pods down to replicas - maxUnavailable and creates new ones up to replicas + surge; the ended ones go, the
new ones find a place and become Ready (source: `NewRSNewReplicas` and `reconcileOldReplicaSets`, pkg/controller/deployment). New
pods that find no place wait. A strategy completes when no wave gets stuck.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .answer import Advice, Question, Strategy
from .board import Board
from .placement import fit
from .scene import Scene
from .views import Incoming, Pod
from .volumes import VolumeRules

# Beyond these sizes playing waves costs more than advice is worth.
MOST_REPLICAS = 200
MOST_WAVES = 40
_SHARES = (Fraction(1, 4), Fraction(1, 2), Fraction(1))


def advise(question: Question, incoming: Incoming, rules: VolumeRules) -> Advice:
    """Strategies for the whole rollout, and how many more pods fit right now."""
    total = question.rollout.replicas
    surge_now = min(total, fit(Board(question.scene, incoming, rules), total).least)
    if total > MOST_REPLICAS:
        return Advice((), None, surge_now)
    own = (question.rollout.own_surge, question.rollout.own_max_unavailable)
    tried = tuple(
        _play(question, incoming, rules, surge, unavailable, (surge, unavailable) == own)
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


@dataclass
class _Yard:
    """The cluster while a rollout is played on it."""

    scene: Scene
    old: list[Pod]
    new: int = 0


def _play(
    question: Question, incoming: Incoming, rules: VolumeRules, surge: int, unavailable: int, is_own: bool
) -> Strategy:
    total = question.rollout.replicas
    everyone = [pod for _, pod in question.scene.kept_pods() if pod.owner in question.owners]
    old = [pod for pod in everyone if not pod.terminating and pod.owner != question.canary_owner]
    yard = _Yard(question.scene, old, len(everyone) - len(old))
    lowest, waves = total, 0
    while (yard.new < total or yard.old) and waves < MOST_WAVES:
        ready = len(yard.old) + yard.new
        ending = min(len(yard.old), max(0, ready - (total - unavailable)))
        wanted = max(0, min(total - yard.new, total + surge - (ready - ending)))
        placed, scene = _place(yard.scene.without(yard.old[:ending]), incoming, rules, wanted)
        if not placed and not ending:
            break
        lowest = min(lowest, ready - ending)
        yard = _Yard(scene, yard.old[ending:], yard.new + placed)
        waves += 1
    completes = yard.new >= total and not yard.old
    seconds = None if question.ready_seconds is None else waves * question.ready_seconds
    return Strategy(surge, unavailable, completes, waves, seconds, min(lowest, total), is_own)


def _place(scene: Scene, incoming: Incoming, rules: VolumeRules, wanted: int) -> tuple[int, Scene]:
    """Places copies on the emptiest nodes first, as the scheduler's default score does."""
    board = Board(scene, incoming, rules)
    placed = 0
    while placed < wanted and (choices := board.open_nodes()):
        index = max(choices, key=lambda one: board.room[one])
        board.place(index)
        scene = scene.with_pod(incoming.as_pod(board.candidates[index].name))
        placed += 1
    return placed, scene
