# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary gets its share of the requests. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from ...rollout.phase import Situation
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import Exposure, Stage, Wanted
from ...traffic.routers import SERVICE_SELECTOR
from ..call.orders import TrafficRequest
from .bearing import agree_to_load
from .course import THEIRS, Course, Now, Wish, always, contested, exposure_of
from .proving import NotProgrammed
from .versions import await_endpoints, ensure


def expose(course: Course, asked: TrafficRequest, situation: Situation, canary_hash: str, pods: int) -> None:
    """The canary gets what is asked for, and otherwise what it got. `pods`: Ready ones that it has. Raises Refusal."""
    found = course.look(canary_hash)
    course.prepare(found)
    exposure = asked.over(exposure_of(found))
    agree_to_load(course.account, asked, exposure.weight, situation.deployment.replicas, pods)
    service = ensure(course, canary_hash)
    try:
        await_endpoints(course, service, pods)
        warmed = found
        if course.prover.marks:
            written = course.write(found, _warm(course, service, exposure), canary_hash)
            course.await_(written)
            warmed = course.since(found, written, canary_hash)
        split = course.write(warmed, _split(course, exposure), canary_hash)
        course.await_(split)
    except NotProgrammed as error:
        failed = course.failed(error, canary_hash)
        _back_to(course, found, canary_hash)
        raise failed from error
    if course.traffic.kind == SERVICE_SELECTOR and exposure.weight:
        course.account.warn(
            f'Service "{course.traffic.service}" selects this version alone now: a rollout by somebody else would empty it. Promote or '
            "undo before that"
        )
    course.tell(course.since(found, split, canary_hash))


def foretell(course: Course, found: Sequence[Now], asked: TrafficRequest, canary_hash: str) -> None:
    """As `expose` in check mode."""
    course.rehearse(found, always(Wanted(Stage.SPLIT, asked.over(exposure_of(found)))), canary_hash)


def _warm(course: Course, service: str, exposure: Exposure) -> Wish:
    """Only where some of it is new to the gateway: the Service, or that users are kept by a cookie."""
    keeps = exposure.sticky is not None

    def wish(now: Now) -> Wanted | None:
        _check_live(course, now)
        if now.stage is not Stage.SPLIT or now.canary != service:
            return Wanted(Stage.ISOLATED, warm=(service,), cookies=keeps, drained=now.wanted.again)
        if not keeps or now.wanted.exposure.sticky is not None:
            return None
        return replace(now.wanted, warm=(service,), cookies=True)

    return wish


def _split(course: Course, exposure: Exposure) -> Wish:
    def wish(now: Now) -> Wanted:
        _check_live(course, now)
        return Wanted(Stage.SPLIT, exposure)

    return wish


def _check_live(course: Course, now: Now) -> None:
    """Raises Refusal where the owner has his backends back, because somebody promoted this release or took it back; and where somebody
    has written others since the route was isolated: what would be in force then, nobody has proven."""
    if now.stage in THEIRS:
        raise contested(now.route)
    if now.stage is Stage.OWN:
        raise Refusal(
            Code.BUSY,
            f'somebody ended the release of Deployment "{course.account.site.target.name}" while its routes were written',
            "Look what became of it with canary_info",
        )


def _back_to(course: Course, before: Sequence[Now], canary_hash: str) -> None:
    """What was there before this call, which was proven. A release that somebody has ended meanwhile gets nothing back."""
    was = {one.route.name: one for one in before}
    for now in course.look(canary_hash):
        there = was.get(now.route.name)
        if there is not None and now.stage is not Stage.OWN:
            split = there.stage is Stage.SPLIT and there.canary == now.canary
            back = there.wanted if split else Wanted(Stage.ISOLATED, drained=there.wanted.again)
            course.write([now], always(back), canary_hash, marked=False)
