# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn (drawing.py), played through each kind of route; check mode; and releases whose record is lost."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import AdmissionDenied
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Kept,
    Stage,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import GATEWAY_API, KEPT, SERVICE_SELECTOR
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim.alb import ALB, ANNOTATIONS
from tests.sim.calls import Called
from tests.sim.drawing import routed
from tests.sim.gateway import Lags
from tests.sim.governing import Governed, Hook
from tests.sim.grpc import GATEWAY_API_GRPC
from tests.sim.history import Ask, End, Foreign, History, Script
from tests.sim.istio import ISTIO
from tests.sim.nginx import INGRESS_NGINX
from tests.sim.objects import NAME, Json, annotated
from tests.sim.running import play
from tests.sim.telling import report
from tests.sim.test_traffic import DRAINING, assert_as_said, largest, lose_record, played, told, world
from tests.sim.timeline import Timeline
from tests.sim.world import World
from tests.toolchain.sampled import sampled

EVERY = (INGRESS_NGINX, ISTIO, GATEWAY_API_GRPC, ALB)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("seed", sampled(range(18)))
def test_whatever_is_drawn_no_request_fails_and_all_is_as_before_in_the_end(kind: str, seed: int) -> None:
    found = play(routed(seed, random.Random(seed), kind))
    assert not found.violations, "\n".join(["", *report(found)])


# How each is seen to be in force, and by a proxy that is as late as it may be: of a load balancer target groups are made for the Services
# that a rule names, and ingress-nginx takes a configuration in 3.3 s and reloads.
SEEN = {
    ISTIO: ("proven", Lags()),
    ALB: ("proven", Lags(5.0, 5.0, forgets=True)),
    INGRESS_NGINX: ("stated", Lags(5.0, 2.0)),
    GATEWAY_API_GRPC: ("stated", Lags(5.0, 2.0)),
}


def owned(one: World) -> dict[tuple[str, str], Json]:
    """What the user's requests go by: routes of any kind with their annotations, and his Services."""
    kinds = ("httproutes", "grpcroutes", "virtualservices", "ingresses", "services")
    return {
        (kind, name): {"spec": item["spec"], "annotations": item["metadata"].get("annotations") or {}}
        for kind in kinds
        for name, item in one.store.of(kind).items()
    }


@pytest.mark.parametrize("by", ["pods", "weights"])
@pytest.mark.parametrize("kind", EVERY)
def test_a_release_gives_everybody_what_was_said_and_leaves_nothing(kind: str, by: str) -> None:
    seen, lags = SEEN[kind]
    grow = Ask("start", share="50", kind=kind, pods=3, surge=3, think=1.0)
    asks = (Ask("start", share="5", kind=kind), grow, replace(grow, pods=4, surge=4), Ask("promote", by=by))
    one = world(*asks, end=End.PROMOTE, lags=lags)
    before = owned(one)
    assert_as_said(one, seen)
    assert owned(one) == before


@pytest.mark.parametrize("by", ["pods", "weights"])
@pytest.mark.parametrize("kind", EVERY)
def test_a_whole_release_goes_by_its_shares(kind: str, by: str) -> None:
    one = world(Ask("release", shares=("5", "30", "50"), by=by, kind=kind), end=End.PROMOTE, lags=SEEN[kind][1])
    before = owned(one)
    outcome = played(one).calls[0].result
    assert isinstance(outcome, Outcome) and outcome.extra["release"]["outcome"] == "released"
    assert owned(one) == before


@pytest.mark.parametrize("header", ["", "x-canary"])
@pytest.mark.parametrize("kind", EVERY)
def test_a_drained_canary_gets_nobody_until_it_is_resumed_and_then_what_it_got(kind: str, header: str) -> None:
    start, drain = Ask("start", share="5", kind=kind, header=header), Ask("pause", think=5.0, drain=True)
    resume = Ask("resume", think=5.0)
    asks = (start, drain, drain, replace(resume, check=True), resume, Ask("undo", think=5.0))
    one = world(*asks, lags=SEEN[kind][1])
    before, found = owned(one), played(one)
    said = [line.partition(":")[0] for line in told(found)]
    assert said == ["changed", "changed", "ok", "changed", "changed", "changed"]
    _start, drained, _again, _check, resumed, undone = found.calls[:6]
    assert largest(one, drained.ended or 0.0, resumed.begun) == 0
    assert largest(one, resumed.begun, undone.begun) == Fraction(1, 20)
    assert owned(one) == before


class Untold(Governed):
    """A dry run knows nothing of it."""

    def admit(self, timeline: Timeline, kind: str, obj: Json, *, dry_run: bool) -> Json:
        return obj if dry_run else super().admit(timeline, kind, obj, dry_run=dry_run)


@pytest.mark.parametrize("policy", [Governed, Untold])
@pytest.mark.parametrize("kind", [*EVERY, GATEWAY_API, SERVICE_SELECTOR])
def test_an_undo_takes_users_from_a_canary_that_a_promotion_died_on_right_before_its_first_pod(
    kind: str, policy: type[Governed]
) -> None:
    """It had given the owner's Service back, which sends to pods of both versions: until those of the canary are gone, half of the users would
    get it. Of a policy of which a dry run tells it hears before that."""
    start = Ask("start", share="0", kind=kind, pods=4, surge=4)
    asks = (start, Ask("promote", by="pods", think=60.0), Ask("undo", think=120.0))
    denied = policy(Hook.DENIES, 60.0, 180.0)
    lags = SEEN.get(kind, ("proven", Lags(2.0, 1.0)))[1]
    one = World(History(natures=DRAINING, governed=denied, gateway=lags, scripts=(Script("ana", 8.0, asks=asks),)))
    before, found = owned(one), played(one)
    _started, promoted, undone = found.calls[:3]
    moved = policy is Untold
    assert isinstance(promoted.result, VerbFailure if moved else AdmissionDenied), promoted.told()
    assert "while the office is empty" in promoted.told() and ("changed" in promoted.told()) is moved
    assert largest(one, promoted.begun, undone.begun) == (Fraction(1, 2) if moved else 0)
    assert owned(one) == before


ENDS = {"pods": Ask("promote", by="pods"), "weights": Ask("promote", by="weights"), "undo": Ask("undo")}


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        *((kind, end) for kind in ("gateway_api", *EVERY) for end in ENDS),
        *(("service_selector", end) for end in ("weights", "undo")),
    ],
)
def test_check_mode_tells_what_the_call_then_does_to_routes_and_writes_nothing(kind: str, end: str) -> None:
    switches = kind == "service_selector"
    start = Ask("start", share="0", pods=4, surge=4) if switches else Ask("start", share="5", header="x-canary")
    grow = Ask("start", share="100" if switches else "50", pods=4, surge=4)
    asks = [replace(ask, kind=kind, think=1.0) for ask in (start, grow)]
    asks += [replace(ask, think=1.0) for ask in (Ask("pause", drain=True), Ask("resume"), ENDS[end])]
    twice = tuple(each for ask in asks for each in (replace(ask, check=True), ask))
    scripts = (Script("ana", 8.0, asks=twice),)
    found = World(
        History(natures=DRAINING, scripts=scripts, end=End.UNDO if end == "undo" else End.PROMOTE, gateway=Lags())
    ).play()
    assert not found.violations, "\n".join(["", *report(found)])
    for foretold, done in zip(found.calls[0:10:2], found.calls[1:10:2], strict=True):
        assert not foretold.writes
        assert _fields(foretold) == _fields(done), foretold.ask.verb


def _fields(call: Called) -> tuple[object, ...]:
    """What it tells to have changed. A canary that has no ReplicaSet yet has no hash either."""
    result = call.result
    assert isinstance(result, Outcome), call.told()
    hashes = re.compile(r"web-[0-9a-z]+-(?=[0-9])")
    told = [
        {key: hashes.sub("web-*-", str(value)) for key, value in one.items()} for one in (result.before, result.after)
    ]
    return (result.changed, *told)


@pytest.mark.parametrize("kind", EVERY)
def test_routes_of_a_release_whose_record_is_lost_are_found_again_and_given_back(kind: str) -> None:
    start = Ask("start", share="20", kind=kind, header="x-canary")
    scripts = (Script("ana", 8.0, asks=(start, Ask("info", think=60.0))),)
    one = World(History(natures=DRAINING, scripts=scripts, end=End.UNDO, gateway=Lags()))

    one.timeline.at(70.0, lambda: lose_record(one))
    found = one.play()
    # Its other rules are those of a record.
    assert not [violation for violation in found.violations if violation.rule == "no request fails"]
    assert ("undo", True) in [
        (call.ask.verb, call.restores is not None) for call in found.calls if call.actor == "last"
    ]
    (route,) = (item for name in ("ingresses", "virtualservices", "grpcroutes") for item in one.store.of(name).values())
    assert (route["metadata"].get("annotations") or {}) in ({}, ANNOTATIONS) and "web-" not in str(route["spec"])
    assert list(one.store.of("services")) == [NAME]


SHARED = {kind: Ask("start", share="20", kind=kind) for kind in ("gateway_api", *EVERY)}
SHARED[SERVICE_SELECTOR] = Ask("start", share="100", kind=SERVICE_SELECTOR, pods=4, surge=4)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("kind", SHARED)
def test_routes_that_a_deployment_left_which_is_gone_are_taken_up_by_the_release_of_the_next(
    kind: str, check: bool
) -> None:
    start = SHARED[kind]
    again = (replace(start, check=check, think=60.0), replace(start, think=1.0))
    made_again = (Foreign(60.0, "delete and create", 4, "v1"),)
    scripts = (Script("ana", 8.0, asks=(start,)), Script("ben", 60.0, machine="there", asks=again))
    one = World(History(natures=DRAINING, scripts=scripts, foreign=made_again, gateway=Lags()))
    before, found = owned(one), one.play()
    # From the deletion on nobody serves them until then.
    assert {violation.rule for violation in found.violations} <= {"no request fails"}, report(found)
    said, really = (call.result for call in found.calls if call.actor == "ben")
    assert isinstance(said, Outcome) and isinstance(really, Outcome), told(found)
    gave = f'this {"would give" if check else "gave"} Service "web" its users back'
    assert [gave in warning for warning in said.warnings].count(True) == 1, said.warnings
    assert said.changed and really.changed is check and really.extra["exposure"]["weight"] == float(start.share or 0)
    assert owned(one) == before


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("kind", SHARED)
def test_routes_that_a_deployment_left_which_is_gone_are_told_and_given_back_by_an_undo_of_the_next(
    kind: str, check: bool
) -> None:
    asks = (Ask("info", think=60.0), Ask("undo", check=check, think=1.0), Ask("undo", think=1.0))
    scripts = (Script("ana", 8.0, asks=(SHARED[kind],)), Script("ben", 60.0, machine="there", asks=asks))
    made_again = (Foreign(60.0, "delete and create", 4, "v1"),)
    one = World(History(natures=DRAINING, scripts=scripts, foreign=made_again, gateway=Lags()))
    before, found = owned(one), one.play()
    assert {violation.rule for violation in found.violations} <= {"no request fails"}, report(found)
    asked, said, really = (call.result for call in found.calls if call.actor == "ben")
    assert isinstance(asked, Outcome) and isinstance(said, Outcome) and isinstance(really, Outcome), told(found)
    (left,) = asked.warnings
    assert left.endswith('canary_undo gives them back to Service "web"') and not asked.changed
    gave = f'this {"would give" if check else "gave"} Service "web" its users back'
    assert [gave in warning for warning in said.warnings] == [True], said.warnings
    assert said.changed and really.changed is check
    assert owned(one) == before


@pytest.mark.parametrize(
    "ask", [Ask("start", think=100.0), Ask("start", think=100.0, check=True), Ask("promote", think=100.0)]
)
# Before ingress-nginx the canary Ingress is left, so that somebody else is seen to have written.
@pytest.mark.parametrize("kind", [kind for kind in SHARED if kind != INGRESS_NGINX])
def test_a_route_that_somebody_has_put_back_wholly_is_warned_of_as_the_release_goes_on(kind: str, ask: Ask) -> None:
    start = SHARED[kind]
    going_on = replace(ask, pods=start.pods, kind=kind) if ask.verb == "start" else ask
    one = World(History(natures=DRAINING, scripts=(Script("ana", 8.0, asks=(start, going_on)),), gateway=Lags()))
    collection = ROUTERS[kind].collection.rpartition("/")[2]
    as_owned = one.store.get(collection, NAME)
    assert as_owned is not None

    def put_back() -> None:
        now = one.store.get(collection, NAME)
        assert now is not None and now["spec"] != as_owned["spec"]
        meta = {**as_owned["metadata"], "generation": now["metadata"].get("generation", 1) + 1}
        one.store.put(collection, {**as_owned, "metadata": meta}, "the owner")

    one.timeline.at(90.0, put_back)
    found = one.play()
    first, then = (call.result for call in found.calls if call.actor == "ana")
    assert isinstance(first, Outcome) and isinstance(then, Outcome), told(found)
    said = [f'"{NAME}" stands as if there were no release: somebody put it back' in text for text in then.warnings]
    assert said.count(True) == 1 and not [text for text in first.warnings if "put it back" in text], then.warnings
    assert not [text for text in then.warnings if "Nobody has kept" in text], then.warnings
    gets = f"which {'would ' if ask.check else ''}get {start.share} % of the requests"
    assert ask.verb != "start" or gets in then.message


@pytest.mark.parametrize("kind", SHARED)
def test_routes_of_a_release_that_is_not_over_are_left_to_it_before_anything_is_written(kind: str) -> None:
    """Of another Service, too: two Deployments share a route."""
    scripts = (Script("ana", 8.0, asks=(SHARED[kind],)),)
    one = World(History(scripts=scripts, gateway=Lags()))
    collection = ROUTERS[kind].collection.rpartition("/")[2]
    route = one.store.get(collection, NAME)
    assert route is not None
    kept = Kept("another", Versions("legacy", "legacy-a-1"), "t", Wanted(Stage.ISOLATED), {}).encode()
    one.store.put(collection, annotated(route, **{KEPT: kept}), "another")
    before, found = owned(one), one.play()
    (refused,) = (call.result for call in found.calls if call.actor == "ana")
    assert isinstance(refused, VerbFailure) and refused.code == "no_route" and not refused.changed
    assert "a release of another Deployment has changed it, and has not ended yet" in refused.message
    assert owned(one) == before and not any(call.writes for call in found.calls)


# Before ingress-nginx both would have one canary Ingress, of one name.
@pytest.mark.parametrize("kind", [kind for kind in SHARED if kind != INGRESS_NGINX])
def test_an_undo_leaves_a_route_that_a_release_of_another_deployment_has_taken_meanwhile(kind: str) -> None:
    scripts = (Script("ana", 8.0, asks=(SHARED[kind], Ask("undo", think=100.0))),)
    one = World(History(natures=DRAINING, scripts=scripts, gateway=Lags()))
    collection = ROUTERS[kind].collection.rpartition("/")[2]
    as_owned, taken = one.store.get(collection, NAME), list[Json]()
    assert as_owned is not None
    owners = as_owned

    def take() -> None:
        now = one.store.get(collection, NAME)
        assert now is not None
        kept = Kept("another", Versions("legacy", "legacy-a-1"), "t", Wanted(Stage.ISOLATED), {}).encode()
        meta = {**owners["metadata"], "generation": now["metadata"].get("generation", 1) + 1}
        taken.append(annotated({**owners, "metadata": meta}, **{KEPT: kept}))
        one.store.put(collection, taken[0], "another")

    one.timeline.at(90.0, take)
    found = one.play()
    started, undone = (call.result for call in found.calls if call.actor == "ana")
    assert isinstance(started, Outcome) and isinstance(undone, Outcome), told(found)
    assert undone.message.startswith("undone: ")
    assert not [text for text in undone.warnings if "the undo goes on" in text], undone.warnings
    left = one.store.get(collection, NAME)
    assert left is not None and left["spec"] == taken[0]["spec"]
    assert left["metadata"]["annotations"] == taken[0]["metadata"]["annotations"]


LEFT = {kind: SHARED[kind] for kind in ("gateway_api", SERVICE_SELECTOR)}


@pytest.mark.parametrize("kind", LEFT)
def test_pods_of_a_deployment_that_is_gone_keep_no_users_from_the_next_while_they_end(kind: str) -> None:
    """They end for 20 s, and get no request any more."""
    asks = (Ask("info", think=1.0), Ask("undo", think=1.0))
    scripts = (Script("ana", 8.0, asks=(LEFT[kind],)), Script("ben", 70.0, machine="there", asks=asks))
    made_again = (Foreign(66.0, "delete and create", 4, "v1"),)
    one = World(History(natures=DRAINING, scripts=scripts, foreign=made_again, gateway=Lags()))
    before, found = owned(one), one.play()
    asked, undone = (call.result for call in found.calls if call.actor == "ben")
    assert isinstance(asked, Outcome) and isinstance(undone, Outcome), told(found)
    assert [text.endswith('canary_undo gives them back to Service "web"') for text in asked.warnings] == [True]
    assert undone.changed and one.timeline.now < 66.0 + 20.0 and owned(one) == before


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_of_another_owner_that_has_ended_is_in_no_way_of_a_release(phase: str) -> None:
    one = world(Ask("start", share="5"))

    def leave() -> None:
        pod = next(iter(one.store.of("pods").values()))
        job = {"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "job", "controller": True}
        labels = {key: text for key, text in pod["metadata"]["labels"].items() if key != "pod-template-hash"}
        meta = {**pod["metadata"], "name": "migrate-x1", "uid": "migrate-x1", "labels": labels}
        ended = {"phase": phase, "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}]}
        one.store.put("pods", {**pod, "metadata": {**meta, "ownerReferences": [job]}, "status": ended}, "job")

    one.timeline.at(6.0, leave)
    assert told(played(one)) == [
        "changed: holding 1 canary beside 4 stable pods (20.0 % of all pods), which get 5 % of the requests (proven)"
    ]


@pytest.mark.parametrize("kind", LEFT)
def test_whoever_makes_a_deployment_again_from_a_copy_has_its_users_back_by_one_undo(kind: str) -> None:
    scripts = (Script("ana", 8.0, asks=(LEFT[kind],)),)
    from_a_copy = (Foreign(70.0, "delete and create from a copy", 2, "v1"),)
    one = World(History(natures=DRAINING, scripts=scripts, foreign=from_a_copy, gateway=Lags()))
    before, found = owned(one), one.play()
    refused, undone = (call.result for call in found.calls if call.actor == "last")
    assert isinstance(refused, VerbFailure) and isinstance(undone, Outcome) and owned(one) == before
    assert 'this gave Service "web" its users back' in undone.warnings[-1]


def promoting(kind: str, *asks: Ask, by_somebody: str) -> World:
    """What somebody does to a promotion right after its call, which does not wait for its pods."""
    asks = (LEFT[kind], Ask("promote", wait=False), *asks)
    one = World(History(natures=DRAINING, scripts=(Script("ana", 8.0, asks=asks),), gateway=Lags()))

    def disturb() -> None:
        if len(one.calls) > 1 and one.calls[1].ended:
            one._write(Foreign(0.0, by_somebody, 3, "v1"))
        else:
            one.timeline.after(0.05, disturb)

    one.timeline.at(9.0, disturb)
    return one


def test_nothing_of_a_promotion_is_left_whose_record_somebody_garbled() -> None:
    one = promoting(SERVICE_SELECTOR, by_somebody="record garbled")
    before, found = owned(one), one.play()
    refused, undone = (call.result for call in found.calls if call.actor == "last")
    assert isinstance(refused, VerbFailure) and isinstance(undone, Outcome), told(found)
    assert undone.message == "what was left of a release was removed" and owned(one) == before


@pytest.mark.parametrize("kind", LEFT)
def test_users_of_a_promotion_that_somebody_rolled_back_are_given_back_by_one_undo(kind: str) -> None:
    """With kubectl rollout undo, which takes the record with the annotations."""
    one = promoting(kind, Ask("undo", think=2.0), by_somebody="kubectl rollout undo")
    before, undone = owned(one), one.play().calls[2].result
    assert isinstance(undone, Outcome) and undone.message == "what was left of a release was removed"
    assert 'this gave Service "web" its users back' in undone.warnings[-1] and owned(one) == before


@pytest.mark.parametrize("last", [Ask("undo"), Ask("start", version="v3")], ids=["undo", "start"])
@pytest.mark.parametrize("kind", LEFT)
def test_routes_of_a_release_that_somebody_ended_without_them_are_told_and_given_back(kind: str, last: Ask) -> None:
    """With kubectl replace, after which nothing of it is on the Deployment."""
    going_on = replace(LEFT[kind], version="v3", share="0") if last.verb == "start" else last
    each = (Ask("info", think=50.0), replace(going_on, check=True, think=1.0), replace(going_on, think=1.0))
    scripts = (Script("ana", 8.0, asks=(LEFT[kind], *each)),)
    one = World(History(natures=DRAINING, scripts=scripts, gateway=Lags()))
    before, manifest = owned(one), one.store.get("deployments", NAME)

    def replaced() -> None:
        now = one.store.get("deployments", NAME)
        assert now is not None and manifest is not None
        meta = {**manifest["metadata"], "generation": now["metadata"]["generation"] + 1}
        one.store.put("deployments", {**now, "metadata": meta, "spec": manifest["spec"]}, "kubectl-replace")

    one.timeline.at(60.0, replaced)
    found = one.play()
    asked, said, done = (call.result for call in found.calls[1:4])
    assert isinstance(asked, Outcome) and isinstance(said, Outcome) and isinstance(done, Outcome), told(found)
    assert [text.endswith('canary_undo gives them back to Service "web"') for text in asked.warnings] == [True]
    assert 'this would give Service "web" its users back' in " ".join(said.warnings) and not found.calls[2].writes
    assert 'this gave Service "web" its users back' in " ".join(done.warnings) and owned(one) == before


@pytest.mark.parametrize("kind", ["gateway_api", ISTIO])
def test_an_undo_that_is_under_way_ends_where_somebody_scales_to_nothing(kind: str) -> None:
    asks = (SHARED[kind], Ask("undo", think=2.0, wait=False), Ask("undo", think=20.0))
    to_nothing = (Foreign(24.0, "kubectl scale", 0),)
    one = World(History(natures=DRAINING, scripts=(Script("ana", 8.0, asks=asks),), foreign=to_nothing, gateway=Lags()))
    before, found = owned(one), one.play()
    assert told(found)[2].startswith("changed: ") and owned(one) == before


def test_users_of_a_stable_version_that_a_scale_to_nothing_and_back_took_are_told() -> None:
    """All pods that come back are canaries."""
    asks = (Ask("start", share="5", pods=1, surge=4), Ask("bake", think=60.0), Ask("info", think=1.0))
    scaled = (Foreign(40.0, "kubectl scale", 0), Foreign(60.0, "kubectl scale", 4))
    found = World(
        History(natures=DRAINING, scripts=(Script("ana", 8.0, asks=asks),), foreign=scaled, gateway=Lags())
    ).play()
    _started, baked, asked = (call.result for call in found.calls if call.actor == "ana")
    assert isinstance(baked, VerbFailure) and isinstance(asked, Outcome), told(found)
    for result in (baked, asked):
        assert "sends users to the stable version, of which no pod is Ready" in " ".join(result.warnings)
