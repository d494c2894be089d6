# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many copies of a pod can be placed: at least and at most, whatever order and taste the scheduler has.

Copies that do not influence each other: the sum over nodes of what each holds; exact, whatever the scheduler prefers.
Otherwise every sequence of choices is tried where the cluster is small enough (`EXHAUSTIVE`), or several very different tastes are.
This module is private to the collection.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import Iterable, Sequence

from ..values import dataclass
from .board import Board

# Looks at one node before the exhaustive search gives up, and the most copies it goes down to.
SEARCH_LOOKS = 40_000
SEARCH_DEPTH = 60
RANDOM_TASTES = 4


class Method(Enum):
    """How the answer was found; the first two are exact."""

    CLOSED_FORM = "closed_form"
    EXHAUSTIVE = "exhaustive"
    SAMPLED = "sampled"


@dataclass(frozen=True)
class Fit:
    """`least` to `most` copies can be placed, counted up to the number asked for (`closed form`: without that bound)."""

    least: int
    most: int
    method: Method

    @property
    def is_certain(self) -> bool:
        """Whether the number does not depend on choices of the scheduler."""
        return self.least == self.most and self.method is not Method.SAMPLED


def fit(board: Board, wanted: int) -> Fit:
    """How many copies of `wanted` can be placed. The board is left as it was."""
    by_node = _one_look(board)
    if by_node is not None:
        return Fit(by_node, by_node, Method.CLOSED_FORM)
    search = _Search(board, wanted, board.alike())
    if search.run():
        return Fit(search.least, search.most, Method.EXHAUSTIVE)
    counts = [_play(board, wanted, taste) for taste in _tastes(board)]
    return Fit(min(counts), max(counts), Method.SAMPLED)


def places_all(board: Board, wanted: int) -> bool:
    """Whether `wanted` copies find a place: by the closed form, else with each of a few tastes. Far quicker than `fit` and less certain."""
    by_node = _one_look(board)
    if by_node is not None:
        return by_node >= wanted
    return all(_play(board, wanted, taste) == wanted for taste in _set_tastes(board))


def _one_look(board: Board) -> int | None:
    """The closed form, or None where copies influence each other."""
    if board.is_independent:
        return sum(board.room[index] for index in board.open_nodes())
    if board.keeps_copies_apart_by_node():
        return len(board.open_nodes())
    return None


class _Search:
    """All sequences of choices, each set of placements visited once. Of nodes that are alike one stands for all."""

    def __init__(self, board: Board, wanted: int, groups: Sequence[Sequence[int]]) -> None:
        self._board = board
        self._wanted = wanted
        self._groups = groups
        self._seen: set[tuple[int, ...]] = set()
        self._counts = [0] * len(groups)
        self._looks_left = SEARCH_LOOKS
        self.least = wanted
        self.most = 0

    def run(self) -> bool:
        """Whether the search came to its end within its bound."""
        return self._wanted <= SEARCH_DEPTH and self._visit(0)

    def _visit(self, placed: int) -> bool:
        self._looks_left -= 1 + len(self._counts)
        if self._looks_left < 0:
            return False
        self.most = max(self.most, placed)
        if placed == self._wanted:
            return True
        choices = self._choices()
        if not choices:
            self.least = min(self.least, placed)
        return all(self._try(number, index, placed) for number, index in choices)

    def _choices(self) -> list[tuple[int, int]]:
        """Groups that take the next copy, each with the node of it that would."""
        found = ((number, self._board.with_room(members)) for number, members in enumerate(self._groups))
        return [
            (number, index) for number, index in found if index is not None and self._board.objection(index) is None
        ]

    def _try(self, number: int, index: int, placed: int) -> bool:
        self._counts[number] += 1
        key = tuple(self._counts)
        finished = True
        if key not in self._seen:
            self._seen.add(key)
            self._board.place(index)
            finished = self._visit(placed + 1)
            self._board.take_back(index)
        self._counts[number] -= 1
        return finished


@dataclass(frozen=True)
class _Taste:
    """Nodes are tried in this order; `stays` on a node as long as it takes copies, or goes on to the next one after each."""

    order: tuple[int, ...]
    stays: bool = False


def _set_tastes(board: Board) -> list[_Taste]:
    """The emptiest nodes first, the fullest, the first and the last: adversaries of each other."""
    emptiest, first = (_with_room(board, order) for order in (board.by_room(), range(len(board.candidates))))
    return [_Taste(emptiest), _Taste(emptiest[::-1], stays=True), _Taste(first, stays=True), _Taste(first[::-1])]


def _tastes(board: Board) -> list[_Taste]:
    """Those, and chance."""
    tastes = _set_tastes(board)
    first = _with_room(board, range(len(board.candidates)))
    for seed in range(RANDOM_TASTES):
        chance = random.Random(seed)
        tastes.append(_Taste(tuple(chance.sample(first, len(first))), stays=bool(seed % 2)))
    return tastes


def _with_room(board: Board, order: Iterable[int]) -> tuple[int, ...]:
    """Full nodes are left out: placing copies gives none of them room again."""
    return tuple(index for index in order if board.room[index] > 0)


def place_around(board: Board, wanted: int, order: Sequence[int], *, stays: bool = False) -> list[int]:
    """Places up to `wanted` copies on nodes in this order, round and round; answers with where."""
    moves: list[int] = []
    start = 0
    while len(moves) < wanted:
        position = board.next_open(order, start)
        if position is None:
            break
        board.place(order[position])
        moves.append(order[position])
        start = position if stays else position + 1
    return moves


def _play(board: Board, wanted: int, taste: _Taste) -> int:
    """How many copies one taste places; the board is left as it was."""
    moves = place_around(board, wanted, taste.order, stays=taste.stays)
    for index in reversed(moves):
        board.take_back(index)
    return len(moves)
