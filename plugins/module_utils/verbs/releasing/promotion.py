# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last stage of a release: its canary becomes the stable version, under guard where that is asked for.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ...release import steps
from ...release.result import Ending, Judged
from ...release.rulings import Stage
from ...rollout.identity import hash_of
from ...rollout.notices import several_builds
from ...rollout.phase import Phase, Situation
from ...rollout.refusal import Code
from ...wording import ended
from ..call.orders import Call, Meant, PromoteRequest
from ..call.outcome import Outcome, VerbFailure
from ..promote import promote
from .course import Course, ReleaseRequest
from .holding import hold
from .seldom import verify

# Phases in which there is nothing to promote. One that is being taken back is refused as long as its pods are there.
NO_CANARY = (Phase.NONE, Phase.UNDOING)


def still_to_judge(request: ReleaseRequest) -> int:
    return steps.still_to_judge(list(map(request.judges, request.steps)), request.guard > 0)


def promote_own(course: Course) -> None:
    """The canary that this release has judged. Nobody has been waited for since it was looked at."""
    course.looks(course.seen_last)
    if course.request.everybody is not None:
        # Whoever takes this up where it breaks off is to know that it has come past all steps but the last.
        hold(course, course.request.everybody, at=(len(course.request.steps),) * 2)
    _released(course)


def finish_promotion(course: Course, first: Situation) -> None:
    """What an earlier run began to promote. Until that is finished it is guarded, and taken back where it fails, as a promotion of
    this run would be."""
    own = course.release
    run = first.record.run if first.record else ""
    stable = first.stable.hash if first.stable else ""
    course.release = replace(own, run=run, hash=hash_of(first), stable=stable)
    if not course.request.call.check:
        course.reaches(Stage.PROMOTING)
    _moved(course)
    course.release = replace(course.release, run=own.run, hash=own.hash, stable=own.stable, stage=own.stage)


def _released(course: Course) -> None:
    course.reaches(Stage.PROMOTING)
    _moved(course)
    released = _confirm(course)
    if "pods" in course.after:  # of the last hold, which is over
        course.after["pods"] = {"stable": course.canary["stable"]["counts"]["desired"], "canary": 0}
    course.ends(Ending.RELEASED, _who_runs(course.release.hash, released.deployment.replicas))


def _who_runs(version: str, replicas: int) -> str:
    if not replicas:
        return f"The Deployment has the version {version}, and somebody scaled it to 0 replicas, so that no pod runs."
    return f"All pods run the version {version}."


def _moved(course: Course) -> None:
    """The promotion, under guard where that is asked for, and cleaned up meanwhile."""
    request, meant = course.request, course.ours
    guard = 0.0 if request.call.check else request.guard
    guarded: Mapping[str, Any] = {}
    if guard:
        moving = course.did("promote", _promote(course, course.call(meant, waits=False)))
        if moving.canary["phase"] == Phase.PROMOTING.value:
            guarded = _guard(course, meant, "promotion", guard, course.release.evidence)
    course.did("promote", _promote(course, course.call(meant)))
    if not request.call.check:
        course.reaches(Stage.PROMOTED)
    left = (guarded.get("guard") or {}).get("left", guard)
    if left > 0:
        _guard(course, Meant(), "new version alone", left, guarded)


def _promote(course: Course, call: Call) -> Outcome:
    request = course.request
    # What this release has given all requests itself was kept by then. Whoever names a canary that another call has held is a person.
    is_own = request.held is None
    keep = 0.0 if is_own else request.keep
    return promote(course.api, PromoteRequest(call, request.by, keep, judged=is_own), course.report, course.seen_last)


def _guard(course: Course, meant: Meant, of: str, seconds: float, history: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = replace(
        course.request.judge,
        call=course.call(meant),
        guard=True,
        duration=seconds,
        steps=still_to_judge(course.request) if history else 0,
        history=history,
        inconclusive_ok=True,
    )
    outcome = course.did("guard", verify(course.api, asked, course.heard))
    told = outcome.extra["verify"]
    course.release = course.release.judged(Judged(of, told["verdict"], outcome.message), None)
    return told


def _confirm(course: Course) -> Situation:
    """Only a read says that it is released: what runs now is what was judged."""
    situation = course.seen(course.seen_last)
    if not course.is_out(situation):
        raise VerbFailure(
            f"the version {course.release.hash} was promoted, and is not what the Deployment runs now: somebody changed it since",
            code=Code.OTHER_RELEASE.value,
        )
    course.warn(tuple(filter(None, [several_builds(situation), _serves_nobody(situation)])))
    return situation


def _serves_nobody(situation: Situation) -> str:
    """All its pods were Ready when the promotion ended."""
    if situation.deployment.status.ready or not situation.deployment.replicas:
        return ""
    return "none of its pods is Ready any more: look at them, and take the version back with canary_rollback"


def promote_held(course: Course) -> None:
    """A canary that another call left held, by whoever decided that it is promoted: nothing is judged but by the guard."""
    situation = course.seen()
    meant = _meant(situation, course.request.held or Meant())
    stable = situation.stable.hash if situation.stable else ""
    course.release = replace(course.release, run=meant.run, hash=meant.hash, stable=stable)
    check = course.request.call.check
    if course.request.judge.checks and not course.request.guard:
        course.warn(
            ("checks judge nothing here, because guard is 0: who promotes a canary that is held has judged it",)
        )
    rehearsed = _promote(course, course.call(check=True))
    (course.takes if check else course.sees)(rehearsed)
    said = [ended(rehearsed.message), *_sources_of_the_guard(course, situation)]
    if check or course.request.through.before_any_pod:
        course.ends(Ending.PLANNED, *said)
    elif situation.phase in NO_CANARY:
        await_what_is_nobodys(course, situation)
        course.ends(Ending.NOTHING_TO_PROMOTE, "No canary is held, and no rollout is under way any more.")
    else:
        _released(course)


def _meant(situation: Situation, named: Meant) -> Meant:
    """The release that was named; where it was not, the one that is there. Where somebody replaced the pod template, what stands there
    is not the release's own canary."""
    there = "" if situation.phase is Phase.FOREIGN else hash_of(situation)
    run = situation.record.run if situation.record else ""
    return Meant(hash=named.hash or there, run=named.run or run)


def _sources_of_the_guard(course: Course, situation: Situation) -> list[str]:
    """A check that makes no sense is found before the pods move. A source that does not answer is told."""
    if not course.request.guard or situation.phase in (*NO_CANARY, Phase.PROMOTING):
        return []
    asked = replace(course.request.judge, call=course.call(check=True), duration=course.request.guard)
    return [ended(verify(course.api, asked, course.report).message)]


def await_what_is_nobodys(course: Course, situation: Situation) -> None:
    """A rollout that is under way is waited for, and never taken back; what was looked at, and no canary begun since."""
    if not course.request.through.before_any_pod:
        course.reaches(Stage.WAITING)
    meant = Meant(hash=situation.stable.hash) if situation.stable else course.ours
    out = _promote(course, course.call(meant))
    if course.request.held is not None and not course.request.held.named:
        out = replace(out, message="no canary is held, and no rollout is under way any more")
    course.did("promote", out)
