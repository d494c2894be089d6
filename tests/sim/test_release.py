# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_release: whole releases in one call, up to a stage of it, and taken up by another; in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.crew import Meanwhile
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import VERB, cut_off
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.probes.choices import Via
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web as HttpServer
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    Gate,
    Headroom,
    OnFailure,
    Policies,
    Through,
    WhenMissing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import RESTARTED_AT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Ask,
    Meant,
    NewTemplate,
    PromoteRequest,
    RollbackRequest,
    Wait,
    WatchRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    HttpAsked,
    SamplesAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing import promotion
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.seldom import blind_guards
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.rollback import rollback
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.watch import watch
from tests.release_calls import asked, failed, released
from tests.sim.network import Network
from tests.sim.objects import Json, version_of
from tests.sim.stage import Stage
from tests.situations import Web, image

REPLICAS = 4


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return new().make(REPLICAS)


def test_a_whole_release_in_one_call_and_nothing_to_do_in_the_next(web: Web) -> None:
    before = web.spec
    outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value, told.reached) == (True, "released", 2)
    assert outcome.after == {"images": {"app": image("v2")}}, "the same pods as before"
    web.assert_clean(before, "v2")
    assert [moment.what for moment in told.timeline] == ["start", "bake", "start", "bake", "look", "promote"]
    with web.unchanged():
        outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value) == (False, "already released")


@pytest.mark.parametrize("through", ["promoted", "plan"])
def test_a_version_that_is_there_and_runs_in_no_pod_is_not_called_released(web: Web, through: str) -> None:
    web.patch({"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}})
    web.set_image("missing")
    web.until(lambda: web.split() == {"missing": REPLICAS}, "no pod of v1 is left")
    request = asked(web, "missing")
    with web.unchanged():
        rehearsed, _told = released(web, replace(request, call=replace(request.call, check=True)))
        _failure, told = failed(web, replace(request, through=Through.parse(through)))
    assert "All pods run" not in rehearsed.message
    assert "ImagePullBackOff" in told.why[0] and "All pods run" not in " ".join(told.why)


@pytest.mark.parametrize("check", [False, True])
def test_whoever_goes_over_the_pods_of_a_canary_that_nobody_needed_finds_none(check: bool, web: Web) -> None:
    version = released(web, asked(web))[1].hash
    request = asked(web, through=Through.parse("step 1"))
    outcome, told = released(web, replace(request, call=replace(request.call, check=check)))
    again, _ = released(web, asked(web, previous=told))
    for canary in (outcome.canary, again.canary):
        assert (canary["phase"], canary["canary"]["hash"], canary["canary"]["pods"]) == ("none", version, [])
        assert canary["stable"]["counts"]["ready"] == REPLICAS


AFTER_THE_PROMOTION: dict[str, tuple[Callable[[Web], object], str]] = {
    "another version": (lambda web: web.set_image("v7"), "other_release"),
    "deleted": (lambda web: web.kubectl("delete", "deployment", web.name), "not_found"),
    "scaled": (lambda web: web.patch({"spec": {"replicas": 6}}), ""),
    "scaled to 0": (lambda web: web.patch({"spec": {"replicas": 0}}), ""),
    "a label": (lambda web: web.patch({"metadata": {"labels": {"team": "shop"}}}), ""),
}


@pytest.mark.parametrize("does", AFTER_THE_PROMOTION)
def test_released_is_what_runs_once_somebody_has_done_something_right_after_the_promotion(
    does: str, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, code = AFTER_THE_PROMOTION[does]

    def promoted_and_then(*asked: Any) -> Outcome:
        outcome = promote(*asked)
        act(web)
        return outcome

    monkeypatch.setattr(promotion, "promote", promoted_and_then)
    if code:
        failure, told = failed(web, asked(web))
        assert (failure.code, told.outcome) == (code, Ending.FAILED)
    else:
        told = released(web, asked(web))[1]
        assert (told.outcome, told.why[-1].endswith("no pod runs.")) == (Ending.RELEASED, does == "scaled to 0"), (
            told.why
        )


@pytest.mark.parametrize(
    ("version", "outcome", "answers"), [("v2", Ending.RELEASED, 1), ("crash", Ending.UNDONE, 0)], ids=["good", "bad"]
)
def test_of_a_release_that_failed_for_another_reason_nothing_is_told_of_room(
    version: str, outcome: Ending, answers: int, web: Web
) -> None:
    request = asked(web, version, policies=Policies(headroom=Headroom.REPORT))
    told = released(web, request)[1] if outcome is Ending.RELEASED else failed(web, request)[1]
    assert (told.outcome, len(told.rooms)) == (outcome, answers)


def test_check_mode_plans_every_step_and_changes_nothing(web: Web) -> None:
    web.checking = True
    with web.unchanged():
        outcome, told = released(web, asked(web, pods=(1, 3)))
    assert (outcome.changed, told.outcome.value, len(told.why)) == (True, "planned", 2)


def test_a_release_for_which_there_is_no_room_is_refused_in_the_same_words_in_check_mode(web: Web) -> None:
    """No node is there. In check mode the start is planned before room is asked for."""
    request = asked(web, policies=Policies())
    with web.unchanged():
        _, real = failed(web, request)
        web.checking = True
        _, planned = failed(web, replace(request, call=web.call))
    assert (planned.outcome.value, planned.why) == ("refused", real.why)
    assert real.why[-1] == "This run changed nothing."


def test_each_stage_is_taken_up_by_the_next_call(web: Web) -> None:
    before = web.spec
    request = asked(web, pods=(1, 3))
    told = None
    for through, outcome, split in (
        ("plan", "planned", {"v1": 4}),
        ("step 1", "held", {"v1": 4, "v2": 1}),
        ("step 2", "held", {"v1": 2, "v2": 3}),
        ("promoted", "released", {"v2": 4}),
    ):
        _, told = released(web, replace(request, through=Through.parse(through), previous=told))
        assert (told.outcome.value, web.split()) == (outcome, split)
    web.assert_clean(before, "v2")


@pytest.mark.parametrize("pods", [(1, 3), (1, 1)], ids=["that grows", "of the same size"])
def test_whoever_watches_reads_the_step_in_the_record(web: Web, pods: tuple[int, ...]) -> None:
    request, told = asked(web, pods=pods), None
    heard: list[Any] = []
    for through in ("step 1", "step 2"):
        _, told = released(web, replace(request, through=Through.parse(through), previous=told))
        watch(web.api, WatchRequest(web.name, web.namespace, 1.0, check=True), heard.append)
    assert [news.step for news in heard] == [(1, 2), (2, 2)]
    someone = replace(web, wait=Wait(enabled=False), takeover=True)
    promote(web.api, PromoteRequest(someone.call), web.report)
    watch(web.api, WatchRequest(web.name, web.namespace, 1.0, check=True), heard.append)
    assert heard[-1].step is None


# What somebody does right before the patch that promotes what was judged: what is said of it, and how it is left.
BEFORE_THE_PROMOTION: dict[str, tuple[Mapping[str, Any], str, str]] = {
    "a pause": ({"paused": True}, "somebody froze the canary since it was looked at", "frozen"),
    "minReadySeconds": ({"minReadySeconds": 3}, "the hold is damaged", "none"),
    "scaled to 0": ({"replicas": 0}, "somebody scaled it to 0 replicas", "none"),
}


@pytest.mark.parametrize("what", BEFORE_THE_PROMOTION)
def test_what_was_judged_is_promoted_as_it_stood_then_or_not_at_all(what: str, web: Web) -> None:
    spec, said, phase = BEFORE_THE_PROMOTION[what]
    somebody = replace(web)
    web.api = web.world.right_before(web, [lambda: None, lambda: somebody.patch({"spec": dict(spec)})])
    with pytest.raises(VerbFailure) as raised:
        release(web.api, asked(web), web.report)
    assert said in raised.value.message
    assert somebody.phase == phase and set(somebody.split()) <= ({"v1", "v2"} if phase == "frozen" else {"v1"})


def test_whoever_promotes_a_canary_by_himself_has_decided_about_what_he_found(web: Web) -> None:
    """Frozen before his first look he promotes it; frozen since then, whoever did that has not been asked."""
    web.start()
    web.patch({"spec": {"paused": True}})
    somebody, promoter = replace(web), replace(web)
    promoter.api = web.world.right_before(web, [lambda: somebody.patch({"metadata": {"labels": {"team": "shop"}}})])
    assert promoter.promote().message.startswith("promoted: ")
    web.start("v3")
    promoter.api = web.world.right_before(web, [lambda: somebody.patch({"spec": {"paused": True}})])
    with pytest.raises(VerbFailure, match="somebody froze the canary since it was looked at"):
        promoter.promote()
    assert web.phase == "frozen"


def test_what_has_grown_by_hand_is_no_step_any_more(web: Web) -> None:
    released(web, replace(asked(web, pods=(1, 3)), through=Through.parse("step 1")))
    replace(web, takeover=True).start(pods=2)
    heard: list[Any] = []
    watch(web.api, WatchRequest(web.name, web.namespace, 1.0, check=True), heard.append)
    assert [news.step for news in heard] == [None]


def planned_behind_a_canary(web: Web) -> tuple[ReleaseRequest, Release]:
    """One of three steps is behind the canary that an earlier run of the same left there."""
    request = replace(asked(web, pods=(1, 2, 3)), call=replace(web, takeover=True).call)
    released(web, replace(request, through=Through.parse("step 2")))
    _, told = released(web, replace(request, through=Through.parse("plan")))
    assert (told.behind, told.left_out) == ((0,), 1)
    return request, told


def test_steps_that_an_earlier_run_had_come_past_are_left_out_as_long_as_its_canary_is_there(web: Web) -> None:
    request, told = planned_behind_a_canary(web)
    _, told = released(web, replace(request, through=Through.parse("step 2"), previous=told))
    assert (told.reached, web.split()) == (2, {"v1": 3, "v2": 2})
    assert [moment.what for moment in told.timeline] == ["start", "bake"]


def held_by_hand(web: Web) -> None:
    web.start(pods=2)


def left_by_fewer_steps(web: Web) -> None:
    released(web, asked(web, pods=(1, 2), through=Through.parse("step 2")))


@pytest.mark.parametrize("hangs", [False, True])
def test_a_call_that_ends_with_a_step_that_an_earlier_run_had_come_past_has_looked_at_the_canary_that_is_there(
    hangs: bool, web: Web, stage: Stage
) -> None:
    before, request = web.spec, replace(asked(web, pods=(1, 2, 3)), call=replace(web, takeover=True).call)
    released(web, replace(request, through=Through.parse("step 2")))
    for pod in [pod for pod in stage.pods.pods.values() if pod.version == "v2"] if hangs else ():
        stage.pods.is_unready(pod, 9999.0)
    first = replace(request, through=Through.parse("step 1"))
    if hangs:
        failure, told = failed(web, first)
        assert (failure.code, told.outcome) == ("timeout", Ending.UNDONE)
    else:
        _, told = released(web, first)
        assert (told.outcome, told.left_out, told.run) == (Ending.HELD, 1, web.info()["run"])
        assert web.split() == {"v1": 3, "v2": 2}
        _, told = failed(web, replace(request, previous=told, reject="its page is empty"))
        assert told.outcome is Ending.UNDONE
    web.assert_clean(before, "v1")


@pytest.mark.parametrize("holds", [held_by_hand, left_by_fewer_steps])
def test_what_a_step_asks_that_nobody_stood_is_asked_of_the_canary_as_large_as_it_is(
    holds: Callable[[Web], None], web: Web
) -> None:
    holds(web)
    request = replace(asked(web, pods=(1, 3, 4)), call=replace(web, takeover=True).call)
    first, *others = request.steps
    request = replace(request, steps=(replace(first, verify_tasks="/smoke.yml"), *others))
    _, told = released(web, request)
    assert (told.behind, told.left_out, told.to_verify["step"]) == ((0,), 0, 1) and web.split() == {"v1": 3, "v2": 2}
    _, told = released(web, replace(request, previous=told))
    assert told.outcome is Ending.RELEASED and told.reached == 3


def test_steps_that_are_in_no_order_are_refused_also_beside_a_canary(web: Web) -> None:
    web.start(pods=2)
    failure, told = failed(web, replace(asked(web, pods=(3, 1)), call=replace(web, takeover=True).call))
    assert failure.code == "smaller" and told.outcome is Ending.REFUSED and web.split() == {"v1": 3, "v2": 2}


def gone(web: Web) -> None:
    replace(web, takeover=True).undo()


def begun_again(web: Web) -> None:
    gone(web)
    web.start(pods=1)


@pytest.mark.parametrize("interferes", [gone, begun_again], ids=["gone", "another"])
def test_without_the_canary_that_was_planned_with_no_step_is_left_out(
    interferes: Callable[[Web], Any], web: Web
) -> None:
    request, told = planned_behind_a_canary(web)
    interferes(web)
    _, told = released(web, replace(request, through=Through.parse("step 1"), previous=told))
    assert (told.outcome.value, told.behind, told.left_out, told.reached) == ("held", (), 0, 1)
    assert web.split() == {"v1": 4, "v2": 1}


def test_what_the_caller_rejects_is_undone(web: Web) -> None:
    before = web.spec
    request = asked(web)
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    failure, told = failed(web, replace(request, previous=told, reject="its page is empty"))
    assert (failure.code, told.outcome.value, told.why[0]) == ("rejected", "undone", "its page is empty.")
    web.assert_clean(before, "v1")


def test_what_a_check_would_take_back_is_taken_back_by_the_call_that_follows_it(web: Web) -> None:
    _, began = released(web, asked(web, through=Through.parse("step 1")))
    request = asked(web, previous=began, reject="it errs")
    with web.unchanged():
        failure, checked = failed(web, replace(request, call=replace(request.call, check=True)))
    assert (checked.outcome, failure.changed) == (Ending.HELD, False) and "would be" in checked.why[-1]
    assert failed(web, replace(request, previous=checked))[1].outcome is Ending.UNDONE
    assert web.split() == {"v1": REPLICAS}


def test_nobody_is_told_of_a_promotion_where_nothing_was_promoted(web: Web) -> None:
    web.start()
    web.undo()
    _, told = released(web, asked(web, held=Meant()))
    assert told.outcome is Ending.NOTHING_TO_PROMOTE
    assert not [moment for moment in told.timeline if "promoted" in moment.said], told.timeline


def test_a_gate_leaves_it_held(web: Web) -> None:
    _, told = released(web, asked(web, policies=Policies(headroom=Headroom.SKIP, gate=Gate.STOP)))
    assert (told.outcome.value, web.phase) == ("held", "held")


def swap(web: Web) -> None:
    web.undo()
    web.start("v3")


@pytest.mark.parametrize(
    ("interferes", "outcome", "split"),
    [
        (swap, "failed", {"v1": 4, "v3": 1}),
        (Web.undo, "failed", {"v1": 4}),
        (Web.pause, "failed", {"v1": 4, "v2": 1}),
        (Web.promote, "failed", {"v2": 4}),
    ],
    ids=["swap", "undo", "pause", "promote"],
)
def test_nothing_but_what_was_judged_is_promoted_or_taken_back(
    web: Web, interferes: Callable[[Web], Any], outcome: str, split: dict[str, int]
) -> None:
    request = asked(web)
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    interferes(replace(web, takeover=True))
    _, told = failed(web, replace(request, previous=told))
    assert (told.outcome.value, web.split()) == (outcome, split)


def test_what_somebody_scales_meanwhile_is_promoted_at_that_size(web: Web) -> None:
    _, told = released(web, replace(asked(web), through=Through.parse("step 1")))
    web.scale(5)
    _, told = released(web, replace(asked(web), previous=told))
    assert (told.outcome.value, web.split()) == ("released", {"v2": 5})


def test_a_failed_canary_is_left_where_the_policy_says_so(web: Web) -> None:
    request = asked(web, policies=Policies(headroom=Headroom.SKIP, on_failure=OnFailure.HOLD))
    _, told = released(web, replace(request, through=Through.parse("step 1")))
    _, told = failed(web, replace(request, previous=told, reject="no"))
    assert (told.outcome.value, web.phase) == ("failed", "held")


def test_a_first_version_is_created_where_there_is_no_deployment(new: Callable[..., Web]) -> None:
    web = new()
    manifest = web.manifest(2)
    request = asked(web)
    request = replace(request, start=replace(request.start, template=NewTemplate(definition=manifest)))
    failure, told = failed(web, request)
    assert (failure.code, told.outcome.value) == ("not_found", "refused")
    creates = replace(request, policies=replace(request.policies, when_missing=WhenMissing.CREATE))
    outcome, told = released(web, creates)
    assert (outcome.changed, told.outcome.value, web.split()) == (True, "created", {"v1": 2})
    assert released(web, creates)[1].outcome.value == "already released"


def test_a_step_that_the_caller_verifies_ends_the_call_before_it_is_judged(web: Web) -> None:
    request = asked(web, pods=(1, 3))
    first, second = request.steps
    request = replace(request, steps=(first, replace(second, verify_tasks="/verify.yml")))
    _, told = released(web, request)
    assert (told.outcome.value, told.waits_for, told.reached) == ("held", WaitsFor.CALLER, 1)
    assert told.to_verify == {"step": 2, "steps": 2, "tasks": "/verify.yml"} and web.split() == {"v1": 2, "v2": 3}
    _, told = released(web, replace(request, previous=told))
    assert (told.outcome.value, told.reached, told.to_verify) == ("released", 2, {})


@pytest.mark.parametrize("verify_tasks", ["", "/verify.yml"])
def test_a_step_that_was_held_at_an_earlier_call_is_held_still_or_the_call_fails(verify_tasks: str, web: Web) -> None:
    """Also where the same stage is asked for again, or its caller has verified it and nothing is counted."""
    request = asked(web)
    (step,) = request.steps
    request = replace(request, steps=(replace(step, verify_tasks=verify_tasks),), through=Through.parse("step 1"))
    _, told = released(web, request)
    _, again = released(web, replace(request, previous=told))
    assert again.outcome is Ending.HELD
    replace(web, takeover=True).undo()
    failure, after = failed(web, replace(request, previous=told))
    assert (failure.code, after.outcome) == ("other_release", Ending.FAILED)


def own_counts(at: float) -> CheckAsked:
    """Enough to pass."""
    rows = tuple(Sample(at + 10 * number, Count(0, 1000), Count(9, 1000)) for number in range(9))
    return CheckAsked(RateCheck("own", Tolerance(1.5, 0.01)), SamplesAsked(rows))


@pytest.mark.parametrize("of_a_step", [True, False])
def test_what_the_caller_counted_at_one_step_is_no_evidence_at_the_next(of_a_step: bool, web: Web) -> None:
    def counted(at: float, **options: Any) -> ReleaseRequest:
        request, checks = asked(web, pods=(1, 3), **options), (own_counts(at),)
        if of_a_step:
            return replace(request, steps=tuple(replace(step, checks=checks) for step in request.steps))
        return replace(request, judge=replace(request.judge, checks=checks))

    _, first = released(web, counted(0, through=Through.parse("step 1")))
    assert [judged.verdict for judged in first.verdicts] == ["pass"]
    with_others = Release.from_json(first.to_json())
    _, told = released(web, counted(0, previous=first))
    assert (told.outcome.value, told.reached, told.waits_for) == ("held", 1, WaitsFor.PERSON)
    assert "were judged at a step before" in told.verdicts[-1].reason
    web.resume()
    _, told = released(web, counted(600, previous=with_others))
    assert (told.outcome.value, [judged.verdict for judged in told.verdicts]) == ("released", ["pass", "pass"])


@pytest.mark.parametrize("there", ["the version before", "the new version", "a canary"])
@pytest.mark.parametrize("reject", ["", "its tests failed"], ids=["", "rejected"])
def test_of_another_deployment_of_that_name_nothing_is_said_that_holds_of_the_first(
    there: str, reject: str, web: Web
) -> None:
    """As in a cluster to which the current context of a kubeconfig has changed."""
    elsewhere = Stage()
    elsewhere.web("another").make(1)
    other = elsewhere.web(web.name).make(4)
    if there == "the new version":
        other.set_image("v2")
        other.settle()
    elif there == "a canary":
        other.start()
    request = asked(web)
    request = replace(request, steps=tuple(replace(step, verify_tasks="/verify.yml") for step in request.steps))
    _, told = released(web, request)
    with other.unchanged():
        failure, after = failed(other, replace(request, previous=told, reject=reject))
    assert after.outcome is Ending.FAILED and not failure.changed
    assert "not the Deployment of which this run held a canary" in after.why[-1]


def test_a_release_that_is_over_is_told_again(web: Web) -> None:
    request = asked(web)
    _, out = released(web, request)
    with web.unchanged():
        outcome, told = released(web, replace(request, previous=out))
    assert (outcome.changed, told, outcome.canary["phase"]) == (False, out, "none")
    back = replace(out, outcome=Ending.ROLLED_BACK, why=("it errs.", "The version before it is back."))
    with web.unchanged():
        failure, told = failed(web, replace(request, previous=back, reject="and more"))
    assert (failure.code, failure.message, told) == ("ended", "it errs. The version before it is back.", back)


@pytest.mark.parametrize("through", ["plan", "step 1"])
def test_a_call_that_takes_up_once_more_what_was_promoted_since_finds_it_released(through: str, web: Web) -> None:
    _, began = released(web, asked(web, through=Through.parse(through)))
    released(web, asked(web, previous=began))
    with web.unchanged():
        outcome, told = released(web, asked(web, previous=began))
    assert (told.outcome, outcome.changed) == (Ending.ALREADY_RELEASED, False)


def test_a_restart_that_is_asked_for_is_released_as_any_change(web: Web) -> None:
    request = asked(web)
    restart = NewTemplate(patch={"metadata": {"annotations": {RESTARTED_AT: "2026-01-01T00:00:00Z"}}})
    request = replace(request, start=replace(request.start, template=restart))
    before = {pod["metadata"]["uid"] for pod in web.pods()}
    assert released(web, request)[1].outcome is Ending.RELEASED
    assert not before & {pod["metadata"]["uid"] for pod in web.pods()}
    assert released(web, request)[1].outcome is Ending.ALREADY_RELEASED


def test_what_another_run_has_promoted_was_not_released_by_this_one(web: Web) -> None:
    _, began = released(web, asked(web, pods=(1, 3), through=Through.parse("step 1")))
    replace(web, takeover=True).start(run="another")
    replace(web, meant=Meant(run="another")).promote()
    failure, told = failed(web, asked(web, pods=(1, 3), previous=began))
    assert (failure.code, told.outcome) == ("other_release", Ending.FAILED)


def test_of_a_deployment_that_is_gone_nobody_is_told_to_take_anything_back(web: Web) -> None:
    _, began = released(web, asked(web, through=Through.parse("step 1")))
    web.kubectl("delete", "deployment", web.name)
    _, told = failed(web, asked(web, previous=began))
    assert told.why[-1] == "With the Deployment its release is gone: nothing is left to take back."


def test_what_a_call_left_that_was_refused_is_taken_back_once_it_is_rejected(web: Web) -> None:
    before = web.spec
    request = asked(web)
    _, begun = released(web, replace(request, through=Through.parse("step 1")))
    told = VERB.refused("bake must be an integer", {"previous": begun.to_json()})
    refused = Release.from_json(told["release"])
    with web.unchanged():
        failure, _ = failed(web, replace(request, previous=refused))
    assert failure.code == "ended"
    _, told_last = failed(web, replace(request, previous=refused, reject="bake must be an integer"))
    assert (told_last.outcome, told_last.why[0]) == (Ending.UNDONE, "bake must be an integer.")
    web.assert_clean(before, "v1")


CUT_OFF = Release.from_json(cut_off({"run": "cut-off"}))


def test_what_a_call_began_that_was_cut_off_is_taken_back_by_its_run(web: Web) -> None:
    before = web.spec
    request = asked(web)
    released(web, replace(request, through=Through.parse("step 1"), run="cut-off"))
    _, told = failed(web, replace(request, previous=CUT_OFF, reject="Timed out after 15 seconds"))
    assert told.outcome.value == "undone"
    web.assert_clean(before, "v1")


@pytest.mark.parametrize("previous", [CUT_OFF, None], ids=["the call that began it", "a later call"])
def test_a_promotion_that_was_cut_off_is_taken_back(web: Web, previous: Release | None) -> None:
    before = web.spec
    request = asked(web)
    _, begun = released(web, replace(request, through=Through.parse("step 1"), run="cut-off"))
    someone = replace(web, wait=Wait(enabled=False), takeover=True)
    promote(web.api, PromoteRequest(someone.call), web.report)
    told_last = previous or Release.from_json(cut_off({"previous": begun.to_json(), "through": "promoted"}))
    _, told = failed(web, replace(request, previous=told_last, reject="Timed out after 15 seconds"))
    assert (told.outcome.value, told.why[0]) == ("undone", "Timed out after 15 seconds.")
    web.assert_clean(before, "v1")


def test_a_promotion_that_was_over_when_its_call_was_cut_off_is_told_as_it_is(web: Web) -> None:
    request = asked(web)
    _, begun = released(web, replace(request, through=Through.parse("step 1")))
    released(web, replace(request, previous=begun))
    told_last = Release.from_json(cut_off({"previous": begun.to_json()}))
    _, told = failed(web, replace(request, previous=told_last, reject="Timed out after 15 seconds"))
    assert told.why[1] == "Its promotion came to its end before that, and the new version stays."
    assert web.split() == {"v2": 4}


def test_a_version_that_came_as_a_promotion_ended_is_not_told_as_the_stable_one(web: Web) -> None:
    """Nothing but the clean-up is left to undo then."""
    before = web.spec
    request = asked(web)
    released(web, replace(request, through=Through.parse("step 1"), run="cut-off"))
    promote(web.api, PromoteRequest(replace(web, wait=Wait(enabled=False), takeover=True).call), web.report)
    web.settle()
    web.set_image("v3")
    web.settle()
    _, told = failed(web, replace(request, previous=CUT_OFF, reject="Timed out after 15 seconds"))
    assert (told.outcome, told.why[1]) == (
        Ending.FAILED,
        "Somebody has rolled out another pod template since, and that one stays.",
    )
    web.assert_clean(before, "v3")


def test_a_call_that_was_cut_off_while_it_went_on_with_another_run_does_not_say_that_it_changed_nothing(
    web: Web,
) -> None:
    released(web, replace(asked(web), through=Through.parse("step 1"), run="another"))
    someone = replace(web, wait=Wait(enabled=False), takeover=True)
    promote(web.api, PromoteRequest(someone.call), web.report)
    with web.unchanged():
        _, told = failed(web, replace(asked(web), previous=CUT_OFF, reject="Timed out after 15 seconds"))
    assert told.outcome.value == "failed" and "Where this run had gone on with it" in told.why[1]


def test_a_call_that_was_cut_off_after_its_end_says_that_nothing_is_live(web: Web) -> None:
    released(web, replace(asked(web), run="cut-off"))
    with web.unchanged():
        _, told = failed(web, replace(asked(web), previous=CUT_OFF, reject="Timed out after 15 seconds"))
    assert told.outcome.value == "failed" and "No release is live any more" in told.why[1]
    _, told = failed(web, replace(asked(web), previous=Release.from_json(cut_off({}, check=True)), reject="cut"))
    assert (told.outcome.value, told.why[1]) == ("refused", "This run changed nothing.")


@pytest.mark.parametrize("previous", [None, Release("another")], ids=["no call before", "nothing of this run"])
def test_what_is_rejected_before_it_begins_is_refused(web: Web, previous: Release | None) -> None:
    released(web, replace(asked(web), through=Through.parse("step 1")))
    with web.unchanged():
        _, told = failed(web, replace(asked(web), previous=previous, reject="a name is misspelt"))
    assert (told.outcome.value, told.why) == ("refused", ("a name is misspelt.", "This run changed nothing."))


@pytest.mark.parametrize(
    ("answer", "outcome", "split"),
    [("yes", "released", {"v2": 4}), ("y", "held", {"v1": 4, "v2": 1}), (None, "held", {"v1": 4, "v2": 1})],
)
def test_a_gate_asks_about_a_canary_that_stands(
    web: Web, answer: str | None, outcome: str, split: dict[str, int]
) -> None:
    asks: list[str] = []

    def ask(question: str, meanwhile: Meanwhile) -> str | None:
        asks.append(question)
        return answer

    done, told = released(web, replace(at_a_prompt(web), ask=ask))
    assert (told.outcome.value, web.split()) == (outcome, split)
    assert len(asks) == 1 and f"{web.name} in namespace {web.namespace}" in asks[0]
    assert done.extra["summary"][0] == f"{web.name} in namespace {web.namespace}: {outcome}"


def at_a_prompt(web: Web) -> ReleaseRequest:
    return asked(web, policies=Policies(headroom=Headroom.SKIP, gate=Gate.PROMPT))


def answers_after(seconds: float, web: Web) -> Ask:
    def ask(question: str, meanwhile: Meanwhile) -> str:
        until = web.admin.clock.monotonic() + seconds
        while (now := web.admin.clock.monotonic()) < until:
            web.admin.clock.sleep(min(meanwhile.every, until - now))
            meanwhile.does()
        return "yes"

    return ask


def test_while_a_person_thinks_the_canary_is_watched_and_its_lease_renewed(web: Web) -> None:
    began = web.admin.clock.monotonic()
    asks = answers_after(600.0, web)

    def ask(question: str, meanwhile: Meanwhile) -> str | None:
        answer = asks(question, meanwhile)
        with pytest.raises(VerbFailure, match="is held by another run"):
            web.undo()
        return answer

    _, told = released(web, replace(at_a_prompt(web), ask=ask))
    assert told.outcome is Ending.RELEASED and web.admin.clock.monotonic() - began > 600.0


@pytest.mark.parametrize("seconds", [15.0, 600.0])
def test_a_canary_that_dies_while_a_person_thinks_is_taken_back_whatever_is_answered(seconds: float, web: Web) -> None:
    asks = answers_after(seconds, web)

    def ask(question: str, meanwhile: Meanwhile) -> str | None:
        [pod] = [one for one in web.pods() if version_of(one) == "v2"]
        web.admin.delete(f"/api/v1/namespaces/{web.namespace}/pods/{pod['metadata']['name']}", pod["metadata"]["uid"])
        return asks(question, meanwhile)

    began = web.admin.clock.monotonic()
    _, told = failed(web, replace(at_a_prompt(web), ask=ask))
    assert told.outcome is Ending.UNDONE and web.split() == {"v1": 4}
    assert web.admin.clock.monotonic() - began < 60.0


def held(web: Web, **named: str) -> ReleaseRequest:
    return replace(asked(web), held=Meant(**named))


def test_a_canary_that_another_call_left_is_promoted_and_a_second_time_there_is_none(web: Web) -> None:
    before = web.spec
    _, left = released(web, replace(asked(web), through=Through.parse("step 1")))
    checking = replace(web.call, check=True)
    with web.unchanged():
        outcome, told = released(web, replace(held(web), call=checking))
    assert (outcome.changed, told.outcome.value, told.why) == (True, "planned", ("would promote the canary.",))
    _, told = released(web, held(web, hash=left.hash, run=left.run))
    assert (told.outcome.value, told.run, told.hash) == ("released", left.run, left.hash)
    web.assert_clean(before, "v2")
    with web.unchanged():
        outcome, told = released(web, held(web))
    assert (outcome.changed, told.outcome.value) == (False, "nothing to promote")


@pytest.mark.parametrize("named", [{"hash": "another"}, {"run": "another"}], ids=["hash", "run"])
def test_another_canary_than_the_one_that_is_named_is_not_promoted(web: Web, named: dict[str, str]) -> None:
    released(web, replace(asked(web), through=Through.parse("step 1")))
    with web.unchanged():
        failure, told = failed(web, held(web, **named))
    assert (failure.code, told.outcome.value) == ("other_release", "refused")


def test_the_way_back_is_the_version_before(web: Web) -> None:
    old = web.start("v2").canary["stable"]["hash"]
    web.promote()
    returned = rollback(web.api, RollbackRequest(web.call, to="", reason="it turned slow"), web.report)
    assert returned.changed and web.split() == {"v1": 4}
    assert returned.canary["stable"]["hash"] == old
    with web.unchanged():
        assert not rollback(web.api, RollbackRequest(web.call, to=""), web.report).changed


def test_the_way_back_stands_when_a_later_canary_was_taken_back(web: Web) -> None:
    web.start("v2")
    web.promote()
    for _twice in range(2):
        web.start("v3")
        web.undo()
    returned = rollback(web.api, RollbackRequest(web.call, to=""), web.report)
    assert returned.changed and web.split() == {"v1": 4}


def swapped(web: Web, hash_of_it: str) -> None:
    """Somebody writes another image into the template of a ReplicaSet, whose hash and name stay."""
    path = web.path.replace("/deployments/", "/replicasets/") + f"-{hash_of_it}"
    container = {"name": "app", "image": image("evil")}
    web.api.patch(path, {"spec": {"template": {"spec": {"containers": [container]}}}}, PatchKind.STRATEGIC)


@pytest.mark.parametrize("others", [0, 1], ids=["after a promotion", "and after another canary was taken back"])
def test_the_way_back_is_the_version_that_was_there_and_not_what_bears_its_hash(web: Web, others: int) -> None:
    old = web.start("v2").canary["stable"]["hash"]
    web.promote()
    for _canary in range(others):
        web.start("v3")
        web.undo()
    swapped(web, old)
    with pytest.raises(VerbFailure, match=r"another pod template than that had.*app:evil") as refused, web.unchanged():
        rollback(web.api, RollbackRequest(web.call, to=""), web.report)
    assert refused.value.code == "other_release"
    assert rollback(web.api, RollbackRequest(web.call, to=old), web.report).changed


def test_there_is_no_way_back_that_nobody_has_left_word_of(web: Web) -> None:
    web.start("v2")
    web.undo()
    with pytest.raises(VerbFailure, match="nothing tells which version") as refused:
        rollback(web.api, RollbackRequest(web.call, to=""), web.report)
    assert refused.value.code == "no_such_replica_set"


def test_advice_that_is_no_longer_true_is_not_repeated(web: Web) -> None:
    template = NewTemplate(images={"app": image("missing")})
    request = asked(web)
    request = replace(request, start=replace(request.start, template=template))
    _, undone = failed(web, request)
    assert "ImagePullBackOff" in undone.why[0] and "The canary stays held" not in " ".join(undone.why)
    assert undone.why[1] == "The stable version is back."
    left = replace(request, policies=replace(request.policies, on_failure=OnFailure.HOLD))
    failure, told = failed(web, left)
    assert "The canary stays held for you to look at" in told.why[0]
    # What stays is named, as by every other failure; and of a stable version that serves no pod is printed.
    assert failure.canary and (told.hash, told.stable) == tuple(
        failure.canary[it]["hash"] for it in ("canary", "stable")
    )
    assert [(moment.what, moment.counts) for moment in told.timeline] == [("failed", {"stable": REPLICAS, "canary": 0})]
    printed = failure.shown["canary"]
    assert (len(printed["stable"]["pods"]), len(printed["canary"]["pods"])) == (0, 1)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [({"restart_after": "0"}, "restarted 1 time"), ({"unready_after": "0"}, "is not Ready any more")],
    ids=["restarts", "loses its readiness"],
)
def test_a_canary_is_taken_back_when_while_it_is_watched_it(web: Web, behaviour: dict[str, str], reason: str) -> None:
    before = web.spec
    request = asked(web)
    request = replace(request, steps=(replace(request.steps[0], bake=7200.0),))

    def later(other: Web) -> None:
        other.admin.clock.sleep(600.0)
        other.misbehave("v2", **behaviour)

    with web.world.meanwhile(web, later):
        _, told = failed(web, request)
    assert told.outcome.value == "undone" and reason in told.why[0]
    web.assert_clean(before, "v1")


def test_a_promotion_whose_clean_up_is_refused_is_not_taken_back(stage: Stage, web: Web) -> None:
    # Right before the third patch arrives: after those of a start and of a promotion.
    loses = {"somebody-else": frozenset({("patch", "deployments.apps")})}
    api = stage.right_before(web, [lambda: None, lambda: None, lambda: stage.server.forbidden.update(loses)])
    _, told = failed(replace_api(web, api), asked(web))
    assert (told.outcome.value, web.phase) == ("failed", "promoting")
    assert "Missing right" in told.why[0]
    assert "The promotion goes on in the cluster: run this again to see it to its end" in told.why[1]
    assert released(web, asked(web))[1].outcome.value == "already released"
    assert web.split() == {"v2": REPLICAS}


def replace_api(web: Web, api: Network) -> Web:
    """The same Deployment, asked for by somebody else."""
    other = replace(web)
    other.api = api
    return other


def test_what_a_run_that_died_left_held_is_taken_over_by_the_next_one(web: Web) -> None:
    before = web.spec
    request = asked(web, pods=(1, 3))
    released(web, replace(request, through=Through.parse("step 2"), run="died"))
    failure, _told = failed(web, replace(request, run="next"))
    assert failure.code == "locked", "it may come back, as it has said"
    outcome, told = released(
        replace(web, takeover=True), replace(request, run="next", call=replace(web, takeover=True).call)
    )
    assert (outcome.changed, told.outcome.value, told.reached) == (True, "released", 2)
    web.assert_clean(before, "v2")


def test_a_chain_that_began_with_the_question_about_room_is_planned_by_the_call_that_follows(web: Web) -> None:
    shrinks = asked(web, pods=(3, 1))
    told = released(web, replace(shrinks, through=Through.parse("room")))[1]
    assert not told.planned
    with web.unchanged():
        failure, _told = failed(web, replace(shrinks, previous=told))
    assert failure.code == "smaller"
    released(web, asked(web))
    told = released(web, replace(asked(web), through=Through.parse("room")))[1]
    assert released(web, replace(asked(web), previous=told))[1].outcome is Ending.ALREADY_RELEASED


@pytest.mark.parametrize("is_out", [True, False])
def test_check_mode_tells_what_becomes_of_a_promotion_that_an_earlier_run_has_begun(is_out: bool, web: Web) -> None:
    web.start("v2", pods=1)
    promote(web.api, PromoteRequest(replace(web.call, wait=Wait(False, 9))), web.report)
    request = asked(web, "v2" if is_out else "v3")
    with web.unchanged():
        told = released(web, replace(request, call=replace(request.call, check=True)))[1]
    assert (told.outcome, "would be promoted first" in told.why[0]) == (Ending.PLANNED, True)
    assert released(web, request)[1].outcome is (Ending.ALREADY_RELEASED if is_out else Ending.RELEASED)


@pytest.mark.parametrize("now", ["scaled to 0", "paused", "one by one"])
def test_what_stands_in_the_way_of_a_canary_is_nothing_to_a_version_that_is_out(now: str, web: Web) -> None:
    released(web, asked(web))
    web.patch(
        {
            "scaled to 0": {"spec": {"replicas": 0}},
            "paused": {"spec": {"paused": True}},
            "one by one": {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
        }[now]
    )
    web.until(lambda: web.split() == ({} if now == "scaled to 0" else {"v2": REPLICAS}), "it stands still")
    with web.unchanged():
        assert released(web, asked(web))[1].outcome is Ending.ALREADY_RELEASED
        assert failed(web, asked(web, "v3"))[0].code in ("scaled_to_zero", "paused", "recreate")


@pytest.mark.parametrize("meta", [{"name": "other"}, {"generateName": "web-"}, {}], ids=str)
def test_what_is_created_is_the_deployment_that_was_named(meta: Mapping[str, str], new: Callable[..., Web]) -> None:
    web = new()
    definition = {**web.manifest(2), "metadata": dict(meta)}
    request = asked(web, policies=Policies(headroom=Headroom.SKIP, when_missing=WhenMissing.CREATE))
    request = replace(request, start=replace(request.start, template=NewTemplate(definition=definition)))
    failure, _told = failed(web, request)
    assert (failure.code, failure.changed) == ("invalid", False)
    with pytest.raises(VerbFailure, match="there is no Deployment"):
        web.start()


def test_what_is_rejected_before_it_begins_asks_nothing_of_the_cluster(web: Web) -> None:
    before = web.api.requests
    _failure, told = failed(web, asked(web, reject="nothing here reads canary_image"))
    assert (told.outcome, web.api.requests) == (Ending.REFUSED, before)


def test_a_guard_that_will_be_blind_is_told_of_before_anything_is_changed(web: Web) -> None:
    http = CheckAsked(RateCheck("http", Tolerance(1.5, 0.01)), HttpAsked(rate=20))
    request = replace(asked(web), judge=VerifyRequest(web.call, (http,), 600.0), guard=600.0)
    with web.unchanged():
        outcome, told = released(web, replace(request, through=Through.parse("plan")))
    assert told.outcome is Ending.PLANNED
    assert any("250 of the 600 seconds of the guard" in warning for warning in outcome.warnings), outcome.warnings


@pytest.mark.parametrize(("of_owner", "via", "warned"), [(True, Via.URL, 1), (False, Via.URL, 0), (True, Via.PROXY, 0)])
def test_a_guard_by_a_url_is_told_of_where_the_owners_routes_will_decide(
    of_owner: bool, via: Via, warned: int, web: Web
) -> None:
    by_url: dict[str, Any] = {"web": HttpServer("https://shop.example"), "canary_headers": {"X-Canary": "always"}}
    http = CheckAsked(RateCheck("http", Tolerance(1.5, 0.01)), HttpAsked(via=via, **(by_url if via is Via.URL else {})))
    said = blind_guards(VerifyRequest(web.call, (http,)), 60.0, of_owner=of_owner)
    assert len(said) == warned and all("via: proxy asks the pods themselves" in one for one in said)


def _replaces_the_old_image(kind: str, before: Json | None, after: Json) -> Json:
    del before
    return json.loads(json.dumps(after).replace(image("v1"), image("v2"))) if kind == "deployments" else after


def test_a_version_that_a_policy_makes_of_the_one_before_is_not_said_to_be_rolled_back() -> None:
    stage = Stage()
    web = stage.web().make(4)
    released(web, asked(web))

    stage.server.admission.append(_replaces_the_old_image)
    first = next(rs for rs in web.replica_sets() if image("v1") in json.dumps(rs["spec"]["template"]))
    with web.unchanged():
        name, runs = first["metadata"]["name"], str(web.info()["stable"]["hash"])
        for to, expect in (("", ""), (name, ""), (name, runs)):
            call = replace(web.call, meant=Meant(hash=expect))
            with pytest.raises(
                VerbFailure, match="as before: an admission webhook or policy makes that of the pod template of web-"
            ):
                rollback(web.api, RollbackRequest(call, to), web.report)
    stage.server.admission.clear()
    assert web.rollback(name).changed


@pytest.mark.parametrize("becomes", ["v2", "v3"])
def test_what_a_policy_that_answers_no_dry_run_makes_of_a_rollback_with_a_reason_is_told(becomes: str) -> None:
    stage = Stage()
    web = stage.web().make(4)
    _, told = released(web, asked(web))
    noted = web.annotations[LAST]

    class InEarnest:
        comes_later, begins, hook = True, 0.0, None

        def admit(self, timeline: Any, kind: str, obj: Json, *, dry_run: bool) -> Json:
            acts = kind == "deployments" and not dry_run
            return json.loads(json.dumps(obj).replace(image("v1"), image(becomes))) if acts else obj

    stage.server.governed = InEarnest()  # type: ignore[assignment]
    request = RollbackRequest(web.call, told.stable, "too many errors")
    if becomes == "v2":
        with pytest.raises(
            VerbFailure, match="as before: an admission webhook or policy makes that of the pod template"
        ):
            rollback(web.api, request, web.report)
        assert web.annotations[LAST] == noted
    else:
        done = rollback(web.api, request, web.report)
        assert done.message.startswith("returned to what admission makes of web-1-")
        assert any("on its way back (spec.containers[" in one for one in done.warnings), done.warnings
    assert web.split() == {becomes: 4}


@pytest.mark.parametrize("promoting", [False, True])
def test_an_undo_of_which_a_policy_makes_the_canary_is_stopped_and_done_once_that_is_gone(promoting: bool) -> None:
    stage = Stage()
    web = stage.web().make(4)
    before = web.spec
    web.start()
    if promoting:
        replace(web, wait=replace(web.wait, enabled=False)).promote()
    stage.server.admission.append(_replaces_the_old_image)
    into_the_canary = 'turns the stable pod template of Deployment "web-1" into the canary\'s'
    with web.unchanged(), pytest.raises(VerbFailure, match=into_the_canary):
        replace(web, checking=True).undo()
    with pytest.raises(
        VerbFailure, match=f"{into_the_canary}, and the Deployment was paused at once. Change that policy"
    ):
        web.undo()
    web.admin.clock.sleep(60.0)
    assert web.split()["v1"] >= 2
    stage.server.admission.clear()
    web.undo()
    web.assert_clean(before, "v1")
