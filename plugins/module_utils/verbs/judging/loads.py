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
from typing import Mapping, Union

from ...cluster.api import Api
from ...cluster.errors import ApiError
from ...foreign import printable
from ...probes.source import Sides
from ...rollout.fields import Malformed
from ...rollout.phase import Situation
from ...rollout.record import Record, Traffic
from ...traffic.exposure import NOBODY, Exposure, Stage, Unroutable, Versions
from ...traffic.kinds import GATEWAY_API, Header
from ...traffic.load import canary_load, copied_load, relative_load
from ...traffic.services import service_name
from ..call.site import Site
from ..routing.network import Network
from ..routing.routes import release_of
from .asked import VerifyRequest
from .checks import measures_time

# Of a look: the factor, or why nobody knows it.
Worth = Union[Fraction, str]
EQUAL = Fraction(1)
COPIES = "the canary gets copies of requests, and no user its answers: what is judged is how its pods bear them, and not what users would have got"
# Of what each pod gets without a canary. Latency grows with load, and slowly far from the limit of a pod.
ENOUGH = Fraction(4, 5)
LIGHT = (
    f"a canary pod gets less than {100 * ENOUGH} % of the requests that a pod gets without a canary, so that its latency says little of what it will "
    "be when every pod is new"
)
ASTRAY = (
    "no route of this release sends requests with canary_headers to the canary, and those with stable_headers elsewhere: set traffic.header, and "
    "put it and its value into canary_headers alone; or ask the pods themselves, with via: proxy"
)
# In a promotion by pods, and where a Service selects one version at a time.
OF_THE_OWNER = (
    "the owner's own routes decide where requests go, with canary_headers or without, so that nothing tells which version has answered; via: proxy "
    "asks the pods themselves"
)
UNPROVEN = (
    "nothing tells which version has answered, since whoever sends requests with canary_headers to the canary is no route of this release: with "
    "traffic.header it is, and via: proxy asks the pods themselves"
)
CHANGED = "the share of requests that the canary gets changed since the look before"


class Loads:
    """One for a run of looks; a request for each route in each look, and none for a release without traffic. `times`: a check measures how
    long requests take."""

    def __init__(self, api: Api, namespace: str, record: Record | None, *, times: bool = False) -> None:
        self._times = times
        self._traffic: Traffic | None = record.traffic if record else None
        self._release = release_of(record) if record else ""
        self._network = Network(api, namespace, self._traffic.kind if self._traffic else GATEWAY_API)
        self._before: set[Exposure | None] | None = None
        self.worth: Worth = EQUAL
        # What a verdict on such a canary does not say.
        self.caveats: tuple[str, ...] = ()

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
        copies, light = any(one and one.mirror for one in found), self._times and _is_light(found, sides)
        self.caveats = (*([COPIES] if copies else ()), *([LIGHT] if light else ()))
        self.worth = CHANGED if before not in (None, found) else _worth(found, sides)

    @property
    def has_routes(self) -> bool:
        """The release splits requests itself."""
        return self._traffic is not None

    def reached(self, canary: Mapping[str, str], stable: Mapping[str, str]) -> Worth:
        """Of requests with these headers, sent to a URL and not to a pod: each is worth one where the routes send the first to the canary,
        and the others elsewhere."""
        if self._traffic is None:
            return EQUAL
        if self._before is None:
            return f"which version requests come to is not known: {self.worth}"
        if self._before == {None}:
            return OF_THE_OWNER
        told = [one.header if one else None for one in self._before]
        apart = all(header and _has(canary, header) and not _has(stable, header) for header in told)
        return EQUAL if apart else ASTRAY

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


def _has(headers: Mapping[str, str], header: Header) -> bool:
    return any(name.lower() == header.name.lower() and value == header.value for name, value in headers.items())


def loads_of(site: Site, situation: Situation, request: VerifyRequest) -> Loads:
    times = any(measures_time(asked.source) for asked in request.checks)
    return Loads(site.api, site.target.namespace, situation.record, times=times)


def _ready(sides: Sides) -> tuple[int, int]:
    """Pods of the canary, and stable ones."""
    canary, stable = (sum(pod.ready for pod in one.pods) for one in (sides.canary, sides.stable))
    return canary, stable


def _is_light(found: set[Exposure | None], sides: Sides) -> bool:
    """By what is known to come: how many requests have a header is not. The canary stands beside all of the stable pods."""
    canary, stable = _ready(sides)
    known = [one.load for one in found if one is not None and one.header is None]
    return bool(canary) and any(load > 0 and canary_load(load, stable, canary) < ENOUGH for load in known)


def _worth(found: set[Exposure | None], sides: Sides) -> Worth:
    if len(found) != 1:
        return "not every route gives the canary the same share of requests"
    (exposure,) = found
    if exposure is None:
        return EQUAL
    if exposure.header is not None:
        return f"how many requests have the header {exposure.header.name} is not known"
    canary, stable = _ready(sides)
    load, part = (copied_load, exposure.mirror) if exposure.mirror else (relative_load, exposure.weight)
    worth = load(part, canary, stable)
    if worth is None:
        return "no request of a user comes to one of the two versions"
    return worth
