# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rolling updates there is room for: waves played on the board, so that a strategy is chosen by what fits, not by habit.

A strategy completes when no wave gets stuck, in whichever order the old pods go of those that are tried.
This module is private to the collection.
"""

from __future__ import annotations

from fractions import Fraction

from .board import Board
from .finding import Advice, Question, Strategy
from .placement import fit
from .waves import Crowd, Order, Quotas, Stage, play

# Beyond this size playing waves costs more than advice is worth.
MOST_REPLICAS = 300
# The orders that find most of what gets stuck; each more would cost as much again.
_ORDERS = (Order.AS_LISTED, Order.LEAST_ROOM)
_SHARES = (Fraction(1, 4), Fraction(1, 2), Fraction(1))


def advise(question: Question, board: Board, crowd: Crowd) -> Advice:
    """Strategies for the whole rollout, and how many more pods fit right now. The board is left as it was."""
    total = question.rollout.replicas
    quotas = Quotas(question)
    surge_now = min(total, fit(board, total).least, quotas.allow(0))
    if total > MOST_REPLICAS:
        return Advice((), None, surge_now)
    own = (question.rollout.own_surge, question.rollout.own_max_unavailable)
    tried = tuple(
        _tried(question, board, quotas, crowd, surge, unavailable)
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


def _tried(question: Question, board: Board, quotas: Quotas, crowd: Crowd, surge: int, unavailable: int) -> Strategy:
    """What becomes of the strategy in the worst of the orders."""
    total = question.rollout.replicas
    stages = (Stage(total, surge, unavailable),)
    courses = [play(board.copy(), crowd, stages, quotas, total, order) for order in _ORDERS]
    waves = max(one.waves for one in courses)
    seconds = None if question.ready_seconds is None else waves * question.ready_seconds
    completes = all(one.standstill is None for one in courses)
    lowest = min(one.lowest_ready for one in courses)
    is_own = (surge, unavailable) == (question.rollout.own_surge, question.rollout.own_max_unavailable)
    return Strategy(surge, unavailable, completes, waves, seconds, min(lowest, total), is_own)
