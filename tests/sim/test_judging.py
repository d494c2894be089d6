# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries and promotions that are judged by what befalls their pods, for as many hours as it takes.

Sources that are asked over a network have their own tests (tests/unit/probes, tests/integration/test_verify.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import (
    End,
    Headroom,
    OnFailure,
    OnInconclusive,
    Policies,
    Through,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage as StageOfARelease
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Meant, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    PodsAsked,
    SamplesAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.guard import ALONE_NOW
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests import release_calls
from tests.sim.objects import Json
from tests.sim.pods import Nature, Pod
from tests.sim.stage import Stage
from tests.situations import Web

# One restart an hour more than the stable version has. PODS only has to find nothing; CERTAIN has to be sure.
PODS = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())
COUNTED = CheckAsked(RateCheck("errors"), SamplesAsked(()))
CERTAIN = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600)), PodsAsked())
HOUR = 3600.0
NO_WAIT = Wait(enabled=False)


def judged(web: Web, check: CheckAsked = PODS, **options: Any) -> Outcome:
    return verify(
        web.api, VerifyRequest(web.call, (check,), **{"duration": HOUR, "interval": 60.0, **options}), web.report
    )


def of(stage: Stage, version: str) -> list[Pod]:
    """Those of its pods that serve."""
    return [pod for pod in stage.pods.pods.values() if pod.serving and pod.version == version]


def crashes(stage: Stage, pod: Pod) -> None:
    stage.pods.crashes(pod, 5.0)


def is_evicted(stage: Stage, pod: Pod) -> None:
    stage.pods.is_evicted(pod)


def crashing(
    stage: Stage,
    version: str,
    every: float = 120.0,
    since: float = 0.0,
    what: Callable[[Stage, Pod], None] = crashes,
) -> None:
    """From then on one of its pods crashes so often, or is evicted."""

    def crash() -> None:
        for pod in of(stage, version)[:1]:
            what(stage, pod)
        stage.timeline.after(every, crash)

    stage.timeline.after(since, crash)


def failed(call: Callable[[], Any], code: str) -> tuple[str, Json]:
    """The message, and the verdict that goes with it."""
    with pytest.raises(VerbFailure) as raised:
        call()
    assert raised.value.code == code, raised.value.message
    return raised.value.message, dict(raised.value.extra["verify"])


@pytest.fixture
def held(new: Callable[..., Web]) -> Web:
    web = new().make(4)
    web.start(pods=2)
    return web


# A canary beside the stable version.


def is_unready(stage: Stage, pod: Pod) -> None:
    stage.pods.is_unready(pod, 30.0)


@pytest.mark.parametrize(
    ("befalls", "said"), [(is_evicted, "is gone"), (is_unready, "was not Ready until")], ids=["gone", "not Ready"]
)
@pytest.mark.parametrize("of_the_caller", [False, True], ids=["judged", "verified"])
def test_no_canary_is_promoted_whose_pod_did_not_stand_the_last_judgement(
    befalls: Callable[[Stage, Pod], None], said: str, of_the_caller: bool, stage: Stage, new: Callable[..., Web]
) -> None:
    """However good its counts are, and whoever looked at what there is now; whether Kubernetes has made another since or not."""
    web = new().make(4)
    asks = release_calls.asked(web)
    if of_the_caller:
        asks = replace(asks, steps=tuple(replace(step, verify_tasks="/verify.yml") for step in asks.steps))
        asks = replace(asks, previous=release_calls.released(web, asks)[1])
        befalls(stage, of(stage, "v2")[0])
        web.admin.clock.sleep(60.0)
    else:
        loose = replace(PODS, check=RateCheck("pods", Tolerance(max_increase=1.0), must_pass=False))
        asks = replace(asks, judge=VerifyRequest(web.call, (loose,), duration=300.0, interval=30.0))
        stage.timeline.after(60.0, lambda: befalls(stage, of(stage, "v2")[0]))
    failure, told = release_calls.failed(web, asks)
    assert said in failure.message and told.outcome is Ending.UNDONE and web.split() == {"v1": 4}


def hangs(stage: Stage, pod: Pod) -> None:
    stage.pods.is_unready(pod, 2 * HOUR)


@pytest.mark.parametrize("what", [hangs, is_evicted])
@pytest.mark.parametrize("through", [Through(), Through(End.STEP, 1)], ids=["to its end", "of one step"])
@pytest.mark.parametrize("policy", [OnInconclusive.HOLD, OnInconclusive.PROMOTE])
def test_a_canary_that_does_not_stand_its_judgement_is_taken_back_and_left_to_nobody(
    policy: OnInconclusive, through: Through, what: Callable[[Stage, Pod], None], stage: Stage, new: Callable[..., Web]
) -> None:
    """The evidence decides neither way, and the pods do."""
    web = new().make(4)
    stage.timeline.after(30.0, lambda: what(stage, of(stage, "v2")[0]))
    judge = VerifyRequest(web.call, (CERTAIN,), duration=60.0)
    policies = Policies(headroom=Headroom.SKIP, on_inconclusive=policy)
    asks = replace(release_calls.asked(web, through=through, policies=policies), judge=judge)
    _, told = release_calls.failed(web, asks)
    assert [verdict.verdict for verdict in told.verdicts] == ["inconclusive"]
    assert told.outcome is Ending.UNDONE and web.split() == {"v1": 4}, told.why


def test_a_pod_that_a_scaling_took_or_a_person_deleted_while_he_was_to_decide_is_missed_by_nobody(
    stage: Stage, new: Callable[..., Web]
) -> None:
    scaled, decided = new().make(8), new().make(4)
    asks = release_calls.asked(scaled, pods=(4,))
    asks = replace(asks, steps=tuple(replace(step, verify_tasks="/verify.yml") for step in asks.steps))
    _, held = release_calls.released(scaled, asks)
    scaled.scale(4)
    scaled.admin.clock.sleep(60.0)
    assert release_calls.released(scaled, replace(asks, previous=held))[1].outcome is Ending.RELEASED

    short = VerifyRequest(decided.call, (CERTAIN,), duration=60.0, interval=30.0)
    asks = replace(release_calls.asked(decided), judge=short)
    _, frozen = release_calls.released(decided, asks)
    assert frozen.waits_for is WaitsFor.PERSON and not frozen.stood
    is_evicted(stage, of(stage, "v2")[-1])
    decided.resume()
    decided.admin.clock.sleep(60.0)
    trusting = replace(asks, judge=VerifyRequest(decided.call, ()), previous=frozen)
    assert release_calls.released(decided, trusting)[1].outcome is Ending.RELEASED


def test_a_canary_whose_pods_do_well_passes_once_that_is_certain(held: Web) -> None:
    found = judged(held, CERTAIN, duration=48 * HOUR, interval=600.0).extra["verify"]
    assert found["verdict"] == "pass" and found["hash"] == held.info()["canary"]["hash"]
    assert HOUR < found["seconds"] < 48 * HOUR, "it stops when it is certain"


def test_an_hour_is_too_short_to_know(held: Web) -> None:
    message, found = failed(lambda: judged(held, CERTAIN), "judged_inconclusive")
    assert "inconclusive after 3600 seconds" in message and found["verdict"] == "inconclusive"
    assert judged(held, CERTAIN, inconclusive_ok=True).extra["verify"]["verdict"] == "inconclusive"


def test_a_canary_whose_pods_crash_fails(stage: Stage, held: Web) -> None:
    crashing(stage, "v2")
    message, found = failed(lambda: judged(held, duration=4 * HOUR), "judged_fail")
    assert "fail after" in message and found["seconds"] < 4 * HOUR


def test_crashes_in_a_window_that_is_too_short_for_evidence_are_no_pass(stage: Stage, held: Web) -> None:
    for pod in of(stage, "v2"):
        for seconds in (2.0, 5.0, 8.0):
            stage.timeline.after(seconds, partial(stage.pods.crashes, pod, 1.0))
    message, _told = failed(lambda: judged(held, duration=12.0, interval=2.0), "judged_inconclusive")
    assert "canary 6 bad of 24" in message and "counted in 1 look, and at least 3 decide" in message


def test_crashes_of_both_versions_are_nobodys_difference(stage: Stage, held: Web) -> None:
    for version in ("v1", "v2"):
        crashing(stage, version, every=3 * HOUR)
    assert judged(held, duration=6 * HOUR, interval=600.0).extra["verify"]["verdict"] == "pass"


def test_crashes_while_it_warms_up_do_not_count(stage: Stage, held: Web) -> None:
    for moment in range(100, 600, 100):
        stage.timeline.after(moment, lambda: stage.pods.crashes(of(stage, "v2")[0], 5.0))
    assert judged(held, warmup=700.0).extra["verify"]["verdict"] == "pass"


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (Web.undo, r"the canary no longer stands beside stable \(phase none\)"),
        (
            lambda web: (web.undo(), web.start("v3", run="theirs")),
            "first is gone, and there is canary .* of run theirs",
        ),
        (lambda web: web.set_image("v7"), r"the canary no longer stands beside stable \(phase foreign\)"),
    ],
    ids=["it is undone", "another is held", "its template is replaced"],
)
def test_what_ends_the_canary_ends_the_run(meanwhile: Callable[[Web], Any], why: str, held: Web) -> None:
    def later(other: Web) -> None:
        other.admin.clock.sleep(600.0)
        meanwhile(other)

    with held.world.meanwhile(held, later), pytest.raises(VerbFailure, match=why) as raised:
        judged(held, duration=4 * HOUR)
    assert raised.value.code == "judged_inconclusive"
    assert raised.value.extra["verify"]["seconds"] < HOUR


def test_pods_that_cannot_be_listed_for_a_while_are_a_gap_and_no_failure(stage: Stage, held: Web) -> None:
    lines: list[str] = []
    held.api = api = stage.api("releaser")

    def may_not(*rights: tuple[str, str]) -> None:
        stage.server.forbidden[api.user] = frozenset(rights)

    stage.timeline.after(300.0, lambda: may_not(("list", "pods")))
    stage.timeline.after(900.0, may_not)
    outcome = judged(replace(held, report=lambda line: lines.append(str(line))), CERTAIN, inconclusive_ok=True)
    assert outcome.extra["verify"]["verdict"] == "inconclusive", outcome.message


def test_steps_go_on_from_the_verdict_of_the_one_before(held: Web) -> None:
    first = judged(held, steps=1, inconclusive_ok=True).extra["verify"]
    held.start(pods=3)
    second = judged(held, steps=1, history=first, inconclusive_ok=True).extra["verify"]
    assert second["hash"] == first["hash"]


REFUSED: dict[str, tuple[Callable[[Web], Any], str, str]] = {
    "nothing is held": (lambda web: (web.undo(), judged(web)), "no_canary_ready", "there is nothing to compare"),
    "another was meant": (
        lambda web: judged(replace(web, meant=Meant("7c6d9f54b"))), "other_release", "7c6d9f54b .*was expected",
    ),
    "the history is of another": (
        lambda web: judged(web, history={"hash": "7c6d9f54b"}), "other_release", "the history is of 7c6d9f54b",
    ),
    "a history that makes no sense": (lambda web: judged(web, history={"hash": web.info()["canary"]["hash"], "checks": 7}),
                                      "invalid", "checks should be a list"),
    "a guard of what is not promoted": (lambda web: judged(web, guard=True), "not_promoted", "A guard goes with a promotion"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_judged_is_refused(case: str, held: Web) -> None:
    call, code, message = REFUSED[case]
    with pytest.raises(VerbFailure, match=message) as raised:
        call(held)
    assert raised.value.code == code


def test_check_mode_reaches_each_source_once(held: Web) -> None:
    before = held.admin.clock.monotonic()
    outcome = judged(replace(held, checking=True))
    assert "nothing was judged in check mode; sources that answered: pods" in outcome.message
    assert held.admin.clock.monotonic() - before < 60


def test_in_check_mode_nothing_has_to_be_held(new: Callable[..., Web]) -> None:
    outcome = judged(replace(new().make(2), checking=True))
    assert outcome.message.endswith("nothing was judged") and outcome.extra["verify"]["verdict"] is None


# A promotion, and the new version after it.


def slowly_promoted(web: Web) -> Web:
    """Each of its new pods counts after five minutes."""
    web.make(4).patch({"spec": {"minReadySeconds": 300}})
    web.start()
    replace(web, wait=NO_WAIT).promote()
    assert web.phase == "promoting"
    return web


def guarded(web: Web, *checks: CheckAsked, **options: Any) -> Outcome:
    return judged(web, *checks, guard=True, **{"interval": 10.0, **options})


def test_a_guard_ends_when_the_new_version_serves_alone(new: Callable[..., Web]) -> None:
    web = slowly_promoted(new())
    outcome = guarded(web, duration=4 * HOUR)
    found = outcome.extra["verify"]
    assert "until the new version serves alone now" in outcome.message
    assert found["guard"]["beside_stable"] and 0 < found["guard"]["seconds"] < HOUR
    assert found["guard"]["left"] == pytest.approx(4 * HOUR - found["guard"]["seconds"])


def test_a_promotion_whose_pods_are_evicted_more_often_fails_while_it_goes_on(
    stage: Stage, new: Callable[..., Web]
) -> None:
    web = slowly_promoted(new())
    crashing(stage, "v2", every=20.0, since=5.0, what=is_evicted)
    message, found = failed(lambda: guarded(web, duration=4 * HOUR), "judged_fail")
    assert message.startswith(f'promotion of Deployment "{web.name}", guarded for ') and found["guard"]["beside_stable"]


def test_with_on_failure_hold_a_promotion_that_is_convicted_stops_where_it_is(
    stage: Stage, new: Callable[..., Web]
) -> None:
    web = slowly_promoted(new())
    crashing(stage, "v2", every=20.0, since=5.0, what=is_evicted)
    judge = VerifyRequest(web.call, (PODS,), HOUR, interval=10.0)
    asks = release_calls.asked(web, policies=Policies(headroom=Headroom.SKIP, on_failure=OnFailure.HOLD))
    failure, told = release_calls.failed(web, replace(asks, judge=judge, guard=4 * HOUR))
    assert told.outcome is Ending.FAILED and "stops where it is" in failure.message
    left = web.split()
    assert set(left) == {"v1", "v2"} and web.phase == "frozen"
    stage.test.sleep(HOUR)
    assert web.split() == left
    web.undo()
    assert web.split() == {"v1": 4}


def test_a_promotion_whose_pods_are_all_out_cannot_be_stopped_and_nobody_says_so(
    stage: Stage, new: Callable[..., Web]
) -> None:
    web = slowly_promoted(new())
    while web.split() != {"v2": 4}:
        stage.test.sleep(60.0)
    assert web.phase == "promoting", "nobody has finished it"
    canary = web.info()["canary"]["hash"]
    begun = Release(run=web.info()["run"], stage=StageOfARelease.PROMOTING, outcome=Ending.HELD, hash=canary)
    holds = Policies(headroom=Headroom.SKIP, on_failure=OnFailure.HOLD)
    asks = release_calls.asked(web, policies=holds)
    _, told = release_calls.failed(web, replace(asks, previous=begun, reject="its latency is bad"))
    assert told.why[-1] == "Its promotion came to its end before that, and the new version stays."
    assert web.phase == "none" and web.split() == {"v2": 4}


@pytest.mark.parametrize(("for_nodes", "ends"), [(300.0, ALONE_NOW), (20.0, "cannot be scheduled")])
def test_a_guard_is_as_patient_as_its_promotion_with_a_pod_that_waits_for_a_node(
    for_nodes: float, ends: str, stage: Stage, new: Callable[..., Web]
) -> None:
    web = new()
    web = replace(web, wait=replace(web.wait, for_nodes=for_nodes))
    slowly_promoted(web)
    stage.pods.natures = {"v2": Nature(homeless=True)}

    def finds_nodes() -> None:
        stage.pods.natures = {}
        for pod in [one for one in stage.pods.pods.values() if one.nature.homeless]:
            stage.pods.delete(pod)

    stage.timeline.after(100.0, finds_nodes)
    assert ends in guarded(web, duration=4 * HOUR).message


def test_a_promotion_of_an_earlier_run_is_guarded_by_the_next_one_and_taken_back(
    stage: Stage, new: Callable[..., Web]
) -> None:
    web = slowly_promoted(new())
    crashing(stage, "v2", every=20.0, since=5.0, what=is_evicted)
    asks = release_calls.asked(web)
    judge = VerifyRequest(web.call, (PODS,), HOUR, interval=10.0)
    _, told = release_calls.failed(web, replace(asks, judge=judge, guard=4 * HOUR))
    assert (told.outcome.value, told.verdicts[0].verdict) == ("undone", "fail")
    assert web.split() == {"v1": 4}


def test_one_pod_that_restarts_once_ends_no_promotion(stage: Stage, new: Callable[..., Web]) -> None:
    """Whether a look catches it while it is not Ready or not: one restart is an accident. It is told."""
    web = new().make(12, minReadySeconds=10)

    def once() -> None:
        pods = of(stage, "v2")
        if len(pods) < 6:
            stage.timeline.after(0.5, once)
        else:
            crashes(stage, pods[-1])

    stage.timeline.after(0.5, once)
    outcome, told = release_calls.released(web, release_calls.asked(web))
    assert told.outcome is Ending.RELEASED and web.split() == {"v2": 12}
    assert any("restarted 1 time" in warning for warning in outcome.warnings)


def test_a_promotion_that_cannot_go_on_ends_the_guard_at_once(stage: Stage, new: Callable[..., Web]) -> None:
    """Nothing more will be seen; what its pods did says the promotion itself."""
    web = slowly_promoted(new())
    stage.pods.natures = {"v2": Nature(waits="ImagePullBackOff")}
    crashing(stage, "v2", since=20.0, what=is_evicted)
    outcome = guarded(web, duration=4 * HOUR)
    assert "the promotion cannot go on: container app of pod " in outcome.message
    assert (outcome.extra["verify"]["verdict"], outcome.extra["verify"]["guard"]["seconds"] < 60) == (
        "inconclusive",
        True,
    )


ENDS: dict[str, tuple[Callable[[Web], Any], str]] = {
    "it is taken back": (
        lambda web: replace(web, wait=NO_WAIT).undo(),
        "until the promotion is no longer under way (phase undoing)",
    ),
    "it is paused": (lambda web: web.rollout("pause"), "until the promotion is no longer under way (phase frozen)"),
    "it is replaced": (lambda web: web.set_image("v7"), "until the promotion is no longer under way (phase foreign)"),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_guard_ends_with_its_promotion(case: str, new: Callable[..., Web]) -> None:
    web, (meanwhile, why) = slowly_promoted(new()), ENDS[case]

    def later(other: Web) -> None:
        other.admin.clock.sleep(60.0)
        meanwhile(other)

    with web.world.meanwhile(web, later):
        outcome = guarded(web, duration=4 * HOUR)
    assert why in outcome.message
    assert outcome.extra["verify"]["verdict"] == "inconclusive", outcome.message
    assert outcome.extra["verify"]["guard"]["seconds"] < 200


def promoted(web: Web) -> Web:
    web.make(4).start()
    web.promote()
    return web


def test_a_new_version_that_serves_alone_is_looked_at_for_the_whole_time(new: Callable[..., Web]) -> None:
    web = promoted(new())
    outcome = guarded(web)
    found = outcome.extra["verify"]
    assert outcome.message.startswith(
        f'new version of Deployment "{web.name}", guarded for 3600 seconds, with no stable pod'
    )
    assert found["verdict"] != "fail" and not found["guard"]["beside_stable"] and found["guard"]["left"] == 0


def test_a_new_version_that_crashes_alone_fails(stage: Stage, new: Callable[..., Web]) -> None:
    web = promoted(new())
    crashing(stage, "v2", every=20.0, since=300.0)
    message, found = failed(lambda: guarded(web), "judged_fail")
    assert "and so without a promise about errors: fail" in message and 300 < found["guard"]["seconds"] < HOUR


@pytest.mark.parametrize(("replicas", "check"), [(1, PODS), (2, PODS), (4, PODS), (4, COUNTED)])
def test_a_new_version_that_hangs_alone_fails_however_few_pods_it_has(
    replicas: int, check: CheckAsked, stage: Stage, new: Callable[..., Web]
) -> None:
    """Not Ready once, and never again; also where what is counted stops with the last stable pod."""
    web = new().make(replicas)
    web.start()
    web.promote()
    for pod in of(stage, "v2"):
        stage.timeline.after(300.0, partial(stage.pods.is_unready, pod, 2 * HOUR))
    message, found = failed(lambda: guarded(web, check), "judged_fail")
    assert "and so without a promise about errors: fail" in message and 300 < found["guard"]["seconds"] < 400


def test_another_release_ends_the_look_at_the_one_before(new: Callable[..., Web]) -> None:
    web = promoted(new())

    def later(other: Web) -> None:
        other.admin.clock.sleep(600.0)
        other.start("v3")

    with web.world.meanwhile(web, later):
        outcome = guarded(web)
    assert "until another release began (phase " in outcome.message
    assert outcome.extra["verify"]["guard"]["seconds"] == pytest.approx(610, abs=30)


def test_check_mode_reaches_the_sources_of_a_guard_once(new: Callable[..., Web]) -> None:
    for web in (slowly_promoted(new()), promoted(new())):
        outcome = guarded(replace(web, checking=True))
        assert "nothing was judged in check mode; sources that answered: pods" in outcome.message


def test_in_check_mode_a_canary_that_is_held_would_be_promoted_first(held: Web) -> None:
    outcome = guarded(replace(held, checking=True))
    assert outcome.message == "a canary is held, and its promotion is only planned; nothing was judged"


def test_pods_that_somebody_gave_another_image_are_no_evidence(stage: Stage, held: Web) -> None:
    """Ready, and nothing speaks against them; but they do not run what would be promoted."""

    def hotfix() -> None:
        pod = stage.store.of("pods")[of(stage, "v2")[0].name]
        entries: list[Json] = [
            {"manager": manager, "fieldsV1": {"f:spec": {"f:containers": {'k:{"name":"app"}': {field: {}}}}}}
            for manager, field in (("kube-controller-manager", "f:name"), ("kubectl-set", "f:image"))
        ]
        stage.store.put("pods", {**pod, "metadata": {**pod["metadata"], "managedFields": entries}}, "kubectl-set")

    stage.timeline.after(HOUR / 2, hotfix)
    message, verdict = failed(lambda: judged(held), "judged_inconclusive")
    assert '"kubectl-set" gave a container of pod' in message and verdict["verdict"] == "inconclusive"
