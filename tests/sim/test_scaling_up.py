# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`autoscaler: hold`: a Deployment may be scaled up in every moment of a release, and the split is never destroyed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import AutoscalerPolicy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.release_calls import asked, failed, released
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, Foreign, History, Script
from tests.sim.objects import AUTOSCALER_NAME, NAME, image
from tests.sim.pods import Nature
from tests.sim.stage import Stage
from tests.sim.store import Change
from tests.sim.world import Played, World
from tests.situations import Web
from tests.toolchain.sampled import sampled

AT = 8.0
BOUNDS = (2, 60)
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 60}, "scaleUp": {"selectPolicy": "Min"}}
NATURES = {version: Nature(0.5, 2.0) for version in ("v1", "v2")}
START = Ask("start", autoscaler="hold")
BAKE, PROMOTE, UNDO = Ask("bake", seconds=60.0), Ask("promote"), Ask("undo")


class Watched(World):
    """What became of the pods and of the autoscaler, at each change. `behavior`: what its owner had written."""

    def __init__(self, history: History, behavior: Any = None) -> None:
        super().__init__(history)
        # Of each moment in which a canary was held: replicas, and the pods that both versions were to have.
        self.splits: list[tuple[int, int, int]] = []
        self.behavior = behavior
        self.store.listen(self._hear)
        self.timeline.at(1.0, self._give_behavior)

    def _give_behavior(self) -> None:
        scaler = self.scaler
        if self.behavior is not None:
            meta = {**scaler["metadata"], "generation": scaler["metadata"]["generation"] + 1}
            written = {**scaler, "spec": {**scaler["spec"], "behavior": self.behavior}, "metadata": meta}
            self.store.put("horizontalpodautoscalers", written, "somebody")

    @property
    def scaler(self) -> Any:
        found = self.store.get("horizontalpodautoscalers", AUTOSCALER_NAME)
        assert found is not None
        return found

    def _hear(self, change: Change) -> None:
        deployment = self.store.get("deployments", NAME)
        if change.kind != "replicasets" or deployment is None or deployment["spec"].get("minReadySeconds", 0) < 1000:
            return
        asked = {"v1": 0, "v2": 0}
        for one in self.store.of("replicasets").values():
            tag = one["spec"]["template"]["spec"]["containers"][0]["image"]
            asked |= {version: one["spec"]["replicas"] for version in asked if tag == image(version)}
        self.splits.append((deployment["spec"]["replicas"], asked["v1"], asked["v2"]))

    def played(self) -> Played:
        found = self.play()
        assert not found.violations, found.violations
        return found

    def assert_given_back(self) -> None:
        spec = self.scaler["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == BOUNDS
        assert spec.get("behavior") == self.behavior
        assert AUTOSCALER not in (self.scaler["metadata"].get("annotations") or {})


def world(
    *asks: Ask, load: tuple[tuple[float, int], ...] = (), replicas: int = 4, end: End = End.PROMOTE, **more: Any
) -> Watched:
    behavior = more.pop("behavior", None)
    scripts = more.pop("scripts", (Script("ana", AT, asks=asks),))
    history = History(
        replicas=replicas, bounds=BOUNDS, load=load, scripts=scripts, end=end, **{"natures": NATURES, **more}
    )
    return Watched(history, behavior)


def told(played: Played) -> list[str]:
    return [call.told() for call in played.calls if call.actor == "ana"]


@pytest.mark.parametrize("behavior", [None, BEHAVIOR, {"scaleDown": {"selectPolicy": "Disabled"}}])
@pytest.mark.parametrize("end", End)
def test_it_may_scale_up_and_not_down_and_is_given_back_as_it_was(end: End, behavior: Any) -> None:
    one = world(START, BAKE, end=end, load=((0.0, 4), (40.0, 2), (50.0, 9), (60.0, 3)), behavior=behavior)
    seen: list[Any] = []
    one.timeline.at(45.0, lambda: seen.append(one.scaler["spec"]))
    played = one.played()
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told(played)), told(played)
    assert (seen[0]["minReplicas"], seen[0]["maxReplicas"]) == (4, 60)
    assert seen[0]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
    assert seen[0]["behavior"]["scaleDown"]["tolerance"] == "0"
    assert {replicas for replicas, _stable, _canary in one.splits} >= {4, 9}
    one.assert_given_back()


SPLITS, GROWTHS = ((4, 1), (4, 3), (10, 1), (10, 3), (10, 5), (3, 2)), (5, 8, 12, 20)


@pytest.mark.parametrize(
    ("replicas", "pods", "growth"), sampled([(*split, growth) for split, growth in product(SPLITS, GROWTHS)])
)
def test_however_far_it_is_scaled_up_the_canary_keeps_its_share_but_for_a_pod_and_no_stable_pod_goes(
    replicas: int, pods: int, growth: int
) -> None:
    """At once, and then one after the other."""
    load = (
        (0.0, replicas),
        (40.0, replicas + growth),
        *((60.0 + 16.0 * n, replicas + growth + n) for n in range(1, 5)),
    )
    one = world(replace(START, pods=pods, surge=pods), replace(BAKE, seconds=150.0), load=load, replicas=replicas)
    played = one.played()
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told(played)), told(played)
    before = 0
    for now, stable, canary in one.splits:
        assert stable >= before and stable > canary, one.splits
        if canary:
            share = (canary - 1) / (stable + canary)
            assert share <= pods / (replicas + pods), (now, stable, canary)
        before = stable
    now, stable, canary = one.splits[-1]
    assert now == replicas + growth + 4 and stable + canary == now + pods
    one.assert_given_back()


@pytest.mark.parametrize("pods", [1, 2])
def test_a_canary_of_so_many_pods_that_gets_a_share_of_the_requests_bears_it_of_more_too(pods: int) -> None:
    load = ((0.0, 4), *((40.0 + 20.0 * n, 5 + n) for n in range(8)))
    ask = replace(START, pods=pods, surge=pods, share="25")
    one = world(ask, replace(BAKE, seconds=250.0), load=load, gateway=Lags())
    played = one.played()
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told(played)), told(played)
    assert one.splits[-1] == (12, 12, 3 * pods)
    one.assert_given_back()


@pytest.mark.parametrize("then", ["hold", "refuse", "ignore"])
def test_a_later_step_bears_what_is_scaled_up_as_the_release_began_whatever_it_says_itself(then: str) -> None:
    load = ((0.0, 4), *((60.0 + 20.0 * n, 5 + n) for n in range(8)))
    first, second = replace(START, surge=4, share="5"), replace(START, pods=2, surge=4, share="40", autoscaler=then)
    one = world(first, second, replace(BAKE, seconds=250.0), load=load, gateway=Lags())
    played = one.played()
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told(played)), told(played)
    assert one.splits[-1] == (12, 12, 6)
    one.assert_given_back()


SHARES = ((2, 25), (3, 20), (4, 10), (4, 30), (7, 15), (10, 5), (10, 20), (10, 40), (25, 10))


@pytest.mark.parametrize(
    ("replicas", "weight", "growth"),
    sampled([(*share, growth) for share, growth in product(SHARES, (1, 3, *GROWTHS))]),
)
def test_a_canary_that_was_asked_for_as_a_share_grows_with_the_deployment(
    replicas: int, weight: int, growth: int
) -> None:
    """At once, and then one after the other: it is never less than that share, and at most a pod more for each time it was rounded."""
    load = (
        (0.0, replicas),
        (40.0, replicas + growth),
        *((60.0 + 16.0 * n, replicas + growth + n) for n in range(1, 5)),
    )
    ask = replace(START, pods=None, weight=weight, surge=99)
    one = world(ask, replace(BAKE, seconds=150.0), load=load, replicas=replicas)
    at_first: list[int] = []
    strategy: list[Any] = []
    one.timeline.at(38.0, lambda: at_first.append(one.splits[-1][2]))
    one.timeline.at(38.0, lambda: strategy.append(one.store.of("deployments")[NAME]["spec"]["strategy"]))
    played = one.played()
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told(played)), told(played)
    percent = int(strategy[0]["rollingUpdate"]["maxSurge"].removesuffix("%"))
    assert strategy[0]["rollingUpdate"]["maxUnavailable"] == 0
    before = 0
    for now, stable, canary in one.splits:
        # The controller makes stable pods of the surge at first, and exchanges these for canary pods.
        assert stable >= before and stable > canary, one.splits
        before = max(before, min(stable, now))
    now, stable, canary = one.splits[-1]
    wanted = -(-percent * now // 100)
    assert now == replicas + growth + 4 and stable + canary == now + wanted
    assert wanted <= canary <= wanted + 1, one.splits
    assert at_first == [-(-percent * replicas // 100)]
    one.assert_given_back()


SHARE = replace(START, pods=None, weight=20, surge=99)


@pytest.mark.parametrize(
    "then",
    [replace(SHARE, weight=40), replace(SHARE, pods=3, weight=None, autoscaler="ignore"), SHARE],
    ids=["a larger share", "a larger number", "no more"],
)
def test_a_share_that_is_there_takes_one_patch_whatever_comes_next_and_check_mode_says_so(then: Ask) -> None:
    """By whoever takes it over, so that there is something to write in any case."""
    ben = Script("ben", 20.0, names="run", asks=(replace(then, check=True), replace(then, wait=False)))
    one = world(scripts=(Script("ana", AT, asks=(SHARE,)), ben))
    foretold, done = (call.told() for call in one.played().calls if call.actor == "ben")
    assert foretold.startswith("changed: would hold") and foretold.endswith("in 1 patch"), foretold
    assert done.startswith("changed: holding"), done


@pytest.mark.parametrize("last", [PROMOTE, UNDO], ids=["promote", "undo"])
@pytest.mark.parametrize("moment", sampled([AT + n / 2 for n in range(0, 80, 3)]))
def test_a_share_goes_through_its_steps_in_whichever_moment_it_wants_more(moment: float, last: Ask) -> None:
    first = replace(START, pods=None, weight=20, surge=99)
    end = End.PROMOTE if last is PROMOTE else End.UNDO
    asks = (first, replace(first, weight=40), replace(BAKE, seconds=10.0), last)
    played = (one := world(*asks, load=((0.0, 4), (moment, 11)), end=end)).played()
    assert all(line.startswith(("changed", "ok: ")) for line in told(played)), told(played)
    one.assert_given_back()


@pytest.mark.parametrize("number", sampled(range(0, 30, 3)))
@pytest.mark.parametrize("kind", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
def test_of_a_share_whoever_dies_leaves_what_the_next_one_ends(kind: Fault, number: int) -> None:
    first = replace(START, pods=None, weight=20, surge=99)
    asks = (first, replace(first, weight=40), UNDO if number % 2 else PROMOTE)
    dies = Script("ana", AT, asks=asks, faults=(Planned(number, kind),))
    one = world(load=((0.0, 4), (20.0, 9)), scripts=(dies,), end=End.UNDO)
    one.played()
    one.assert_given_back()


@pytest.mark.parametrize("moment", sampled([AT + n / 4 for n in range(0, 160, 3)]))
@pytest.mark.parametrize("last", [PROMOTE, UNDO], ids=["promote", "undo"])
def test_in_whichever_moment_it_wants_more_the_release_goes_through(moment: float, last: Ask) -> None:
    end = End.PROMOTE if last is PROMOTE else End.UNDO
    one = world(START, replace(BAKE, seconds=15.0), last, load=((0.0, 4), (moment, 9)), end=end)
    played = one.played()
    assert all(line.startswith(("changed", "ok: ")) for line in told(played)), told(played)
    one.assert_given_back()
    assert one.store.of("deployments")[NAME]["spec"]["replicas"] in (4, 9), "it looks every 15 seconds"


@pytest.mark.parametrize("number", sampled(range(30)))
@pytest.mark.parametrize("kind", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
def test_whoever_dies_leaves_an_autoscaler_that_the_next_one_gives_back(kind: Fault, number: int) -> None:
    asks = (START, UNDO) if number % 2 else (START, PROMOTE)
    dies = Script("ana", AT, asks=asks, faults=(Planned(number, kind),))
    one = world(load=((0.0, 4), (20.0, 7)), scripts=(dies,), end=End.UNDO, behavior=BEHAVIOR)
    one.played()
    one.assert_given_back()


def test_a_size_beside_which_nothing_may_be_added_is_refused_and_nothing_is_changed() -> None:
    for ask, replicas in (
        (replace(START, pods=4, surge=4), 4),
        (replace(START, pods=2, surge=1), 4),
    ):
        one = world(ask, replicas=replicas)
        played = one.play()
        (call,) = (call for call in played.calls if call.actor == "ana")
        assert isinstance(call.result, VerbFailure) and call.result.code == "autoscaler", call.told()
        assert not call.result.changed and "autoscaler=pin" in call.result.message
        assert AUTOSCALER not in (one.scaler["metadata"].get("annotations") or {})


def test_a_second_step_that_would_outgrow_the_stable_pods_is_refused_and_the_first_one_stays() -> None:
    one = world(START, replace(START, pods=3, surge=3), replace(START, pods=4, surge=4))
    played = one.played()
    first, second, third = told(played)
    assert first.startswith("changed: holding 1 canary") and second.startswith("changed: holding 3 canary")
    assert third.startswith("failed (autoscaler)"), third


def test_who_scales_down_by_hand_is_noticed_and_the_stable_pods_stay_as_many_as_there_are_replicas() -> None:
    one = world(START, BAKE, replicas=6, foreign=(Foreign(40.0, "kubectl scale", 3),), end=End.UNDO)
    played = one.play()
    started, baked = (call.result for call in played.calls if call.actor == "ana")
    assert isinstance(started, Outcome) and isinstance(baked, VerbFailure)
    assert "scaled the Deployment from 6" in baked.message
    assert all(stable >= now or canary == 0 for now, stable, canary in one.splits[-3:]), one.splits


@pytest.mark.parametrize("owner", ["minReplicas", "behavior"])
def test_what_its_owner_applies_meanwhile_stays_and_the_rest_is_given_back(owner: str) -> None:
    one = world(START, BAKE, behavior=BEHAVIOR)
    theirs = {"minReplicas": 3, "behavior": {"scaleDown": {"selectPolicy": "Max"}}}

    def applies() -> None:
        scaler = one.scaler
        meta = {**scaler["metadata"], "generation": scaler["metadata"]["generation"] + 1}
        spec = {**scaler["spec"], owner: theirs[owner]}
        one.store.put("horizontalpodautoscalers", {**scaler, "spec": spec, "metadata": meta}, "somebody")

    one.timeline.at(50.0, applies)
    one.play()
    spec = one.scaler["spec"]
    assert (spec["minReplicas"], spec["behavior"]) == (
        (3, BEHAVIOR) if owner == "minReplicas" else (2, theirs["behavior"])
    )


@pytest.mark.parametrize("weight", [20, 50])
def test_a_share_of_a_deployment_that_nothing_scales_is_held_as_any_other(weight: int, new: Callable[..., Web]) -> None:
    web = new().make(10)
    web.start(pods=None, weight=weight, surge=10, autoscaler=AutoscalerPolicy.HOLD)
    assert web.phase == "held"


@pytest.mark.parametrize("watch", [BAKE, Ask("release", pods=None, weight=20, surge=4, autoscaler="hold")])
def test_pods_that_came_with_a_scale_up_right_before_whoever_watches_get_their_time(watch: Ask) -> None:
    slow = {version: Nature(3.0, 4.0) for version in NATURES}
    start = replace(START, pods=None, weight=20, surge=4)
    foreign = (Foreign(25.0, "kubectl scale", 16),)
    one = world(start, replace(watch, think=14.0), natures=slow, foreign=foreign, end=End.UNDO)
    assert [line.partition(":")[0] for line in told(one.play())] == ["changed", "ok" if watch is BAKE else "changed"]


def test_a_whole_release_goes_on_from_step_to_step_while_it_is_scaled_up(new: Callable[..., Web], stage: Stage) -> None:
    web = new().make(4)
    web.autoscaler(2, 20)
    before = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"]
    asks = asked(web, pods=(1, 3))
    request = replace(asks, start=replace(asks.start, autoscaler=AutoscalerPolicy.HOLD, surge=None))
    request = replace(request, steps=tuple(replace(step, bake=60.0) for step in request.steps))
    stage.autoscalers.load = ((0.0, 4), (stage.timeline.now + 30.0, 7), (stage.timeline.now + 80.0, 10))
    outcome, told = released(web, request)
    assert (told.outcome.value, web.split()) == ("released", {"v2": 10}), outcome.message
    spec = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"]
    assert spec == {**before, "minReplicas": 2}


@pytest.mark.parametrize("pods", [(1, 4), (4,)], ids=["a later step", "the first step"])
def test_a_step_that_would_not_stand_a_scale_up_takes_the_release_back(
    pods: tuple[int, ...], new: Callable[..., Web]
) -> None:
    web = new().make(4)
    web.autoscaler(2, 20)
    asks = asked(web, pods=pods)
    request = replace(asks, start=replace(asks.start, autoscaler=AutoscalerPolicy.HOLD, surge=None))
    failure, told = failed(web, request)
    assert failure.code == "autoscaler" and "would not stay so when it is scaled up" in failure.message
    assert web.split() == {"v1": 4} and web.bounds() == (2, 20)
    assert told.outcome.value in ("refused", "undone")
