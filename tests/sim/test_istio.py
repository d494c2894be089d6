# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through a VirtualService, before a gateway of Istio that hears late: no request of a user fails, nobody gets the canary who was
not to get it, and the VirtualService comes back as it was."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End
from tests.sim.istio import HTTP, ISTIO
from tests.sim.objects import NAME, NAMESPACE, Json
from tests.sim.test_traffic import largest, played, told, world
from tests.sim.world import World
from tests.toolchain.sampled import sampled

START = Ask("start", share="5", kind=ISTIO)
GROW = replace(START, pods=3, surge=3, share="50", think=1.0)
STICKY = replace(START, share="20", sticky=True)


def assert_as_before(one: World) -> None:
    """The user's VirtualService, and no Service but the user's."""
    item = one.store.get("virtualservices", NAME)
    assert item is not None and item["spec"]["http"] == HTTP and not item["metadata"].get("annotations")
    assert list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize(
    ("host", "policy", "warns"),
    [
        ("web", {"tls": {"mode": "ISTIO_MUTUAL"}}, True),
        (f"web.{NAMESPACE}.svc.cluster.local", {"outlierDetection": {}}, True),
        ("web", None, False),
        (f"*.{NAMESPACE}.svc.cluster.local", {"tls": {"mode": "ISTIO_MUTUAL"}}, False),
        ("api", {"tls": {"mode": "ISTIO_MUTUAL"}}, False),
    ],
)
def test_what_says_how_the_service_is_reached_and_not_how_its_copies_are_is_told(
    host: str, policy: Json | None, warns: bool
) -> None:
    one = world(START)
    spec = {"host": host, "subsets": [], **({"trafficPolicy": policy} if policy else {})}
    rule = {"metadata": {"namespace": NAMESPACE, "name": "safe"}, "spec": spec}
    one.server.create("destinationrules", rule, "somebody", "kubectl-create")
    outcome = played(one).calls[0].result
    assert isinstance(outcome, Outcome)
    assert any('DestinationRule "safe" says how Service "web" is reached' in text for text in outcome.warnings) is warns


TLS = {"tls": {"mode": "SIMPLE"}}


@pytest.mark.parametrize("policy", [TLS, {"portLevelSettings": [{"port": {"number": 80}, **TLS}]}])
def test_a_start_is_refused_where_a_destination_rule_says_that_pods_speak_tls(policy: Json) -> None:
    one = world(START)
    rule = {"metadata": {"name": "safe", "namespace": NAMESPACE}, "spec": {"host": NAME, "trafficPolicy": policy}}
    one.server.create("destinationrules", rule, "somebody", "kubectl-create")
    started = one.play().calls[0]
    assert started.told().startswith("failed (traffic_policy): ") and "every request would fail" in started.told()
    assert not started.writes


def test_a_gateway_that_nobody_can_ask_is_given_the_time_that_it_takes_and_that_is_said() -> None:
    found = played(world(START, Ask("promote"), lags=Lags(5.0, 2.0, hidden=True), end=End.PROMOTE))
    assert told(found)[0].endswith("which get 5 % of the requests (stated)")


def test_of_sidecars_nothing_is_proven_and_the_gateway_is_asked_all_the_same() -> None:
    one = world(START, lags=Lags(2.0, 2.0))
    item = one.store.get("virtualservices", NAME)
    assert item is not None
    spec = {**item["spec"], "gateways": [*item["spec"]["gateways"], "mesh"]}
    one.store.put("virtualservices", {**item, "spec": spec}, "somebody")
    outcome = played(one).calls[0].result
    assert isinstance(outcome, Outcome) and outcome.extra["exposure"]["programmed"] == "stated"
    assert any('VirtualService "web" is for the sidecars of its mesh, too' in text for text in outcome.warnings)


@pytest.mark.parametrize(("gateways", "refused"), [(["edge"], False), (["edge", "mesh"], True), ([], True)])
def test_a_proof_that_is_required_is_refused_for_sidecars_before_anything_is_written(
    gateways: list[str], refused: bool
) -> None:
    one = world(replace(START, proof="require"))
    item = one.store.get("virtualservices", NAME)
    assert item is not None
    one.store.put("virtualservices", {**item, "spec": {**item["spec"], "gateways": gateways}}, "somebody")
    line = told(played(one))[0]
    assert line.startswith("changed") is not refused
    assert ("Set traffic.proof to prefer, with which that is stated" in line) is refused, line
    assert_as_before(one)
    if refused:
        assert largest(one, 0.0, 1e9) == 0


@pytest.mark.parametrize("header", ["", "X-Canary"])
def test_a_header_is_refused_beside_another_of_the_same_host_before_anything_is_written(header: str) -> None:
    one = world(replace(START, header=header))
    item = one.store.get("virtualservices", NAME)
    assert item is not None
    rule = {"match": [{"uri": {"prefix": "/old"}}], "route": [{"destination": {"host": "legacy"}}]}
    beside = {"metadata": {"namespace": NAMESPACE, "name": "old"}, "spec": {**item["spec"], "http": [rule]}}
    one.server.create("virtualservices", beside, "somebody", "kubectl-create")
    line = told(one.play())[0]
    assert line.startswith("changed") is not bool(header), line
    assert ('VirtualService "old" has a host and a gateway of it, too' in line) is bool(header), line


def test_a_gateway_that_hears_of_nothing_is_refused_before_any_user_notices() -> None:
    one = world(START, lags=Lags(deaf_from=6.0))
    found = one.play()
    assert not found.violations and 'VirtualService "web" is not in force after 30 s' in told(found)[0]
    assert largest(one, 0.0, 1e9) == 0


@pytest.mark.parametrize("seed", sampled(range(16)))
def test_a_proxy_that_hears_in_any_order_sends_nobody_to_nowhere(seed: int) -> None:
    chance = random.Random(seed)
    lags = Lags(chance.choice((0.1, 2.0, 5.0)), chance.choice((0.1, 2.0, 5.0)), forgets=seed % 2 == 1)
    end = chance.choice((End.PROMOTE, End.UNDO))
    one = world(START, GROW, Ask(end.value, think=1.0), lags=lags, seed=seed, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 60, 3)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 4 == 3 else Fault.KILLED_AFTER
    last = Ask("promote" if number % 2 else "undo", think=1.0)
    end = End.PROMOTE if number % 2 else End.UNDO
    one = world(START, last, seed=number, faults=(Planned(number, kind),), again=number % 9 == 0, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 60, 3)))
def test_a_death_at_any_request_of_a_sticky_release_fails_no_request_and_sends_nobody_back(number: int) -> None:
    grow = replace(STICKY, share="50", pods=4, surge=4, think=1.0)
    end = End.PROMOTE if number % 2 else End.UNDO
    asks = (STICKY, grow, Ask(end.value, think=1.0))
    one = world(*asks, seed=number, faults=(Planned(number, Fault.KILLED_AFTER),), again=number % 9 == 0, end=end)
    played(one)
    assert_as_before(one)


def test_users_who_keep_their_version_are_drained_and_come_back_and_are_promoted_by_weights() -> None:
    drain, resume = Ask("pause", drain=True, think=5.0), Ask("resume", think=5.0)
    grow = replace(STICKY, share="50", pods=4, surge=4, think=1.0)
    found = played(world(STICKY, drain, resume, grow, Ask("promote", by="pods"), Ask("promote"), end=End.PROMOTE))
    assert [line.partition(" ")[0] for line in told(found)] == ["changed:"] * 4 + ["failed", "changed:"]
    assert "its users keep the version that they have seen" in told(found)[4]


@pytest.mark.parametrize("lags", [Lags(plain=True), Lags(hidden=True)], ids=["without cookies", "not asked"])
def test_a_gateway_that_shows_no_cookie_is_refused_before_any_user_notices(lags: Lags) -> None:
    one = world(STICKY, lags=lags)
    found = one.play()
    assert not found.violations and told(found)[0].startswith("failed (not_programmed")
    assert ("whether the gateway keeps users by a cookie" in told(found)[0]) is lags.hidden
    assert largest(one, 0.0, 1e9) == 0


def test_of_sidecars_nobody_can_see_whether_they_keep_users_by_a_cookie() -> None:
    one = world(STICKY)
    item = one.store.get("virtualservices", NAME)
    assert item is not None
    one.store.put("virtualservices", {**item, "spec": {**item["spec"], "gateways": ["edge", "mesh"]}}, "somebody")
    line = told(one.play())[0]
    assert line.startswith("failed (not_programmed)") and "the sidecars of its mesh" in line
    assert_as_before(one)
