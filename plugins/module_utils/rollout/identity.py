# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release is meant, and whether it is the one that is there: what was verified is what is promoted, or nothing.

A release is known by the pod-template-hash of its canary's ReplicaSet, and by the run that began it or took it over. A caller
names them; and what a verb has seen at its first look it holds to, whatever it reads later
(docs/decisions/0006-identity.md). This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..values import dataclass
from .last import last_outcome
from .phase import Phase, Situation
from .refusal import Code, Refusal
from .template import digest


@dataclass(frozen=True)
class Meant:
    """`hash`: the pod-template-hash of the canary's ReplicaSet. `run`: who began the release or took it over. `template`: the
    digest of the canary's template, as it was first looked at. Each may be empty: any."""

    hash: str = ""
    run: str = ""
    template: str = ""

    @property
    def named(self) -> bool:
        """A caller said which; otherwise it is the one that was there at the first look."""
        return bool(self.hash or self.run)

    def bound(self, first: Situation) -> Meant:
        """The same, and no other than what the first look shows, if that is the one that is meant."""
        if first.record is None or (self.hash and self.hash != hash_of(first)):
            return self
        return replace(self, template=first.record.canary)

    def differs(self, situation: Situation) -> str:
        """What is there instead, as a sentence without its end; empty where it is the release that is meant."""
        record = situation.record
        if situation.phase is Phase.NONE:
            return f"{self._asked()} {_nothing_live(situation)}" if self.named or self.template else ""
        if record is None:
            return ""  # nobody can know: `check` says so
        found = hash_of(situation)
        # A canary that has gone already may have been removed with its ReplicaSet: then the run tells, or what was looked at first.
        gone = not found and bool(self.run or self.template) and situation.phase is Phase.UNDOING
        another = self.template and record.canary != self.template
        if another or (self.hash and found != self.hash and not gone) or (self.run and record.run != self.run):
            return f"{self._asked()} there is {_there(situation)}"
        return ""

    def check(self, situation: Situation) -> None:
        """Raises Refusal: another release, or none, or one that lost the record that would tell."""
        if self.named and situation.record is None and situation.phase is not Phase.NONE:
            raise Refusal(
                Code.DAMAGED,
                f"{_name(situation)} is left with parts of a hold ({situation.why}), so nothing tells whether that is "
                f"{self._who()}",
                "Look at it with canary_info, and repair it with canary_undo, without expect and run",
            )
        other = self.differs(situation)
        if other:
            raise self.refusal(situation, other)

    def refusal(self, situation: Situation, other: str) -> Refusal:
        remedy = (
            "canary_info shows what runs; begin a release with canary_start"
            if situation.phase is Phase.NONE
            else "Leave it to whoever began it, or look at it with canary_info and name it in expect and run"
        )
        return Refusal(Code.OTHER_RELEASE, f"{_name(situation)} was left alone: {other}", remedy)

    def is_out(self, situation: Situation) -> bool:
        """No release is live, and the version that the Deployment asks for is the one that is meant."""
        stable = situation.stable
        if situation.phase is not Phase.NONE or stable is None:
            return False
        if self.template and digest(stable.template) == self.template:
            return not self.hash or self.hash == stable.hash
        return bool(self.hash) and self.hash == stable.hash

    def _asked(self) -> str:
        return f"{self._who()} was expected, and" if self.named else "the canary that was looked at first is gone, and"

    def _who(self) -> str:
        of_run = f"of run {self.run}" if self.run else ""
        return " ".join(filter(None, ["canary", self.hash, of_run]))


def hash_of(situation: Situation) -> str:
    """The pod-template-hash of the release's own canary, whatever template somebody else has put in its place; empty as long as
    its ReplicaSet is not there, or where nothing tells of a release."""
    record = situation.record
    if record is None:
        return ""
    sets = situation.picture.replica_sets
    return next((rs.hash for rs in sets if digest(rs.template) == record.canary), "")


def _there(situation: Situation) -> str:
    record = situation.record
    if record is None:
        return f"a release in the phase {situation.phase.value}"
    of_run = f" of run {record.run}" if record.run else ""
    which = hash_of(situation) or "without a ReplicaSet"
    return (
        f"canary {which}{of_run}, which {record.started_by} started {record.started_at} (phase {situation.phase.value})"
    )


def _nothing_live(situation: Situation) -> str:
    """With who ended the last one: a run that was taken over while it was away is told by whom."""
    stable, ended = situation.stable, last_outcome(situation.deployment)
    told = (f"its version is {stable.hash}" if stable else "", f"the last one was {ended}" if ended else "")
    said = "; ".join(filter(None, told))
    return "no release is live" + (f" ({said})" if said else "")


def _name(situation: Situation) -> str:
    return f'Deployment "{situation.deployment.name}" in namespace "{situation.deployment.namespace}"'
