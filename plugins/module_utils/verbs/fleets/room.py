# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all releases of a wave fit at the same time: asked once a cluster, from one reading of it.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Sequence

from ...cluster.api import Api
from ...cluster.errors import ApiError
from ...release.policies import WhenMissing
from ...release.room import Go, Refuse, rule
from ...rollout.refusal import Code
from ...values import dataclass
from ...wording import count_of
from ..call.outcome import Report, VerbFailure
from ..headroom import Asks, Rooms, room_for_all
from ..releasing.course import ReleaseRequest


@dataclass(frozen=True)
class Room:
    """What became of the question for one release. `beside`: how many of its wave were counted as placed before it."""

    ruled: Go | Refuse
    rooms: tuple[Mapping[str, Any], ...] = ()
    beside: int = 0


def ask_for_room(api: Api, releases: Sequence[ReleaseRequest], report: Report, each: Asks | None = None) -> list[Room]:
    """For each release with those before it that go counted as placed, at their peak."""
    asked = [replace(one.room, steps=tuple(step.size for step in one.holds)) for one in releases]
    counted: list[int] = []

    def counts(number: int, rooms: Rooms) -> bool:
        goes = isinstance(_ruled(rooms.steps, releases[number]), Go)
        counted.extend([number] if goes else [])
        return goes

    try:
        answers = room_for_all(api, asked, report, counts, each)
    except (VerbFailure, ApiError) as error:
        return [Room(Refuse((f"{error}",))) for _one in releases]
    return [
        _room(answer, one, sum(before < number for before in counted))
        for number, (answer, one) in enumerate(zip(answers, releases, strict=True))
    ]


def _room(answer: Rooms | VerbFailure | ApiError, release: ReleaseRequest, beside: int) -> Room:
    if isinstance(answer, ApiError):
        return Room(Refuse((f"{answer}",)))
    if isinstance(answer, VerbFailure):
        to_be_created = release.policies.when_missing is WhenMissing.CREATE and answer.code == Code.NOT_FOUND.value
        return Room(Go() if to_be_created else Refuse((answer.message,)))
    ruled = _ruled(answer.steps, release)
    if isinstance(ruled, Refuse) and beside:
        ruled = Refuse(
            (*ruled.why, f"Counted as placed: {count_of(beside, 'release')} of its wave in the same cluster.")
        )
    return Room(ruled, answer.steps, beside)


def _ruled(answers: Sequence[Mapping[str, Any]], release: ReleaseRequest) -> Go | Refuse:
    """What the first size that does not go says; else what is to be told of all."""
    ruled = [rule(answer, release.policies) for answer in answers]
    refused = next((one for one in ruled if isinstance(one, Refuse)), None)
    return refused or Go(tuple(told for one in ruled if isinstance(one, Go) for told in one.told))
