# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries that get copies of requests: no answer of theirs comes to a user, no more is copied than was asked for, and no request fails where
a gateway cannot copy."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim import calls
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import ADDRESS, CAN, CLASS, GATEWAY, HOST, RULES, Lags
from tests.sim.history import Ask, End
from tests.sim.istio import HTTP
from tests.sim.objects import NAME, Json
from tests.sim.test_traffic import assert_as_before, largest, played, put_back, rewrite, told, world
from tests.sim.world import Played, World
from tests.toolchain.sampled import sampled

COPIES = Ask("start", share="0", mirror="20")
SHARE = Ask("start", share="20", think=2.0)
SLOW = Lags(routes=3.0, endpoints=3.0, forgets=True)
GRANT = "the canary does once more whatever the requests that it gets a copy of ask for"


def copied(one: World, begins: float, ends: float) -> Fraction:
    assert one.proxy is not None
    return max((part for at, part in one.proxy.copied if begins <= at < ends), default=Fraction(0))


def outcome(found: Played, number: int) -> Outcome:
    result = found.calls[number].result
    assert isinstance(result, Outcome), found.calls[number].told()
    return result


def as_before(one: World, kind: str) -> None:
    if kind == "gateway_api":
        assert_as_before(one)
        return
    item = one.store.get("virtualservices", NAME)
    assert item is not None and item["spec"]["http"] == HTTP and not item["metadata"].get("annotations")
    assert list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize("kind", ["gateway_api", "istio"])
@pytest.mark.parametrize("end", [End.UNDO, End.PROMOTE])
def test_copies_come_before_the_first_share_and_end_with_it(kind: str, end: End) -> None:
    one = world(replace(COPIES, kind=kind), replace(SHARE, kind=kind), end=end, lags=SLOW)
    found = played(one)
    first, second, last = found.calls[:3]
    assert told(found)[0].endswith(
        "which get 0 % of the requests, and copies of 20 % whose answers nobody gets (proven)"
    )
    assert copied(one, 0.0, second.begun) == Fraction(1, 5) and largest(one, 0.0, second.begun) == 0
    assert copied(one, second.ended or 0.0, last.ended or 1e9) == 0
    assert largest(one, second.begun, second.ended or 0.0) == Fraction(1, 5)
    assert [outcome(found, number).extra["exposure"]["mirror"] for number in (0, 1)] == [20.0, 0.0]
    assert GRANT in " ".join(outcome(found, 0).warnings) and GRANT not in " ".join(outcome(found, 1).warnings)
    assert first.ended
    as_before(one, kind)


@pytest.mark.parametrize("kind", ["gateway_api", "istio"])
@pytest.mark.parametrize("at", sampled(range(8, 68, 5)))
def test_a_death_at_any_request_copies_no_more_than_was_asked_for(kind: str, at: int) -> None:
    end = End.PROMOTE if at % 2 else End.UNDO
    asks = (replace(COPIES, kind=kind), replace(SHARE, kind=kind))
    one = world(*asks, seed=at, faults=(Planned(at, Fault.KILLED_AFTER),), again=at % 3 == 0, end=end, lags=SLOW)
    played(one)
    as_before(one, kind)


def _without_the_canarys_service(one: World, collection: str) -> None:
    route = one.store.get(collection, NAME)
    assert route is not None
    one.store.remove("services", json.loads(route["metadata"]["annotations"][KEPT])["canary"], "somebody")


@pytest.mark.parametrize(
    ("kind", "asks"),
    [
        ("gateway_api", (COPIES, replace(SHARE, think=45.0))),
        ("gateway_api", (COPIES, replace(COPIES, mirror="0", header="x-canary", think=45.0))),
        ("gateway_api", (SHARE, Ask("pause", drain=True, think=1.0), Ask("resume", think=40.0))),
        ("istio", (COPIES, replace(SHARE, think=45.0))),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_service_that_was_deleted_while_no_user_got_it_is_known_again_before_one_does(
    kind: str, asks: tuple[Ask, ...], seed: int
) -> None:
    one = world(*(replace(ask, kind=kind) for ask in asks), lags=SLOW, seed=seed)
    collection = "httproutes" if kind == "gateway_api" else "virtualservices"
    one.timeline.at(45.0, lambda: _without_the_canarys_service(one, collection))
    played(one)
    as_before(one, kind)


def test_a_drained_canary_gets_no_copies_until_it_is_resumed() -> None:
    one = world(COPIES, Ask("pause", think=5.0, drain=True), Ask("resume", think=5.0), Ask("undo", think=5.0))
    found = played(one)
    _start, drained, resumed, undone = found.calls[:4]
    assert copied(one, drained.ended or 0.0, resumed.begun) == 0
    assert copied(one, resumed.begun, undone.begun) == Fraction(1, 5)
    assert_as_before(one)


def test_copies_go_on_where_nothing_is_said_of_them_and_end_where_that_is_asked() -> None:
    again = Ask("start", share="", sticky=None, think=2.0)
    one = world(COPIES, again, replace(again, mirror="0"))
    found = played(one)
    assert [outcome(found, number).extra["exposure"]["mirror"] for number in range(3)] == [20.0, 20.0, 0.0]
    assert not outcome(found, 1).changed


def test_check_mode_tells_what_would_be_copied_and_writes_nothing() -> None:
    one = world(replace(COPIES, check=True))
    found = played(one)
    assert not found.calls[0].writes
    assert "a copy of 20 % to web-canary-" in str(outcome(found, 0).after)
    assert GRANT in " ".join(outcome(found, 0).warnings)
    assert (
        "which would get 0 % of the requests, and copies of 20 % whose answers nobody gets, in 1 patch"
        in told(found)[0]
    )


def test_check_mode_tells_of_a_share_that_changes_routes_alone_and_of_one_that_changes_nothing() -> None:
    one = world(COPIES, replace(SHARE, check=True), replace(COPIES, check=True, think=1.0))
    found = played(one)
    beside = "1 canary beside 4 stable pods (20.0 % of all pods), which"
    assert told(found)[1:3] == [
        f"changed: would change routes alone: {beside} would get 20 % of the requests",
        f"ok: nothing to write: {beside} get 0 % of the requests, and copies of 20 % whose answers nobody gets",
    ]


def test_a_verdict_says_that_no_user_got_these_answers() -> None:
    found = played(world(COPIES, Ask("verify", think=1.0, seconds=5.0)))
    judged = found.calls[1].result
    assert isinstance(judged, (Outcome, VerbFailure)) and "no user its answers" in " ".join(judged.warnings)


def test_what_somebody_put_back_is_copied_once_more() -> None:
    one = world(COPIES, Ask("start", share="", sticky=None, think=30.0))
    one.timeline.at(30.0, lambda: put_back(one))
    found = played(one)
    assert outcome(found, 1).changed and outcome(found, 1).extra["exposure"] == outcome(found, 0).extra["exposure"]
    assert_as_before(one)


@pytest.mark.parametrize("kind", ["gateway_api", "istio"])
@pytest.mark.parametrize("again", [COPIES, Ask("start", share="", sticky=None)])
def test_a_route_that_lost_its_annotation_while_it_copied_copies_once_more(kind: str, again: Ask) -> None:
    one = world(replace(COPIES, kind=kind), replace(again, kind=kind, think=45.0))
    collection = "httproutes" if kind == "gateway_api" else "virtualservices"

    def lose() -> None:
        route = one.store.get(collection, NAME)
        assert route is not None
        meta = {name: value for name, value in route["metadata"].items() if name != "annotations"}
        one.store.put(collection, {**route, "metadata": meta}, "somebody")

    one.timeline.at(40.0, lose)
    found = played(one)
    assert outcome(found, 1).extra["exposure"] == outcome(found, 0).extra["exposure"]
    as_before(one, kind)


def test_a_route_whose_annotation_nobody_can_read_is_undone_as_the_refusal_says() -> None:
    def spoil() -> None:
        route = one.store.get("httproutes", NAME)
        assert route is not None
        marred = {
            name: text.replace('"1/5"', '"1e10000000"') for name, text in route["metadata"]["annotations"].items()
        }
        one.store.put("httproutes", {**route, "metadata": {**route["metadata"], "annotations": marred}}, "editor")

    one = world(COPIES, Ask("undo", think=30.0), Ask("undo", think=20.0))
    one.timeline.at(30.0, spoil)
    one.timeline.at(60.0, lambda: rewrite(one, RULES, annotated=False))
    found = played(one)
    assert "(docs/traffic.md, By hand)" in told(found)[1], told(found)
    assert isinstance(found.calls[2].result, Outcome), told(found)
    assert_as_before(one)


def test_testers_get_the_canary_while_users_are_copied_to_it() -> None:
    one = world(replace(COPIES, header="x-canary"), Ask("promote", think=5.0), end=End.PROMOTE)
    found = played(one)
    assert outcome(found, 0).extra["exposure"]["header"] and largest(one, 0.0, found.calls[1].begun) == 0
    assert_as_before(one)


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ((COPIES, Ask("start", share="5", mirror="10", think=1.0)), "no user gets by its share"),
        ((SHARE, Ask("start", share="", sticky=None, mirror="10", think=1.0)), "no user gets by its share"),
        ((replace(COPIES, mirror="60"),), "60 % of the requests for 1 canary pod is more for each"),
    ],
)
def test_what_makes_no_sense_and_what_no_pod_bears_is_refused_before_anything_is_written(
    asks: tuple[Ask, ...], said: str
) -> None:
    one = world(*asks)
    found = played(one)
    refused = [call for call in found.calls if call.actor != "last"][-1]
    assert said in refused.told() and not [change for change in refused.writes if change.kind == "httproutes"]
    assert_as_before(one)


def _feature(one: World, *features: str) -> None:
    of_class = one.store.of("gatewayclasses")[CLASS]
    supported = [{"name": feature} for feature in features]
    one.store.put("gatewayclasses", {**of_class, "status": {"supportedFeatures": supported}}, "somebody")


@pytest.mark.parametrize(
    ("features", "mirror", "refused"),
    [
        (("HTTPRouteCORS",), "20", True),
        (("HTTPRouteCORS",), "100", True),
        (CAN[:1], "20", True),
        (CAN[:1], "100", False),
        (CAN, "20", False),
    ],
)
def test_a_gateway_of_a_class_that_lists_other_features_is_not_asked_to_copy(
    features: tuple[str, ...], mirror: str, refused: bool
) -> None:
    one = world(replace(COPIES, mirror=mirror, pods=4, surge=4), lags=Lags(copies=not refused))
    _feature(one, *features)
    found = played(one)
    said = told(found)[0]
    assert ("requests are copied only where it is known that the gateway can" in said) is refused, said
    assert not refused or not found.calls[0].writes
    assert_as_before(one)


def test_copies_that_a_class_no_longer_promises_end_as_the_refusal_says() -> None:
    """They are kept, and not asked for once more: to leave them out helps nobody."""
    again = Ask("start", share="", sticky=None, pods=2, surge=2, think=30.0)
    one = world(COPIES, again, replace(again, mirror="0", think=1.0))
    one.timeline.at(30.0, lambda: _feature(one, "HTTPRouteCORS"))
    found = played(one)
    assert "Set traffic.mirror to 0" in told(found)[1]
    assert outcome(found, 2).extra["exposure"]["mirror"] == 0.0
    assert_as_before(one)


@pytest.mark.parametrize("copies", [True, False])
def test_where_a_class_lists_nothing_a_probe_shows_it_and_what_that_does_not_show_is_told(copies: bool) -> None:
    """As of Istio."""
    one = world(COPIES, lags=Lags(copies=copies))
    _feature(one)
    found = played(one)
    start = found.calls[0].result
    assert isinstance(start, Outcome if copies else VerbFailure), told(found)
    assert "not that no more than this part is copied" in " ".join(start.warnings)
    assert_as_before(one)


@pytest.mark.parametrize(("features", "refused"), [(CAN, False), (CAN[:1], True)])
def test_a_class_lists_its_features_in_texts_before_gateway_api_1_2(features: tuple[str, ...], refused: bool) -> None:
    one = world(COPIES)
    of_class = one.store.of("gatewayclasses")[CLASS]
    one.store.put("gatewayclasses", {**of_class, "status": {"supportedFeatures": list(features)}}, "somebody")
    said = told(played(one))[0]
    assert ("does not say that its gateways can do HTTPRouteRequestPercentageMirror" in said) is refused, said
    assert said.startswith("changed") is not refused, said


MESH = {"group": "", "kind": "Service", "name": NAME}
LISTENERS = {"group": "gateway.networking.x-k8s.io", "kind": "XListenerSet", "name": "edge"}


def _attached(one: World, *parents: Json) -> None:
    route = one.store.get("httproutes", NAME)
    assert route is not None
    meta = {**route["metadata"], "generation": route["metadata"]["generation"] + 1}
    one.store.put(
        "httproutes", {**route, "metadata": meta, "spec": {**route["spec"], "parentRefs": list(parents)}}, "somebody"
    )


@pytest.mark.parametrize(
    ("parents", "named"),
    [
        ((MESH, {"name": GATEWAY}), 'Service "web", which is no Gateway,'),
        (({"name": GATEWAY}, LISTENERS), 'XListenerSet.gateway.networking.x-k8s.io "edge", which is no Gateway,'),
        ((MESH,), 'Service "web", which is no Gateway,'),
        ((), "no Gateway"),
    ],
)
@pytest.mark.parametrize("entry", [{}, {"url": f"http://{HOST}", "address": ADDRESS}])
def test_what_is_no_gateway_and_serves_the_route_too_is_not_asked_to_copy(
    parents: tuple[Json, ...], named: str, entry: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar or a ListenerSet's Gateway: no class tells what it can."""
    monkeypatch.setattr(calls, "_entry", lambda ask: entry)
    one = world(COPIES)
    _attached(one, *parents)
    found = played(one)
    assert f'HTTPRoute "web" is attached to {named} whose class could say it' in told(found)[0], told(found)
    assert not found.calls[0].writes


@pytest.mark.parametrize(
    ("parents", "how"),
    [
        ((MESH, {"name": GATEWAY}), "stated"),
        (({"name": GATEWAY}, LISTENERS), "stated"),
        (({"name": GATEWAY},), "proven"),
        ((LISTENERS,), "proven"),
        ((MESH,), "stated"),
    ],
)
def test_what_nobody_asks_is_not_told_as_proven(
    parents: tuple[Json, ...], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_entry", lambda ask: {"url": f"http://{HOST}", "address": ADDRESS})
    one = world(SHARE)
    _attached(one, *parents)
    found = played(one)
    assert outcome(found, 0).extra["exposure"]["programmed"] == how
    assert ("and nobody can ask those" in " ".join(outcome(found, 0).warnings)) is (how == "stated")


def test_a_gateway_whose_class_says_so_wrongly_fails_no_request_of_a_user() -> None:
    one = world(COPIES, lags=Lags(copies=False))
    found = played(one)
    assert told(found)[0].startswith("failed (not_programmed, changed)"), told(found)
    assert_as_before(one)


@pytest.mark.parametrize("begins", [COPIES, replace(SHARE, share="10")])
def test_a_gateway_that_nobody_can_ask_is_not_asked_to_copy(begins: Ask) -> None:
    one = world(begins, replace(COPIES, think=1.0), lags=Lags(hidden=True))
    found = played(one)
    assert "a gateway that cannot copy requests answers all of them with an error" in told(found)[-1], told(found)
    assert copied(one, 0.0, 1e9) == 0


def test_a_server_that_keeps_no_part_of_it_is_found_out_before_anything_is_written() -> None:
    """Gateway API before 1.3 has no such fields, and a server leaves out what a definition has not."""
    one = world(COPIES)
    taken = one.server.patch

    def patch(kind: str, *args: object, **more: object) -> object:
        found = taken(kind, *args, **more)  # type: ignore[arg-type]
        for rule in found["spec"]["rules"] if kind == "httproutes" else ():
            for one in rule.get("filters") or ():
                one.get("requestMirror", {}).pop("percent", None)
        return found

    one.server.patch = patch  # type: ignore[method-assign,assignment]
    found = played(one)
    assert "the API server does not keep that a part of its requests is copied" in told(found)[0]
    assert not found.calls[0].writes


@pytest.mark.parametrize("by", ["pods", "weights"])
@pytest.mark.parametrize("sticky", [False, True])
def test_a_whole_release_begins_with_copies(by: str, sticky: bool) -> None:
    by = "weights" if sticky else by
    one = world(Ask("release", mirror="30", shares=("30", "50"), by=by, sticky=sticky), end=End.PROMOTE, lags=SLOW)
    found = played(one)
    moments = outcome(found, 0).extra["release"]["timeline"]
    started = [
        (moment["share"], moment["mirror"], moment["counts"]["canary"])
        for moment in moments
        if moment["what"] == "start"
    ]
    last = [(100.0, 0.0, 4)] if by == "weights" else []
    assert started == [(0.0, 30.0, 2), (30.0, 0.0, 2), (50.0, 0.0, 2), *last]
    assert copied(one, 0.0, 1e9) == Fraction(3, 10)
    assert " ".join(outcome(found, 0).warnings).count(GRANT) == 1
    assert_as_before(one)
