# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold at every moment of every history, looked at whenever anything changes.

The truth is kept here in its own words, from what was written and by whom: never from the record, the label or the phase,
which are among the things to be shown right. Most rules are about quiet histories: where others write too, no verb can
promise how many pods there are, and what is left to show is that it notices, and that every state can be brought to an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome

from .answering import Answering
from .calls import Called
from .foreign import FOREIGN, SOMEBODY
from .gateway import PROXY
from .governing import Hook, annotated
from .history import History
from .leasing import Leasing
from .ledger import Ledger, Violation
from .moving import Moving
from .objects import AUTOSCALER_NAME, NAME, Json, TemplateKeys, is_being_deleted
from .pictures import Pictures
from .pods import ReplicaSetController
from .promises import is_hold, is_marked, takes_servers, takes_users
from .releasing import Releasing
from .routing import ROUTES, Routing
from .store import Change, Store
from .users import Served

# What verbs write.
_WRITTEN = frozenset({"deployments", "horizontalpodautoscalers", "scaledobjects", "services", *ROUTES})


class Witness:
    """Sees every change and the end of every call. `shown`: the uids that each user has read. `tried`: when each
    has tried a write last. `has_ended`: of a process.
    `reads`: what users go by with one side of a change of a route, in the form of an HTTPRoute."""

    def __init__(
        self,
        history: History,
        store: Store,
        pods: ReplicaSetController,
        keys: TemplateKeys,
        shown: Mapping[str, set[str]],
        tried: Mapping[str, float],
        has_ended: Callable[[str], bool],
        reads: Callable[[Change, Json | None], Json | None],
    ) -> None:
        self._ledger = Ledger(history, store, pods, keys, tried)
        self._shown = shown
        self._pictures = Pictures(store)
        self._leasing = Leasing(self._ledger, has_ended)
        self._releasing = Releasing(self._ledger)
        self._moving = Moving(self._ledger, self._pictures, self._releasing)
        self._routing = Routing(self._ledger, reads)
        self._answering = Answering(self._ledger)
        store.listen(self._hear)

    @property
    def violations(self) -> list[Violation]:
        return self._ledger.violations

    @property
    def releases(self) -> int:
        return self._ledger.releases

    @property
    def is_surprised(self) -> bool:
        """Nobody could know which pods come."""
        return self._ledger.surprised

    # Every change.

    def _hear(self, change: Change) -> None:
        ledger = self._ledger
        call = ledger.calls.get(change.by)
        if change.kind == "leases" and call is not None:
            self._leasing.changes(change, call)
        if call is not None and change.kind in _WRITTEN:
            self._writes(call, change)
        self._others(change, call)
        if not ledger.history.quiet or ledger.repaired:
            return
        if change.kind == "deployments" and change.before is not None and change.after is not None:
            self._moving.changes(change.before, change.after, call)
            if change.before["metadata"]["generation"] != change.after["metadata"]["generation"]:
                self._moving.is_told_truthfully()
            if not ledger.history.replica_sets.stops:
                # Endpoints that nobody writes send users nowhere else, whatever a verb does.
                self._routing.looks_again()
        if ledger.release is not None:
            self._routing.allows(ledger.release, call)
            self._moving.count(ledger.release)
            if change.kind in (*ROUTES, "services") and call is not None:
                self._routing.bears(ledger.release, change)

    def _writes(self, call: Called, change: Change) -> None:
        self._leasing.is_written_under(change, call)
        call.writes.append(change)
        if call.result is not None:
            self._answering.comes_late(call)
        if change.before and change.before["metadata"]["uid"] not in self._shown.get(call.user, ()):
            told = f"{call.ask.verb} wrote to another {change.name}"
            self._ledger.violated("nobody writes to what he has not read", told)
        if change.kind == "deployments" and change.after is None:
            self._ledger.violated("no verb deletes a Deployment", f"{call.ask.verb} deleted {change.name}")
        if call.ask.check:
            self._ledger.violated("check mode writes nothing", f"{call.ask.verb} wrote to {change.name}")

    def _others(self, change: Change, call: Called | None) -> None:
        ledger, rewritten = self._ledger, change.before is not None and change.after is not None
        ledger.repaired = ledger.repaired or (change.by == SOMEBODY and change.kind == "deployments" and rewritten)
        if change.kind == "deployments" and change.by in FOREIGN:
            ledger.robbed = ledger.robbed or takes_servers(change.before, change.after)
        elif change.kind == "deployments" and _begins(change.before, change.after):
            ledger.robbed = ledger.remade
        if call is not None and not ledger.history.quiet and rewritten and _is_surprising(ledger.history, change):
            ledger.surprised = True
        of_routes = change.kind in (*ROUTES, "services") and bool(change.before)
        ledger.rerouted = ledger.rerouted or (call is None and of_routes and change.by != PROXY)
        if change.kind == "deployments" and (change.after is None or is_being_deleted(change.after)):
            # Whatever was promised of it is over; of the next one nothing is promised yet.
            ledger.release, ledger.remade = None, True
            self._leasing.loses_its_deployment(change)

    @property
    def is_robbed(self) -> bool:
        """Others may have taken servers of users."""
        return self._ledger.robbed

    def sees(self, served: Served) -> None:
        self._routing.sees(served)

    # Every call.

    def began(self, call: Called) -> None:
        self._ledger.calls[call.user] = call
        self._releasing.began(call)
        if self._ledger.release is not None and takes_users(call.ask):
            self._ledger.release.testers, self._ledger.release.cookie = False, ""

    def ended(self, call: Called) -> None:
        self._answering.ends(call)
        self._releasing.ended(call)
        if self._releasing.is_over(call):
            self._leaves_nothing()
        if isinstance(call.result, Outcome) and self._ledger.release is not None and not call.ask.check:
            if call.ask.verb == "start" or (call.release is not None and call.release.outcome is Ending.HELD):
                self._moving.is_held_by(call.actor)
            self._routing.promised(self._ledger.release, call, call.result)

    # The end.

    def over(self, *, brought_to_end: bool) -> None:
        """After everybody has stopped, and whoever brings releases to an end has done it."""
        seen = self._pictures.situation()
        if seen is None:
            return
        if not brought_to_end or seen.phase is not Phase.NONE:
            self._ledger.violated("every state can be brought to an end", f"{seen.phase.value} ({seen.why}) is left")
            return
        if is_hold(self._ledger.store.of("deployments")[NAME]):
            self._ledger.violated("every state can be brought to an end", "the fields of a hold are left")
        self._leaves_nothing()

    def _leaves_nothing(self) -> None:
        for found in self._pinned():
            self._ledger.violated("no autoscaler is left pinned", found)
        if self._ledger.is_routed_by_us:
            self._routing.are_back()

    def _pinned(self) -> Iterator[str]:
        scaler = self._ledger.store.get("horizontalpodautoscalers", AUTOSCALER_NAME)
        if scaler is None:
            return
        if AUTOSCALER in (scaler["metadata"].get("annotations") or {}):
            yield "its annotation is still there"
        bounds = (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"])
        scaled = self._ledger.store.get("scaledobjects", "queue")
        if scaled is not None and scaled["metadata"].get("annotations"):
            yield f"its ScaledObject has {scaled['metadata']['annotations']}"
        if self._ledger.history.keda and self._ledger.history.quiet and scaler["spec"].get("behavior"):
            yield f"its behavior is {scaler['spec']['behavior']}"
        if self._ledger.history.quiet and bounds != self._ledger.history.bounds:
            yield f"its bounds were {self._ledger.history.bounds} and are {bounds}"


def _begins(before: Json | None, after: Json | None) -> bool:
    """A release, and none of which somebody took the marks and a verb puts them there again."""
    return bool(before and after and is_marked(after) and not is_marked(before) and not is_hold(before))


def _is_surprising(history: History, change: Change) -> bool:
    """Other pods come of a write than a try of it has told."""
    if (
        history.governed is None
        or history.governed.hook is not Hook.ANNOTATES_IN_EARNEST
        or change.kind != "deployments"
    ):
        return False
    before, after = ((side or {}).get("spec", {}).get("template") for side in (change.before, change.after))
    return bool(after and before != after and annotated(after) == after)
