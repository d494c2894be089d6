# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes are their owner's again, in force, and at the end nothing of ours is left. This module is private to the collection."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Sequence

from ...traffic.exposure import Exposure, Stage, Unroutable, Wanted
from ...traffic.route import kept_of
from ...traffic.selector import selected
from ...traffic.services import version_of
from ...wording import count_of
from .lagging import OF_A_CONTROLLER, OF_THE_SERVER, until
from .network import Network
from .proving import Barred, NotProgrammed, NotServed, Prover, unproven
from .reclaiming import of_another
from .routes import OURS, THEIRS, Now, Routes, Wish, owners, owners_for_now
from .switching import SETTLE_SECONDS
from .versions import delete_all, keep_stable

# A gateway that is gone, or a page before it, keeps nobody from an end for good.
_UNTIL_IT_IS = (
    "Run this again. Where the gateway will never tell it, as one that is gone, put back by hand what stood there (docs/traffic.md, By hand), "
    "then run this again"
)


def hand_back(routes: Routes, found: Sequence[Now], canary_hash: str) -> None:
    """The owner's backends are in force. Raises Refusal, and users get what they got before then; a rule without any stays."""
    routes.prepare(found)
    keep_stable(routes, found)
    try:
        give_back(routes, found, canary_hash, _but_for_testers, insists=True)
    except NotProgrammed as error:
        _as_before(routes, found, canary_hash)
        raise unproven(error, "Users get what they got before", "Look at the gateway, then run this again") from error


def _as_before(routes: Routes, before: Sequence[Now], canary_hash: str) -> None:
    """A gateway that comes to the owner's backends when nobody looks any more would give the canary the share of its pods, whatever its own is.
    Where it has come to them the Services of both versions are reached first, or have had as long as a write may take."""
    was = {one.route.name: one.wanted for one in before if one.stage in OURS}

    def again(now: Now) -> Wanted | None:
        # What another run has made of it meanwhile stays, and one that keeps nothing is of a release that is over.
        ours = now.stage is Stage.OWN and now.route.annotation is not None
        return was.get(now.route.name) if ours else None

    def reach(now: Now) -> Wanted | None:
        versions = tuple(filter(None, (routes.stable, now.canary)))
        return None if again(now) is None else replace(now.wanted, warm=versions)

    found = routes.look(canary_hash)
    if routes.tries:
        written = routes.put(found, reach, canary_hash, insists=False)
        with suppress(NotProgrammed):
            routes.await_(written)
        found = routes.since(found, written, canary_hash)
    routes.put(found, again, canary_hash, insists=False)


def _but_for_testers(now: Now) -> Wanted:
    """The owner's backends; who asks for the canary by a header has it until every pod is new, and never falls back. Whoever ends this another
    way after all finds what users got."""
    return Wanted(Stage.OWN, Exposure(header=now.wanted.exposure.header), drained=now.wanted.again)


def give_back(routes: Routes, found: Sequence[Now], canary_hash: str, own: Wish, *, insists: bool = False) -> list[Now]:
    """The owner's backends, as `own` says, are in force; the routes then. No user was sent to the owner's Service meanwhile, and a proxy may have forgotten its
    endpoints: it is reached by a rule without users first, also where that takes more room than a route has, if somebody `insists`. Raises
    NotProgrammed."""
    service = routes.traffic.service
    elsewhere = [one for one in found if routes.is_elsewhere(one)]
    routes.put(elsewhere, owners, canary_hash, marked=False, insists=insists)
    found = [one for one in found if one not in elsewhere]
    if not routes.router.switches:
        _await_pods(routes, found)

    def reach(now: Now) -> Wanted | None:
        return None if routes.router.sends_to(now.route, service) else warm(routes, now, service)

    warmed = found
    if routes.prover.marks:
        warmed = routes.in_force(found, routes.put(found, reach, canary_hash, insists=insists), canary_hash)
    return routes.in_force(warmed, routes.put(warmed, own, canary_hash, insists=insists), canary_hash)


def warm(routes: Routes, now: Now, service: str) -> Wanted:
    """A rule without users reaches this Service, and users get what they got."""
    return replace(stays(routes, now), warm=(service,), cookies=False, copies=False)


def stays(routes: Routes, now: Now) -> Wanted:
    """What users get and go on with. Of a route that somebody else wrote that is what was wanted as far as they are sent to it already, and
    else the backends that he wrote."""
    if now.stage not in THEIRS or now.wanted.stage is Stage.OWN:
        return now.wanted
    stable, canary = (bool(one) and routes.router.sends_to(now.route, one) for one in (routes.stable, now.canary))
    if now.wanted.stage is Stage.SPLIT and stable and canary:
        return now.wanted
    return Wanted(Stage.ISOLATED if stable else Stage.OWN, drained=now.wanted.again)


def leave(routes: Routes) -> None:
    """Nothing of ours is left: first on the routes, then the Services. Raises Refusal, and nothing is deleted then."""
    services = routes.network.of(routes.owner)
    canary = next((of for of in map(version_of, services) if of not in ("", routes.stable_hash)), "")
    found = routes.look(canary)
    # One that keeps something was written, and nobody knows whether that was waited for. What another Deployment's release has written there is
    # none of this one's. Of what belongs to a route something may be left that the route itself does not tell.
    ours = [one for one in found if of_another(one.route, routes.owner.uid) is None]
    touched = [
        one for one in ours if one.stage is not Stage.OWN or one.route.annotation is not None or one.route.companion
    ]
    # Of a Deployment without pods nobody is served, wherever its users are sent, and nothing of its Service can be reached first.
    if touched and routes.account.seen.deployment.replicas:
        routes.prepare(touched, insists=False)
        _await_one_version(routes, touched)
        try:
            touched = _given_back(routes, touched, canary)
        except NotProgrammed as error:
            left = "The Services of both versions were left, because they may still be sent requests"
            raise unproven(error, left, _UNTIL_IT_IS) from error
    routes.put(touched, owners, canary, marked=False, insists=False)
    delete_all(routes, services)
    routes.account.extra.pop("exposure", None)


def _given_back(routes: Routes, found: Sequence[Now], canary_hash: str) -> list[Now]:
    """As `give_back`, also where a login that came since keeps anybody from asking: by what the routes' status says then."""
    try:
        return give_back(routes, found, canary_hash, owners_for_now)
    except Barred as error:
        if isinstance(routes.prover, Prover):
            routes.prover.asks_no_more(error)
    names = {one.route.name for one in found}
    again = [one for one in routes.look(canary_hash) if one.route.name in names]
    return give_back(routes, again, canary_hash, owners_for_now)


def _await_pods(routes: Routes, found: Sequence[Now]) -> None:
    """The owner's Service has every pod that users get now of the versions' Services. He may have deleted it since, or let it select others, of
    which no status tells, and which answer a probe as well. Raises NotServed."""
    network, own, seconds = routes.network, routes.traffic.service, routes.traffic.seconds
    gets = routes.router.sends_to
    leaves = [one for one in found if not gets(one.route, own)]
    services = {of for one in leaves for of in (routes.stable, one.canary) if of and gets(one.route, of)}
    if not services:
        return
    lacks = 0

    def has_them() -> bool:
        nonlocal lacks
        has, *users_get = network.ready(own, *services)
        lacks = len(frozenset[str]().union(*users_get) - has)
        return not lacks

    clock = routes.account.site.clock
    if not until(clock, clock.monotonic() + seconds, has_them, OF_A_CONTROLLER):
        if network.service(own) is None:
            raise NotServed(f'there is no Service "{own}", to which its users are to come back')
        raise NotServed(f'Service "{own}" lacks {count_of(lacks, "Ready pod")} that users get now, after {seconds} s')


def _await_one_version(routes: Routes, found: Sequence[Now]) -> None:
    """Who was on one version alone is not to be given to pods of the other that are ending: the owner's Service has let go of them, and
    a proxy has had time to hear of it. Later than that nothing waits."""
    versions = {service for one in found if (service := _only_version(one))}
    if not versions or routes.router.switches:
        return
    clock, network, own = routes.account.site.clock, routes.network, routes.traffic.service
    deadline = clock.monotonic() + routes.traffic.seconds
    for service in versions:
        until(clock, deadline, partial(_same_endpoints, network, own, service), OF_THE_SERVER)
    clock.sleep(SETTLE_SECONDS)


def _same_endpoints(network: Network, one: str, other: str) -> bool:
    ones, others = network.ready(one, other)
    return ones == others


def _only_version(now: Now) -> str:
    """The Service of the one version that everybody gets; empty where it is not one."""
    kept = kept_of(now.route)
    if kept is None or now.stage not in OURS:
        return ""
    wanted = now.wanted
    # Who asks for what everybody gets is no user of another version, and nor is a copy.
    header = None if wanted.exposure.weight == 1 else wanted.exposure.header
    wanted = replace(wanted, exposure=replace(wanted.exposure, header=header, mirror=Fraction(0)))
    try:
        return selected(wanted, kept.versions)
    except Unroutable:
        return ""
