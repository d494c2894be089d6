# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Leases of releases that stand, and wait for the others of their wave: nobody works on them, and they are kept all the same.

This module is private to the collection.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Callable, Iterable, Sequence

from ...cluster.crew import Crew
from ...cluster.errors import ApiError
from ...rollout.fields import Malformed
from ..call.holding import RENEW_SECONDS, Holding
from ..call.orders import Call, held_as
from .orders import FleetRequest, Member

# However few releases go on at once: those that stand wait for this, and a Lease ends while one cluster after the other is silent.
CLUSTERS_AT_ONCE = 20


def of_fleet(call: Call, together: int = 1) -> Call:
    """A release in a fleet is over with the process of the fleet, whatever its run is called. `together`: how many are worked on at once."""
    return replace(call, lease=replace(call.lease, of_process=True), together=together)


class Leases:
    def __init__(self, crew: Crew, request: FleetRequest) -> None:
        self._crew, self._request = crew, request
        self._due = 0.0

    @property
    def every(self) -> float:
        """Seconds between two rounds, so few that no Lease ends in twice that time."""
        asked = (member.request.call.lease.seconds for member in self._request.members)
        return min((RENEW_SECONDS, *(seconds / 3 for seconds in asked if seconds)))

    def prolong(self, members: Iterable[Member]) -> None:
        """Two requests each, and none before the next round is due; clusters side by side. Where one does not answer at all, the rest of it
        is left for that."""
        if self._crew.clock.monotonic() < self._due:
            return
        self._due = self._crew.clock.monotonic() + self.every
        self._each(members, Holding.prolong)

    def give_up(self, members: Iterable[Member]) -> None:
        """At the end of the call, of those that a person is to decide about."""
        self._each(members, Holding.give_up)

    def _each(self, members: Iterable[Member], does: Callable[[Holding], None]) -> None:
        clusters: dict[int, list[Member]] = defaultdict(list)
        for member in members:
            clusters[member.cluster].append(member)
        at_once = max(self._request.at_once, CLUSTERS_AT_ONCE)
        self._crew.all([partial(self._in_cluster, does, *one) for one in clusters.items()], at_once)

    def _in_cluster(self, does: Callable[[Holding], None], cluster: int, members: Sequence[Member]) -> None:
        api = self._crew.api(cluster)
        for member in members:
            try:
                does(held_as(api, of_fleet(member.request.call), self._request.run, returns=True))
            except (ApiError, Malformed) as error:
                if isinstance(error, ApiError) and error.is_silence:
                    return
