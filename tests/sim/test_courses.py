# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways through the routes of a release that are seldom gone: ended another way than it was begun to be, written over by somebody, drained,
interrupted, and asked for what a gateway has not shown yet. As in test_traffic.py, no request of a user fails."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import GATEWAY, RULES, Lags
from tests.sim.history import Ask, Befalls, End, History, Incident, Script
from tests.sim.objects import NAME, NAMESPACE, Json
from tests.sim.store import Change
from tests.sim.test_traffic import DRAINING, SWIFT, assert_as_before, largest, played, put_back, rewrite, told, world
from tests.sim.world import Played, World
from tests.toolchain.sampled import sampled

SHARE = Ask("start", share="20")
TESTED = replace(SHARE, header="x-canary")
STICKY = replace(SHARE, sticky=True)
ALL = Ask("start", pods=4, surge=4, share="50")
# What a step does not say is as in the one before it.
AGAIN = Ask("start", share="", sticky=None, think=2.0)
FORGETFUL = Lags(routes=0.2, endpoints=3.0, forgets=True)


def broken_off(
    *asks: Ask, at: int, then: Ask, lags: Lags = FORGETFUL, end: End = End.UNDO, seed: int | None = None
) -> World:
    """One process dies after its request of this number, and another does something else."""
    dies = Script("ana", 8.0, asks=asks, faults=(Planned(at, Fault.KILLED_AFTER),))
    scripts = (dies, Script("eve", 60.0, asks=(then,)))
    return World(
        History(seed=at if seed is None else seed, natures=DRAINING, scripts=scripts, end=end, gateway=lags),
        traced=True,
    )


def exposure(found: Played, number: int) -> Json:
    outcome = found.calls[number].result
    assert isinstance(outcome, Outcome), found.calls[number].told()
    shown: Json = outcome.extra["exposure"]
    return shown


# Ended another way.


@pytest.mark.parametrize("by", ["pods", "weights"])
@pytest.mark.parametrize("at", sampled(range(34, 62, 2)))
def test_a_promotion_that_is_taken_back_at_any_moment_sends_nobody_to_what_the_proxy_has_forgotten(
    by: str, at: int
) -> None:
    start = replace(ALL, header="x-canary")
    one = broken_off(start, Ask("promote", by=by, think=1.0), at=at, then=Ask("undo"))
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("at", sampled(range(34, 62, 2)))
@pytest.mark.parametrize(
    "then", [Ask("promote", by="weights"), AGAIN, Ask("pause", drain=True)], ids=lambda ask: ask.verb
)
def test_a_promotion_by_pods_that_stops_before_a_pod_moves_is_gone_on_with_any_other_way(then: Ask, at: int) -> None:
    then = replace(AGAIN, pods=4, surge=4) if then.verb == "start" else then
    one = broken_off(ALL, Ask("promote", by="pods", think=1.0), at=at, then=then, end=End.PROMOTE)
    found = played(one)
    (later,) = [call for call in found.calls if call.actor == "eve"]
    assert "somebody ended the release" not in later.told()
    assert_as_before(one)


def test_what_the_canary_got_is_kept_and_what_users_get_is_told_where_a_promotion_by_pods_stopped() -> None:
    for at in range(34, 80):
        one = broken_off(
            ALL, Ask("promote", by="pods", think=1.0), at=at, then=replace(AGAIN, pods=4, surge=4), seed=41
        )
        looks = Script("ben", 57.0, asks=(Ask("info"), Ask("bake", seconds=1.0)))
        one = World(replace(one.history, scripts=(*one.history.scripts, looks)), traced=True)
        stopped: list[Json] = []
        one.timeline.at(59.0, partial(_note, one, stopped))
        found = played(one)
        if stopped[0].get("stage") == "own" and stopped[0].get("drained") and not _promotes(found):
            (later,) = [call for call in found.calls if call.actor == "eve"]
            assert later.told().endswith("which get 50 % of the requests (proven)"), later.told()
            info, bake = [call for call in found.calls if call.actor == "ben"]
            assert isinstance(info.result, Outcome) and "was broken off" in "".join(info.result.warnings), info.result
            assert bake.told().startswith("failed (contested): ") and "was broken off" in bake.told(), bake.told()
            return
    raise AssertionError("no death left the owner's backends")


@pytest.mark.parametrize("forgets", [False, True])
def test_a_promotion_by_pods_that_a_gateway_is_too_late_for_leaves_the_canary_no_more_than_its_share(
    forgets: bool,
) -> None:
    """The gateway comes to the owner's backends after it has failed, by which half of the users would get the canary."""
    asks = (replace(ALL, share="5"), Ask("promote", by="pods", think=36.0), Ask("bake", seconds=60.0, think=90.0))
    one = world(*asks, lags=replace(FORGETFUL, forgets=forgets))
    assert one.proxy is not None
    proxy = one.proxy

    def comes_late(change: Change) -> None:
        """To all but the first of what is written then."""
        if change.kind == "httproutes" and one.timeline.now > 40.0:
            proxy.hears_of(change, 100.0)

    one.store.listen(comes_late)
    found = played(one)
    _start, promoted, baked, *_undo = found.calls
    assert promoted.told().startswith("failed (not_programmed, changed)") and baked.told().startswith("ok: ")
    assert largest(one, promoted.begun, baked.begun) == Fraction(1, 2)
    assert {share for at, share in proxy.seen if baked.begun < at < (baked.ended or 0.0)} <= {Fraction(1, 20)}
    assert [share for at, share in proxy.seen if at < baked.begun][-1] == Fraction(1, 20)


def _promotes(found: Played) -> bool:
    """The first process has begun to move pods, too."""
    return any(
        change.kind == "deployments"
        for call in found.calls
        if call.ask.verb == "promote"
        for change in call.writes[-1:]
    )


def _note(one: World, into: list[Json]) -> None:
    route = one.store.of("httproutes")[NAME]
    into.append(json.loads((route["metadata"].get("annotations") or {}).get(KEPT, "{}")))


# Written over.


@pytest.mark.parametrize("start", [TESTED, STICKY], ids=["header", "sticky"])
def test_a_route_that_somebody_put_back_gets_all_of_its_share_once_more(start: Ask) -> None:
    one = world(start, replace(AGAIN, think=30.0))
    one.timeline.at(30.0, lambda: put_back(one))
    found = played(one)
    assert found.calls[1].writes and exposure(found, 1) == exposure(found, 0)
    assert_as_before(one)


@pytest.mark.parametrize("at", sampled(range(6, 40, 2)))
def test_what_it_got_is_not_forgotten_where_the_call_that_writes_it_once_more_dies(at: int) -> None:
    dies = Script("eve", 40.0, asks=(replace(AGAIN, think=0.0),), faults=(Planned(at, Fault.KILLED_AFTER),))
    scripts = (Script("ana", 8.0, asks=(TESTED,)), dies, Script("again", 80.0, asks=(AGAIN,)))
    one = World(History(seed=at, natures=DRAINING, scripts=scripts, gateway=SWIFT), traced=True)
    one.timeline.at(30.0, lambda: put_back(one))
    found = played(one)
    (last,) = [call for call in found.calls if call.actor == "again"]
    assert last.told().endswith("which get 20 % of the requests and those with the header x-canary (proven)"), (
        last.told()
    )


@pytest.mark.parametrize(
    "then", [replace(AGAIN, think=30.0), Ask("undo", think=30.0), Ask("promote", think=30.0)], ids=lambda ask: ask.verb
)
@pytest.mark.parametrize(
    "start", [SHARE, TESTED, STICKY, replace(SHARE, share="0")], ids=["share", "header", "sticky", "none"]
)
def test_a_route_that_lost_what_was_kept_is_healed(start: Ask, then: Ask) -> None:
    """Backends tell where users are, and a proxy has forgotten the endpoints of the owner's Service."""
    one = world(start, then, lags=FORGETFUL, end=End.PROMOTE if then.verb == "promote" else End.UNDO)
    one.timeline.at(30.0, lambda: rewrite(one, annotated=False))
    found = played(one)
    if then.verb == "start":
        again = found.calls[1].result
        assert isinstance(again, Outcome) and any(text.endswith("written once more") for text in again.warnings)
        assert exposure(found, 1) == exposure(found, 0), "the record tells what its release was last given"


@pytest.mark.parametrize("seeds", [range(0, 60, 3), pytest.param(range(60), marks=pytest.mark.slow)])
def test_a_route_that_is_put_back_after_stable_was_reached_and_before_users_are_sent_there_is_refused(
    seeds: range,
) -> None:
    """The proxy forgets then what it had reached. Whoever writes later than that, writes over a route that sends users to stable."""
    refused = 0
    for seed in seeds:
        one = world(SHARE, lags=Lags(routes=3.0, endpoints=1.0, forgets=True), seed=seed)
        stages: list[str] = []
        one.timeline.at(9.0 + seed / 15, partial(_put_back_and_note, one, stages))
        found = one.play()
        if stages == ["own"]:
            refused += "failed (contested" in told(found)[0]
            assert not found.violations, (seed, [str(violation) for violation in found.violations])
    assert refused


def _put_back_and_note(one: World, stages: list[str]) -> None:
    found: list[Json] = []
    _note(one, found)
    stages.append(found[0].get("stage", ""))
    put_back(one)


def test_a_share_that_somebody_changed_by_hand_is_written_once_more_and_fails_no_request() -> None:
    one = world(TESTED, replace(AGAIN, think=30.0), lags=FORGETFUL)

    def change() -> None:
        route = one.store.of("httproutes")[NAME]
        (first, *others) = route["spec"]["rules"]
        stable, canary = first["backendRefs"]
        rewrite(one, [{**first, "backendRefs": [{**stable, "weight": 1}, {**canary, "weight": 1}]}, *others])

    one.timeline.at(30.0, change)
    found = played(one)
    assert found.calls[1].writes and exposure(found, 1) == exposure(found, 0)
    assert_as_before(one)


@pytest.mark.parametrize("way", ["start", "resume"])
def test_a_canary_whose_users_were_spared_gets_them_again(way: str) -> None:
    """Its only pod restarts while a verb watches; then it is Ready again."""
    again = replace(AGAIN, think=30.0) if way == "start" else Ask("resume", think=30.0)
    asks = (TESTED, Ask("bake", seconds=30.0, think=5.0), again)
    crash = Incident(30.0, Befalls.CRASH, "v2", seconds=15.0)
    scripts = (Script("ana", 8.0, asks=asks),)
    one = World(History(natures=DRAINING, scripts=scripts, gateway=SWIFT, incidents=(crash,)), traced=True)
    found = one.play()
    assert {violation.rule for violation in found.violations} <= {"no request fails"}
    assert any(change.kind == "httproutes" for change in found.calls[1].writes), found.calls[1].told()
    assert exposure(found, 2)["weight"] == 20 and exposure(found, 2)["header"]
    assert_as_before(one)


def test_routes_that_a_tool_puts_back_are_not_drained_by_saying_so() -> None:
    one = world(SHARE, Ask("pause", think=30.0, drain=True), Ask("resume", think=10.0))
    one.timeline.at(30.0, lambda: put_back(one))
    found = played(one)
    _start, drained, resumed = found.calls[:3]
    assert largest(one, drained.ended or 0.0, resumed.begun) == 0
    assert exposure(found, 2)["weight"] == 20


# What a gateway has to show first.


def test_users_are_kept_from_the_middle_of_a_split_on() -> None:
    one = world(SHARE, replace(STICKY, think=5.0), Ask("promote", think=5.0), end=End.PROMOTE)
    found = played(one)
    assert exposure(found, 1)["sticky"] and exposure(found, 1)["weight"] == 20
    # Nobody is sent away for it.
    first, second = found.calls[:2]
    assert one.proxy is not None
    shares = {share for at, share in one.proxy.seen if (first.ended or 0.0) < at < (second.ended or 0.0)}
    assert shares <= {Fraction(1, 5)}
    assert found.calls[2].told().startswith("failed (overloaded)")


def test_a_gateway_that_keeps_nobody_by_a_cookie_is_refused_in_the_middle_of_a_split_and_its_share_stays() -> None:
    one = world(SHARE, replace(STICKY, think=5.0), Ask("info", think=5.0), lags=Lags(plain=True))
    found = one.play()
    assert not found.violations and told(found)[1].startswith("failed (not_programmed")
    second = found.calls[1]
    set_cookies = [
        change
        for change in one.store.log
        if change.kind == "httproutes"
        and change.after
        and any("Set-Cookie" in str(rule) for rule in users_rules(change.after))
    ]
    assert second.writes and not set_cookies
    assert largest(one, second.begun, found.calls[2].begun) == Fraction(1, 5)


def users_rules(route: Json) -> list[Json]:
    return [rule for rule in route["spec"]["rules"] if "/.coalmine-canary/" not in str(rule.get("matches"))]


@pytest.mark.parametrize("at", sampled(range(24)))
def test_a_server_in_trouble_makes_nothing_that_is_proven_stated(at: int) -> None:
    one = world(
        SHARE, Ask("promote", think=1.0), faults=(Planned(at, Fault.BROKEN_BEFORE, status=500),), end=End.PROMOTE
    )
    found = played(one)
    assert not any("(stated)" in line for line in told(found)), told(found)
    assert not any("not proven" in text for call in found.calls for text in getattr(call.result, "warnings", ()))
    assert_as_before(one)


def open_another(one: World) -> None:
    """A listener of the Gateway at another port."""
    gateway = one.store.of("gateways")[GATEWAY]
    listeners = [*gateway["spec"]["listeners"], {"name": "inner", "protocol": "HTTP", "port": 8080}]
    one.store.put("gateways", {**gateway, "spec": {"listeners": listeners}}, "somebody")


@pytest.mark.parametrize("only", [None, 80, 8080])
def test_a_write_is_proven_at_each_listener_of_the_route(only: int | None) -> None:
    one = world(SHARE, lags=Lags(only=only))
    one.timeline.at(2.0, lambda: open_another(one))
    found = one.play()
    line = told(found)[0]
    assert not found.violations and line.startswith("failed (not_programmed" if only else "changed"), line
    assert not only or f":{8160 - only} answers 404" in line, line


# Told and refused beforehand.


def many(one: World, number: int) -> None:
    (rule,) = RULES
    path = {"type": "PathPrefix"}
    rewrite(
        one, [{**rule, "matches": [{"path": {**path, "value": f"/{place}"}}]} for place in range(number)], by="owner"
    )


@pytest.mark.parametrize(("start", "rules"), [(SHARE, 14), (TESTED, 7), (STICKY, 3)])
@pytest.mark.parametrize("check", [True, False])
def test_a_route_without_room_for_all_that_comes_later_is_refused_before_anything_is_written(
    start: Ask, rules: int, check: bool
) -> None:
    for number, fits in ((rules, True), (rules + 1, False)):
        one = world(replace(start, check=check))
        one.timeline.at(2.0, partial(many, one, number))
        found = one.play()
        line = told(found)[0]
        assert line.startswith("changed" if fits else "failed (no_route)"), (number, line)
        assert fits or ("rules" in line and not found.calls[0].writes)


def beta_users(one: World) -> None:
    """A Service beside the canary's, whose users ask for it by a parameter, in a route of its own."""
    route = one.store.get("httproutes", NAME) or {}
    asked = {"path": {"type": "PathPrefix", "value": "/"}, "queryParams": [{"name": "beta", "value": "1"}]}
    rule = {"matches": [asked], "backendRefs": [{"name": "beta", "port": 80}]}
    meta = {"namespace": NAMESPACE, "name": "beta"}
    one.server.create(
        "httproutes", {"metadata": meta, "spec": {**route["spec"], "rules": [rule]}}, "owner", "kubectl-create"
    )


def made_again(one: World) -> None:
    """The route, as its owner's chart has it."""
    route = one.store.get("httproutes", NAME) or {}
    spec = {**route["spec"], "rules": RULES}
    one.store.remove("httproutes", NAME, "owner")
    one.server.create("httproutes", {"metadata": {"namespace": NAMESPACE, "name": NAME}, "spec": spec}, "owner", "helm")


@pytest.mark.parametrize("again", [False, True])
def test_a_header_that_takes_requests_of_another_service_is_refused_also_of_a_route_that_was_made_again(
    again: bool,
) -> None:
    one = world(SHARE, replace(TESTED, think=20.0))
    one.timeline.at(20.0, lambda: beta_users(one))
    if again:
        one.timeline.at(25.0, lambda: made_again(one))
    # No pod serves those.
    line = told(one.play())[1]
    assert line.startswith("failed (no_route)") and 'rule 0 of HTTPRoute "beta"' in line, line


def test_check_mode_tells_no_change_where_nothing_would_be_written() -> None:
    asks = [SHARE, SHARE, Ask("pause", drain=True), Ask("pause", drain=True), Ask("resume"), Ask("resume")]
    one = world(*(replace(ask, think=2.0, check=number % 2 == 1) for number, ask in enumerate(asks)))
    found = played(one)
    assert [line.partition(":")[0] for line in told(found)] == ["changed", "ok", "changed", "ok", "changed", "ok"]


# Drained.

DRAIN, RESUME = Ask("pause", think=5.0, drain=True), Ask("resume", think=5.0)


def test_a_drained_canary_whose_users_are_kept_is_promoted_by_weights() -> None:
    one = world(replace(ALL, sticky=True), DRAIN, Ask("promote", think=5.0), end=End.PROMOTE)
    found = played(one)
    promoted = found.calls[2]
    assert promoted.told().startswith("changed: promoted"), promoted.told()
    stages = [json.loads(text)["weight"] for change in promoted.writes if change.kind == "httproutes" and change.after
              for text in [(change.after["metadata"].get("annotations") or {}).get(KEPT, "")] if text]  # fmt: skip
    assert "1" in stages
    assert_as_before(one)


def test_what_somebody_agreed_that_a_pod_bears_is_given_back_with_a_warning() -> None:
    heavy = replace(SHARE, share="60", overload="warn")
    one = world(heavy, DRAIN, RESUME)
    found = played(one)
    resumed = found.calls[2].result
    assert isinstance(resumed, Outcome) and any("that was asked for" in text for text in resumed.warnings)
    assert exposure(found, 2)["weight"] == 60


def test_a_canary_that_lost_pods_meanwhile_is_given_no_more_than_the_others_bear() -> None:
    asks = (replace(ALL, share="100"), DRAIN, replace(RESUME, think=0.0))
    crash = [Incident(at, Befalls.CRASH, "v2", place, 60.0) for at, place in ((24.0, 0), (24.1, 1))]
    scripts = (Script("ana", 8.0, asks=asks[:2]), Script("eve", 30.0, asks=asks[2:]))
    one = World(History(natures=DRAINING, scripts=scripts, gateway=SWIFT, incidents=tuple(crash)), traced=True)
    found = one.play()
    (resumed,) = [call for call in found.calls if call.actor == "eve"]
    assert resumed.told().startswith("failed (overloaded"), resumed.told()
