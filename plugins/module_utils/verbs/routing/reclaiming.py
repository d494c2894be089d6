# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that a release of another Deployment has changed: given back to their owner where that one is gone, and otherwise left alone.

Whoever deletes a Deployment in the middle of its release leaves its routes as they are, with Services that go with it. Of the
Deployment that is made in its place the next release takes them up. This module is private to the collection.
"""

from __future__ import annotations

from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import Kept, Stage, Unroutable, Wanted
from ...traffic.kinds import KEPT
from ...traffic.route import Route, RoutePlan, kept_of
from ..call.ending import Account
from ..call.guarded import guarded
from .network import Network


def left_on(route: Route) -> Kept | None:
    """What a release has kept there; None where there is nothing, or nobody can read it."""
    try:
        return kept_of(route)
    except Unroutable:
        return None


def of_another(route: Route, uid: str) -> Kept | None:
    """The same, of another Deployment than this one."""
    kept = left_on(route)
    return kept if kept is not None and kept.owner != uid else None


def check_free(route: Route, uid: str) -> None:
    """Raises Refusal where another Deployment's release has changed it."""
    if of_another(route, uid) is not None:
        raise Refusal(
            Code.NO_ROUTE,
            f'{route.kind} "{route.name}" cannot be used: a release of another Deployment has changed it, and has not ended yet',
            f"Wait for its end, or name the routes that are to be used in traffic.routes. Where that Deployment is gone, put back what stood there "
            f"by its annotation {KEPT} (docs/traffic.md, By hand)",
        )


def reclaimed(account: Account, network: Network, route: Route, service: str) -> Route:
    """The route as it is to be used. `service` selects the pods of this Deployment alone: what a release of another one has made of the
    users of this very Service is over, since none of them can be sent to that one's pods any more. They are sent to the Service itself
    again at once: where they are sent now nobody may answer.

    Check mode: as it would be, also of one that a release of this very Deployment has left. Raises Refusal.
    """
    site, uid = account.site, account.seen.deployment.uid

    def decide(now: Route) -> RoutePlan | None:
        kept = left_on(now) if account.check else of_another(now, uid)
        if kept is None or kept.versions.own != service:
            return None
        try:
            return network.router.plan(now, kept.versions, Wanted(Stage.OWN), owner=kept.owner, token=kept.token)
        except Unroutable as error:
            raise Refusal(Code.NO_ROUTE, f'{now.kind} "{now.name}" cannot be used: {error}', error.remedy) from error

    def send(now: Route, planned: RoutePlan) -> Route:
        return network.write(now, planned, dry_run=account.check)

    busy = network.busy(route.name, "given back")
    permitted = site.rehearses if account.check else site.mine
    sent = guarded(route, decide, send, lambda: network.route(route.name), busy, permitted=permitted)
    if sent.change is not None:
        account.changed = True
        gave = "would give" if account.check else "gave"
        whose = "a Deployment that is gone" if of_another(route, uid) else "which nobody has kept the record"
        account.warn(
            f'{route.kind} "{route.name}" was left by a release of {whose}: this {gave} Service "{service}" its users back'
        )
    return sent.state
