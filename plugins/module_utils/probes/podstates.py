# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `pods` check: restarts, readiness lost and evictions, out of pod-seconds. Costs no request of its own.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from .source import Answers, Counted, ProbedPod, Sides, Tally, Version


class PodStates:
    """Compares each pod, by uid, with the look before. A restart after an OOM kill is a restart."""

    def __init__(self) -> None:
        self._before: dict[str, ProbedPod] = {}
        self._evicted: set[str] = set()

    def begin(self, sides: Sides) -> None:
        versions = (sides.canary, sides.stable)
        self._before = {pod.uid: pod for version in versions for pod in version.pods}
        self._evicted = {pod.uid for version in versions for pod in version.evicted}

    def look(self, sides: Sides, seconds: float) -> Answers:
        counted = Counted(self._tally(sides.canary, seconds), self._tally(sides.stable, seconds))
        self.begin(sides)
        return {"": counted}

    def _tally(self, version: Version, seconds: float) -> Tally:
        by_pod = {pod.name: float(_bad(self._before.get(pod.uid), pod)) for pod in version.pods}
        by_pod.update({pod.name: 1.0 for pod in version.evicted if pod.uid not in self._evicted})
        return Tally(sum(by_pod.values()), max(1, version.exposed(by_pod)) * seconds, by_pod)

    def close(self) -> None:
        self._before = {}

    def doubt(self) -> str:
        return ""

    def costs(self) -> Mapping[str, float]:
        return {}


def _bad(before: ProbedPod | None, now: ProbedPod) -> int:
    """A pod that is new since the look before has all its restarts to answer for; it was never Ready before. One that is Ready again has
    lost its readiness once at least."""
    restarts = max(0, now.restarts - (before.restarts if before else 0))
    if before is None or not before.ready:
        return restarts
    lost_readiness = not now.ready or now.ready_since != before.ready_since
    # A crash shows as a restart and as lost readiness: one event.
    return restarts or int(lost_readiness)
