# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the pods and at every source, round after round, until something ends it.

This module is private to the collection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable

from ...display.news import Mark
from ...display.pods import marks
from ...judgement.samples import NoData
from ...judgement.tolerance import JudgementError
from ...probes.source import Answers, NoAnswer
from ...rollout.phase import Situation, diagnose
from ...rollout.progress import rewritten
from ...values import dataclass
from ..call.outcome import Report
from ..call.site import Site
from ..call.waiting import AWAY, pods_unknown
from .asking import Asking
from .checks import CheckAsked, needs_pods

Rests = Callable[[float], None]


@dataclass(frozen=True)
class Ended:
    """Why there is nothing to look at any more. `expected`: that was to come, and takes nothing from the verdict."""

    why: str
    expected: bool = False


class Looking(ABC):
    """Times are seconds since the run began, `offset` of which were in a call before this one. `rests`: what is done between two rounds, for so
    many seconds; otherwise nothing."""

    def __init__(
        self, site: Site, asking: Asking, report: Report, offset: float = 0.0, rests: Rests | None = None
    ) -> None:
        self.ended: Ended | None = None
        self.seen: Situation | None = None
        self._site = site
        self._asking = asking
        self._report = report
        self._offset = offset
        self._rests = rests or site.clock.sleep
        self._pods: tuple[Mark, ...] = ()
        self._restart()

    def _restart(self) -> None:
        self._began = self._site.clock.monotonic()

    def _now(self) -> float:
        return self._offset + self._site.clock.monotonic() - self._began

    @property
    def seconds(self) -> float:
        """Since this call began."""
        return self._now() - self._offset

    def close(self) -> None:
        self._asking.close()

    @abstractmethod
    def _sees(self, situation: Situation) -> Ended | None:
        """Takes the pods as they are now, or says why this is over."""

    @abstractmethod
    def _takes(self, asked: CheckAsked, answers: Answers) -> None:
        """Raises JudgementError for answers that count nothing."""

    @abstractmethod
    def _lacks(self, asked: CheckAsked, gap: NoData) -> None: ...

    def _rest(self, interval: float, until: float) -> None:
        self._rests(max(0.0, min(interval, until - self._now())))

    def _look(self) -> None:
        """One round over all sources; over those that need no pods where nobody knows them."""
        unknown = ""
        try:
            situation = diagnose(self._site.look(pods=True))
        except AWAY as error:
            unknown = pods_unknown(error)
            self._report(f"{unknown}; still looking")
        else:
            self.seen, self._pods = situation, marks(situation)
            of_another = rewritten(situation.picture.pods_of(situation.canary))
            self.ended = Ended(of_another.why) if of_another else self._sees(situation)
            if self.ended is not None:
                return
        for asked in self._asking.checks:
            if unknown and needs_pods(asked.source):
                self._miss(asked, unknown)
            else:
                self._ask(asked)

    def _ask(self, asked: CheckAsked) -> None:
        now = self._now()
        try:
            self._takes(asked, self._asking.look(asked, now))
        except (NoAnswer, JudgementError) as gap:
            self._miss(asked, str(gap))
            return
        self._asking.answered(asked, now)

    def _miss(self, asked: CheckAsked, reason: str) -> None:
        self._lacks(asked, NoData(self._now(), reason))
        if why := self._asking.missed(asked, reason):
            self.ended = Ended(why)
