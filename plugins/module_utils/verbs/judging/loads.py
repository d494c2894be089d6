# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a second of a canary pod is worth beside one of a stable pod, where routes and not pods decide who gets a request.

Errors go with requests. A canary pod that gets a third of what a stable pod gets has, in the same time, a third of the errors of
a version that is as good; counted by pod-seconds it would pass although it is three times as bad. This module is private to the
collection.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Union

from ...cluster.api import Api
from ...cluster.errors import ApiError
from ...foreign import printable
from ...probes.source import Sides
from ...rollout.fields import Malformed
from ...rollout.record import Record, Traffic
from ...traffic.exposure import NOBODY, Exposure, Stage, Unroutable, Versions
from ...traffic.kinds import GATEWAY_API
from ...traffic.load import copied_load, relative_load
from ...traffic.services import service_name
from ..routing.network import Network
from ..routing.routes import release_of

# Of a look: the factor, or why nobody knows it.
Worth = Union[Fraction, str]
EQUAL = Fraction(1)
COPIES = "the canary gets copies of requests, and no user its answers: what is judged is how its pods bear them, and not what users would have got"
CHANGED = "the share of requests that the canary gets changed since the look before"


class Loads:
    """One for a run of looks; a request for each route in each look, and none for a release without traffic."""

    def __init__(self, api: Api, namespace: str, record: Record | None) -> None:
        self._traffic: Traffic | None = record.traffic if record else None
        self._release = release_of(record) if record else ""
        self._network = Network(api, namespace, self._traffic.kind if self._traffic else GATEWAY_API)
        self._before: set[Exposure | None] | None = None
        self.worth: Worth = EQUAL
        # What a verdict on such a canary does not say; empty where there is nothing of the kind.
        self.caveat = ""

    def sees(self, sides: Sides) -> None:
        """The two versions as they are now."""
        if self._traffic is None:
            return
        try:
            found = {self._exposure(ref.name, self._traffic.service, sides) for ref in self._traffic.routes}
        except (ApiError, Malformed, Unroutable) as error:
            self._before, self.worth = (
                None,
                f"what share of requests the canary gets is not known: {printable(str(error))}",
            )
            return
        before, self._before = self._before, found
        self.caveat = COPIES if any(one and one.mirror for one in found) else ""
        self.worth = CHANGED if before not in (None, found) else _worth(found, sides)

    def _exposure(self, route: str, service: str, sides: Sides) -> Exposure | None:
        """None: the owner's own backends, so that pods decide."""
        stable, canary = (service_name(service, one.hash, self._release) for one in (sides.stable, sides.canary))
        router = self._network.router
        stage, wanted = router.state(self._network.route(route), Versions(service, stable, canary))
        if stage is Stage.SPLIT:
            return wanted.exposure
        if stage is Stage.ISOLATED:
            return NOBODY
        if stage is Stage.OWN:
            return None
        raise Unroutable(f'somebody else writes {router.field} of {router.kind} "{route}"')


def _worth(found: set[Exposure | None], sides: Sides) -> Worth:
    if len(found) != 1:
        return "not every route gives the canary the same share of requests"
    (exposure,) = found
    if exposure is None:
        return EQUAL
    if exposure.header is not None:
        return f"how many requests have the header {exposure.header.name} is not known"
    canary, stable = (sum(pod.ready for pod in one.pods) for one in (sides.canary, sides.stable))
    load, part = (copied_load, exposure.mirror) if exposure.mirror else (relative_load, exposure.weight)
    worth = load(part, canary, stable)
    if worth is None:
        return "no request of a user comes to one of the two versions"
    return worth
