# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Leases of releases that stand, and wait for the others of their wave: nobody works on them, and they are kept all the same.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Sequence

from ...cluster.crew import Crew
from ...cluster.errors import ApiError
from ...rollout.fields import Malformed
from ..call.holding import RENEW_SECONDS, Holding
from ..call.orders import Call, held_as
from .orders import Member


def of_fleet(call: Call, together: int = 1) -> Call:
    """A release in a fleet is over with the process of the fleet, whatever its run is called. `together`: how many are worked on at once."""
    return replace(call, lease=replace(call.lease, of_process=True), together=together)


class Leases:
    """Of whoever waits for the works of a fleet: threads do not share them."""

    def __init__(self, crew: Crew, members: Sequence[Member], run: str) -> None:
        self._crew, self._members, self._run = crew, members, run
        self._known: dict[int, Holding] = {}

    @property
    def every(self) -> float:
        """Seconds between two rounds, so few that no Lease ends in twice that time."""
        asked = (member.request.call.lease.seconds for member in self._members)
        return min((RENEW_SECONDS, *(seconds / 3 for seconds in asked if seconds)))

    def prolong(self, places: Iterable[int]) -> None:
        """Two requests each. Where a cluster does not answer, the rest of it is left for the next round."""
        silent: set[int] = set()
        for place in places:
            cluster = self._members[place].cluster
            if cluster in silent:
                continue
            try:
                self._of(place).prolong()
            except (ApiError, Malformed):
                silent.add(cluster)

    def _of(self, place: int) -> Holding:
        if place not in self._known:
            member = self._members[place]
            call = of_fleet(member.request.call)
            self._known[place] = held_as(self._crew.api(member.cluster), call, self._run, returns=True)
        return self._known[place]
