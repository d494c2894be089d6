# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole release ends as it says, and promotes nothing but what was judged as it was asked for."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending

from .calls import Called, judges, steps_of
from .foreign import FOREIGN
from .history import Ask
from .ledger import Ledger
from .objects import NAME, Json, is_being_deleted, version_of
from .promises import is_hold, is_marked

# After these nothing of it is left.
OVER = frozenset({Ending.RELEASED, Ending.UNDONE, Ending.ROLLED_BACK})
# A call that takes up one of these goes on; any other one is told again, however it stands by now.
_GOES_ON = (Ending.PLANNED, Ending.HELD)


class Releasing:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def promotes(self, call: Called) -> None:
        """At the write that begins a promotion."""
        if call.ask.verb == "release" and (why := self._against(call)):
            self._ledger.violated("nothing is promoted but what was judged as was asked", why)

    def _against(self, call: Called) -> str:
        ask = call.ask
        if ask.reason or ask.gate == "stop" or ask.through != "promoted":
            return f"reject {ask.reason!r}, gate {ask.gate}, through {ask.through}"
        last = steps_of(ask) - 1
        # The steps before it may be behind a canary that another release has brought there.
        for step in range(last + 1) if self._has_begun_it(call) else (last,):
            judge = judges(ask, step)
            if judge == "bad" or (judge in ("nothing", "pods") and ask.on_inconclusive != "promote"):
                return f"{judge} was counted at step {step + 1}, and on_inconclusive is {ask.on_inconclusive}"
        return ""

    def _has_begun_it(self, call: Called) -> bool:
        """Nobody has begun another one before."""
        asks = (one.ask for one in self._ledger.calls.values() if one.ask.verb in ("start", "release"))
        return all(_sizes(ask) == _sizes(call.ask) for ask in asks)

    def ended(self, call: Called) -> None:
        """Where nobody else has written since it began, what stands there is its own doing. Who cannot tell his own write from somebody else's,
        because it was delivered twice, cannot tell that either."""
        told, there = call.release, self._ledger.store.get("deployments", NAME)
        taken_up = call.previous is None or call.previous.outcome in _GOES_ON
        if told is None or not taken_up or call.doubled or there is None or is_being_deleted(there):
            return
        if not call.ask.check and not self._others_wrote(call) and not self._stands(call, told.outcome, there):
            found = f"{version_of(there['spec']['template'])} stands there, {'held' if is_marked(there) else 'and no release'}"
            self._ledger.violated(
                "a release has ended as it says", f"{told.outcome.value}, it says, and {found}: {call.told()}"
            )

    def is_over(self, call: Called) -> bool:
        """Its end has given everything back, and nobody else has anything to do with that."""
        told = call.release
        return (
            told is not None
            and told.outcome in OVER
            and (call.previous is None or call.previous.outcome in _GOES_ON)
            and self._ledger.alone
            and not (call.ask.check or call.forbidden)
        )

    def _others_wrote(self, call: Called) -> bool:
        if not self._ledger.history.quiet or self._ledger.repaired:
            return True
        others = {*self._ledger.calls, *FOREIGN} - {call.user}
        for change in reversed(self._ledger.store.log):
            if change.at < call.begun:
                return False
            if change.kind == "deployments" and change.by in others:
                return True
        return False

    @staticmethod
    def _stands(call: Called, outcome: Ending, there: Json) -> bool:
        is_new, live = version_of(there["spec"]["template"]) == call.ask.version, is_marked(there)
        if outcome in (Ending.RELEASED, Ending.ALREADY_RELEASED):
            return is_new and not live
        if outcome in (Ending.UNDONE, Ending.ROLLED_BACK):
            return not is_new and not live
        if outcome is Ending.HELD:
            return is_new and live
        writes = (one for one in call.writes if one.kind == "deployments" and one.before and one.after)
        begun = any(is_hold(one.after) and not is_hold(one.before) for one in writes if one.after and one.before)
        return not (begun and outcome in (Ending.PLANNED, Ending.REFUSED))


def _sizes(ask: Ask) -> tuple[object, ...]:
    return ask.verb, ask.version, ask.pods, ask.weight, ask.shares, ask.mirror, ask.verdicts
