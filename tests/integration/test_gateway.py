# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through a real proxy, Traefik, under requests of users all the time: none fails, and each gets what was said.

Every order and every lag is tried in tests/sim/test_traffic.py; the figures of a whole matrix are in docs/traffic-truth.md.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteBy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import network
from tests.cluster.gateway.server import DEFAULT, SWIFT, Gateway, add_gateway
from tests.cluster.lab import Lab
from tests.gateways.course import TESTER, TESTERS, Counted, assert_goes, assert_none_failed
from tests.gateways.gates import ending, hearing_late
from tests.gateways.shop import GrpcShop, IngressShop, Shop
from tests.integration.victims import End, ended, run
from tests.situations import until

# As many deaths as a start, or an undo, has writes, and more than those.
MOST_DEATHS = 30


@pytest.fixture
def new(answering_lab: Lab, gateway: Gateway, answering_namespace: str) -> Callable[..., Shop]:
    """Shops whose users are answered."""

    def make(**given: Any) -> Shop:
        return Shop(answering_lab, gateway, answering_namespace, **given).opened()

    return make


@pytest.mark.parametrize(
    "by",
    [PromoteBy.PODS, pytest.param(PromoteBy.WEIGHTS, marks=pytest.mark.slow)],
    ids=[PromoteBy.PODS.value, PromoteBy.WEIGHTS.value],
)
def test_no_request_fails_from_the_start_to_the_end_and_each_gets_what_was_said(
    by: PromoteBy, new: Callable[..., Shop]
) -> None:
    shop = new()
    with shop.users.coming() as users:
        started = shop.start(weight=Fraction(5, 100), header=TESTER)
        assert started.extra["exposure"]["programmed"] == "proven"
        few = shop.users.send(400)
        with shop.users.coming(100, header=TESTERS) as testers:
            shop.start(pods=4, weight=Fraction(1, 4))
            more = shop.users.send(400)
            shop.promote(by)
        # Pods that are ending answer until the proxy has heard of it.
        until(lambda: shop.users.send(100).of("v2") == 100, "everybody gets the new version")
    for tally in (users, few, testers, more):
        assert_none_failed(tally)
    # Traefik takes its backends in turn; the steady users take some of the turns.
    # But for the moment at the very end in which their rule is gone and the proxy has yet to hear that the old pods are ending.
    assert testers.of("v1") <= testers.sent // 20, testers.versions
    assert abs(few.of("v2") - 20) <= 10 and abs(more.of("v2") - 100) <= 25
    shop.assert_own()


@pytest.mark.parametrize(
    "by",
    [
        None,
        pytest.param(PromoteBy.PODS, marks=pytest.mark.slow),
        pytest.param(PromoteBy.WEIGHTS, marks=pytest.mark.slow),
    ],
    ids=["undo", "pods", "weights"],
)
def test_through_an_ingress_no_request_fails_and_each_gets_what_was_said(
    by: PromoteBy | None,
    answering_lab: Lab,
    gateway: Gateway,
    answering_namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Traefik, which goes by the annotations of ingress-nginx, and takes a configuration every 0.1 s."""
    quick = replace(ROUTERS["ingress_nginx"], settles=2.0)
    monkeypatch.setattr(network, "ROUTERS", {**ROUTERS, "ingress_nginx": quick})
    counted = Counted(few=400, testers=100, second=Fraction(1, 3), more=600, last=100, off=(10, 30))
    assert_goes(IngressShop(answering_lab, gateway, answering_namespace).opened(), by, counted, "stated")


def test_a_proxy_that_cannot_copy_requests_is_found_out_before_any_user_meets_it(
    new: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traefik accepts such a route, and answers whatever matches the rule with 500. Its class does not say that it can."""
    shop, copies = new(), {"mirror": Fraction(1, 10), "seconds": 10}
    with shop.users.coming() as users:
        with pytest.raises(VerbFailure, match="HTTPRouteRequestMirror") as refused:
            shop.start(**copies)
        assert not refused.value.changed
        shop.assert_own()
        credulous = replace(ROUTERS["gateway_api"], features=lambda _exposure: frozenset())
        monkeypatch.setattr(network, "ROUTERS", {**ROUTERS, "gateway_api": credulous})
        with pytest.raises(VerbFailure, match="answers 500"):
            shop.start(**copies)
        shop.undo()
    assert_none_failed(users)
    assert users.of("v1") == users.sent
    shop.assert_own()


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, *PromoteBy], ids=lambda by: by.value if by else "undo")
def test_no_call_of_grpc_fails_through_a_grpcroute(
    by: PromoteBy | None,
    answering_lab: Lab,
    gateway: Gateway,
    answering_namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = replace(ROUTERS["gateway_api_grpc"], settles=2.0)
    monkeypatch.setattr(network, "ROUTERS", {**ROUTERS, "gateway_api_grpc": quick})
    counted = Counted(
        few=1000, testers=200, second=Fraction(1, 4), more=1000, last=100, off=(15, 40), rate=500, calm=200
    )
    assert_goes(GrpcShop(answering_lab, gateway, answering_namespace).opened(), by, counted, "stated")


def test_a_policy_that_the_copies_of_a_service_would_not_have_is_refused_as_the_server_keeps_it(
    new: Callable[..., Shop],
) -> None:
    shop = new()
    tls = {"hostname": "web.example", "wellKnownCACertificates": "System"}
    spec = {"targetRefs": [{"group": "", "kind": "Service", "name": "web"}], "validation": tls}
    policy = {"apiVersion": shop.group, "kind": "BackendTLSPolicy", "metadata": {"name": "tls"}, "spec": spec}
    shop.api.create(f"/apis/{shop.group}/namespaces/{shop.namespace}/backendtlspolicies", policy)
    with pytest.raises(VerbFailure) as refused:
        shop.start(weight=Fraction(1, 4))
    assert refused.value.code == "traffic_policy" and not refused.value.changed
    shop.assert_own()


def test_an_undo_takes_users_away_before_the_pods_and_none_fails_though_pods_vanish_at_once(
    new: Callable[..., Shop],
) -> None:
    shop = new(drain_ms=0)
    with shop.users.coming() as users:
        shop.start(pods=2, weight=Fraction(1, 2))
        shop.undo()
        until(lambda: shop.users.send(100).of("v1") == 100, "everybody gets the stable version")
    assert_none_failed(users)
    shop.assert_own()


# tests/sim/test_traffic.py dies at any request, test_crash_safety.py before a real server; here both are there at once.
@pytest.mark.slow
@pytest.mark.parametrize("verb", ["promote", "undo"])
def test_a_verb_that_is_killed_after_each_of_its_writes_fails_no_request(
    verb: str, answering_lab: Lab, new: Callable[..., Shop]
) -> None:
    """Each death is followed by a run that goes on, and dies one write later, until one has nothing more to write."""
    shop = new()
    asked = shop.start_request(weight=Fraction(1, 4))
    ending = shop.promote_request() if verb == "promote" else shop.undo_request()
    with shop.users.coming() as users:
        deaths = dies(answering_lab, "start", asked) + dies(answering_lab, verb, ending)
    assert deaths >= 8
    assert_none_failed(users)
    shop.assert_own()


def dies(lab: Lab, verb: str, asked: Any) -> int:
    """How often, until it came to its end."""
    for deaths in range(MOST_DEATHS):
        code = ended(run(str(lab.kubeconfig), verb, asked, End(1, writes=True)))
        if code == 0:
            return deaths
        assert code == -signal.SIGKILL, f"{verb} ended with {code} after {deaths} deaths"
    raise AssertionError(f"{verb} has not come to its end after {MOST_DEATHS} deaths")


# tests/sim/test_traffic.py plays this race in every order.
@pytest.mark.slow
def test_a_proxy_that_hears_of_endpoints_late_sends_nobody_to_nowhere(
    answering_lab: Lab, answering_namespace: str, tmp_path: Path
) -> None:
    """The race of every start: the route is there before the endpoints of the Services that it names."""
    with hearing_late(answering_lab, tmp_path, "late", seconds=0.5) as late:
        shop = Shop(answering_lab, late, answering_namespace).opened()
        with shop.users.coming() as users:
            shop.start(weight=Fraction(1, 4))
            shop.undo()
        assert_none_failed(users)
        shop.assert_own()


@pytest.mark.slow
def test_of_two_replicas_behind_one_address_the_later_one_counts(answering_lab: Lab, answering_namespace: str) -> None:
    """Each hears by itself; one takes a configuration every 0.1 s, the other every 2 s."""
    with ending(answering_lab, add_gateway(answering_lab, name="two", throttles=(SWIFT, DEFAULT))) as two:
        shop = Shop(answering_lab, two, answering_namespace).opened()
        with shop.users.coming() as users:
            shop.start(weight=Fraction(0), header=TESTER)
            assert shop.users.send(200).of("v2") == 0
            shop.start(pods=4, weight=Fraction(1))
            assert shop.users.send(200).of("v1") == 0
            shop.undo()
            assert shop.users.send(200).of("v2") == 0
        assert_none_failed(users)
        shop.assert_own()
