# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that tests give in place of the system's."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SystemClock


class Pauses(SystemClock):
    """The system's, except that a pause is noted and not slept through."""

    def __init__(self, noted: list[float]) -> None:
        self._noted = noted

    def sleep(self, seconds: float) -> None:
        self._noted.append(seconds)


class Leaps(SystemClock):
    """Nothing but pauses takes time, and these are over at once: however busy a machine is, so many looks fit into so many seconds."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
