# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods of a release as a row of marks, stable ones first.

This module is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from typing import Mapping, Sequence

from ..rollout.phase import Situation
from ..rollout.views import Pod
from .news import Mark, Side, State

SYMBOLS: Mapping[State, str] = {State.READY: "■", State.STARTING: "□", State.FAILING: "✖", State.ENDING: "·"}
# More pods than this are counted, state by state.
WIDTH = 24
_STATES = tuple(State)


def marks(situation: Situation) -> tuple[Mark, ...]:
    """Every pod of both versions; none where the pods were not read."""
    sides = {Side.STABLE: situation.stable, Side.CANARY: situation.canary}
    found = [
        Mark(side, state_of(pod))
        for side, version in sides.items()
        for pod in situation.picture.pods_of(version)
        if pod.terminating or not pod.finished
    ]
    return tuple(sorted(found, key=_place))


def _place(mark: Mark) -> tuple[int, int]:
    return tuple(Side).index(mark.side), _STATES.index(mark.state)


def state_of(pod: Pod) -> State:
    if pod.terminating:
        return State.ENDING
    if pod.phase == "Failed" or any(state.restarts or _hopeless(state.waiting) for state in pod.containers):
        return State.READY if pod.ready else State.FAILING
    return State.READY if pod.ready else State.STARTING


def _hopeless(waiting: str) -> bool:
    return "BackOff" in waiting or "Err" in waiting


def row(pods: Sequence[Mark]) -> str:
    """Nine stable pods and a canary that starts: "■■■■■■■■■|□". Sixty and three of which one fails: "■60|■2✖1"."""
    sides = [[mark.state for mark in pods if mark.side is side] for side in Side]
    short = len(pods) <= WIDTH
    return "|".join(_drawn(states, short) for states in sides) if pods else ""


def _drawn(states: list[State], short: bool) -> str:
    if short:
        return "".join(SYMBOLS[state] for state in states)
    counts = Counter(states)
    return "".join(f"{SYMBOLS[state]}{counts[state]}" for state in _STATES if counts[state])
