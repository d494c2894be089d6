# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of one call: opened together, asked one by one, closed together.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ...cluster.api import Api
from ...probes.source import Answers, NoAnswer, Sides, Source
from ..call.outcome import Report
from .checks import CheckAsked, OnNoData, PodsAsked, open_source
from .sides import Served

# With on_no_data: stop, so many looks in a row without data end the run: one may be an accident.
SILENT_LOOKS = 3


class Asking:
    """Times in seconds since the run began. Only `pods` is asked about pods that have not served yet: their restarts count,
    and their refused requests do not."""

    def __init__(
        self, api: Api, checks: Iterable[CheckAsked], sides: Sides, on_no_data: OnNoData, report: Report
    ) -> None:
        self._served = Served(sides)
        self._stop = on_no_data is OnNoData.STOP
        self._report = report
        opened = [(asked, open_source(api, asked.source)) for asked in checks]
        self.checks = tuple(asked for asked, source in opened if source)  # those that have a source to ask
        self._sources: dict[str, Source] = {asked.check.name: source for asked, source in opened if source}
        self._looked_at: dict[str, float] = {}
        self._silent: dict[str, int] = {}
        self.sees(sides)

    def sees(self, sides: Sides) -> None:
        """The pods as they are now."""
        self._sides, self._serving = sides, self._served.of(sides)

    def sides_for(self, asked: CheckAsked) -> Sides:
        return self._sides if isinstance(asked.source, PodsAsked) else self._serving

    def begin(self, asked: CheckAsked, now: float) -> str:
        """Reaches the source once: why it did not answer, or nothing."""
        try:
            self._sources[asked.check.name].begin(self.sides_for(asked))
        except NoAnswer as error:
            return str(error)
        self._looked_at[asked.check.name] = now
        return ""

    def look(self, asked: CheckAsked, now: float) -> Answers:
        """Raises NoAnswer; `missed` has to be told of that."""
        name = asked.check.name
        return self._sources[name].look(self.sides_for(asked), now - self._looked_at.get(name, now))

    def answered(self, asked: CheckAsked, now: float) -> None:
        self._looked_at[asked.check.name] = now
        self._silent[asked.check.name] = 0

    def missed(self, asked: CheckAsked, reason: str) -> str:
        """Why this ends the run, if it does."""
        name = asked.check.name
        self._silent[name] = self._silent.get(name, 0) + 1
        if self._silent[name] in (1, SILENT_LOOKS):
            self._report(f"{name}: no data: {reason}")
        if self._silent[name] >= SILENT_LOOKS and self._stop:
            return f"{name} gave no data {SILENT_LOOKS} times in a row"
        return ""

    def doubts(self) -> Mapping[str, str]:
        """By check, of those whose source doubts what it has counted."""
        told = {name: source.doubt() for name, source in self._sources.items()}
        return {name: doubt for name, doubt in told.items() if doubt}

    def costs(self) -> Mapping[str, Any]:
        """By check, of those that cost anything."""
        spent = {name: dict(source.costs()) for name, source in self._sources.items()}
        return {name: cost for name, cost in spent.items() if cost}

    def close(self) -> None:
        for source in self._sources.values():
            source.close()
