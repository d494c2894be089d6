# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a source gave no data, how often, and why.

This module is private to the collection.
"""

from __future__ import annotations

from ..wording import count_of
from .samples import NoData


class Gaps:
    """`silent`: the newest thing that the source did was to give no data."""

    def __init__(self) -> None:
        self.count = 0
        self.silent = False
        self.last_reason = ""

    def miss(self, gap: NoData) -> None:
        self.count += 1
        self.silent = True
        self.last_reason = gap.reason

    def answered(self) -> None:
        self.silent = False

    @property
    def sentence(self) -> str:
        if not self.count:
            return "nothing was counted: the source was not asked, or only during the warmup"
        return f"no data to judge by ({count_of(self.count, 'time')}), the last time: {self.last_reason}"
