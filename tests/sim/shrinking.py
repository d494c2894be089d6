# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortest history that still breaks the same rule: whatever can be left out is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from .history import Ask, History, Script

_Item = TypeVar("_Item")

# A history that does not get any shorter after so many plays is short enough.
MOST_PLAYS = 600


def shrunk(history: History, still_fails: Callable[[History], bool]) -> History:
    """`still_fails` plays a history; it is true of `history` itself."""
    plays = 0
    while True:
        for shorter in _shorter(history):
            plays += 1
            if plays > MOST_PLAYS:
                return history
            if still_fails(shorter):
                history = shorter
                break
        else:
            return history


def _shorter(history: History) -> Iterator[History]:
    """Every history with one thing less, the largest things first."""
    yield from _with_less(history, ("scripts", "foreign", "incidents"))
    for position, script in enumerate(history.scripts):
        for shorter in _shorter_script(script):
            yield replace(history, scripts=_with(history.scripts, position, shorter))
    for version in history.natures:
        rest = {other: nature for other, nature in history.natures.items() if other != version}
        yield replace(history, natures=rest)
    plain = History()
    for name in (
        "missing",
        "keda",
        "bounds",
        "load",
        "quota",
        "governed",
        "deployments",
        "replica_sets",
        "autoscalers",
        "change_cause",
        "colliding",
        "min_ready",
    ):
        yield from _plainer(history, name, getattr(plain, name))
    for name in ("history_limit", "max_surge", "max_unavailable", "end"):
        yield from _plainer(history, name, getattr(plain, name))


def _shorter_script(script: Script) -> Iterator[Script]:
    yield from _with_less(script, ("asks", "faults", "streams"))
    for position, ask in enumerate(script.asks):
        plain = Ask(ask.verb)
        for name in vars(ask):
            for plainer in _plainer(ask, name, getattr(plain, name)):
                yield replace(script, asks=_with(script.asks, position, plainer))


def _plainer(value: Any, name: str, plain: Any) -> Iterator[Any]:
    if getattr(value, name) != plain:
        yield replace(value, **{name: plain})


def _with_less(value: Any, parts: tuple[str, ...]) -> Iterator[Any]:
    for part in parts:
        for items in _without_one(getattr(value, part)):
            yield replace(value, **{part: items})


def _without_one(items: Sequence[_Item]) -> Iterator[tuple[_Item, ...]]:
    for position in range(len(items)):
        yield (*items[:position], *items[position + 1 :])


def _with(items: Sequence[_Item], position: int, item: _Item) -> tuple[_Item, ...]:
    return (*items[:position], item, *items[position + 1 :])
