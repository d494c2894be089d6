# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may happen to a request on its way to the server and back, and to a watch."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum


class Fault(Enum):
    """Of one request. `done` below means: the server carried it out."""

    REFUSED = "no connection"
    LOST_BEFORE = "the connection broke before it was done"
    LOST_AFTER = "it was done, and its answer was lost"
    LATE = "no answer in time, and it was done after that"
    SLOW = "it took its time"
    BUSY = "429: not done"
    BROKEN_BEFORE = "5xx: not done"
    BROKEN_AFTER = "5xx: done all the same"
    TWICE = "it was delivered twice, and the second answer came back"
    STALE = "a list from a moment ago"
    KILLED_BEFORE = "the process was killed before it was done"
    KILLED_AFTER = "the process was killed after it was done"


# After these nobody knows whether the write was done, until it is looked at.
UNANSWERED = frozenset({Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.LATE, Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER})


class StreamFault(Enum):
    """Of all streams that one wait opens at a time."""

    CUT = "they end after a moment"
    SILENT = "they tell nothing"
    TWICE = "they tell everything twice"
    BEHIND = "they tell everything late"


@dataclass(frozen=True)
class Planned:
    """`number`: of the request of this actor, from 0. `seconds`: how long it takes, or is stale. `status`: of a 5xx."""

    number: int
    kind: Fault
    seconds: float = 1.0
    status: int = 500


def failing(chance: random.Random, requests: int) -> tuple[Planned, ...]:
    """One in ten of so many requests fails in some way, and whoever asked lives on."""
    kinds = [fault for fault in Fault if fault not in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)]
    return tuple(
        Planned(number, chance.choice(kinds), chance.choice((0.3, 2.0)))
        for number in range(requests)
        if chance.random() < 0.1
    )


@dataclass(frozen=True)
class PlannedStream:
    """`number`: of the streams of this actor, from 0."""

    number: int
    kind: StreamFault
    seconds: float = 1.0


@dataclass
class Faults:
    """Those of one actor, as they come."""

    requests: dict[int, Planned] = field(default_factory=dict)
    streams: dict[int, PlannedStream] = field(default_factory=dict)
    _requests: int = 0
    _streams: int = 0

    def of_request(self) -> Planned | None:
        self._requests += 1
        return self.requests.get(self._requests - 1)

    def of_streams(self) -> PlannedStream | None:
        self._streams += 1
        return self.streams.get(self._streams - 1)
