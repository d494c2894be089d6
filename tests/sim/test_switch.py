# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blue and green by the selector of a Service, before a proxy that hears late of its endpoints: no request fails, everybody is on one
version at any time, and the selector comes back as it was."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.controllers import Pace
from tests.sim.faults import Fault, Planned, failing
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, Foreign, History, Script
from tests.sim.objects import LABELS, NAME, Json, image
from tests.sim.store import Change
from tests.sim.test_traffic import DRAINING, assert_as_before, played, told
from tests.sim.world import World
from tests.toolchain.sampled import sampled

BLUE = Ask("start", pods=4, surge=4, share="0", kind="service_selector")
GREEN = replace(BLUE, share="100", think=1.0)
PROMOTE, UNDO = Ask("promote", keep=20.0, think=1.0), Ask("undo", think=1.0)
RELEASE = Ask("release", shares=("0",), by="weights", kind="service_selector", keep=30.0)


def world(
    *asks: Ask, seed: int = 0, faults: tuple[Planned, ...] = (), again: bool = False, end: End = End.UNDO
) -> World:
    scripts = [Script("ana", 8.0, asks=asks, faults=faults)]
    if again:
        scripts.append(Script("again", 60.0, asks=asks))
    lags = Lags(endpoints=random.Random(seed).choice((0.1, 1.0)))
    return World(History(seed=seed, natures=DRAINING, scripts=tuple(scripts), end=end, gateway=lags), traced=True)


def assert_clean(one: World) -> None:
    assert_as_before(one)
    service = one.store.get("services", NAME)
    assert service is not None and service["spec"]["selector"] == LABELS
    assert not service["metadata"].get("annotations")


def shares(one: World, begins: float = 0.0, ends: float = 1e9) -> list[Fraction]:
    """What users of the Service get of the new version, in its order, without what stays the same."""
    assert one.proxy is not None
    found = [share for at, share in one.proxy.seen if begins <= at < ends]
    return [share for number, share in enumerate(found) if not number or found[number - 1] != share]


@pytest.mark.parametrize(
    ("has", "said"),
    [
        ({"spec": {"clusterIP": "None"}}, "is headless"),
        ({"spec": {"internalTrafficPolicy": "Local"}}, "so that what comes to a node without a pod of the version"),
        ({"spec": {"type": "NodePort", "externalTrafficPolicy": "Local"}}, "until its load balancer has noticed"),
        ({"metadata": {"annotations": {"service.cilium.io/global": "true"}}}, "is one of several clusters"),
    ],
)
def test_what_clients_notice_of_a_switch_is_told(has: Json, said: str) -> None:
    one = world(BLUE)
    service = one.store.get("services", NAME)
    assert service is not None
    one.store.put("services", service | {part: {**service[part], **new} for part, new in has.items()}, "its owner")
    started = one.play().calls[0].result
    assert isinstance(started, Outcome)
    assert [said in warning for warning in started.warnings] == [True], started.warnings


def test_everybody_is_switched_at_once_there_and_back_and_there() -> None:
    one = world(BLUE, GREEN, replace(BLUE, think=5.0), GREEN, PROMOTE, end=End.PROMOTE)
    found = played(one)
    of_all = "(50.0 % of all pods), which get {} % of the requests (proven)"
    assert [line[line.index("(") :] for line in told(found)[:4]] == [of_all.format(it) for it in (0, 100, 0, 100)]
    assert shares(one, ends=found.calls[4].ended or 0.0) == [0, 1, 0, 1]
    assert_clean(one)


def test_an_undo_switches_back_before_a_pod_goes() -> None:
    one = world(BLUE, GREEN, UNDO)
    played(one)
    assert shares(one) == [0, 1, 0]
    assert_clean(one)


def test_the_old_pods_stay_as_long_as_they_are_to_be_kept() -> None:
    one = world(BLUE, PROMOTE, end=End.PROMOTE)
    gone: list[float] = []

    def hear(change: Change) -> None:
        if change.kind == "replicasets" and change.after is not None:
            containers = change.after["spec"]["template"]["spec"]["containers"]
            if containers[0]["image"] == image("v1") and change.after["spec"]["replicas"] < 4:
                gone.append(change.at)

    one.store.listen(hear)
    found = played(one)
    promoted = found.calls[1]
    assert min(gone) - promoted.begun > 20.0
    assert_clean(one)


@pytest.mark.parametrize("first", ["pods", "weights"])
@pytest.mark.parametrize("then", ["pods", "weights"])
@pytest.mark.parametrize("think", [0.3, 1.2, 2.2])
def test_a_promotion_that_was_stopped_goes_on_with_its_routes_as_they_are(first: str, then: str, think: float) -> None:
    """It has taken pods that they would send users to."""
    promote = replace(PROMOTE, keep=0.0)
    stopped = (replace(promote, by=first, wait=False), Ask("pause", think=think), replace(promote, by=then))
    history = world(BLUE, *stopped, end=End.PROMOTE).history
    slow = Pace(0.5, 0.5)
    one = World(replace(history, max_surge="50%", max_unavailable=0, deployments=slow, replica_sets=slow))
    said = told(played(one))
    assert said[2].startswith("changed: paused") and said[3].startswith("changed: promoted"), said
    assert_clean(one)


def test_a_whole_release_looks_at_green_and_switches_and_keeps_blue() -> None:
    one = world(RELEASE, end=End.PROMOTE)
    found = played(one)
    outcome = found.calls[0].result
    assert isinstance(outcome, Outcome) and outcome.extra["release"]["outcome"] == "released"
    moments = outcome.extra["release"]["timeline"]
    assert [(one["what"], one["share"]) for one in moments if one["what"] in ("start", "bake")] == [
        ("start", 0.0), ("bake", 0.0), ("start", 100.0), ("bake", 100.0),
    ]  # fmt: skip
    assert shares(one) == [0, 1]
    assert_clean(one)


@pytest.mark.parametrize("number", sampled(range(40)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 4 == 3 else Fault.KILLED_AFTER
    asks = (BLUE, GREEN, replace(PROMOTE, keep=0.0) if number % 2 else UNDO)
    end = End.PROMOTE if number % 2 else End.UNDO
    one = world(*asks, seed=number, faults=(Planned(2 * number, kind),), again=number % 3 == 0, end=end)
    played(one)
    assert set(shares(one)) <= {Fraction(0), Fraction(1)}
    assert_clean(one)


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_requests_that_fail_are_tried_again_and_nothing_is_left(seed: int) -> None:
    chance = random.Random(seed)
    faults = failing(chance, 90)
    end = chance.choice((End.PROMOTE, End.UNDO))
    one = world(
        BLUE, GREEN, replace(PROMOTE, keep=0.0) if end is End.PROMOTE else UNDO, seed=seed, faults=faults, end=end
    )
    played(one)
    assert_clean(one)


def test_check_mode_tells_the_selector_and_writes_nothing() -> None:
    one = world(replace(BLUE, check=True), BLUE, Ask("promote", check=True), UNDO)
    found = played(one)
    before, after = found.calls[0].result, found.calls[2].result
    assert isinstance(before, Outcome) and isinstance(after, Outcome)
    assert not found.calls[0].writes and not found.calls[2].writes
    assert before.after["web: selector"] == f"app=web, pod-template-hash={before.canary['stable']['hash']}"
    assert after.after["web: selector"] != before.after["web: selector"]


def test_green_that_is_too_small_for_everybody_is_refused() -> None:
    small = replace(BLUE, pods=2, surge=2)
    found = played(world(small, replace(small, share="100")))
    assert told(found)[1].startswith("failed (overloaded)")


def test_a_third_version_while_blue_serves_is_nothing_that_a_user_notices() -> None:
    history = world(BLUE, replace(UNDO, think=60.0)).history
    one = World(replace(history, foreign=(Foreign(40.0, "kubectl set image", version="v3"),)), traced=True)
    found = one.play()
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]
    assert shares(one) == [0]
    assert_clean(one)


def test_whoever_is_on_green_is_told_what_would_empty_it() -> None:
    found = played(world(BLUE, GREEN))
    blue, green = found.calls[0].result, found.calls[1].result
    assert isinstance(blue, Outcome) and isinstance(green, Outcome)
    warned = ["would empty it" in " ".join(one.warnings) for one in (blue, green)]
    assert warned == [False, True]


@pytest.mark.parametrize("serves", [BLUE, GREEN], ids=["blue", "green"])
def test_a_service_of_a_release_whose_record_is_lost_is_found_again_and_given_back(serves: Ask) -> None:
    history = world(BLUE, serves, Ask("info", think=40.0)).history
    one = World(replace(history, foreign=(Foreign(40.0, "record garbled"),)), traced=True)
    found = one.play()
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]
    assert ("undo", True) in [
        (call.ask.verb, call.restores is not None) for call in found.calls if call.actor == "last"
    ]
    assert_clean(one)


def test_a_selector_that_somebody_edits_keeps_the_edit_and_is_switched_once_more() -> None:
    one = world(BLUE, replace(BLUE, think=30.0), UNDO)

    def edit() -> None:
        service = one.store.get("services", NAME)
        assert service is not None
        one.store.put("services", {**service, "spec": {**service["spec"], "selector": dict(LABELS)}}, "argocd")

    one.timeline.at(30.0, edit)
    found = one.play()
    again = found.calls[1].result
    assert isinstance(again, Outcome) and again.changed
    assert any('somebody else writes the selector of Service "web"' in text for text in again.warnings)
    assert_clean(one)


def test_green_that_lacks_a_port_at_which_blue_is_reached_gets_nobody() -> None:
    """Pods are given the port by a webhook, which has missed those of green: they are Ready, and no proxy knows one of them."""
    one = world(BLUE, GREEN, UNDO)

    def name_the_port() -> None:
        service = one.store.get("services", NAME)
        assert service is not None
        (port,) = service["spec"]["ports"]
        for pod in one.store.of("pods").copy().values():
            (app,) = pod["spec"]["containers"]
            named = {**app, "ports": [{"name": "http", "containerPort": 8080}]}
            one.store.put("pods", {**pod, "spec": {**pod["spec"], "containers": [named]}}, "webhook")
        ports = [{**port, "targetPort": "http"}]
        one.store.put("services", {**service, "spec": {**service["spec"], "ports": ports}}, "somebody")

    one.timeline.at(6.0, name_the_port)
    found = played(one)
    for line in told(found)[:2]:
        assert "0 Ready endpoints of 4" in line and "none for its port http" in line
    assert shares(one) == [0]
    assert_clean(one)
