# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is paused, what is let go on, and what is refused because Kubernetes would move pods."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.pause import decide
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, Intent
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal

from .objects import deployment, held, ordinary, record, replica_set, situation

V1, V2, MORE_V2 = replica_set("v1", 4, 1), replica_set("v2", 1, 2), replica_set("v2", 9, 2)
MARKED: dict[str, Any] = {"labels": {LIVE: "true"}}
PROMOTE, UNDO = record(intent=Intent.PROMOTE), record(intent=Intent.UNDO)
TAKEN_BACK = "is being taken back, and paused it would get more pods"
PARTS = "is left with parts of a hold"
NOT_OURS = "is not the one of its release .*, so pods would come that nobody has looked at"

# What is there, and what a pause and a resume make of it: a value of `paused` to write, None, or a refusal.
TABLE: dict[str, tuple[Situation, bool | str | None, bool | str | None]] = {
    "nothing": (situation(ordinary(), V1), True, None),
    "an ordinary rollout": (situation(ordinary("v2"), V1, V2), True, None),
    "a paused one": (situation(ordinary("v2", paused=True), V1, V2), None, False),
    "a held canary": (held(), True, None),
    "a frozen one": (held(paused=True), None, False),
    "a promotion": (situation(ordinary("v2", record=PROMOTE, **MARKED), V1, V2), True, None),
    "a paused promotion": (situation(ordinary("v2", record=PROMOTE, paused=True, **MARKED), V1, V2), None, False),
    "an undo": (situation(ordinary("v1", record=UNDO, **MARKED), V1, V2), TAKEN_BACK, None),
    "an undo out of a promotion": (situation(ordinary("v1", record=UNDO, **MARKED), V1, MORE_V2), TAKEN_BACK, None),
    "an undo without its label": (
        situation(ordinary("v1", record=record(intent=Intent.UNDO, generation=3)), V1, V2), TAKEN_BACK, None,
    ),
    "an undo that somebody paused": (situation(ordinary("v1", record=UNDO, paused=True, **MARKED), V1, V2), None, False),
    "another template": (situation(deployment("v3"), V1, V2), True, None),
    "another template that is paused": (situation(deployment("v3", paused=True), V1, V2), None, NOT_OURS),
    "parts of a hold": (held(record=None), PARTS, PARTS),
}  # fmt: skip


@pytest.mark.parametrize(("found", "pause", "resume"), [*TABLE.values()], ids=[*TABLE])
def test_what_is_paused_and_resumed(found: Situation, pause: bool | str | None, resume: bool | str | None) -> None:
    for paused, expected in ((True, pause), (False, resume)):
        if isinstance(expected, str):
            with pytest.raises(Refusal, match=expected) as raised:
                decide(found, paused)
            assert raised.value.code in (Code.BUSY, Code.DAMAGED, Code.FOREIGN)
            continue
        plan = decide(found, paused)
        written = None if plan is None else {o["path"]: o["value"] for o in plan.operations if o["op"] == "add"}
        assert written == (None if expected is None else {"/spec/paused": expected})
