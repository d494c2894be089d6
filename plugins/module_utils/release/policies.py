# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What whoever releases has decided beforehand. This module is private to the collection."""

from __future__ import annotations

import re
from enum import Enum

from ..values import dataclass


class Headroom(Enum):
    """Whether the pods of every step and of the promotion have to fit before anything is changed, and on which nodes."""

    REQUIRE_EXISTING_NODES = "require_existing_nodes"
    ALLOW_NEW_NODES = "allow_new_nodes"
    REPORT = "report"
    SKIP = "skip"


class OnUnknown(Enum):
    """What to do where nobody can know whether the pods fit, or what they cost."""

    WARN = "warn"
    FAIL = "fail"


class OnInconclusive(Enum):
    """What becomes of a canary that the evidence decides neither way."""

    HOLD = "hold"
    UNDO = "undo"
    PROMOTE = "promote"


class OnFailure(Enum):
    """What becomes of a canary, or of a promotion, that fails."""

    UNDO = "undo"
    HOLD = "hold"


class Gate(Enum):
    """Who decides about the promotion of a canary that has stood all its steps: nobody, whoever answers, another call."""

    NONE = "none"
    PROMPT = "prompt"
    STOP = "stop"


def closed(gate: Gate, answer: str | None) -> str:
    """Why the gate stays closed, as a sentence without its end; empty: it is open.

    `answer`: what somebody answered who was asked; None: nobody could be. prompt, "yes" -> open.
    """
    if gate is Gate.STOP:
        return "The gate is stop"
    if gate is Gate.PROMPT and not (answer or "").strip():
        return "Nobody answered; without a terminal nobody can"
    return "" if gate is Gate.NONE or (answer or "").strip() == "yes" else "The answer was not yes"


class WhenMissing(Enum):
    """What to do where there is no Deployment yet, so that there is no stable version for a canary to stand beside."""

    FAIL = "fail"
    CREATE = "create"


class End(Enum):
    ROOM = "room"
    PLAN = "plan"
    STEP = "step"
    PROMOTED = "promoted"


@dataclass(frozen=True)
class Through:
    """Where a call ends: after the question about room, the plan, a step that is held and judged (counted from 1), or the
    promotion."""

    end: End = End.PROMOTED
    step: int = 0

    @classmethod
    def parse(cls, text: str) -> Through:
        """`room`, `plan`, `step 2`, `promoted`. Raises ValueError."""
        found = re.fullmatch(r"(room|plan|promoted)|step ([1-9][0-9]{0,3})", text)
        if found is None:
            raise ValueError("it is not one of room, plan, step N, promoted")
        return cls(End(found[1])) if found[1] else cls(End.STEP, int(found[2]))

    @property
    def before_any_pod(self) -> bool:
        return self.end in (End.ROOM, End.PLAN)

    def stops_after(self, step: int) -> bool:
        return self.end is End.STEP and step >= self.step


@dataclass(frozen=True)
class Policies:
    """`max_hourly_cost`: what new nodes may cost an hour, in the currency of the prices; None: no bound."""

    headroom: Headroom = Headroom.REQUIRE_EXISTING_NODES
    on_unknown: OnUnknown = OnUnknown.WARN
    max_hourly_cost: float | None = None
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    on_failure: OnFailure = OnFailure.UNDO
    gate: Gate = Gate.NONE
    when_missing: WhenMissing = WhenMissing.FAIL
