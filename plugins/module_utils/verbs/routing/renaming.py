# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a route whose annotation nobody can read only its owner knows what stood there before. Its users leave the canary all the same.

This module is private to the collection.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from ...rollout.record import RouteRef
from ...rollout.refusal import Refusal
from ...traffic.exposure import Unreadable, Unroutable, Wanted
from ...traffic.kinds import KEPT
from ...traffic.route import Route, RoutePlan
from ..call.guarded import guarded
from .proving import Prover, Written
from .routes import Routes, unroutable

_MEMBER = KEPT.replace("/", "~1")


def is_unread(error: Refusal) -> bool:
    """It was refused because nobody can read what is kept on a route."""
    return isinstance(error.__cause__, Unreadable)


def renamed(routes: Routes, ref: RouteRef, wanted: Wanted, canary_hash: str) -> list[Written]:
    """As is wanted, by the Services that stand there; and the annotation stays for whoever can read it. Raises Refusal."""

    def decide(route: Route) -> RoutePlan | None:
        bare = replace(route, annotation=None)
        if not routes.router.sends_to(bare, routes.service_of(canary_hash)):
            return None
        try:
            planned = routes.router.plan(
                bare, routes.versions(canary_hash), wanted, owner=routes.owner.uid, token=secrets.token_hex(16)
            )
        except Unroutable as error:
            raise unroutable(route, error) from error
        if planned is None:
            return None
        return replace(
            planned, operations=tuple(one for one in planned.operations if not one["path"].endswith(_MEMBER))
        )

    def read() -> Route:
        return routes.network.route(ref.name)

    sent = guarded(read(), decide, routes.network.write, read, routes.network.busy(ref.name), permitted=routes.mine)
    if sent.change is None:
        return []
    routes.account.changed = True
    what = f'what is kept on {routes.router.kind} "{ref.name}" nobody can read, so that its users were taken from the canary by name'
    routes.account.warn(what)
    if isinstance(routes.prover, Prover):
        routes.prover.states(what)
    return [Written(sent.state, None)]
