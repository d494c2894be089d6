# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One release of a fleet, and how it went so far: what its wave is decided by, and what is told of it.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Mapping

from ...release.fleet import Standing, standing
from ...release.fleet_result import Row, in_a_line, why_in_a_line
from ...release.result import Release
from ...rollout.phase import Situation
from ...values import dataclass
from ..call.outcome import Outcome, VerbFailure
from ..releasing.course import ReleaseRequest
from .orders import Member


@dataclass(eq=False)
class Kept:
    """Only the work that is about it writes here. `done`: what was done with it last, in words. `under_way`: it is worked on. `reclaimed`: it
    was taken back once more, or was not. `found`: why it failed, without what to do about it, for those that are told of it. `seen`: what it
    was planned from, for the question whether there is room; of one that stands, how it stood at its last step, for the question whether
    it does so still."""

    member: Member
    release: Release | None = None
    changed: bool = False
    warnings: tuple[str, ...] = ()
    canary: Mapping[str, Any] = field(default_factory=dict)
    withdrawn: bool = False
    done: str = ""
    under_way: bool = False
    reclaimed: bool = False
    found: str = ""
    seen: Situation | None = None

    @property
    def request(self) -> ReleaseRequest:
        return self.member.request

    @property
    def label(self) -> str:
        return self.member.label

    @property
    def planned(self) -> Release:
        """Of one that was planned, which alone is asked for room."""
        if self.release is None:
            raise LookupError("a release that was not planned has none")
        return self.release

    @property
    def standing(self) -> Standing:
        stands = standing(self.release, len(self.request.steps), self.request.policies.gate)
        return Standing.FAILED if stands is Standing.LEFT and self.reclaimed else stands

    @property
    def stands(self) -> bool:
        """It has stood all its steps, and waits for its wave, or for a person once that stands."""
        waits = self.standing in (Standing.HELD, Standing.WAITS)
        return waits and self.release is not None and self.release.reached >= len(self.request.steps)

    def takes(self, came: Outcome | VerbFailure) -> None:
        self.changed = self.changed or came.changed
        self.canary = came.canary or self.canary
        self.seen = None if isinstance(came, VerbFailure) else came.seen
        self.found = came.found if isinstance(came, VerbFailure) else ""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *came.warnings)))
        # Last: whoever looks how it stands sees the rest, too.
        self.release = Release.from_json(came.extra["release"])

    # What is told.

    @property
    def named(self) -> str:
        return f"{self.label} {self.release.outcome.value}" if self.release else self.label

    @property
    def told(self) -> str:
        target = self.request.call.target
        why = why_in_a_line(self.release, target.name, target.namespace) if self.release else ""
        return f"{self.named}: {why}" if why else f"{self.label}."

    @property
    def ending(self) -> str:
        """With the first reason, for a line that begins with the release; empty where nothing is known of it."""
        release = self.release
        return ": ".join((release.outcome.value, *map(self.in_a_line, release.why[:1]))) if release else ""

    def in_a_line(self, why: str) -> str:
        target = self.request.call.target
        return in_a_line(why, target.name, target.namespace)

    def row(self, wave: int) -> Row:
        target, versions = self.request.call.target, {name: self.canary.get(name) for name in ("stable", "canary")}
        return Row(
            name=target.name,
            namespace=target.namespace,
            cluster=self.member.where,
            wave=wave,
            release=self.release,
            changed=self.changed,
            pods={name: version["counts"]["ready"] for name, version in versions.items() if version},
        )
