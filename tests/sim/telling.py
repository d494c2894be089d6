# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A history and how it went, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from .history import History
from .world import Played


def lines(history: History) -> list[str]:
    """What it is made of, without what is as always."""
    told = [f"seed {history.seed}: {_told(history, ('scripts', 'incidents', 'foreign', 'natures', 'seed'))}"]
    told += [f"  pods of {version}: {_told(nature)}" for version, nature in history.natures.items() if _told(nature)]
    for script in history.scripts:
        told.append(f"  {script.name}, from {script.begins:g} s on:")
        told += [f"    canary_{ask.verb} {_told(ask, ('verb',))}" for ask in script.asks]
        told += [
            f"    request {one.number}: {one.kind.value} ({one.seconds:g} s, {one.status})" for one in script.faults
        ]
        told += [f"    streams {one.number}: {one.kind.value} ({one.seconds:g} s)" for one in script.streams]
    told += [f"  {one.at:.1f} s: pod {one.place} of {one.version} {one.what.value}" for one in history.incidents]
    told += [f"  {one.at:.1f} s: somebody: {one.what} {one.number} {one.version}" for one in history.foreign]
    return told


def _told(value: Any, but: tuple[str, ...] = ()) -> str:
    return ", ".join(f"{name} {shown}" for name, shown in _unusual(value) if name not in but)


def _unusual(value: Any) -> Iterator[tuple[str, Any]]:
    for member in fields(value):
        found = getattr(value, member.name)
        if found != member.default:
            yield member.name, getattr(found, "value", found)


def report(played: Played) -> list[str]:
    """Of a history that failed."""
    return [*lines(played.history), *(f"  VIOLATED at {violation}" for violation in played.violations)]
