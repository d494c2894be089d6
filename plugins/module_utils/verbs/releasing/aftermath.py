# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a release that failed: taken back, or left with a word on how. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace

from ...cluster.errors import ApiError
from ...foreign import printable
from ...release import rulings
from ...release.result import Ending, Judged
from ...release.rulings import Act, Cause, Failed, Stage, cause_of
from ...rollout.identity import hash_of
from ...rollout.last import OVERTAKEN, ended_by
from ...rollout.phase import Phase
from ...rollout.refusal import Code
from ...wording import ended
from ..call.orders import Meant, PauseRequest, RollbackRequest, UndoRequest
from ..call.outcome import API_ERROR, Outcome, VerbFailure
from ..pause import pause
from ..rollback import rollback
from ..undo import undo
from .course import Course

# Characters of the reason that is written to the cluster and stays there. It has no log lines, which may hold secrets.
KEPT = 300
# The failure of a call that takes up what had failed before it.
ENDED = "ended"
# Where a failure has several reasons, each in a sentence of its own: a member of what it carries.
REASONS = "reasons"
_OVERTAKEN = "Somebody has rolled out another pod template since, and that one stays."


def failed(course: Course, error: VerbFailure | ApiError) -> VerbFailure:
    """Takes back what the rulings say, and tells how it ended."""
    code, cause = (error.code, error.cause) if isinstance(error, VerbFailure) else (API_ERROR, "")
    reason = printable(cause or error.found, KEPT)
    _take_in(course, error)
    if course.release.stage is not Stage.ASKED:
        course.note("failed", reason)
    ruled = rulings.ruling(_what_failed(course, cause_of(code)))
    if isinstance(error, ApiError) and error.may_have_written:
        # Of what nobody could look at afterwards either, nobody may say that nothing was changed.
        course.changed = course.changed or course.release.stage is not Stage.ASKED
    act = {Act.UNDO: _undo, Act.ROLL_BACK: _roll_back, Act.FREEZE: _freeze}.get(ruled.act)
    reasons = error.extra.get(REASONS) if isinstance(error, VerbFailure) else None
    found, *others = reasons or (ended(error.found),)
    course.release = replace(course.release, why=(found, *others))
    is_dealt_with = act is not None and act(course, reason)
    if act is None:
        course.ends(Ending.REFUSED if course.release.stage is Stage.ASKED else Ending.FAILED, ruled.why)
    # What to do about it is of no use to anybody once it is taken back.
    advice = ended(error.advice) if error.advice and not (is_dealt_with or reasons) else ""
    why = (" ".join(filter(None, [found, advice])), *course.release.why[1:])
    course.release = replace(course.release, why=why).without_room()
    course.changed = course.changed and not course.request.call.check
    return VerbFailure(
        found,
        advice=" ".join(filter(None, [advice, *course.release.why[1:]])),
        code=code,
        cause=cause,
        changed=course.changed,
        canary=course.canary or None,
        warnings=tuple(course.warnings),
        extra=course.told,
    )


def told_again(course: Course) -> VerbFailure:
    """A release that has failed is over: whoever takes it up is told the same again."""
    course.glances()
    return VerbFailure(" ".join(course.release.why), code=ENDED, canary=course.canary or None, extra=course.told)


def _take_in(course: Course, error: VerbFailure | ApiError) -> None:
    """What the verb that failed had done by then."""
    if isinstance(error, ApiError):
        if error.may_have_written and course.release.stage is Stage.ASKED and not course.request.call.check:
            course.reaches(Stage.UNKNOWN)  # whether it began a canary, the next look tells
        return
    course.learns(error)
    if error.changed and course.release.stage is Stage.ASKED and not course.request.call.check:
        course.reaches(Stage.HELD)
    if "verify" in error.extra:
        about = {Stage.PROMOTING: "promotion", Stage.PROMOTED: "new version alone"}
        of = about.get(course.release.stage, f"step {course.release.reached + 1}")
        course.release = course.release.judged(Judged(of, error.extra["verify"]["verdict"], error.message), None)


def _what_failed(course: Course, cause: Cause) -> Failed:
    stage, policy = course.release.stage, course.request.policies.on_failure
    changed = course.changed and not course.request.call.check
    unseen = Failed(stage, cause, None, False, policy, changed=changed)
    if stage is Stage.ASKED and cause is Cause.REJECTED:
        return unseen  # nothing was begun by then, so nobody is asked how it stands
    try:
        situation = course.seen()
    except (VerbFailure, ApiError) as error:
        if stage is not Stage.ASKED:  # otherwise it is the failure itself, for the same reason
            course.note("look", str(error))
        return replace(unseen, gone=isinstance(error, VerbFailure) and error.code == Code.NOT_FOUND.value)
    if situation.deployment.uid != course.release.began.get("uid", situation.deployment.uid):
        return replace(unseen, elsewhere=True)
    record = situation.record
    live = situation.phase is not Phase.NONE
    ours = record is not None and record.run == course.release.run if live else course.is_out(situation)
    if live and ours and not course.release.hash and situation.phase is not Phase.FOREIGN:
        # Of a start that failed nothing was returned.
        stable = situation.stable.hash if situation.stable else ""
        course.release = replace(course.release, hash=hash_of(situation), stable=stable)
    # What an earlier call of this run began is its own, and found to be bad although nothing was left to do for this one.
    if live and ours and (stage is Stage.UNKNOWN or (stage is Stage.ASKED and cause is Cause.PODS)):
        stage = Stage.PROMOTING if situation.phase is Phase.PROMOTING else Stage.HELD
        course.reaches(stage)
    return replace(unseen, stage=stage, phase=situation.phase, ours=ours, froze_it=course.froze_it)


def _undo(course: Course, reason: str) -> bool:
    """As each act, whether it was done."""
    # By the run alone: the canary's ReplicaSet may not be there yet, and somebody may have put another template in its place.
    call = course.call(Meant(run=course.release.run))
    try:
        undone = course.did("undo", undo(course.api, UndoRequest(call, reason), course.report))
    except (VerbFailure, ApiError) as error:
        course.learns(error)
        course.ends(Ending.FAILED, f"The undo failed too: {error}")
        return False
    if _is_overtaken(course, undone):
        _ends(course, Ending.FAILED, _OVERTAKEN, _OVERTAKEN)
    else:
        _ends(course, Ending.UNDONE, "The stable version is back.", "The stable version would be brought back.")
    return True


def _is_overtaken(course: Course, done: Outcome) -> bool:
    """The verb has found nothing to do but the clean-up, beside another version that somebody had rolled out by then."""
    return done.seen is not None and ended_by(done.seen.deployment, course.release.run)[0] == OVERTAKEN


def _freeze(course: Course, reason: str) -> bool:
    call = course.call(Meant(run=course.release.run))
    try:
        paused = course.did("pause", pause(course.api, PauseRequest(call), course.report))
    except (VerbFailure, ApiError) as error:
        course.learns(error)
        goes_on = "The promotion goes on in the cluster, because it could not be stopped"
        course.ends(Ending.FAILED, f"{goes_on}: {ended(str(error))} canary_undo takes it back.")
        return False
    if paused.canary["phase"] == Phase.NONE.value:
        # All its pods were out, and what the pause found was its clean-up.
        stays = "Its promotion came to its end before that, and the new version stays."
        course.ends(Ending.FAILED, _OVERTAKEN if _is_overtaken(course, paused) else stays)
    else:
        stays = "stops" if not course.request.call.check else "would stop"
        course.ends(
            Ending.FAILED,
            f"The promotion {stays} where it is, with pods of both versions, because on_failure is hold: canary_undo takes it back, "
            "canary_resume and canary_promote see it to its end.",
        )
    return True


def _roll_back(course: Course, reason: str) -> bool:
    meant = Meant(hash=course.release.hash)
    request = RollbackRequest(course.call(meant), course.release.stable, reason, as_it_was=True)
    try:
        course.did("rollback", rollback(course.api, request, course.report))
    except (VerbFailure, ApiError) as error:
        course.learns(error)
        course.ends(Ending.FAILED, f"The rollback failed too: {error}")
        return False
    _ends(course, Ending.ROLLED_BACK, "The version before it is back.", "The version before it would be brought back.")
    return True


def _ends(course: Course, ending: Ending, done: str, rehearsed: str) -> None:
    """What was only rehearsed leaves the release as it was, for a call that takes it up is to find it so."""
    before = course.request.previous
    if not course.request.call.check or before is None:
        course.ends(ending, done)
    else:
        course.ends(before.outcome, rehearsed, waits_for=before.waits_for)
