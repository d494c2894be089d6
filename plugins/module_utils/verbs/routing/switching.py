# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Service that was switched sends to the version that it selects: seen by its endpoints, which are those of that version's
own Service then.

Every proxy of a Service goes by them (kube-proxy, gateways, meshes). How long one takes to hear of it nobody can ask; it makes no request
fail, because the pods of both versions stay meanwhile. This module is private to the collection.
"""

from __future__ import annotations

from functools import partial
from typing import Sequence

from ...rollout.record import Traffic
from ...traffic.route import Route
from ...traffic.selector import selected
from ..call.ending import Account
from .lagging import OF_A_CONTROLLER, until
from .network import Network
from .proving import NotSwitched, Written

# What a proxy may lag behind: 0.2 s was the most that was measured through a gateway. Pods that get no requests any more go only then.
SETTLE_SECONDS = 2.0


class Switched:
    """As Prover (proving.py): `how` is "proven"."""

    marks = False
    how = "proven"
    why = ""

    def __init__(self, account: Account, network: Network, traffic: Traffic) -> None:
        self._clock, self._network, self._traffic = account.site.clock, network, traffic

    def prepare(self, routes: Sequence[Route], *, insists: bool = True, goes_on: bool = False) -> None:
        """Nothing has to be found."""

    def await_known(self) -> None:
        """It is seen by the endpoints themselves."""

    def await_in_force(self, written: Sequence[Written]) -> None:
        """Raises NotSwitched when the time for it is over."""
        deadline = self._clock.monotonic() + self._traffic.seconds
        for one in written:
            service = selected(one.kept.wanted, one.kept.versions) if one.kept else ""
            sends = partial(self._sends_to, one.route.name, service)
            if service and not until(self._clock, deadline, sends, OF_A_CONTROLLER):
                raise NotSwitched(
                    f'Service "{one.route.name}" does not have the endpoints of Service "{service}" after {self._traffic.seconds} s'
                )
        if written:
            self._clock.sleep(SETTLE_SECONDS)

    def _sends_to(self, own: str, service: str) -> bool:
        has, ready = self._network.ready(own, service)
        return bool(ready) and has == ready
