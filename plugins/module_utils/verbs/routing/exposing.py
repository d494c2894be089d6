# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary gets its share of the requests. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Sequence

from ...rollout import patches
from ...rollout.patches import Plan
from ...rollout.phase import Situation
from ...rollout.record import Intent
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import Exposure, Stage, Wanted
from ..call.orders import TrafficRequest
from ..call.writing import Otherwise, ask, write
from .bearing import agree_to_load
from .exposed import given, tell_changed
from .proving import NotProgrammed
from .routes import THEIRS, Now, Routes, Wish, always, exposure_of, release_of
from .versions import await_endpoints, ensure


def expose(
    routes: Routes,
    asked: TrafficRequest,
    situation: Situation,
    canary_hash: str,
    pods: int,
    found: Sequence[Now] | None = None,
) -> Exposure:
    """The canary gets what is asked for, and otherwise what it got, which is told. `pods`: Ready ones that it has. `found`: the routes, where
    they were looked at right before. Raises Refusal."""
    ask(routes.account.site, situation.picture)
    if found is None:
        found = routes.look(canary_hash)
    routes.prepare(found)
    exposure = would_get(routes, asked, found)
    agree_to_load(routes.account, asked, exposure.load, situation.deployment.replicas, pods)
    service = ensure(routes, canary_hash)
    try:
        await_endpoints(routes, service, pods)
        warmed = found
        if any(_meets_users(one, service, exposure) for one in found):
            routes.prover.await_known()
        if routes.prover.marks:
            written = routes.write(found, _warm(routes, service, exposure), canary_hash)
            warmed = routes.in_force(found, written, canary_hash)
        split = routes.write(warmed, _split(routes, exposure), canary_hash)
        stand = routes.in_force(warmed, split, canary_hash)
    except NotProgrammed as error:
        failed = routes.failed(error, canary_hash)
        _back_to(routes, found, canary_hash)
        raise failed from error
    _keep(routes, situation, exposure_of(stand))
    _warn(routes, exposure)
    routes.tell(stand)
    return exposure


def would_get(routes: Routes, asked: TrafficRequest, found: Sequence[Now]) -> Exposure:
    """What is asked for, and otherwise what the release gave the canary last, whatever has become of a route since. Of users who are kept by a
    cookie a route tells how many of them have seen which version, where it still does. Warns where somebody has changed it."""
    record, gets = routes.account.seen.record, exposure_of(found)
    told = given(record) if record is not None else None
    if record is None or told is None:
        return asked.over(gets)
    tell_changed(routes, record, found)
    return asked.over(gets if gets.sticky else told)


def _keep(routes: Routes, situation: Situation, gets: Exposure) -> None:
    """In the record, where nobody else writes it: what was kept on a route comes back with an older copy of that. A write where it changed."""
    site, text = routes.account.site, gets.encode()

    def decide(now: Situation) -> Plan | None:
        record = now.record
        if record is None or record.intent is not Intent.HOLD or release_of(record) != routes.release:
            raise site.ended()
        if record.exposure == text:
            return None
        return patches.corrected(now.deployment, replace(record, exposure=text), "keep what the canary gets")

    # What admission makes of the template was asked before, and users wait for nothing now.
    written = write(site, situation.picture, decide, lambda: site.look(pods=True), Otherwise.FAILS)
    routes.account.wrote(written.plan)
    routes.account.looked(written.situation)


def foretell(routes: Routes, found: Sequence[Now], asked: TrafficRequest, canary_hash: str) -> Exposure:
    """As `expose` in check mode. What the canary would get."""
    routes.tell_put_back(found)
    exposure = would_get(routes, asked, found)
    routes.rehearse(found, always(Wanted(Stage.SPLIT, exposure)), canary_hash)
    _warn(routes, exposure)
    return exposure


def _warn(routes: Routes, exposure: Exposure) -> None:
    """Of what comes with it."""
    if routes.router.switches and exposure.weight:
        routes.account.warn(
            f'Service "{routes.traffic.service}" selects this version alone while users get it: a rollout by somebody else would empty it. Promote or '
            "undo before that"
        )
    if exposure.mirror:
        routes.account.warn(
            "the canary does once more whatever the requests that it gets a copy of ask for: what they write is written twice, unless it "
            "has a place of its own for that"
        )


def _warm(routes: Routes, service: str, exposure: Exposure) -> Wish:
    """Only where some of it is new to the gateway: the Service, users of it, that they are kept by a cookie, or that requests are copied."""
    keeps, copies = exposure.sticky is not None, bool(exposure.mirror)

    def wish(now: Now) -> Wanted | None:
        _check_live(routes, now)
        if now.stage is not Stage.SPLIT or now.canary != service:
            return Wanted(Stage.ISOLATED, warm=(service,), cookies=keeps, copies=copies, drained=now.wanted.again)
        kept, copied = now.wanted.exposure.sticky is not None, bool(now.wanted.exposure.mirror)
        if keeps <= kept and copies <= copied and not _meets_users(now, service, exposure):
            return None
        return replace(now.wanted, warm=(service,), cookies=keeps, copies=copies)

    return wish


def _meets_users(now: Now, service: str, exposure: Exposure) -> bool:
    """Users, or testers, are to get a Service that none of them gets yet. It may have been deleted meanwhile, which copies show to nobody, and
    made anew since a proxy knew it."""
    if now.stage is not Stage.SPLIT or now.canary != service:
        return True
    gets = now.wanted.exposure
    return bool(exposure.weight and not gets.weight) or (exposure.header is not None and gets.header is None)


def _split(routes: Routes, exposure: Exposure) -> Wish:
    def wish(now: Now) -> Wanted:
        _check_live(routes, now)
        return Wanted(Stage.SPLIT, exposure)

    return wish


def _check_live(routes: Routes, now: Now) -> None:
    """Raises Refusal where the owner has his backends back, because somebody promoted this release, took it back or put them back; and where
    somebody has written others since the route was isolated: what would be in force then, nobody has proven."""
    if now.stage in THEIRS:
        raise routes.contested(now.route)
    if now.stage is Stage.OWN:
        raise routes.given_back(now.route)


def _back_to(routes: Routes, before: Sequence[Now], canary_hash: str) -> None:
    """What was there before this call, which was proven; or, where that cannot be said beside what somebody else has made of the route
    meanwhile, stable pods alone for its users. A release that somebody has ended meanwhile gets nothing back."""
    was = {one.route.name: one for one in before}
    for now in routes.look(canary_hash):
        there = was.get(now.route.name)
        if there is not None and now.stage is not Stage.OWN:
            nobody = Wanted(Stage.ISOLATED, drained=there.wanted.again)
            split = there.stage is Stage.SPLIT and there.canary == now.canary
            _writes_first(routes, now, (there.wanted, nobody) if split else (nobody,), canary_hash)


def _writes_first(routes: Routes, now: Now, wanted: Sequence[Wanted], canary_hash: str) -> None:
    """The first of these that the route takes. Of one that takes none a warning tells, for what went wrong before it is what is to be told."""
    refused: Refusal | None = None
    # Without a mark only where it has no room for that.
    for one, marked in product(wanted, (True, False)):
        try:
            routes.write([now], always(one), canary_hash, marked=marked)
            return
        except Refusal as refusal:
            if refusal.code is not Code.NO_ROUTE:
                raise
            refused = refusal
    if refused is not None:
        routes.account.warn(f"what the canary got is not put back: {refused.what}")
