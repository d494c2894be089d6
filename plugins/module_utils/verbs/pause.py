# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_pause: freezes what is there: `paused`, and nothing else unless the canary is to be drained.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..rollout.identity import Meant
from ..rollout.patches import Plan
from ..rollout.pause import decide
from ..rollout.phase import HOLDING, Phase, Situation, diagnose
from ..rollout.progress import Done, Going, Progress, Stuck
from ..rollout.record import Intent
from ..rollout.refusal import Code, Refusal
from ..rollout.views import Picture
from ..wording import count_of
from .call.ending import Account, accounted
from .call.orders import Call, PauseRequest
from .call.outcome import Outcome, Report
from .call.pacing import Patience
from .call.site import DEPLOYMENT, Site
from .call.waiting import wait
from .call.writing import Otherwise, ask, rehearse, write
from .moving.completion import finish_leftover
from .routing.draining import check_refill, refill
from .routing.draining import drain as drain_routes
from .routing.fencing import take_over
from .routing.finding import of_record
from .routing.routes import Routes

NOTHING_TO_FREEZE = "no canary and no rollout is under way: there is nothing to freeze"
STILL_MOVES = (
    "Kubernetes goes on rescaling a paused Deployment: it keeps pods of both versions at replicas plus maxSurge, spreads a "
    "change of replicas over both, and replaces pods that end. It stops only exchanging one version for the other"
)


def pause(api: Api, request: PauseRequest, report: Report) -> Outcome:
    """A held canary is frozen; an ordinary rollout, a promotion stops where it is; an undo is not paused."""
    return set_paused(api, request.call, True, report, drain=request.drain)


def set_paused(api: Api, call: Call, paused: bool, report: Report, *, drain: bool = False) -> Outcome:
    """Makes `spec.paused` what is asked for; canary_resume takes back what canary_pause did. `drain`: and sends nobody to the canary."""
    site = Site(api, call.target, call)
    with accounted(site, call.meant.run, check=call.check) as account:
        picture = site.look()
        first = account.looked(diagnose(picture))
        asked = call.about(first)
        asked.check(first)
        picture = finish_leftover(account, picture, call.actor, check=call.check)
        before = account.looked(diagnose(picture))
        if not call.check and (taken := take_over(account, None)):
            before, picture = taken, taken.picture
        # A release whose clean-up was missing is over now; otherwise it is the one of the first look.
        meant = asked if before.phase is Phase.NONE else asked.bound(first)
        if paused and before.phase is Phase.NONE and account.changed:
            # Cleaning up an earlier release has just changed fields that the controller has yet to see: no rollout.
            return replace(account.outcome(f"{NOTHING_TO_FREEZE}; an earlier release was cleaned up"), seen=before)
        routes = _routes_of(account, before, drain, report)
        if drain and routes is not None:
            if not call.check:
                ask(site, picture)
            drain_routes(routes, before.canary_hash, check=call.check)
        if not paused and routes is not None:
            check_refill(routes, before)
        if not paused or not _idle(before):
            act = rehearse if call.check else write
            # Where versions are exchanged a pause stops that, whatever comes with it; of a canary that is held it changes no pod.
            stops = paused and before.phase not in HOLDING
            otherwise = Otherwise.FAILS if stops else Otherwise.TRIED
            written = act(site, picture, lambda now: _decide(now, paused, meant), otherwise=otherwise)
            account.wrote(written.plan)
            if call.check:
                if not paused and routes is not None:
                    refill(routes, before, check=True)
                return account.outcome(_message(before, paused, account.changed))
            picture = written.picture
            if call.wait.enabled and written.plan is not None:
                picture = _await_observed(account, picture, paused, call, report)
        situation = account.looked(diagnose(replace(picture, pods=site.pods(picture.deployment))))
        if not paused and routes is not None:
            refill(routes, situation, check=False)
        if paused and account.changed and before.phase not in HOLDING:
            account.warn(STILL_MOVES)
        return account.outcome(_message(situation, paused, account.changed), situation)


def _routes_of(account: Account, situation: Situation, drain: bool, report: Report) -> Routes | None:
    """The routes of a canary that is held, frozen or not. Raises Refusal where there are none to drain."""
    record = situation.record
    held = record is not None and record.intent is Intent.HOLD and not record.isolating
    routes = of_record(account, record, report) if record is not None and held else None
    if drain and routes is None:
        raise Refusal(
            Code.NO_ROUTE,
            f'no canary of Deployment "{situation.deployment.name}" is held whose requests are shared out, so that there is nothing to drain',
            "Leave out drain",
        )
    return routes


def _idle(situation: Situation) -> bool:
    """Neither a release nor a rollout is there to stop."""
    deployment = situation.deployment
    return (
        situation.phase is Phase.NONE
        and not deployment.paused
        and deployment.rolled_out
        and len(situation.picture.active) < 2
    )


def _decide(situation: Situation, paused: bool, meant: Meant) -> Plan | None:
    meant.check(situation)
    return decide(situation, paused)


def _message(situation: Situation, paused: bool, changed: bool) -> str:
    if paused and _idle(situation):
        return NOTHING_TO_FREEZE
    state = "paused" if paused else "not paused"
    counts = ", ".join(
        f"{rs.name}: {count_of(rs.replicas, 'pod')}, {rs.ready} Ready" for rs in situation.picture.active
    )
    return f"{'' if changed else 'already '}{state} ({counts})"


def _await_observed(account: Account, picture: Picture, paused: bool, call: Call, report: Report) -> Picture:
    """The pause counts from the moment that the controller has seen it."""

    def judge(situation: Situation) -> Progress:
        if situation.deployment.paused is not paused:
            return Stuck(f"somebody {'resumed' if paused else 'paused'} the Deployment again")
        return Done("seen") if situation.deployment.observed else Going("waiting until the controller has seen it")

    waited = wait(
        account.site,
        picture,
        judge,
        lambda situation: situation.deployment.observed,
        Patience(call.wait.timeout),
        report,
        kinds=(DEPLOYMENT,),
    )
    if not isinstance(waited.progress, Done):
        raise account.unsuccessful(waited, "Check that kube-controller-manager runs, and run this again.")
    return waited.situation.picture
