# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a canary that is watched still gets of its users what it got at a first look. This module is private to the collection."""

from __future__ import annotations

from typing import Mapping

from ...cluster.errors import NotFound
from ...rollout.phase import HOLDING, Phase, Situation
from ...rollout.record import Intent, RouteRef
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import NOBODY, Exposure, Stage
from ...traffic.load import in_words
from ..call.ending import Account
from ..call.outcome import Report
from ..call.waiting import AWAY
from .finding import of_record
from .routes import OURS, Routes

# No stream tells of routes: between two looks at them, in seconds.
PAUSE_SECONDS = 2.0
_AGAIN = (
    "Let whoever it is leave it alone while a release is live (docs/traffic.md says how). canary_start, with traffic.weight where nobody has "
    "kept it, gives the canary its share once more; then run this again"
)
_RESUME = "Give it that back with canary_resume, or with canary_start where it is not paused; then run this again"


class Exposed:
    """A request for each route at each look, one for the stable version's Service, and one for the canary's where they send to it; none for a
    release without traffic."""

    def __init__(self, account: Account, situation: Situation, report: Report) -> None:
        self._routes = of_record(account, situation.record, report) if situation.record else None
        self._canary = situation.canary.hash if situation.canary else ""
        self._clock, self._next = account.site.clock, 0.0
        self._first: dict[str, Exposure] | None = None

    def check(self, situation: Situation, *, last: bool = False) -> None:
        """Raises Refusal where somebody else decides what a held canary gets, paused or not, has changed it or has taken it away. A server that
        is away tells nothing of it until the `last` look, which raises ApiError then."""
        now = self._clock.monotonic()
        if self._routes is None or not _is_held(situation) or (now < self._next and not last):
            return
        self._next = now + PAUSE_SECONDS
        try:
            found = {ref.name: self._gets(self._routes, ref) for ref in self._routes.traffic.routes}
            self._check_services(self._routes, found)
        except AWAY:
            if last:
                raise
            return
        self._first = self._first or found
        for name, gets in found.items():
            if gets != self._first[name]:
                what = f"from {in_words(self._first[name])} to {in_words(gets)}"
                kind = self._routes.router.kind
                raise Refusal(
                    Code.CONTESTED, f'somebody changed what the canary gets by {kind} "{name}", {what}', _AGAIN
                )

    def _gets(self, routes: Routes, ref: RouteRef) -> Exposure:
        try:
            now = routes.as_it_stands(routes.network.route(ref.name), self._canary)
        except NotFound as error:
            gone = f'{routes.router.kind} "{ref.name}" of this release no longer exists'
            remedy = "Apply its manifest again, or take the canary back with canary_undo"
            raise Refusal(Code.CONTESTED, gone, remedy) from error
        if now.stage not in OURS:
            raise Refusal(Code.CONTESTED, routes.contested(now.route).what, _AGAIN)
        if now.wanted.drained is not None:
            taken = f'the canary gets nothing of what it got by {routes.router.kind} "{ref.name}": {in_words(now.wanted.drained)}'
            raise Refusal(Code.CONTESTED, taken, _RESUME)
        return now.wanted.exposure if now.stage is Stage.SPLIT else NOBODY

    def _check_services(self, routes: Routes, found: Mapping[str, Exposure]) -> None:
        """Copies to a Service that is gone fail nobody's request, so that nobody else notices it; and beside a stable version whose requests fail
        any canary looks good. A selector that is switched needs none."""
        if routes.router.switches:
            return
        needed = (
            {} if all(gets.nobody for gets in found.values()) else {routes.service_of(self._canary): "the canary gets"}
        )
        for name, who in {routes.stable: "stable pods get", **needed}.items():
            if routes.network.service(name) is None:
                gone = f'Service "{name}", by which {who} requests, no longer exists'
                raise Refusal(Code.CONTESTED, gone, _AGAIN)


def _is_held(situation: Situation) -> bool:
    """A promotion or an undo that is under way, paused or not, sends users elsewhere itself."""
    record = situation.record
    paused = situation.phase is Phase.FROZEN and record is not None and record.intent is Intent.HOLD
    return paused or situation.phase in HOLDING
