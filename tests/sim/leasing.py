# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: who has the Lease of the Deployment, and whether whoever writes has it."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import moment_of
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.lease import Claim, Lease

from .calls import Called
from .faults import Fault
from .ledger import Ledger
from .objects import NAME
from .store import Change
from .timeline import EPOCH

# What such a request does may come after its call has gone on without it.
_LATER = frozenset({Fault.LATE, Fault.TWICE, Fault.SLOW})


class Leasing:
    """`has_ended`: whether the process of a Lease lives no more."""

    def __init__(self, ledger: Ledger, has_ended: Callable[[str], bool]) -> None:
        self._ledger = ledger
        self._has_ended = has_ended
        # Who wrote the Lease last, as long as there is one, and to which run: what its earlier call has written in this
        # second is as good as its own.
        self._leased_by, self._leased_to = "", ""
        self._taken_from: set[str] = set()
        # Whose Deployment has gone, and with it the Lease: what else they write is guarded by whose it is.
        self._outlived: set[str] = set()

    def changes(self, change: Change, call: Called) -> None:
        """A call has written the Lease."""
        if call.ask.takeover and self._leased_by != call.user:
            self._taken_from.add(self._leased_by)
        self._leased_by = call.user if change.after is not None else ""
        self._leased_to = Lease.parse(change.after).claim.run if change.after is not None else ""
        if change.before is None or call.ask.takeover:
            return
        there = self._ledger.store.of("deployments").get(NAME)
        if there is None or Lease.parse(change.before).owner != there["metadata"]["uid"]:
            return  # of one that was deleted, which nobody works on any more
        had, has = (Lease.parse(side).claim if side else Claim("") for side in (change.before, change.after))
        renewed = moment_of(had.renewed)
        assert renewed is not None and had.seconds is not None, "verbs say until when"
        over = EPOCH + self._ledger.store.timeline.now > renewed + had.seconds or self._has_ended(had.process)
        if had.run and has.run and had.run != has.run and not over:
            told = f"{call.user} took its Lease from run {had.run}"
            self._ledger.violated("a run that is at work is left alone", told)

    def loses_its_deployment(self, change: Change) -> None:
        """`change`: of the Deployment, which is being deleted, or gone."""
        self._outlived.add(self._leased_by)
        self._leased_by, self._leased_to = ("", "") if change.after is None else (self._leased_by, self._leased_to)

    def is_written_under(self, change: Change, call: Called) -> None:
        """Who is taken from finds out when it renews; until then what each write is guarded by holds. Nobody holds what is not there yet."""
        if change.kind == "deployments" and change.before is None:
            return
        excused = self._taken_from if change.kind == "deployments" else self._taken_from | self._outlived
        has_it = call.user in {self._leased_by, *excused} or (call.run and call.run == self._leased_to)
        if not has_it and not _goes_without(call):
            told = f"{call.user} ({call.ask.verb}) wrote to {change.name} without the Lease"
            self._ledger.violated("one run at a time", told)


def _goes_without(call: Called) -> bool:
    """It may take no Lease, and has said so; or its write may have come later than it was sent."""
    return any("leases" in resource for _verb, resource in call.forbidden) or bool(_LATER.intersection(call.hit))
