# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a release when something fails: one ordered table of rules, the first that applies decides.

A run takes back only what it began, never what a person has decided, and a finished promotion only on evidence: its own, or that
which failed the wave that it is part of.
This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum
from typing import Callable

from ..rollout.phase import Phase
from ..values import dataclass
from .policies import OnFailure


class Stage(Enum):
    """How far a run has come.

    asked: nothing of this run is in the cluster. held: it began a canary, whatever became of it. promoting: it began the
    promotion. promoted: that is finished. waiting: for an ordinary rollout, which is nobody's canary. unknown: its call was cut
    off, and could tell nobody.
    """

    ASKED = "asked"
    HELD = "held"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    WAITING = "waiting"
    UNKNOWN = "unknown"


class Cause(Enum):
    """Who or what speaks against the version.

    pods: they do not become Ready, or cannot. judged: the evidence. rejected: the caller's own verification.
    undecided: no evidence, where the policy takes that for a failure. changed: it is no longer what was looked at.
    taken: another run has taken the Deployment over.
    wave: other releases of its wave, which are out together or not at all. server: the API server, or nobody knows.
    refused: nothing was tried.
    """

    PODS = "pods"
    JUDGED = "judged"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    CHANGED = "changed"
    TAKEN = "taken"
    WAVE = "wave"
    SERVER = "server"
    REFUSED = "refused"


# Failure codes of the verbs; every other one is a refusal, or the server's.
CAUSES = {
    "stuck": Cause.PODS,
    "timeout": Cause.PODS,
    "judged_fail": Cause.JUDGED,
    "judged_inconclusive": Cause.UNDECIDED,
    "foreign": Cause.CHANGED,
    "damaged": Cause.CHANGED,
    "other_release": Cause.CHANGED,
    "no_canary_ready": Cause.CHANGED,
    "locked": Cause.TAKEN,
    "rejected": Cause.REJECTED,
    "wave_failed": Cause.WAVE,
    "api_error": Cause.SERVER,
}


def cause_of(code: str) -> Cause:
    """A failure code of a verb -> the cause."""
    return CAUSES.get(code, Cause.REFUSED)


class Act(Enum):
    """FREEZE: a promotion stops where it is, with pods of both versions."""

    UNDO = "undo"
    ROLL_BACK = "roll back"
    FREEZE = "freeze"
    LEAVE = "leave"


@dataclass(frozen=True)
class Failed:
    """What failed, and what is there now.

    `phase`: None where it could not be read, or is `gone`: there is no such Deployment any more; or `elsewhere`: there is another of that
    name. `ours`: what is live, or out once
    promoted, is what this run began (its run and its hash). `froze_it`: this run itself froze the canary, because the evidence decided
    neither way. `changed`: this run has changed something.
    """

    stage: Stage
    cause: Cause
    phase: Phase | None
    ours: bool
    on_failure: OnFailure = OnFailure.UNDO
    froze_it: bool = False
    changed: bool = False
    gone: bool = False
    elsewhere: bool = False

    @property
    def promotes(self) -> bool:
        """Its promotion goes on in the cluster, whether anybody waits for it or not."""
        return self.ours and self.stage is Stage.PROMOTING and self.phase is Phase.PROMOTING

    @property
    def is_out(self) -> bool:
        """Its promotion came to its end, whether this run has seen that or not."""
        return self.stage is Stage.PROMOTED or (self.stage is Stage.PROMOTING and self.phase is Phase.NONE)


@dataclass(frozen=True)
class Ruling:
    """`why`: for LEAVE, the sentence that tells a person how things are left."""

    act: Act
    why: str = ""


@dataclass(frozen=True)
class Rule:
    """`when` in words is the docs' line of the table."""

    when: str
    applies: Callable[[Failed], bool]
    ruling: Ruling


def _leave(why: str) -> Ruling:
    return Ruling(Act.LEAVE, why)


NOTHING_CHANGED = "This run changed nothing."
AGAINST_A_PROMOTION = frozenset({Cause.PODS, Cause.JUDGED, Cause.REJECTED, Cause.CHANGED, Cause.WAVE})
AGAINST_WHAT_IS_OUT = frozenset({Cause.JUDGED, Cause.WAVE})

RULES: tuple[Rule, ...] = (
    Rule(
        "this run only waits for a rollout that is nobody's canary",
        lambda failed: failed.stage is Stage.WAITING,
        _leave("No canary was held, so there was nothing to take back."),
    ),
    Rule(
        "nothing of this run is in the cluster, and it has finished or given back what another had left",
        lambda failed: failed.stage is Stage.ASKED and failed.changed,
        _leave("This run began nothing of its own."),
    ),
    Rule(
        "nothing of this run is in the cluster",
        lambda failed: failed.stage is Stage.ASKED,
        _leave(NOTHING_CHANGED),
    ),
    Rule(
        "there is no such Deployment any more",
        lambda failed: failed.gone,
        _leave("With the Deployment its release is gone: nothing is left to take back."),
    ),
    Rule(
        "the Deployment is another than that of which it held a canary",
        lambda failed: failed.elsewhere,
        _leave(
            "This is not the Deployment of which this run held a canary: it was made again since, or is that of another cluster, and it was "
            "left as it is. Where the canary is still held, canary_undo takes it back."
        ),
    ),
    Rule(
        "another run has taken the Deployment over",
        lambda failed: failed.cause is Cause.TAKEN,
        _leave("Another run has taken the Deployment over, so it was left to that run."),
    ),
    Rule(
        "the canary is frozen, and not by this run for want of evidence",
        lambda failed: failed.phase is Phase.FROZEN and not failed.froze_it,
        _leave("The canary is frozen, so it stays as it is. canary_resume lets the release go on."),
    ),
    Rule(
        "the promotion is under way, and on_failure is hold, and there is evidence against the version",
        lambda failed: failed.promotes and failed.on_failure is OnFailure.HOLD and failed.cause in AGAINST_A_PROMOTION,
        Ruling(Act.FREEZE),
    ),
    Rule(
        "the promotion is under way, and nothing speaks against the version",
        lambda failed: failed.promotes and failed.cause not in AGAINST_A_PROMOTION,
        _leave(
            "The promotion goes on in the cluster: run this again to see it to its end, or take it back with canary_undo."
        ),
    ),
    Rule(
        "on_failure is hold",
        lambda failed: failed.on_failure is OnFailure.HOLD,
        _leave("It was left as it is, because on_failure is hold."),
    ),
    Rule(
        "the promotion is finished, and the evidence is against what is out, or its wave failed",
        lambda failed: failed.is_out and failed.ours and failed.cause in AGAINST_WHAT_IS_OUT,
        Ruling(Act.ROLL_BACK),
    ),
    Rule(
        "the promotion is finished, and what it brought runs",
        lambda failed: failed.stage is Stage.PROMOTED and failed.ours,
        _leave("The promotion was finished before that, and the new version stays."),
    ),
    Rule(
        "the promotion is finished, and nobody has seen that what it brought still runs",
        lambda failed: failed.stage is Stage.PROMOTED,
        _leave(
            "The promotion was finished before that. What runs now was left as it is: canary_info tells what that is."
        ),
    ),
    Rule(
        "how the release stands cannot be read, and its promotion had begun",
        lambda failed: failed.phase is None and failed.stage is Stage.PROMOTING,
        _leave(
            "How the release stands cannot be seen. Its promotion had begun, so the new version may be out: run this again to go on, or "
            "take it back with canary_undo, or with canary_rollback where it is out."
        ),
    ),
    Rule(
        "how the release stands cannot be read",
        lambda failed: failed.phase is None,
        _leave("How the release stands cannot be seen: run this again to go on, or take it back with canary_undo."),
    ),
    Rule(
        "no release is live any more, and what this run began is out",
        lambda failed: failed.phase is Phase.NONE and failed.ours,
        _leave("Its promotion came to its end before that, and the new version stays."),
    ),
    Rule(
        "nobody knows how far this run had come, and no release is live any more",
        lambda failed: failed.stage is Stage.UNKNOWN and failed.phase is Phase.NONE,
        _leave("No release is live any more: what this run had begun or gone on with by then, if anything, has ended."),
    ),
    Rule(
        "no release is live any more",
        lambda failed: failed.phase is Phase.NONE,
        _leave("The release of this run is no longer live: somebody ended it."),
    ),
    Rule(
        "nobody knows how far this run had come, and what is live is not what it began",
        lambda failed: failed.stage is Stage.UNKNOWN and not failed.ours,
        _leave(
            "What is live now is not what this run began, so it was left as it is. Where this run had gone on with it, that goes on in "
            "the cluster: canary_info tells how it stands."
        ),
    ),
    Rule(
        "what is live is not what this run began",
        lambda failed: not failed.ours,
        _leave("What is live now is not what this run began, so it was left as it is."),
    ),
    Rule(
        "somebody takes the canary back already",
        lambda failed: failed.phase is Phase.UNDOING,
        _leave("Somebody takes the canary back already: canary_undo waits for the end of that."),
    ),
    Rule(
        "somebody else promoted the canary",
        lambda failed: failed.phase is Phase.PROMOTING and failed.stage is not Stage.PROMOTING,
        _leave("Somebody promoted the canary meanwhile, and that goes on: canary_undo takes it back."),
    ),
    Rule(
        "the promotion has begun, but not of the pods, and nothing speaks against the version",
        lambda failed: failed.stage is Stage.PROMOTING and failed.cause not in AGAINST_A_PROMOTION,
        _leave(
            "The promotion did not go through: run this again to promote the canary, or take it back with canary_undo."
        ),
    ),
    Rule(
        "in every other case",
        lambda failed: True,
        Ruling(Act.UNDO),
    ),
)


def ruling(failed: Failed) -> Ruling:
    """What to do now. Total: the last rule always applies."""
    return next(rule.ruling for rule in RULES if rule.applies(failed))
