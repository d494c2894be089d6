# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait for what lags behind a write: a proxy, a controller, a status. This module is private to the collection."""

from __future__ import annotations

from typing import Callable

from ...cluster.clock import Clock

# Between two looks at a proxy, which answers by itself; and at what the API server tells.
PAUSE_SECONDS, LOOK_SECONDS = 0.02, 0.5


def until(clock: Clock, deadline: float, seen: Callable[[], bool], pause: float, longest: float | None = None) -> bool:
    """Whether it was seen by `deadline` (of `clock.monotonic`); it is asked once at least. `longest`: the pause doubles up to that."""
    while not seen():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(pause)
        pause = pause if longest is None else min(2 * pause, longest)
    return True
