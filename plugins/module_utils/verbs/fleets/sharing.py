# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That no two releases of a wave send their users through the same route, which one release has at a time: told before the first wave.

This module is private to the collection.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Iterator, Mapping, Sequence

from ...cluster.api import Api
from ...cluster.crew import Crew
from ...rollout.phase import diagnose
from ...rollout.record import RouteRef
from ...rollout.refusal import Code, Refusal
from ...traffic.routers import ROUTERS
from ..call.ending import Account
from ..call.orders import TrafficRequest
from ..call.outcome import quietly
from ..call.site import Site
from ..routing.choosing import choose
from .looking import Looks
from .orders import FleetRequest, Member


def that_share(crew: Crew, looks: Looks, request: FleetRequest) -> Mapping[int, Refusal]:
    """Of those in a wave that write to the same object, all but the first, by their place.

    Asked only where a wave has several releases whose objects of one kind are in one namespace, of each of those: its Deployment, and what
    it would choose. What cannot be looked at now is found out by its own wave.
    """
    beside = [places for wave in request.waves for places in _beside(crew, request.members, wave)]
    found = looks.all(
        {place: partial(_chosen, request.members[place], asked) for places in beside for place, asked in places.items()}
    )
    shared: dict[int, Refusal] = {}
    for places in beside:
        first: dict[str, int] = {}
        for place, asked in places.items():
            seen = found.get(place)
            for route in seen if isinstance(seen, tuple) else ():
                other = first.setdefault(route.uid, place)
                if other != place:
                    shared[place] = _refusal(request.members[place], request.members[other], asked, route)
    return dict(sorted(shared.items()))


def _beside(crew: Crew, members: Sequence[Member], wave: Sequence[int]) -> Iterator[Mapping[int, TrafficRequest]]:
    """Places that may have to do with the same objects, each with what its release asks for. One cluster may be asked as several users."""
    groups: dict[tuple[tuple[str, ...], str, str], dict[int, TrafficRequest]] = defaultdict(dict)
    for place in wave:
        member = members[place]
        asked = next((step.traffic for step in member.request.steps if step.traffic is not None), None)
        if asked is not None:
            where = (
                crew.api(member.cluster).cluster,
                member.request.call.target.namespace,
                ROUTERS[asked.kind].collection,
            )
            groups[where][place] = asked
    return (places for places in groups.values() if len(places) > 1)


def _chosen(member: Member, asked: TrafficRequest, api: Api) -> tuple[RouteRef, ...]:
    """Of a canary that is there already, those that it has. Raises Refusal."""
    account = Account(Site(api, member.request.call.target, member.request.call), check=True)
    situation = account.looked(diagnose(account.site.look()))
    record, stable = situation.record, situation.stable
    if record is not None:
        return record.traffic.routes if record.traffic else ()
    template = situation.deployment.template if stable is None else stable.template
    return choose(account, asked, situation, template, quietly).routes


def _refusal(member: Member, other: Member, asked: TrafficRequest, route: RouteRef) -> Refusal:
    return Refusal(
        Code.NO_ROUTE,
        f'{ROUTERS[asked.kind].kind} "{route.name}" is used by {other.label} in the same wave as by {member.label}, and one release has it at a time',
        "Put them into waves apart, or name other routes in traffic.routes",
    )
