# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb tells while it works, as a value: worded in lines.py, drawn in a view, or returned.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Any, Callable

from ..values import dataclass


class Side(Enum):
    """Of which version a pod is."""

    STABLE = "stable"
    CANARY = "canary"


class State(Enum):
    """How a pod looks from outside."""

    READY = "ready"
    STARTING = "starting"
    FAILING = "failing"
    ENDING = "ending"


@dataclass(frozen=True)
class Mark:
    """One pod at one moment."""

    side: Side
    state: State


class Kind(Enum):
    """event: it happened, and is told at once. state: how it stands; the next one takes its place.
    hint: advice that is good for the whole task, and told once in it. warning: as a hint; a warning of the task where no line is
    shown."""

    EVENT = "event"
    STATE = "state"
    HINT = "hint"
    WARNING = "warning"


@dataclass(frozen=True)
class Rate:
    """What one check has counted: bad events of all of them, in both versions; `tolerated`: the highest rate of the canary that
    is tolerated beside this rate of stable, None as long as that is not known."""

    check: str
    canary: tuple[float, float]
    stable: tuple[float, float]
    tolerated: float | None = None


@dataclass(frozen=True, eq=False)
class News(str):
    """A line that knows what it was made of: whoever wants no more than its text takes it as one.

    `text`: one sentence without its end. `step`: number and how many there are. `elapsed` of `total`: seconds of what is going
    on now. `phase`: of the release, as rollout/phase.py names it. `evidence`: to fail, to pass, and the limit that decides.
    `readings`: of plain bounds, in words. `details`: further lines, told with an event. What is not known is left out."""

    text: str
    kind: Kind = Kind.EVENT
    deployment: str = ""
    step: tuple[int, int] | None = None
    phase: str = ""
    pods: tuple[Mark, ...] = ()
    elapsed: float | None = None
    total: float | None = None
    rates: tuple[Rate, ...] = ()
    evidence: tuple[float, float, float] | None = None
    readings: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def __new__(cls, text: str, *_more: Any, **_others: Any) -> News:
        return super().__new__(cls, text)

    def within(self, deployment: str, step: tuple[int, int] | None = None) -> News:
        """The same, where it belongs; what is said already stays."""
        return replace(self, deployment=self.deployment or deployment, step=self.step or step)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> News:
        """What `to_json` made, nothing else."""
        return cls(
            **{
                **given,
                "kind": Kind(given["kind"]),
                "step": tuple(given["step"]) if given["step"] else None,
                "pods": tuple(Mark(Side(side), State(state)) for side, state in given["pods"]),
                "rates": tuple(
                    Rate(**{**rate, "canary": tuple(rate["canary"]), "stable": tuple(rate["stable"])})
                    for rate in given["rates"]
                ),
                "evidence": tuple(given["evidence"]) if given["evidence"] else None,
                "readings": tuple(given["readings"]),
                "details": tuple(given["details"]),
            }
        )

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "kind": self.kind.value,
            "step": list(self.step) if self.step else None,
            "pods": [[mark.side.value, mark.state.value] for mark in self.pods],
            "rates": [vars(rate) for rate in self.rates],
            "evidence": list(self.evidence) if self.evidence else None,
            "readings": list(self.readings),
            "details": list(self.details),
        }


# Tells the person who waits what is going on: one line a call, already free of secrets.
Report = Callable[[str], None]


def news(told: str) -> News:
    """A plain text is an event."""
    return told if isinstance(told, News) else News(told)
