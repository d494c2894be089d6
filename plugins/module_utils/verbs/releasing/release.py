# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release: a whole release in one call, or up to a stage of it, taken up by the next call where this one ended.

What is done at each stage is done by the other verbs, each with the identity of this release, so that nothing else is judged,
promoted or taken back. What becomes of a failure is decided in release/rulings.py. This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, Mapping, Sequence

from ...cluster.api import Api
from ...cluster.crew import Meanwhile
from ...cluster.errors import ApiError
from ...release import steps
from ...release.policies import End, Gate, Headroom, OnInconclusive, closed
from ...release.result import FAILURES, Ending, Judged, WaitsFor
from ...release.room import Refuse, rule
from ...release.rulings import Stage
from ...rollout.identity import hash_of
from ...rollout.last import PROMOTED, ended_by
from ...rollout.phase import HOLDING, Phase, Situation, diagnose
from ...rollout.refusal import Code
from ...rollout.views import Picture
from ...wording import count_of, ended
from ..bake import LOOK_SECONDS
from ..call.ending import accounted
from ..call.orders import Meant, PauseRequest, UndoRequest, Withdrawn, stands
from ..call.outcome import Outcome, Report, VerbFailure
from ..call.waiting import AWAY
from ..moving.autoscaling import let_go_of_left
from ..moving.completion import finish_leftover
from ..pause import pause
from ..routing.exposed import given
from ..start import start
from ..undo import undo
from .aftermath import REASONS, failed, told_again
from .course import WAVE_FAILED, Course, ReleaseRequest, StepAsked
from .creating import created
from .holding import hold, start_of
from .promotion import await_what_is_nobodys, finish_promotion, promote_held, promote_own, still_to_judge
from .seldom import blind_guards, headroom, verify

# A failure of the caller's own verification, beside the codes of the verbs.
REJECTED = "rejected"


def release(api: Api, request: ReleaseRequest, report: Report, withdrawn: Withdrawn = stands) -> Outcome:
    """Raises VerbFailure where the version was not released; what was taken back then is told in `release`."""
    course = Course.begin(api, request, report, withdrawn)
    before = request.previous
    if before is not None and before.outcome in FAILURES and not (before.unruled and request.reject):
        raise told_again(course)
    with course.held():
        try:
            if request.reject:
                raise VerbFailure(request.reject, code=REJECTED)
            (_through if request.held is None else promote_held)(course)
        except (VerbFailure, ApiError) as error:
            if not _was_done_before(course, error):
                raise failed(course, error) from error
        return course.outcome()


def _was_done_before(course: Course, error: VerbFailure | ApiError) -> bool:
    """The version is out already: of a call that begins it was planned before that; one that takes up once more what a later one has
    gone on with has promoted it itself. Nobody is asked about that unless a canary is missed."""
    release, code = course.release, error.code if isinstance(error, VerbFailure) else ""
    begins = release.stage is Stage.ASKED and code == Code.SAME_TEMPLATE.value
    goes_on = course.request.previous is not None and bool(release.hash) and code == Code.OTHER_RELEASE.value
    if not begins and not goes_on:
        return False
    course.learns(error)
    try:
        situation = course.seen()
        if goes_on and not (
            course.is_out(situation) and ended_by(situation.deployment, release.run) == (PROMOTED, release.hash)
        ):
            return False
        _already_released(course, situation.picture)
    except (VerbFailure, ApiError) as failed_too:
        course.learns(failed_too)
        return False  # the failure that there was is told
    return True


def stands_still(
    api: Api, request: ReleaseRequest, report: Report, since: Situation | None, *, patiently: bool
) -> Outcome:
    """A look at a release that is held, while others of its wave are worked on: whether it is what it was `since` then, which is returned as
    `seen`. Raises VerbFailure, with what became of it, where it is not. `patiently`: a server that is away is no failure, and raises one of AWAY."""
    course = Course.begin(api, request, report)
    try:
        course.looks_again(since)
    except (VerbFailure, ApiError) as error:
        if patiently and isinstance(error, AWAY):
            raise
        with course.held():
            raise failed(course, error) from error
    return replace(course.outcome(), seen=since or course.seen_last)


def withdraw(api: Api, request: ReleaseRequest, report: Report, why: str) -> VerbFailure:
    """Takes a release back that stands or is out, because its wave failed; what became of it is told in `release`."""
    course = Course.begin(api, request, report)
    with course.held():
        return failed(course, VerbFailure(why, code=WAVE_FAILED))


def _through(course: Course) -> None:
    """The stages in their order, up to the one that was asked for."""
    request, before = course.request, course.release
    if before.outcome not in (Ending.PLANNED, Ending.HELD):
        course.glances()
        return  # it is over, and was told
    if before.outcome is Ending.PLANNED and _is_to_begin(course):
        return
    if request.through.before_any_pod or request.call.check:
        course.ends(Ending.PLANNED)
        return
    if before.waits_for is WaitsFor.PERSON and _is_frozen(course):
        return  # nobody has decided yet
    course.release = replace(course.release, why=(), waits_for=WaitsFor.NOBODY)
    _look_what_is_behind(course)
    for number, step in enumerate(request.steps):
        course.step = (number + 1, len(request.steps))
        if number >= course.release.reached and not _stand(course, number, step):
            return
        if request.through.stops_after(number + 1):
            if course.seen_last is None:
                course.looks_again(None)  # whatever an earlier call has seen, or a judgement has found
            course.ends(Ending.HELD, f"Step {number + 1} of {len(request.steps)} is held.", waits_for=WaitsFor.CALLER)
            return
    course.step = None
    course.must_stand()
    if _gate_opens(course):
        promote_own(course)


def _is_frozen(course: Course) -> bool:
    """The canary of this release. Another one in its place says that somebody has decided about it, whoever froze that."""
    situation = course.seen()
    return situation.phase is Phase.FROZEN and not course.ours.differs(situation)


def _is_to_begin(course: Course) -> bool:
    """What an earlier call has planned or asked is not asked again. True where nothing is left to do."""
    if created(course):
        return True
    release = course.release
    if not release.planned and course.request.through.end is not End.ROOM:
        found = _finish_earlier(course)
        if found is None and course.request.call.check:
            first = (
                "What an earlier run began to promote would be promoted first, and the steps planned once that is over."
            )
            course.release = replace(release, why=(*release.why, first))
            return False
        _plan(course, found)
    if course.release.outcome is Ending.ALREADY_RELEASED:
        return True
    if not release.rooms:
        _ask_for_room(course)
    return False


def _gate_opens(course: Course) -> bool:
    """False where the canary waits for a person now; somebody is asked, where that is the gate, about a canary that stands."""
    gate, target = course.request.policies.gate, course.request.call.target
    if gate is Gate.NONE:
        return True
    course.looks()
    stood = course.seen_last
    question = (
        f"{target.name} in namespace {target.namespace} has stood all its steps. Promote it? Answer yes to promote; "
        "anything else leaves the canary held"
    )
    meanwhile = Meanwhile(partial(_looks_patiently, course, stood), LOOK_SECONDS)
    why = closed(gate, course.request.ask(question, meanwhile) if gate is Gate.PROMPT else None)
    if why:
        course.ends(
            Ending.HELD,
            f"{why}: the canary stays held until somebody promotes or undoes it.",
            waits_for=WaitsFor.PERSON,
        )
    else:
        course.looks_again(stood)
    return not why


def _looks_patiently(course: Course, since: Situation | None) -> None:
    """A server that is away for a while ends nothing: the last look decides."""
    with suppress(*AWAY):
        course.looks_again(since)


def _finish_earlier(course: Course) -> Picture | None:
    """An earlier run that broke off while it promoted or undid has decided already; a check says what would be finished.

    Returns what was found where nothing was to be finished.
    """
    with accounted(course.site):
        first = diagnose(course.site.look())
    if first.phase is Phase.PROMOTING:
        finish_promotion(course, first)
    if first.phase is Phase.UNDOING:
        theirs = Meant(run=first.record.run if first.record else "").bound(first)
        undone = course.did("undo", undo(course.api, UndoRequest(course.call(theirs)), course.report))
        when = "would be finished" if course.request.call.check else "is finished now"
        raise VerbFailure(
            f"An earlier run was taking a canary back, and that {when}: {undone.message}. Run this again to release",
            code=Code.BUSY.value,
            changed=False,
        )
    course.changed = False if course.request.call.check else course.changed
    return None if first.phase is Phase.PROMOTING else first.picture


def _plan(course: Course, found: Picture | None) -> None:
    """Every step as a dry run, before the first one changes anything; all from one look, which may be that which was `found`."""
    seen = _to_plan_from(course, found)
    course.planned_from = diagnose(seen)
    gets = _share(course.planned_from)
    planned: list[int] = []
    behind = 0
    for number, step in enumerate(course.request.holds):
        may_be_behind = behind == number < len(course.request.holds) - 1
        if may_be_behind and step.gives_less_than(gets):
            planned.append(0)
            behind += 1
            continue
        try:
            outcome = start(course.api, start_of(course, step, Meant(), check=True), _unsaid, seen)
        except VerbFailure as failure:
            if failure.code == Code.SAME_TEMPLATE.value:
                _already_released(course, seen)
                return
            if failure.code != Code.SMALLER.value or not may_be_behind:
                raise
            planned.append(0)
            behind += 1
            continue
        (course.takes if course.request.call.check else course.sees)(outcome)
        planned.append(_pods_of(outcome))
        what = f"Step {number + 1}" if number < len(course.request.steps) else "Promotion"
        course.release = replace(course.release, why=(*course.release.why, ended(f"{what}: {outcome.message}")))
    wrong = steps.shrinks(planned)
    if wrong is not None:
        raise VerbFailure(
            f"Step {wrong + 1} of steps is smaller than a step before it, and a canary can only grow. "
            "Put the steps in order, the smallest first",
            code=Code.SMALLER.value,
        )
    request = course.request
    if request.guard and request.judge.checks:
        of_owner = request.steps[-1].traffic is not None and request.everybody is None
        course.warn(blind_guards(request.judge, request.guard, of_owner=of_owner))
    left_out = _stood_by_an_earlier_run(course.planned_from, request.steps, planned)
    behind = max(behind, left_out)
    outgrown = _named(course.planned_from) if behind else {}
    course.release = replace(
        course.release, behind=tuple(range(behind)), left_out=left_out, outgrown=outgrown, planned=True
    )


def _share(situation: Situation) -> Fraction:
    """What the canary that is there was last given of the requests."""
    exposure = given(situation.record) if situation.record else None
    return exposure.weight if exposure else Fraction(0)


def _stood_by_an_earlier_run(situation: Situation, steps: Sequence[StepAsked], planned: Sequence[int]) -> int:
    """How many of these steps a release has come past with the canary that is there: those before its step, as far as they ask for no more than
    it has. What it has alone does not tell: a person, or a release of other steps, may have held it. `planned`: pods, 0 for less than these."""
    record = situation.record
    if record is None or record.step is None or record.step[1] != len(steps):
        return 0
    past, gets = record.step[0] - 1, _share(situation)
    more = (n for n in range(past) if planned[n] > record.pods or steps[n].gives_more_than(gets))
    return next(more, past)


def _already_released(course: Course, seen: Picture) -> None:
    """Of a version that does not run in all pods, which are waited for, this is not said: a rollout that is nobody's, and may never end.
    No later start would clean up after a run that died, or give back what it has pinned."""
    check, deployment = course.request.call.check, seen.deployment
    only_planned = check or course.request.through.before_any_pod
    with accounted(course.site) as account:
        account.looked(diagnose(seen))
        if not only_planned:
            seen = finish_leftover(account, seen, course.request.call.actor, check=False)
        let_go_of_left(account, seen, check=only_planned)
        course.takes(account.outcome(""))
    if not deployment.rolled_out and not check:
        await_what_is_nobodys(course, diagnose(seen))
    ready = f"{deployment.status.ready} of {count_of(deployment.replicas, 'pod')} {'is' if deployment.replicas == 1 else 'are'} Ready"
    said = f"The Deployment has this pod template, and {ready}."
    course.ends(
        Ending.ALREADY_RELEASED,
        said if check and not deployment.rolled_out or not deployment.replicas else "All pods run this version.",
    )


def _named(situation: Situation) -> dict[str, str]:
    """The canary that is there."""
    return {"hash": hash_of(situation), "run": situation.record.run if situation.record else ""}


def _look_what_is_behind(course: Course) -> None:
    """Before the first pod: the steps that were behind a canary are behind that one only. Without it they begin at the first."""
    release = course.release
    if not release.behind or release.stage is not Stage.ASKED:
        return
    with accounted(course.site) as account:
        situation = account.looked(diagnose(course.site.look()))
    named = Meant(release.outgrown.get("hash", ""), release.outgrown.get("run", ""))
    if situation.phase not in (*HOLDING, Phase.FROZEN) or named.differs(situation):
        course.release = replace(release, behind=(), left_out=0, outgrown={})


def _to_plan_from(course: Course, found: Picture | None) -> Picture:
    with accounted(course.site) as account:
        picture = found or account.site.look()
        asks = course.request.start.asks_autoscalers
        return replace(picture, autoscalers=account.site.autoscalers()) if asks else picture


def _pods_of(planned: Outcome) -> int:
    """How many canary pods a step is planned to have: those that are there already, where nothing is left to write."""
    after = planned.after.get("pods")
    return int(after["canary"] if after else planned.canary["canary"]["counts"]["desired"])


def _unsaid(line: str) -> None:
    """What a rehearsal would report is told by the real call."""


def _ask_for_room(course: Course) -> None:
    request = course.request
    if request.policies.headroom is Headroom.SKIP:
        return
    sizes = tuple(step.size for step in request.holds)
    asked = replace(request.room, steps=sizes, seen=course.planned_from)
    answers = headroom(course.api, asked, course.report).extra["steps"]
    for answer in answers:
        course.release = course.release.asked_for(answer)
        ruled = rule(answer, request.policies)
        if isinstance(ruled, Refuse):
            raise VerbFailure(" ".join(ruled.why), code=Code.NO_ROOM.value, extra={REASONS: ruled.why})
        course.release = replace(course.release, why=(*course.release.why, *ruled.told))


def _stand(course: Course, number: int, step: StepAsked) -> bool:
    """Holds one step, watches and judges it; False where the release waits for the caller or a person now."""
    request, is_last = course.request, number == len(course.request.steps) - 1
    if number < course.release.left_out and not is_last:
        if request.through.stops_after(number + 1):
            # Whoever asked for no more goes on with this canary, or rejects it. It has come past this step, and is not said to be at it.
            course.step = None
            hold(course, replace(step.at_least, bake=0.0))
        return True
    if number in course.release.behind:
        step = step.at_least
    verified = _is_verified(course, number)
    if not verified:
        hold(course, step)
    if step.verify_tasks and not verified:
        asked = {"step": number + 1, "steps": len(course.request.steps), "tasks": step.verify_tasks}
        course.release = replace(course.release, to_verify=asked)
        said = f"Step {asked['step']} of {asked['steps']} is held, and is to be verified by the caller's tasks."
        course.ends(Ending.HELD, said, waits_for=WaitsFor.CALLER)
        return False
    if not _judge(course, number, step):
        return False
    course.release = replace(course.release, reached=number + 1, to_verify={})
    return True


def _is_verified(course: Course, number: int) -> bool:
    """An earlier call has held this step, and left it to its caller, who comes back."""
    return bool(course.release.to_verify.get("step") == number + 1)


def _judge(course: Course, number: int, step: StepAsked) -> bool:
    """False where the evidence decides neither way, and a person is to decide: the canary is frozen then."""
    request = course.request
    own = step.checks is not None
    checks = step.checks if step.checks is not None else request.judge.checks
    if not checks:
        return True
    asked = replace(
        request.judge,
        call=course.call(),
        checks=checks,
        steps=still_to_judge(request),
        history=_of_samples(course.release.evidence) if own else course.release.evidence,
        inconclusive_ok=request.policies.on_inconclusive is not OnInconclusive.UNDO,
    )
    outcome = course.did("verify", verify(course.api, asked, course.heard))
    told = outcome.extra["verify"]
    verdict = Judged(f"step {number + 1}", told["verdict"], outcome.message)
    course.release = course.release.judged(verdict, {**course.release.evidence, **_of_samples(told)} if own else told)
    if told["verdict"] != "inconclusive" or request.policies.on_inconclusive is not OnInconclusive.HOLD:
        return True
    # What does not stand any more has failed, and is no matter of a person.
    course.looks()
    course.did("pause", pause(course.api, PauseRequest(course.call()), course.report))
    frozen = "The canary is frozen until somebody resumes, promotes or undoes it."
    course.ends(Ending.HELD, ended(outcome.message), frozen, waits_for=WaitsFor.PERSON)
    return False


def _of_samples(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What checks of a step's own go on with: which samples of the user's were judged at a step before."""
    return {name: evidence[name] for name in ("hash", "samples") if name in evidence}
