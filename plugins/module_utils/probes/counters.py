# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Increases of Prometheus counters, read raw and subtracted here: exact counts, no extrapolation, resets handled.

Several Prometheus servers may stand behind one address, each with its own scrapes.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from .source import NoAnswer

MOST_SERIES = 20_000

# A series by its labels, sorted.
Series = tuple[tuple[str, str], ...]


class Counters:
    """Remembers the last value of every series for the whole run, so that one that was not scraped for a while goes on
    from there. A value that is not even half is a restart of the counter, which begins at 0 again; one that is only somewhat
    smaller comes from a server that is a scrape behind, and adds nothing until it is made up for. A series that was never
    seen begins at 0 too, except at the first look, which only says where counting starts: error counters appear with their
    first error.
    """

    def __init__(self) -> None:
        self._last: dict[Series, float] = {}
        self._begun = False

    def increases(self, values: Mapping[Series, float]) -> dict[Series, float]:
        """What was added since the look before, of each series that is there now. Raises NoAnswer."""
        if len(self._last.keys() | values.keys()) > MOST_SERIES:
            raise NoAnswer(f"the query gives more than {MOST_SERIES} series: aggregate it, sum by (pod)")
        increases = {}
        for series, value in values.items():
            before = self._last.get(series, 0.0 if self._begun else value)
            began_again = value < before / 2
            increases[series] = value if began_again else max(0.0, value - before)
            self._last[series] = value if began_again else max(value, before)
        self._begun = True
        return increases
