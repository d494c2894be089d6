# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole release ends as it says, and promotes nothing but what was judged as it was asked for."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release

from .calls import Called, judges, steps_of
from .faults import UNANSWERED
from .foreign import FOREIGN
from .history import Ask
from .ledger import Ledger
from .objects import NAME, Json, is_being_deleted, version_of
from .promises import is_hold, is_marked, record_of

# After these nothing of it is left.
OVER = frozenset({Ending.RELEASED, Ending.UNDONE, Ending.ROLLED_BACK})
# Failures that say something of the version, and not of whoever stood in the way.
_SPEAK_AGAINST_IT = frozenset({"judged_fail", "stuck"})
# A call that takes up one of these goes on; any other one is told again, however it stands by now.
_GOES_ON = (Ending.PLANNED, Ending.HELD)


class Releasing:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # Of each call that takes a canary as it is, what stood there when it began.
        self._found: dict[str, str] = {}
        # Who has begun the last promotion.
        self._promoter: Called | None = None

    def began(self, call: Called) -> None:
        there = self._ledger.store.get("deployments", NAME)
        if call.ask.held and there is not None:
            self._found[call.user] = version_of(there["spec"]["template"])

    def promotes(self, call: Called) -> None:
        """At the write that begins a promotion."""
        self._promoter = call
        if call.ask.verb == "release" and (why := self._against(call)):
            self._ledger.violated("nothing is promoted but what was judged as was asked", why)

    def _against(self, call: Called) -> str:
        ask = call.ask
        if ask.held and ask.through == "promoted":
            return ""  # whoever takes a canary as it is has judged it
        if ask.reason or ask.gate == "stop" or ask.through != "promoted":
            return f"reject {ask.reason!r}, gate {ask.gate}, through {ask.through}"
        last, handed = steps_of(ask) - 1, self._handed(call)
        # The steps before it may be behind a canary that another release has brought there.
        for step in range(last + 1) if self._has_begun_it(call) else (last,):
            if ask.verifies and step + 1 not in handed:
                return f"step {step + 1} was never left to its caller, who was to verify it"
            judge = judges(ask, step)
            if judge == "bad" or (judge in ("nothing", "pods") and ask.on_inconclusive != "promote"):
                return f"{judge} was counted at step {step + 1}, and on_inconclusive is {ask.on_inconclusive}"
        return ""

    def _handed(self, call: Called) -> set[int]:
        """The steps that calls before this one of the same release have left to their caller."""
        run = call.previous.run if call.previous else ""
        told = (one.release for one in self._ledger.calls.values() if one.ask.verifies)
        return {one.to_verify["step"] for one in told if one is not None and one.run == run and one.to_verify}

    def _has_begun_it(self, call: Called) -> bool:
        """Nobody has begun another one before, or one that verified otherwise."""
        asks = (one.ask for one in self._ledger.calls.values() if one.ask.begins)
        return all(_sizes(ask) == _sizes(call.ask) for ask in asks)

    def ended(self, call: Called) -> None:
        """Where nobody else has written since it began, what stands there is its own doing. Who cannot tell his own write from somebody else's,
        because it was delivered twice, cannot tell that either."""
        told, there = call.release, self._ledger.store.get("deployments", NAME)
        taken_up = call.previous is None or call.previous.outcome in _GOES_ON
        if told is None or not taken_up or call.doubled or there is None or is_being_deleted(there):
            return
        self._tells_what_it_created(call, told.outcome)
        self._takes_back(call, told, there)
        self._was_guarded(call, told)
        if not call.ask.check and not self._others_wrote(call) and not self._stands(call, told.outcome, there):
            found = f"{version_of(there['spec']['template'])} stands there, {'held' if is_marked(there) else 'and no release'}"
            self._ledger.violated(
                "a release has ended as it says", f"{told.outcome.value}, it says, and {found}: {call.told()}"
            )

    def _tells_what_it_created(self, call: Called, outcome: Ending) -> None:
        """And takes none of it back. Whoever gets no answer may find what another has created meanwhile."""
        created = any(one.kind == "deployments" and one.before is None for one in call.writes)
        told = outcome in (Ending.CREATED, Ending.FAILED) if created else outcome is not Ending.CREATED
        if not told and UNANSWERED.isdisjoint(call.hit):
            found = f"it has {'' if created else 'not '}created it, and says: {call.told()}"
            self._ledger.violated("what was created is told", found)

    def _takes_back(self, call: Called, told: Release, there: Json) -> None:
        """What has failed, and what a call left that was cut off, unless somebody has frozen or promoted it, or the undo cannot come to its
        end."""
        code = getattr(call.result, "code", "")
        # Who rejects what he does not hand on rejects nothing that is there.
        failed = code in _SPEAK_AGAINST_IT or (code == "rejected" and call.previous is not None)
        if (
            call.ask.check
            or not (failed or call.ask.rescues)
            or call.ask.on_failure == "hold"
            or call.hit
            or self._others_wrote(call)
            or self._is_promoted_by_hand(call)
        ):
            return
        tried = call.forbidden or any(why.startswith("The undo failed too") for why in told.why)
        is_there = (
            f'"run":"{told.run}"' in record_of(there) and version_of(there["spec"]["template"]) == call.ask.version
        )
        if is_there and not tried and not there["spec"].get("paused"):
            what = "what was cut off is" if call.ask.rescues else "what has failed is"
            self._ledger.violated(f"{what} taken back", f"it is still there, and its end: {call.told()}")

    def _is_promoted_by_hand(self, call: Called) -> bool:
        """What it takes up stood, and a person has promoted it since, which stays. Whoever takes up nothing finishes what he finds as his own."""
        release, by = self._ledger.release, self._promoter
        is_going = release is not None and release.going == "promote"
        return is_going and call.previous is not None and by is not None and (by.ask.verb == "promote" or by.ask.held)

    def _was_guarded(self, call: Called, told: Release) -> None:
        """Whoever asks for a guard is told what it has seen."""
        is_new = told.outcome is Ending.RELEASED and not call.ask.check
        seen = {judged.of for judged in told.verdicts}
        if is_new and call.ask.guard and seen.isdisjoint({"promotion", "new version alone"}):
            self._ledger.violated("what is to be guarded is guarded", f"nothing was seen of it: {call.told()}")

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

    def _stands(self, call: Called, outcome: Ending, there: Json) -> bool:
        released = self._found.get(call.user, call.ask.version)
        is_new, live = version_of(there["spec"]["template"]) == released, is_marked(there)
        if outcome in (Ending.RELEASED, Ending.ALREADY_RELEASED, Ending.CREATED):
            return is_new and not live
        if outcome is Ending.NOTHING_TO_PROMOTE:
            return not live
        if outcome in (Ending.UNDONE, Ending.ROLLED_BACK):
            # A policy may have made another template of the same version, which was there before.
            latest, template = self._ledger.latest, self._ledger.keys.of(there["spec"]["template"])
            is_back = latest is not None and latest.is_stable(template)
            return (is_back or not is_new) and not live
        if outcome is Ending.HELD:
            return is_new and live
        writes = (one for one in call.writes if one.kind == "deployments" and one.before and one.after)
        begun = any(is_hold(one.after) and not is_hold(one.before) for one in writes if one.after and one.before)
        return not (begun and outcome in (Ending.PLANNED, Ending.REFUSED))


def _sizes(ask: Ask) -> tuple[object, ...]:
    return ask.verb, ask.version, ask.pods, ask.weight, ask.shares, ask.mirror, ask.verdicts, ask.verifies
