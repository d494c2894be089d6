# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of users while a canary begins or grows: sent to nobody but the stable version until its pods are Ready.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from ...rollout import patches
from ...rollout import start as rollout_start
from ...rollout.phase import Situation, ready_pods
from ...rollout.record import Record
from ...rollout.refusal import Code, Refusal
from ...rollout.start import Asker, Start, Wanted
from ...rollout.views import Picture
from ...traffic.exposure import Stage
from ...traffic.load import in_words
from ...wording import count_of
from ..call.ending import Account
from ..call.orders import StartRequest, TrafficRequest
from ..call.outcome import Outcome, Report
from ..call.site import Site
from ..call.writing import write
from ..routing.bearing import agree_to_load, agree_to_return
from ..routing.choosing import check_same, choose
from ..routing.exposing import expose, would_get
from ..routing.finding import of_record
from ..routing.isolating import isolate
from ..routing.reclaiming import check_free, left_on
from ..routing.routes import Now, Routes
from ..routing.versions import ensure


def routed(
    account: Account, situation: Situation, wanted: Wanted, asker: Asker, request: StartRequest, report: Report
) -> tuple[Asker, Routes | None, list[Now]]:
    """The routes of this release, those that it has or those that it begins with; and as they stand. Nothing is written."""
    record, asked = situation.record, request.traffic
    has = record.traffic if record is not None else None
    if has is None and asked is None:
        return asker, None, []
    if has is None and record is not None:
        raise Refusal(
            Code.NO_ROUTE,
            f'the canary of Deployment "{account.site.target.name}" was started without traffic',
            "Leave traffic out, or take it back with canary_undo and start it with traffic",
        )
    account.looked(situation)
    begun = rollout_start.decide(situation, wanted, asker)
    if asked is not None and has is not None:
        check_same(asked, has)
    elif asked is not None:
        asker = replace(asker, traffic=choose(account, asked, situation, wanted.template, report))
        begun = rollout_start.decide(situation, wanted, asker)
    routes = of_record(account, begun.record, report)
    if routes is None:
        raise AssertionError("a release that begins with traffic has it in its record")
    check_exposure(account, begun, situation, request)
    found = routes.look(canary_hash(situation))
    if request.call.check and record is None and any(left_on(one.route) for one in found):
        return asker, routes, []  # they would be given back first, and nothing can be rehearsed on top of that
    for one in found:
        check_free(one.route, situation.deployment.uid)
    routes.prepare(found)
    if asked is not None and asked.sticky:
        routes.check_sticky()
    exposure = would_get(routes, asked or TrafficRequest(), found)
    gets = max((one.wanted.exposure.weight for one in found if one.stage is Stage.SPLIT), default=exposure.weight)
    if gets > exposure.weight:
        agree_to_return(account, asked or TrafficRequest(), situation, gets, exposure.weight)
    routes.check_room(found, exposure, canary_hash(situation))
    routes.check_beside(exposure)
    routes.check_mirror(found, exposure, canary_hash(situation))
    if request.call.check and record is None:
        ensure(routes, begun.record.stable.hash, dry_run=True)
    return asker, routes, found


def canary_hash(situation: Situation) -> str:
    """A canary without a ReplicaSet has no Service yet, and is shown under a name that says so."""
    return situation.canary_hash or "canary"


def check_way(site: Site, routes: Routes | None, record: Record) -> None:
    """Raises Refusal where somebody began this release meanwhile, and another way for its requests."""
    ways = [(one.kind, one.service, one.routes) if one else None for one in (routes and routes.traffic, record.traffic)]
    if ways[0] != ways[1]:
        raise Refusal(
            Code.BUSY,
            f'somebody started a canary of Deployment "{site.target.name}" meanwhile, and sends its requests another way',
            "Look at it with canary_info, then run this again, or take it back with canary_undo",
        )


def check_exposure(account: Account, begun: Start, situation: Situation, request: StartRequest) -> None:
    """Raises Refusal for what no pod is to bear, and for a call that would not be there to finish it."""
    if not request.call.wait.enabled:
        raise Refusal(Code.NEEDS_STEPS, "routes change in several steps, and wait is false", "Set wait to true")
    if begun.goal.unavailable:
        pods = begun.record.pods
        raise Refusal(
            Code.OVERLOADED,
            f"a surge of {begun.room.surge} is less than {count_of(pods, 'canary pod')}, so that stable pods would go, and those are to "
            "carry all other requests",
            f"Set surge to {pods}",
        )
    if request.traffic is not None:
        replicas = situation.deployment.replicas
        agree_to_load(account, request.traffic, request.traffic.bears, replicas, begun.goal.canary(replicas))


def isolated(
    account: Account, routes: Routes, begun: Start, situation: Situation, found: list[Now] | None
) -> tuple[Start, Picture, list[Now]]:
    """Routes that send nobody to the canary, as they stand then; and then its pods. `found`: the routes, as for `isolate`."""
    canary, traffic = situation.canary, begun.record.traffic
    routes.is_of(begun.record)
    found = isolate(routes, canary.hash if canary else "", found if canary else None, again=begun.record.isolating)
    if traffic is None or not traffic.isolating:
        return begun, situation.picture, found
    record = begun.record.with_isolating(False)

    def let_come(current: Situation) -> patches.Plan | None:
        if current.record == record:
            return None
        if current.record != begun.record:
            raise overtaken(account.site)
        return patches.isolated(current.deployment, record)

    written = write(account.site, situation.picture, let_come)
    account.wrote(written.plan)
    return replace(begun, record=record), written.picture, found


def exposed(
    account: Account, routes: Routes, outcome: Outcome, request: StartRequest, found: Sequence[Now] | None
) -> Outcome:
    """The pods are Ready: requests may come. `found`: the routes, as for `expose`."""
    situation = account.situation
    if situation is None or situation.canary is None:
        return outcome
    ready = ready_pods(situation.picture, situation.canary)
    asked = request.traffic or TrafficRequest()
    exposure = expose(routes, asked, situation, situation.canary.hash, ready, found)
    how = f"which get {in_words(exposure)} ({account.extra['exposure']['programmed']})"
    return account.outcome(f"{outcome.message}, {how}", account.seen)


def overtaken(site: Site) -> Refusal:
    """Somebody was faster, with another pod template."""
    return Refusal(
        Code.BUSY,
        f'somebody gave Deployment "{site.target.name}" another pod template while this was decided',
        "Look whether that is the stable version that you mean, then run this again",
    )
