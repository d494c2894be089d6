# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gets the canary for a while, and then whoever got it before. This module is private to the collection."""

from __future__ import annotations

from fractions import Fraction
from typing import Sequence

from ...rollout.phase import HOLDING, Situation, ready_pods
from ...traffic.exposure import Stage, Wanted
from ...traffic.load import largest_weight
from ..call.orders import TrafficRequest
from .bearing import agree_to_return
from .exposing import expose
from .isolating import isolate
from .proving import NotProgrammed, unproven
from .routes import GIVES_AGAIN, OURS, Now, Routes, exposure_of, unshared
from .versions import check_as_made, keep_stable


def drain(routes: Routes, canary_hash: str, *, check: bool) -> None:
    """Everybody is sent to the stable version until `refill`. Raises Refusal."""
    if check:
        found = routes.look(canary_hash)
        _check_return(routes, found)
        routes.rehearse(found, lambda now: _drained(now) if now.stage in OURS else Wanted(Stage.ISOLATED), canary_hash)
        return
    found = isolate(routes, canary_hash, again=False)
    _check_return(routes, found)
    try:
        stand = routes.in_force(found, routes.write(found, _drained))
    except NotProgrammed as error:
        raise unproven(error, "What was written stays", "Look at the gateway, then run this again") from error
    routes.tell(stand)


def _check_return(routes: Routes, found: Sequence[Now]) -> None:
    gets = [one.wanted.exposure.weight for one in found if _drained(one)]
    if gets:
        agree_to_return(routes.account, TrafficRequest(), routes.account.seen, max(gets), Fraction(0))


def _drained(now: Now) -> Wanted | None:
    gets = now.stage is Stage.SPLIT and not now.wanted.exposure.nobody
    return Wanted(Stage.SPLIT, drained=now.wanted.again) if gets else None


def check_refill(routes: Routes, situation: Situation) -> None:
    """Before the canary is resumed. Raises Refusal where it could not get again what was taken from it, because a Service was changed."""
    canary = situation.canary
    if canary is not None and _taken(routes.look()):
        check_as_made(routes, canary.hash)


def _taken(found: Sequence[Now]) -> list[Now]:
    return [one for one in found if one.stage in OURS and one.wanted.drained]


def refill(routes: Routes, situation: Situation, *, check: bool) -> None:
    """The canary gets again what it got; nothing where nobody was taken from it, or where it does not stand. Warns of a share that nobody has
    kept. Raises Refusal."""
    record, canary = situation.record, situation.canary
    found = routes.look()
    if not check:
        keep_stable(routes, found)
    routes.tell_put_back(found)
    for one in unshared(found):
        routes.account.warn(
            f'{one.route.kind} "{one.route.name}" still sends everybody to the stable version, and what the canary is to get is not kept there: '
            + (GIVES_AGAIN if record and record.exposure else "say it in traffic.weight of the next canary_start")
        )
    taken = _taken(found)
    if not taken or canary is None or record is None:
        return
    if check:
        routes.rehearse(routes.look(canary.hash), _as_before, canary.hash)
    elif situation.phase in HOLDING:
        replicas = situation.deployment.replicas
        # What all pods that were asked for are not to bear, somebody has agreed to.
        agreed = exposure_of(taken).load > largest_weight(replicas, record.pods)
        asked = TrafficRequest(overload="warn" if agreed else "refuse")
        expose(routes, asked, situation, canary.hash, ready_pods(situation.picture, canary))


def _as_before(now: Now) -> Wanted | None:
    return Wanted(Stage.SPLIT, now.wanted.drained) if now.stage in OURS and now.wanted.drained else None
