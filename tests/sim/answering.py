# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call tells is what it has done, and it has asked the server for no more than that takes."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Verdict as HeadroomVerdict
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.guarded import ATTEMPTS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing.exposed import PAUSE_SECONDS

from .calls import Called, Ended, steps_of
from .faults import UNANSWERED
from .foreign import FOREIGN
from .ledger import Ledger
from .objects import Json
from .promises import goes_by_weights, is_hold

REFUSALS = frozenset(code.value for code in Code)
# As tests/integration/test_requests_of_verbs.py counts them, and the looks of three waits, the most that a verb has.
MOST_REQUESTS, REQUESTS_A_SECOND = 10 + 24, 2.0
# What a verb reads of routes, Services and endpoints around its writes; and in a second while it watches (verbs/routing/exposed.py): a route,
# what stands beside it, and the canary's Service.
MOST_OF_ROUTES, OF_ROUTES_A_SECOND = 32, 3 / PAUSE_SECONDS
MAY_BE = ("may have been carried out", "Whether the change was made is not known")


class Answering:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # The size that headroom found room for last.
        self._fitting: tuple[int | None, int | None, int] | None = None

    def ends(self, call: Called) -> None:
        result = call.result
        if call.broke is not None:
            self._ledger.violated("no verb ends in an error of its own", f"{call.ask.verb}: {call.broke!r}")
        lost = isinstance(result, ApiError) and result.outcome_unknown and result.asked.writes
        if lost and call.hit and len(call.hit) < ATTEMPTS and UNANSWERED.issuperset(call.hit):
            self._ledger.violated("a lost answer ends no call", f"{call.ask.verb}: {call.told()}")
        self._counts_requests(call)
        if not isinstance(result, Ended):
            return
        self._counts_room(call)
        if isinstance(result, VerbFailure) and result.code in REFUSALS and self._is_silent(call):
            self._ledger.violated("nothing is written after a refusal", f"{call.ask.verb}: {call.told()}")
        if self._is_silent(call):
            self._ledger.violated("what was changed is told", f"{call.ask.verb} wrote, and says: {call.told()}")
        if call.says_changed and not call.writes and not call.ask.check and not self._may_be_his(call):
            self._ledger.violated("what was changed is told", f"{call.ask.verb} wrote nothing, and says: {call.told()}")

    def comes_late(self, call: Called) -> None:
        """A write of a call that has ended without its answer is carried out after all."""
        if self._is_silent(call):
            self._ledger.violated("what was changed is told", f"{call.ask.verb} writes later, and says: {call.told()}")

    def _is_silent(self, call: Called) -> bool:
        return not call.says_changed and not call.doubled and bool(self._left(call))

    def _counts_requests(self, call: Called) -> None:
        """Whoever waits looks a few times right after each hint, then ever more seldom (verbs/call/pacing.py)."""
        if (
            not self._ledger.alone
            or self._ledger.history.scripts[0].faults
            or self._ledger.history.scripts[0].streams
            or call.ended is None
        ):
            return
        # Each step is planned, and held by a start of its own; so are all requests.
        ask, steps = call.ask, steps_of(call.ask) if call.ask.verb == "release" else 0
        verbs = 1 + steps + bool(ask.shares and goes_by_weights(ask))
        if steps:
            verbs += (
                steps * bool(ask.verdicts) + 2 * bool(ask.guard) + (ask.headroom != "skip") + (ask.on_failure == "undo")
            )
        routes, of_routes = (MOST_OF_ROUTES, OF_ROUTES_A_SECOND) if self._ledger.history.gateway else (0, 0.0)
        in_time = (REQUESTS_A_SECOND + of_routes) * (call.ended - call.begun)
        most = (MOST_REQUESTS + routes) * verbs + len(call.writes) + in_time
        if call.requests > most:
            self._ledger.violated(
                "few requests", f"{call.ask.verb}: {call.requests}, and at most {most:.0f} are allowed"
            )

    def _counts_room(self, call: Called) -> None:
        """Headroom said that it all fits, or a release that requires that has begun, and then it was a quota that stopped it."""
        ask, result = call.ask, call.result
        size = (ask.pods, ask.weight, ask.surge)
        if ask.verb == "headroom" and isinstance(result, Outcome):
            fits = result.extra["headroom"]["verdict"] == HeadroomVerdict.FITS.value
            self._fitting = size if fits else None
        requires = ask.verb == "release" and ask.headroom == "require_existing_nodes" and not (ask.held or ask.creates)
        stopped = isinstance(result, VerbFailure) and "exceeded quota" in result.message
        if (
            stopped
            and (requires or (ask.verb == "start" and size == self._fitting))
            and self._ledger.alone
            and not self._ledger.history.incidents
        ):
            self._ledger.violated("headroom tells the truth", f"it all fits, it said, and {ask.verb}: {call.told()}")

    def _left(self, call: Called) -> list[str]:
        """The objects that are not what they were before the first of its writes: of whatever it gave back exactly nothing is to be told. Each
        write of a Deployment is one of a new generation, and stays. What somebody else has made of one meanwhile is not its own."""
        first, last = dict[tuple[str, str], Json | None](), dict[tuple[str, str], Json | None]()
        for change in call.writes:
            first.setdefault((change.kind, change.name), change.before)
            last[change.kind, change.name] = change.after
        others = {
            (one.kind, one.name)
            for one in self._ledger.store.log
            if (one.kind, one.name) in first
            and one.at >= call.begun
            and one.by != call.user
            and _said(one.before) != _said(one.after)
        }
        changed = (key for key in first if key[0] == "deployments" or _said(first[key]) != _said(last[key]))
        return [f"{kind}/{name}" for kind, name in changed if kind == "deployments" or (kind, name) not in others]

    def _may_be_his(self, call: Called) -> bool:
        """A write of his got no answer, and he says so, or somebody else has written just the same meanwhile, or has created what he was to
        create. Who has begun a release can be told."""
        if not any(fault in UNANSWERED for fault in call.hit):
            return False
        warnings = call.result.warnings if isinstance(call.result, (Outcome, VerbFailure)) else ()
        if any(said in told for said in MAY_BE for told in (call.told(), *warnings)):
            return True
        meanwhile = (
            change.before
            for change in self._ledger.store.log
            if change.at >= call.begun and change.by in (*self._ledger.calls, *FOREIGN) and change.kind == "deployments"
        )
        return any(
            call.ask.creates if before is None else call.ask.verb != "start" or is_hold(before) for before in meanwhile
        )


def _said(obj: Json | None) -> Json | None:
    """What somebody has written there."""
    if obj is None:
        return None
    metadata = obj["metadata"]
    return {"spec": obj["spec"], **{part: metadata.get(part) or {} for part in ("annotations", "labels")}}
