# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through an Ingress and its canary Ingress, before an ingress-nginx that nobody can ask and that hears late: no request of a user
fails, nobody gets the canary who was not to get it, and both Ingresses come back as they were."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.controllers import Pace
from tests.sim.faults import Fault, Planned, failing
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.nginx import AFFINITY, INGRESS_NGINX, PATHS
from tests.sim.objects import NAME, Json
from tests.sim.test_traffic import played, told
from tests.sim.test_traffic import world as routed
from tests.sim.world import World
from tests.toolchain.sampled import in_turn, sampled

# As late as its own limit of one configuration in 3.3 s makes it, and a reload.
SLOW = Lags(5.0, 2.0)
START = Ask("start", share="5", kind=INGRESS_NGINX)
GROW = replace(START, pods=3, surge=3, share="50", think=1.0)
FULL = replace(GROW, pods=4, surge=4)
CANARY_INGRESS = f"{NAME}-coalmine-canary"
DRAIN, RESUME = Ask("pause", think=5.0, drain=True), Ask("resume", think=5.0)


world = partial(routed, lags=SLOW)


def assert_as_before(one: World) -> None:
    """The user's Ingress, and nothing of ours."""
    (name,), (item,) = one.store.of("ingresses"), one.store.of("ingresses").values()
    assert name == NAME and item["spec"]["rules"] == PATHS and not item["metadata"].get("annotations")
    assert list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize(("share", "pods"), [("0", 1), ("100", 4)])
def test_requests_with_the_header_get_the_canary_until_every_pod_is_new(share: str, pods: int) -> None:
    """Everybody is on the canary without a canary Ingress, which is then made with the header before the Ingress changes."""
    start = replace(START, share=share, header="x-canary", pods=pods, surge=pods)
    one = world(start, Ask("promote", by="pods", think=1.0), end=End.PROMOTE)
    played(one)
    assert_as_before(one)


KEPT = replace(START, share="20", sticky=True)


def test_users_keep_their_version_by_the_cookie_of_the_controller_until_they_are_promoted_at_once() -> None:
    grow = replace(KEPT, share="50", pods=2, surge=2, think=1.0)
    asks = (KEPT, grow, Ask("promote", by="pods"), replace(grow, share="75", pods=4, surge=4), Ask("promote"))
    one = world(*asks, end=End.PROMOTE)
    found = played(one)
    assert [line.partition(" ")[0] for line in told(found)] == [
        "changed:",
        "changed:",
        "failed",
        "changed:",
        "changed:",
    ]
    assert "its users keep the version that they have seen" in told(found)[2]
    (route,) = one.store.of("ingresses").values()
    assert route["spec"]["rules"] == PATHS and route["metadata"]["annotations"] == AFFINITY


@pytest.mark.parametrize("number", sampled(range(0, 48, 4)))
def test_a_death_at_any_request_of_a_sticky_release_fails_no_request(number: int) -> None:
    end = End.PROMOTE if number % 8 else End.UNDO
    asks = (KEPT, replace(KEPT, share="50", pods=4, surge=4, think=1.0), Ask(end.value, think=1.0))
    played(world(*asks, seed=number, faults=(Planned(number, Fault.KILLED_AFTER),), end=end))


def test_check_mode_writes_nothing_and_tells_both() -> None:
    one = world(replace(START, check=True), START, replace(GROW, check=True), Ask("promote", check=True))
    found = played(one)
    before, grown, after = (found.calls[number].result for number in (0, 2, 3))
    assert isinstance(before, Outcome) and isinstance(grown, Outcome) and isinstance(after, Outcome)
    assert before.after["web: canary Ingress"].endswith(" 5 %")
    assert grown.before["web: canary Ingress"].endswith(" 5 %") and grown.after["web: canary Ingress"].endswith(" 50 %")
    assert after.after["web: path shop.example/"] == "web"


@pytest.mark.parametrize("number", sampled(range(0, 72, 2)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 4 == 2 else Fault.KILLED_AFTER
    by = ("pods", "weights")[number // 2 % 2]
    last = Ask("promote", think=1.0, by=by) if number % 8 < 6 else Ask("undo", think=1.0)
    end = End.PROMOTE if last.verb == "promote" else End.UNDO
    one = world(START, FULL, last, seed=number, faults=(Planned(number, kind),), again=number % 6 == 0, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_requests_that_fail_are_tried_again_and_nothing_is_left(seed: int) -> None:
    chance = random.Random(seed)
    faults = failing(chance, 90)
    end = chance.choice((End.PROMOTE, End.UNDO))
    lags = Lags(chance.choice((0.1, 5.0)), chance.choice((0.1, 2.0)))
    one = world(START, FULL, Ask(end.value, think=1.0), seed=seed, faults=faults, end=end, lags=lags)
    played(one)
    assert_as_before(one)


def test_an_ingress_that_somebody_put_back_gets_its_share_once_more() -> None:
    one = world(START, replace(START, think=60.0))

    def put_back() -> None:
        item = one.store.get("ingresses", NAME)
        assert item is not None
        meta = {**item["metadata"], "generation": item["metadata"]["generation"] + 1}
        one.store.put(
            "ingresses", {**item, "metadata": meta, "spec": {**item["spec"], "rules": copy.deepcopy(PATHS)}}, "argocd"
        )

    one.timeline.at(80.0, put_back)
    again = played(one).calls[1].result
    assert isinstance(again, Outcome) and again.changed
    assert any('the backends of Ingress "web"' in text for text in again.warnings)
    assert again.extra["exposure"]["weight"] == 5.0
    assert_as_before(one)


def _default_class(kind: str, before: Json | None, after: Json) -> Json:
    """Admission DefaultIngressClass: only what is made."""
    if kind != "ingresses" or before is not None:
        return after
    return {**after, "spec": {"ingressClassName": "nginx", **after["spec"]}}


def test_a_class_that_the_server_gave_the_canary_ingress_is_nobodys_change() -> None:
    """The user's Ingress is from before there was a default class, and is served without one."""
    one = world(replace(START, share="0"), Ask("bake", think=20.0))
    item = one.store.get("ingresses", NAME)
    assert item is not None
    one.store.put("ingresses", {**item, "spec": {"rules": item["spec"]["rules"]}}, "somebody")
    one.server.admission.append(_default_class)
    assert [line.partition(":")[0] for line in told(played(one))] == ["changed", "ok"]


@pytest.mark.parametrize(("share", "gets"), [("", float(START.share or "")), ("20", 20.0)])
def test_a_canary_ingress_that_somebody_deleted_is_told_and_made_again(share: str, gets: float) -> None:
    """For whom the next start says, and otherwise for those of the record."""
    one = world(START, Ask("info", think=60.0), replace(START, share=share, pods=2, surge=2), Ask("info"))
    one.timeline.at(60.0, lambda: one.store.remove("ingresses", CANARY_INGRESS, "somebody"))
    found = played(one)
    shown, again, after = (call.result for call in found.calls[1:4])
    assert isinstance(shown, Outcome) and isinstance(again, Outcome) and isinstance(after, Outcome)
    assert shown.extra["exposure"]["routes"] == [{"name": NAME, "stage": "contested"}]
    warned = f'Ingress "{CANARY_INGRESS}" of this release was deleted by somebody: it is written once more'
    assert warned in again.warnings
    assert after.extra["exposure"]["routes"] == [{"name": NAME, "stage": "split"}]
    assert after.extra["exposure"]["weight"] == gets
    assert_as_before(one)


@pytest.mark.parametrize(
    "last", [Ask("promote"), Ask("undo"), replace(START, share="20", pods=2, surge=2)], ids=lambda ask: str(ask.verb)
)
def test_a_canary_ingress_without_any_annotation_stops_nobody(last: Ask) -> None:
    """As somebody leaves it who switches the canary off by hand."""
    one = world(START, replace(last, think=60.0), end=End.PROMOTE if last.verb == "promote" else End.UNDO)

    def taken_off() -> None:
        item = copy.deepcopy(one.store.get("ingresses", CANARY_INGRESS))
        assert item is not None
        del item["metadata"]["annotations"]
        one.store.put("ingresses", item, "somebody")

    one.timeline.at(60.0, taken_off)
    found = played(one)
    assert isinstance(found.calls[1].result, Outcome), found.calls[1].told()
    assert_as_before(one)


@pytest.mark.parametrize("taken", ["labels", "ownerReferences"])
@pytest.mark.parametrize(
    "last", [Ask("promote"), Ask("undo"), replace(START, share="20", pods=2, surge=2)], ids=lambda ask: str(ask.verb)
)
def test_a_canary_ingress_without_its_label_or_owner_is_still_of_its_release(last: Ask, taken: str) -> None:
    """As a tool leaves it that takes away what it does not know of. No user is left on a Service that has no pods any more."""
    one = world(START, replace(last, think=60.0), end=End.PROMOTE if last.verb == "promote" else End.UNDO)

    def taken_off() -> None:
        item = copy.deepcopy(one.store.get("ingresses", CANARY_INGRESS))
        assert item is not None
        del item["metadata"][taken]
        one.store.put("ingresses", item, "somebody")

    one.timeline.at(60.0, taken_off)
    found = played(one)
    assert isinstance(found.calls[1].result, Outcome), found.calls[1].told()
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(30, 62)))
def test_a_canary_ingress_that_is_deleted_right_before_a_request_is_looked_at_again(number: int) -> None:
    one = world(START, replace(START, share="20", pods=2, surge=2))
    begins = one._give_birth

    def deletes() -> None:
        if one.store.get("ingresses", CANARY_INGRESS):
            one.store.remove("ingresses", CANARY_INGRESS, "somebody")

    def born(script: Script) -> None:
        begins(script)
        one._networks[0].meanwhile[number] = deletes

    one._give_birth = born  # type: ignore[method-assign]
    again = played(one).calls[1].told()
    assert "api_error" not in again and "somebody else writes" not in again, again
    assert_as_before(one)


def test_a_share_that_was_lost_before_a_drain_is_told_by_whoever_resumes_and_whoever_promotes() -> None:
    one = world(START, replace(DRAIN, think=60.0), replace(RESUME, check=True), RESUME, Ask("promote"), end=End.PROMOTE)
    one.timeline.at(60.0, lambda: one.store.remove("ingresses", CANARY_INGRESS, "somebody"))
    results = [call.result for call in played(one).calls[1:5]]
    said = (
        "it is written once more",
        *("canary_start gives the canary again what it got",) * 2,
        "no user has tried the canary by it",
    )
    for result, expected in zip(results, said, strict=True):
        assert isinstance(result, Outcome)
        assert any(expected in text for text in result.warnings), (expected, result.warnings)
    assert_as_before(one)


def test_an_undo_sends_nobody_to_a_service_of_which_the_controllers_have_told_nothing() -> None:
    """They stand still while a start makes it, and whoever takes the release over writes the route in any case."""
    still = Pace(latest=3.0, stops=((10.7, 49.8),))
    undo = Script("ben", 46.0, asks=(Ask("undo", takeover=True),))
    history = History(
        replicas=2,
        replica_sets=still,
        scripts=(Script("ana", 8.0, names="both", asks=(replace(START, think=3.0),)), undo),
        gateway=Lags(0.1, 2.0),
    )
    one = World(history, traced=True)
    start, taken_back, *_rest = played(one).calls
    assert "has 0 Ready endpoints of 2 after 30 s" in start.told()
    assert isinstance(taken_back.result, Outcome), taken_back.told()
    assert_as_before(one)


def test_a_promotion_tells_that_the_canary_did_not_get_its_share_any_more() -> None:
    one = world(START, Ask("promote", think=60.0), end=End.PROMOTE)
    one.timeline.at(60.0, lambda: one.store.remove("ingresses", CANARY_INGRESS, "somebody"))
    promoted = played(one).calls[1].result
    assert isinstance(promoted, Outcome) and any("another share of the requests" in text for text in promoted.warnings)
    assert_as_before(one)


@pytest.mark.parametrize(("other", "refused"), [("alb", True), ("nginx", False)])
def test_ingresses_of_several_classes_are_refused_before_anything_is_written(other: str, refused: bool) -> None:
    one = world(START)
    first = one.store.get("ingresses", NAME)
    assert first is not None
    spec = {**first["spec"], "ingressClassName": other, "rules": copy.deepcopy(PATHS)}
    one.store.put("ingresses", {**first, "spec": {**first["spec"], "ingressClassName": "nginx"}}, "somebody")
    meta = {"namespace": first["metadata"]["namespace"], "name": "inside"}
    one.server.create("ingresses", {"metadata": meta, "spec": spec}, "somebody", "kubectl-create")
    line = told(one.play())[0]
    said = 'Ingress objects of several classes send to Service "web": "inside" (alb), "web" (nginx)'
    assert (said in line) is refused and line.startswith("changed") is not refused, line


FAILS = (Fault.BROKEN_BEFORE, Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


# What happens, and whether it is gone on with or given back.
COURSES = [*product(FAILS, (End.PROMOTE, End.UNDO))]


def in_words(course: tuple[Fault, End]) -> str:
    return ", ".join(part.name for part in course)


@pytest.mark.parametrize(("course", "numbers"), in_turn(COURSES, range(20, 60), in_words))
def test_a_canary_ingress_that_was_made_before_a_write_that_failed_is_nobodys_change(
    course: tuple[Fault, End], numbers: Sequence[int]
) -> None:
    """It gives nothing as yet. Whoever goes on, or gives the Ingress back, finds it so, and it never sends to a Service without a name."""
    fault, end = course
    ben = Script("ben", 120.0, asks=(Ask("start", takeover=True, kind="ingress_nginx"),))
    others = (ben,) if end is End.UNDO else ()
    for number in numbers:
        start = Ask("start", share="5", kind="ingress_nginx")
        ana = Script("ana", 8.0, asks=(start,), faults=(Planned(number, fault, 2.0),))
        result = World(History(gateway=Lags(routes=2.0, endpoints=0.1), end=end, scripts=(ana, *others))).play()
        assert not result.violations, (number, result.violations)
        said = [call.told() for call in result.calls]
        assert not [one for one in said if "by somebody" in one], (number, said)
