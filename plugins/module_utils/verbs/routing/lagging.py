# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait for what lags behind a write: a proxy, a controller, a status. This module is private to the collection."""

from __future__ import annotations

from typing import Callable

from ...cluster.clock import Clock
from ...values import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds between two looks: the `first` pause, and each later one `times` as long as the one before, up to the `longest`."""

    first: float
    times: float = 1.0
    longest: float = 1.0


# At a proxy, which answers by itself: what has come into force is seen later by a hundredth of the time that it took, or by the first pause.
OF_A_PROXY = Pace(0.005, 1.01, 0.5)
# At what the API server tells, and at what a controller there does with a write, which may take long where that stands still.
OF_THE_SERVER, OF_A_CONTROLLER = Pace(0.5), Pace(0.05, 2.0)


def until(clock: Clock, deadline: float, seen: Callable[[], bool], pace: Pace) -> bool:
    """Whether it was seen by `deadline` (of `clock.monotonic`); it is asked once at least."""
    pause = pace.first
    while not seen():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(pause)
        pause = min(pace.times * pause, pace.longest)
    return True
