# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much burstier than chance the bad events of stable come; by that much evidence counts less.

Differences between neighbouring buckets are compared with their sums, over stable pods only: for independent events
both are alike. The variance of both versions about their mean would take a canary that breaks late for burstiness.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from ..values import dataclass


@dataclass(frozen=True)
class Scatter:
    """`squares`: sum of (x_t - x_t-1) ** 2, `sums`: sum of x_t + x_t-1, x_t being a pod's bad events in a bucket."""

    squares: float = 0.0
    sums: float = 0.0

    def __add__(self, other: Scatter) -> Scatter:
        return Scatter(self.squares + other.squares, self.sums + other.sums)

    @property
    def factor(self) -> float:
        """What log evidence is divided by: at least 1, and 1 while nothing is known."""
        return max(1.0, self.squares / self.sums) if self.sums > 0 else 1.0


NO_SCATTER = Scatter()


class StableScatter:
    """Remembers each stable pod's bucket before; a pod that has gone is forgotten, so memory is bounded by the pods."""

    def __init__(self) -> None:
        self._before: Mapping[str, float] = {}

    def add(self, bad_by_pod: Mapping[str, float]) -> Scatter:
        """What the bucket with these bad events a pod adds; pods without a bucket before add nothing."""
        squares = sums = 0.0
        for pod, bad in bad_by_pod.items():
            before = self._before.get(pod)
            if before is not None:
                squares += (bad - before) ** 2
                sums += bad + before
        self._before = bad_by_pod
        return Scatter(squares, sums)
