# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done next with a wave of releases: one ordered table of rules, the first that applies decides.

A wave is planned, held and promoted. Together means: none is promoted before all have stood, and when too many fail those that
stand are taken back, the promoted ones too. This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum
from typing import Callable, Mapping, Sequence

from ..values import dataclass
from .policies import Gate
from .result import FAILURES, Ending, Release


class Standing(Enum):
    """How a release of a fleet stands.

    asked: nothing was looked at. planned: it may begin. held: it has stood all its steps. waits: it is held for a person.
    out: its version runs, and this call promoted it. over: it needs nothing from this call (released before, or created).
    left: it failed, and was not taken back: its version may be held or out. failed: whatever became of it then.
    """

    ASKED = "asked"
    PLANNED = "planned"
    HELD = "held"
    WAITS = "waits"
    OUT = "out"
    OVER = "over"
    LEFT = "left"
    FAILED = "failed"


_BY_ENDING = {
    Ending.PLANNED: Standing.PLANNED,
    Ending.RELEASED: Standing.OUT,
    Ending.ALREADY_RELEASED: Standing.OVER,
    Ending.CREATED: Standing.OVER,
    Ending.NOTHING_TO_PROMOTE: Standing.OVER,
    **dict.fromkeys(FAILURES, Standing.FAILED),
    Ending.FAILED: Standing.LEFT,
}


def standing(release: Release | None, steps: int, gate: Gate) -> Standing:
    """`steps`: how many it has to stand. One that is held before it has stood all waits for a person, as does one with a gate."""
    if release is None:
        return Standing.ASKED
    if release.outcome is Ending.HELD:
        return Standing.HELD if release.reached >= steps and gate is Gate.NONE else Standing.WAITS
    return _BY_ENDING[release.outcome]


class WhenCrowded(Enum):
    """What to do where the releases of a wave do not fit at the same time. smaller: those without room come in a wave of their own
    after it, when the others have given back what they took."""

    REFUSE = "refuse"
    SMALLER = "smaller"


def is_put_off(beside: int, when: WhenCrowded) -> bool:
    """Whether a release without room comes later. `beside`: how many of its wave were counted before it; alone it never fits."""
    return when is WhenCrowded.SMALLER and beside > 0


class Act(Enum):
    """PLAN, HOLD and PROMOTE: those that can be. RELEASE: hold and promote, each by itself. WITHDRAW: those held or out. RECLAIM: once
    more those that were left, of which a cluster may have been away."""

    PLAN = "plan"
    HOLD = "hold"
    PROMOTE = "promote"
    RELEASE = "release"
    WITHDRAW = "withdraw"
    RECLAIM = "reclaim"
    NEXT_WAVE = "next wave"
    END = "end"


FAILED = (Standing.LEFT, Standing.FAILED)
# What a call that is cut off does not leave behind, or does not begin.
UNFINISHED = (Standing.ASKED, Standing.PLANNED, Standing.HELD, Standing.WAITS)
# Whom each act is about, and how they may stand afterwards.
MOVES: Mapping[Act, tuple[tuple[Standing, ...], tuple[Standing, ...]]] = {
    Act.PLAN: ((Standing.ASKED,), (Standing.PLANNED, Standing.OVER, *FAILED)),
    Act.HOLD: ((Standing.PLANNED,), (Standing.HELD, Standing.WAITS, Standing.OVER, *FAILED)),
    Act.PROMOTE: ((Standing.HELD,), (Standing.OUT, *FAILED)),
    Act.RELEASE: ((Standing.PLANNED,), (Standing.OUT, Standing.WAITS, Standing.OVER, *FAILED)),
    Act.WITHDRAW: ((Standing.HELD, Standing.WAITS, Standing.OUT), FAILED),
    Act.RECLAIM: ((Standing.LEFT,), (Standing.FAILED,)),
}


@dataclass(frozen=True)
class Wave:
    """`standings` of its releases. `failures`: of the whole fleet so far, `tolerated` of them end nothing. `cut_off`: the call is to
    end now, whatever is not out by then."""

    standings: frozenset[Standing]
    failures: int = 0
    tolerated: int = 0
    together: bool = True
    check: bool = False
    cut_off: bool = False

    @property
    def failed(self) -> bool:
        return self.failures > self.tolerated or (self.cut_off and self.has(*UNFINISHED))

    def has(self, *standings: Standing) -> bool:
        return not self.standings.isdisjoint(standings)


@dataclass(frozen=True)
class Rule:
    """`when` in words is the line of the table in the docs."""

    when: str
    applies: Callable[[Wave], bool]
    act: Act


RULES: tuple[Rule, ...] = (
    Rule(
        "more have failed than may, or time is up; the wave is released together, and some of it stand or are out",
        lambda wave: wave.failed and wave.together and wave.has(Standing.HELD, Standing.WAITS, Standing.OUT),
        Act.WITHDRAW,
    ),
    Rule(
        "more have failed than may; the wave is released together, and some were left",
        lambda wave: wave.failed and wave.together and wave.has(Standing.LEFT),
        Act.RECLAIM,
    ),
    Rule("more have failed than may, or time is up", lambda wave: wave.failed, Act.END),
    Rule("some were not looked at", lambda wave: wave.has(Standing.ASKED), Act.PLAN),
    Rule(
        "nothing is to be changed (check mode)",
        lambda wave: wave.check,
        Act.NEXT_WAVE,
    ),
    Rule(
        "some may begin, and the wave is released together", lambda w: w.together and w.has(Standing.PLANNED), Act.HOLD
    ),
    Rule("some may begin, each by itself", lambda wave: wave.has(Standing.PLANNED), Act.RELEASE),
    Rule("a person has to decide about one", lambda wave: wave.has(Standing.WAITS), Act.END),
    Rule("all that have not failed have stood", lambda wave: wave.has(Standing.HELD), Act.PROMOTE),
    Rule("in every other case", lambda wave: True, Act.NEXT_WAVE),
)


def decide(wave: Wave) -> Act:
    """Total: the last rule always applies. Each act changes how its releases stand, so that a wave comes to an end."""
    return next(rule.act for rule in RULES if rule.applies(wave))


class FleetEnding(Enum):
    """How a call ended, for the fleet as a whole."""

    RELEASED = "released"
    ALREADY_RELEASED = "already released"
    PLANNED = "planned"
    HELD = "held"
    STOPPED = "stopped"
    FAILED = "failed"


def ending_of(standings: Sequence[Standing], *, stopped: bool, cut_off: bool = False) -> FleetEnding:
    """`stopped`: between two waves, for an approval. Any failure fails the fleet, one that is tolerated too, and so does a call that
    was `cut_off` before its end."""
    found = set(standings)
    if cut_off or not found.isdisjoint(FAILED):
        return FleetEnding.FAILED
    if Standing.WAITS in found or Standing.HELD in found:
        return FleetEnding.HELD
    if stopped:
        return FleetEnding.STOPPED
    if Standing.PLANNED in found:
        return FleetEnding.PLANNED
    return FleetEnding.RELEASED if Standing.OUT in found else FleetEnding.ALREADY_RELEASED
