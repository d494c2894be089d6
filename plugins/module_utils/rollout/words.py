# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verbs say of a release in each phase, in one table: a new phase is not forgotten anywhere.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from ..values import dataclass
from .phase import HOLDING, Phase
from .refusal import Code


@dataclass(frozen=True)
class Refused:
    """Why canary_start does not go on from there, said after the Deployment's name, and what to do."""

    code: Code
    what: str
    remedy: str


@dataclass(frozen=True)
class Words:
    """An empty text: in this phase there is nothing of that kind to say, because it is what the verb waits for or works on.

    `remains`: what is left in the cluster when a verb gives up, and what to do then.
    `ends_start`: what somebody did to a canary whose pods are waited for.
    `ends_bake`: why there is no canary that could be watched.
    `ends_promotion`: what somebody did to a promotion that is waited for, beyond what its pods tell.
    `refuses_start`: None where canary_start begins or goes on.
    """

    remains: str
    ends_start: str = ""
    ends_bake: str = ""
    ends_promotion: str = ""
    refuses_start: Refused | None = None


_HELD = Words(
    remains="The canary stays held for you to look at: canary_info shows it, canary_undo brings the stable version back.",
    ends_promotion="somebody took the promotion back, and a canary is held again",
)
_BROKEN = "It was left as it is: canary_info shows it, canary_undo brings the stable version back."

WORDS: Mapping[Phase, Words] = {
    **dict.fromkeys(HOLDING, _HELD),
    Phase.NONE: Words(
        remains="No release is live: canary_info shows what runs, canary_start begins a release.",
        ends_start="somebody ended the release",
        ends_bake="no canary is held",
    ),
    Phase.FROZEN: Words(
        remains="It stays paused: canary_resume lets it go on, canary_undo brings the stable version back.",
        ends_start="somebody paused the Deployment",
        ends_bake="somebody froze the canary",
        ends_promotion="somebody paused the Deployment, by hand or to take the canary back",
        refuses_start=Refused(
            Code.FROZEN,
            "is frozen: somebody paused it for a reason",
            "Ask who, then let it go on with canary_resume, or take it back with canary_undo",
        ),
    ),
    Phase.PROMOTING: Words(
        remains=(
            "The promotion goes on in the cluster: run canary_promote again to wait for it, or canary_undo to take it back."
        ),
        ends_start="somebody promoted the canary",
        ends_bake="the canary is being promoted",
        refuses_start=Refused(
            Code.BUSY, "is being promoted", "Finish that with canary_promote, or take it back with canary_undo"
        ),
    ),
    Phase.UNDOING: Words(
        remains="Run canary_undo again: it goes on with the undo, waits for it and cleans up.",
        ends_start="somebody undid the canary",
        ends_bake="the canary is being taken back",
        ends_promotion="somebody is taking the canary back",
        refuses_start=Refused(Code.BUSY, "is being taken back", "Finish that with canary_undo"),
    ),
    Phase.FOREIGN: Words(
        remains=_BROKEN,
        ends_start="somebody replaced the pod template of the canary",
        ends_bake="somebody else changed the Deployment",
        refuses_start=Refused(
            Code.FOREIGN,
            "was changed by somebody else while a canary was held",
            "Bring the stable version back with canary_undo, then start again",
        ),
    ),
    Phase.DAMAGED: Words(
        remains=_BROKEN,
        ends_start="somebody changed the fields of the hold",
        ends_bake="the hold is damaged",
        refuses_start=Refused(
            Code.DAMAGED,
            "is left with parts of a hold",
            "Repair it with canary_undo, which brings the stable version and its own fields back",
        ),
    ),
}


def because(said: str, why: str) -> str:
    """Said, with what a situation adds to it, if anything."""
    return f"{said} ({why})" if why else said
