# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every controller has in common: something changed, so it works a moment later; it may lag, and it may stand still."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

from .store import Change, Store
from .timeline import Timeline


@dataclass(frozen=True)
class Pace:
    """Seconds from a change to what a controller does about it, at least and at most. `stops`: from when to when it does
    nothing at all; what has come meanwhile is done afterwards, as after a restart."""

    soonest: float = 0.002
    latest: float = 0.05
    stops: tuple[tuple[float, float], ...] = ()

    def moment(self, now: float, chance: random.Random) -> float:
        then = now + self.soonest + (self.latest - self.soonest) * chance.random()
        for begins, ends in self.stops:
            if begins <= then < ends:
                then = ends
        return then


class Controller(ABC):
    name = ""

    def __init__(self, timeline: Timeline, store: Store, pace: Pace, chance: random.Random) -> None:
        self.timeline, self.store, self.pace, self.chance = timeline, store, pace, chance
        self._is_due = False
        store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if not self._is_due and self.concerns(change):
            self.wake()

    def wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            self.timeline.at(self.pace.moment(self.timeline.now, self.chance), self._run)

    def _run(self) -> None:
        self._is_due = False
        self.work()

    @abstractmethod
    def concerns(self, change: Change) -> bool: ...

    @abstractmethod
    def work(self) -> None:
        """Reads what stands there now, and does what is missing; done twice it changes nothing more."""
