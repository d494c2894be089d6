# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain bounds: so many readings outside in a row fail, so many inside pass. No evidence, and no promise about errors.

This module is private to the collection.
"""

from __future__ import annotations

from .checks import BoundCheck
from .samples import Reading


class BoundWatch:
    """Counts readings in a row. A gap in the data starts the count again, since nobody knows what happened in it."""

    def __init__(self, check: BoundCheck) -> None:
        self._check = check
        self.inside_in_a_row = 0
        self.outside_in_a_row = 0
        self.readings = 0
        self.last: Reading | None = None

    def add(self, reading: Reading) -> None:
        inside = self._check.contains(reading.value)
        self.inside_in_a_row = self.inside_in_a_row + 1 if inside else 0
        self.outside_in_a_row = 0 if inside else self.outside_in_a_row + 1
        self.readings += 1
        self.last = reading

    def start_afresh(self) -> None:
        self.inside_in_a_row = self.outside_in_a_row = 0

    @property
    def fails(self) -> bool:
        return self.outside_in_a_row >= self._check.in_a_row

    @property
    def passes(self) -> bool:
        return self.inside_in_a_row >= self._check.in_a_row
