# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a fleet went, as one value: a row for each release, and the same as a table for people.

This module is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from typing import Any, Mapping, Sequence, TypeVar

from ..values import dataclass
from .fleet import FleetEnding
from .result import FAILURES, Ending, Release

_One = TypeVar("_One")
# The shape that is documented in docs/fleet.schema.json.
SCHEMA = 1
UNTOUCHED = "untouched"
# Reasons in a message, which is one line.
MOST_TOLD = 3
_WITH_ITS_WAVE = "the wave failed"
# What comes first in the table: what somebody has to do something about.
_ORDER = (*(one.value for one in Ending if one in FAILURES), Ending.HELD.value)


def with_its_wave(failed: str) -> str:
    """Why a release is taken back because of another one. `failed`: which one failed, and why."""
    return f"{_WITH_ITS_WAVE}: {failed}"


def in_a_line(why: str, name: str, namespace: str) -> str:
    """The same reason in a line that begins with its Deployment, among lines for the others of its wave: the one that failed tells its
    own, once."""
    if why.startswith(with_its_wave("")):
        return _WITH_ITS_WAVE
    return why.removeprefix(f'Deployment "{name}" in namespace "{namespace}": ')


def why_in_a_line(release: Release, name: str, namespace: str) -> str:
    """The first reason, and how it was left where it was not taken back; empty where there is none."""
    if not release.why:
        return ""
    first, *_others = told = [in_a_line(release.why[0], name, namespace), *release.why[1:]]
    return f"{first.removesuffix('.')}. {told[-1]}" if release.outcome is Ending.FAILED and len(told) > 1 else first


@dataclass(frozen=True)
class Row:
    """One release. `wave`: counted from 1. `release`: None where nothing was looked at. `pods`: Ready ones of each version, as they
    were seen last. `begun`: a plan alone changes nothing, so in the end such a release is untouched."""

    name: str
    namespace: str
    cluster: str
    wave: int
    release: Release | None = None
    changed: bool = False
    pods: Mapping[str, int] = field(default_factory=dict)

    def outcome(self, check: bool) -> str:
        planned = self.release is not None and self.release.outcome is Ending.PLANNED
        if self.release is None or (planned and not check):
            return UNTOUCHED
        return self.release.outcome.value

    def without_room(self) -> Row:
        return replace(self, release=self.release.without_room()) if self.release else self

    def to_json(self, check: bool) -> dict[str, Any]:
        release = self.release
        return {
            "name": self.name,
            "namespace": self.namespace,
            "cluster": self.cluster,
            "wave": self.wave,
            "outcome": self.outcome(check),
            "why": list(release.why) if release else [],
            "changed": self.changed,
            "pods": dict(self.pods),
            "release": release.to_json() if release else None,
        }

    def line(self, check: bool) -> str:
        where = "/".join(filter(None, (self.cluster, self.namespace, self.name)))
        outcome = self.outcome(check)
        why = why_in_a_line(self.release, self.name, self.namespace) if self.release else ""
        if outcome == UNTOUCHED:
            # What would have been done to it is no reason; what it has is of somebody before.
            held = self.pods.get("canary", 0)
            why = f"an earlier call left its canary held, with {held} Ready" if held else ""
        return f"{outcome:<16} wave {self.wave:<3} {where}{f': {why}' if why else ''}"


@dataclass(frozen=True)
class Fleet:
    run: str
    ending: FleetEnding
    why: tuple[str, ...]
    rows: tuple[Row, ...]
    check: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many releases ended in which way: {"released": 3, "undone": 1}."""
        return dict(Counter(row.outcome(self.check) for row in self.rows))

    @property
    def table(self) -> list[str]:
        """A line for each release, those first that need somebody."""
        return [row.line(self.check) for row in sorted(self.rows, key=self._place)]

    def _place(self, row: Row) -> int:
        outcome = row.outcome(self.check)
        return _ORDER.index(outcome) if outcome in _ORDER else len(_ORDER)

    @property
    def message(self) -> str:
        """failed: 2 released, 1 undone, 7 untouched of 10 releases. shop/web failed: ... The first few reasons; the table has all."""
        counted = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
        further = [f"And {more} more: fleet.table has all."] if (more := len(self.why) - MOST_TOLD) > 0 else []
        told = [f"{self.ending.value}: {counted}, of {len(self.rows)} releases.", *self.why[:MOST_TOLD], *further]
        return " ".join(told)

    @property
    def _told(self) -> tuple[Row, ...]:
        """Ansible prints the whole result of a failed task, and an answer about room is some hundred lines: there only those rows have
        theirs for which it was the reason."""
        return self.rows if self.ending is not FleetEnding.FAILED else tuple(row.without_room() for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "run": self.run,
            "outcome": self.ending.value,
            "why": list(self.why),
            "counts": self.counts,
            "releases": [row.to_json(self.check) for row in self._told],
            "table": self.table,
        }


def waves_of(waves: Sequence[Sequence[_One]]) -> dict[_One, int]:
    """The wave of each release, counted from 1."""
    return {one: number for number, wave in enumerate(waves, 1) for one in wave}
