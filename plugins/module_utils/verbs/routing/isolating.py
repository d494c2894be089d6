# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everybody is sent to the stable version, before the canary has a pod. This module is private to the collection."""

from __future__ import annotations

from functools import partial
from typing import Sequence

from ...traffic.exposure import Exposure, Stage, Wanted
from .bearing import check_stable
from .proving import NotProgrammed
from .returning import give_back, stays, warm
from .routes import OURS, THEIRS, Now, Routes, owners_for_now
from .versions import await_endpoints, ensure, keep_stable


def isolate(routes: Routes, canary_hash: str = "", found: list[Now] | None = None, *, again: bool) -> list[Now]:
    """By all routes; one that is split stays so. `again`: proven anew where it was written before. What users got is kept, to be given
    again. `found`: the routes, where they were looked at right before. They are returned as they stand then.

    Routes that never come to it get their owner's backends back. Raises Refusal.
    """
    if found is None:
        found = routes.look(canary_hash)
    routes.prepare(found)
    _tell_contested(routes, found)
    routes.tell_put_back(found)
    if all(one.stage in OURS for one in found) and not again:
        keep_stable(routes, found)
        return found
    situation = routes.account.situation
    if situation is not None and any(one.stage not in OURS for one in found):
        check_stable(situation)
    service = ensure(routes, routes.stable_hash)
    stable = situation.stable if situation else None
    try:
        if routes.prover.how == "stated":
            # Nothing proves it, and a Service of which no proxy can know an endpoint would be believed after some seconds.
            await_endpoints(routes, service, stable.ready if stable else 0)
        warmed = found
        if not routes.tries:
            routes.prover.await_known()
        else:
            # Which takes as long where nothing but the status tells.
            written = routes.put(
                found, lambda now: None if now.stage in OURS else warm(routes, now, service), canary_hash
            )
            warmed = routes.in_force(found, written, canary_hash)
        return routes.in_force(warmed, routes.put(warmed, partial(_isolated, routes), canary_hash), canary_hash)
    except NotProgrammed as error:
        failed = routes.failed(error, canary_hash)
        _take_back(routes, found, canary_hash)
        raise failed from error


def _isolated(routes: Routes, now: Now) -> Wanted:
    """Raises Refusal where somebody has written since the stable version was reached: that was with the rules before his."""
    if routes.prover.marks and now.stage in THEIRS:
        raise routes.contested(now.route)
    there = stays(routes, now)
    if there.stage is Stage.SPLIT:
        return there
    if there.exposure.header is not None and now.canary:
        # A promotion that died has left the canary to those who ask for it: they keep it.
        return Wanted(Stage.SPLIT, Exposure(header=there.exposure.header), drained=there.again)
    return Wanted(Stage.ISOLATED, drained=there.again)


def _take_back(routes: Routes, before: Sequence[Now], canary_hash: str) -> None:
    """Those that had their owner's backends have them again; so do those of a start that died before its canary had a pod. Where users may
    be on the stable version already, the owner's Service has to be reached first; if it never is, they stay there."""
    situation = routes.account.situation
    begins = situation is not None and situation.record is not None and situation.record.isolating
    ours = (Stage.SPLIT,) if begins else OURS
    had = {one.route.name for one in before if one.stage not in ours}
    now = [one for one in routes.look(canary_hash) if one.route.name in had]
    routes.put([one for one in now if one.stage not in OURS], _own, canary_hash, marked=False, insists=False)
    try:
        give_back(routes, [one for one in now if one.stage in OURS], canary_hash, owners_for_now)
    except NotProgrammed as error:
        routes.account.warn(f"the routes were left as they are, with everybody on the stable version: {error}")
        return
    routes.put(
        routes.look(canary_hash),
        lambda one: _own(one) if one.route.name in had else None,
        canary_hash,
        marked=False,
        insists=False,
    )


def _own(now: Now) -> Wanted:
    return Wanted(Stage.OWN, drained=now.wanted.again)


def _tell_contested(routes: Routes, found: Sequence[Now]) -> None:
    record = routes.account.situation.record if routes.account.situation else None
    is_kept = record is not None and bool(record.exposure)
    for one in found:
        if one.stage in THEIRS:
            lost = "" if is_kept else _lost(one)
            routes.account.warn(f"{routes.contested(one.route).what}: it is written once more{lost}")


def _lost(now: Now) -> str:
    """What cannot be written once more, because nobody has kept it."""
    if now.stage is Stage.LOST:
        return ", but for a header and for sticky, which are lost with what was kept there"
    if now.wanted.stage is Stage.SPLIT and now.wanted.again is None:
        return ", but what the canary got is not kept there: traffic.weight of canary_start says it anew"
    return ""
