# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a canary that is watched gets of its users what its release gave it last. This module is private to the collection."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import Callable, Mapping, Sequence

from ...cluster.errors import NotFound
from ...cluster.stream import WatchEvent
from ...cluster.watch import Streams, Watched
from ...rollout.fields import Fields
from ...rollout.phase import HOLDING, Phase, Situation
from ...rollout.record import Intent, Record, RouteRef
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import NOBODY, Exposure, Stage
from ...traffic.load import in_words
from ...traffic.route import Route
from ..call.ending import Account
from ..call.outcome import Report
from ..call.waiting import AWAY, SHORT_LIFE
from .finding import of_record
from .reaching import astray
from .routes import GOES_ON, OURS, Now, Routes
from .sparing import spare

# Between two looks at what no stream tells of, as the Services, and at what it has failed to tell; in seconds.
PAUSE_SECONDS = 2.0
# Whoever writes to a route all the time makes no more looks than these.
SOONEST_SECONDS = 0.25
_AGAIN = (
    "Let whoever it is leave it alone while a release is live (docs/traffic.md says how). canary_start with "
    "traffic.weight gives the canary its share once more; then run this again"
)
_AS_IT_WAS = (
    "Put back what somebody has changed: the selector of that Service, or labels of pods. One that was deleted canary_start makes anew. Then "
    "run this again, or take the release back with canary_undo"
)
_RESUME = "Give it that back with canary_resume, or with canary_start where it is not paused; then run this again"


class Exposed:
    """A request for each route at each look, and one for the endpoints of its Services; none for a release without traffic. A stream tells of
    writes to routes, so that a look comes at once: a request more."""

    def __init__(self, account: Account, situation: Situation, report: Report) -> None:
        self._account = account
        self._routes = of_record(account, situation.record, report) if situation.record else None
        self._canary = situation.canary_hash
        self._clock, self._api, self._next = account.site.clock, account.site.api, 0.0
        self._looked_at = -inf
        # As its record has it; of one that has not, as a first look finds it.
        self._told = given(situation.record) if situation.record else None
        # What was read of them last: name -> resourceVersion, of companions, too.
        self._versions: dict[str, str] = {}
        self._is_told = False
        # Since when a Service does not reach the pods that it is for.
        self._astray_since: float | None = None
        self._streams: Streams | None = None
        self._opened_at = 0.0

    def check(self, situation: Situation, *, last: bool = False) -> None:
        """Raises Refusal where somebody else decides what a held canary gets, paused or not, has changed it or has taken it away. A server that
        is away tells nothing of it until the `last` look, which raises ApiError then."""
        now = self._clock.monotonic()
        if self._routes is None or (now < min(self._next, self.due) and not last):
            return
        self._is_told = False
        if not _is_held(situation):
            return
        self._next, self._looked_at = now + PAUSE_SECONDS, now
        try:
            found = {ref.name: self._gets(self._routes, ref) for ref in self._routes.traffic.routes}
            self._check_services(self._routes, situation, found, last=last)
        except AWAY:
            if last:
                raise
            return
        if self._told is None:
            self._told = max(found.values(), key=lambda gets: gets.load)
        for name, gets in found.items():
            if gets != self._told:
                raise Refusal(Code.CONTESTED, _differs(self._routes, name, gets, self._told), _AGAIN)

    # What a stream tells.

    @property
    def watched(self) -> Sequence[Watched]:
        """What tells of writes to the routes."""
        routes = self._routes
        return () if routes is None else (routes.network.watched([ref.name for ref in routes.traffic.routes]),)

    @property
    def due(self) -> float:
        """When a look is due because of what was told; inf where that was nothing new."""
        in_doubt = inf if self._astray_since is None else self._looked_at + PAUSE_SECONDS
        return min(self._looked_at + SOONEST_SECONDS if self._is_told else inf, in_doubt)

    def heard(self, event: WatchEvent) -> None:
        """A stream begins with what is there, and tells of others, too. What is new is only a hint: the next look decides."""
        meta = Fields(event.object, "watch").within("metadata")
        known = self._versions.get(meta.text("name"))
        if known is not None and (event.type == "DELETED" or known != meta.text("resourceVersion")):
            self._is_told = True

    def rest(self, seconds: float, again: Callable[[], object]) -> None:
        """So long. Meanwhile `again`, which is to look and to check, is called whenever somebody has written to a route."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            self._listen(left)
            if self._clock.monotonic() >= self.due:
                with suppress(*AWAY):
                    again()
                self._is_told = False

    def _listen(self, seconds: float) -> None:
        """A stream that was cut off at once is opened again at the next rest, and not before."""
        now = self._clock.monotonic()
        if self._streams is None and self._routes is not None:
            self._streams, self._opened_at = self._api.streams(self.watched), now
        if self._streams is None:
            self._clock.sleep(seconds)
            return
        for _name, event in self._streams.batch(max(0.0, min(seconds, self.due - now))):
            self.heard(event)
        if self._streams.ended:
            self.close()
            now = self._clock.monotonic()
            if now - self._opened_at < SHORT_LIFE:
                self._clock.sleep(seconds)

    def close(self) -> None:
        if self._streams is not None:
            self._streams.close()
            self._streams = None

    # A look.

    def _gets(self, routes: Routes, ref: RouteRef) -> Exposure:
        try:
            now = routes.as_it_stands(self._read(routes, ref), self._canary)
        except NotFound as error:
            gone = f'{routes.router.kind} "{ref.name}" of this release no longer exists'
            remedy = "Apply its manifest again, or take the canary back with canary_undo"
            raise Refusal(Code.CONTESTED, gone, remedy) from error
        if routes.is_broken_off(now):
            raise Refusal(Code.CONTESTED, routes.broken_off(now), GOES_ON)
        if now.stage not in OURS:
            raise Refusal(Code.CONTESTED, routes.contested(now.route).what, _AGAIN)
        if before := routes.of_before(now, self._canary):
            raise Refusal(Code.CONTESTED, before, _AGAIN)
        if now.wanted.drained is not None:
            taken = f'the canary gets nothing of what it got by {routes.router.kind} "{ref.name}": {in_words(now.wanted.drained)}'
            raise Refusal(Code.CONTESTED, taken, _RESUME)
        return now.wanted.exposure if now.stage is Stage.SPLIT else NOBODY

    def _read(self, routes: Routes, ref: RouteRef) -> Route:
        route = routes.network.route(ref.name)
        self._versions[ref.name] = route.version
        if route.companion is not None:
            meta = Fields(route.companion, routes.router.kind).within("metadata")
            self._versions[meta.text("name")] = meta.text("resourceVersion")
        return route

    def _check_services(
        self, routes: Routes, situation: Situation, found: Mapping[str, Exposure], *, last: bool
    ) -> None:
        """Copies that reach nobody fail nobody's request, so that nobody else notices it; and beside a stable version whose requests fail any
        canary looks good. Endpoints lag behind pods, so that one look is not enough."""
        canary_gets = any(not gets.nobody for gets in found.values())
        wrong = astray(routes, situation, canary_gets=canary_gets)
        now = self._clock.monotonic()
        self._astray_since = (self._astray_since or now) if wrong else None
        while wrong and now < (self._astray_since or now) + wrong.lasts:
            if not last:
                return
            self._clock.sleep(PAUSE_SECONDS)
            now, wrong = self._clock.monotonic(), astray(routes, situation, canary_gets=canary_gets)
        if wrong is None:
            return
        if wrong.serves_nobody and not self._account.check:
            spare(routes, situation, "that its Service does not reach")
        raise Refusal(Code.CONTESTED, wrong.why, _AS_IT_WAS)


def given(record: Record) -> Exposure | None:
    """What the canary was last given; None where its record has nothing of it. Raises Refusal."""
    try:
        return Exposure.decode(record.exposure) if record.exposure else None
    except ValueError as error:
        what = f"the record of this release does not say what the canary gets ({error})"
        raise Refusal(Code.DAMAGED, what, "Give it its share again with canary_start and traffic.weight") from error


def tell_changed(routes: Routes, record: Record, found: Sequence[Now]) -> None:
    """A warning of each that is split and gives the canary something else than its release gave it last, or has been put back."""
    told = given(record)
    for one in found:
        if before := routes.of_before(one):
            routes.account.warn(before)
        elif told is not None and _is_split(one) and one.wanted.exposure != told:
            routes.account.warn(_differs(routes, one.route.name, one.wanted.exposure, told))


def _is_split(now: Now) -> bool:
    return now.stage is Stage.SPLIT and now.wanted.drained is None


def _differs(routes: Routes, name: str, gets: Exposure, told: Exposure) -> str:
    what = f'the canary gets {in_words(gets)} by {routes.router.kind} "{name}", and not what its release gave it last, {in_words(told)}'
    return f"{what}: somebody has changed that, or a call was broken off"


def _is_held(situation: Situation) -> bool:
    """A promotion or an undo that is under way, paused or not, sends users elsewhere itself."""
    record = situation.record
    paused = situation.phase is Phase.FROZEN and record is not None and record.intent is Intent.HOLD
    return paused or situation.phase in HOLDING
