# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through Istio's control plane and an Envoy that it configures, under requests of users all the time.

The same as test_gateway.py shows of Traefik, for each kind of route that Istio takes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import sqrt
from urllib.request import urlopen

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteBy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import network
from tests.cluster.build import Say
from tests.cluster.gateway.server import Gateway
from tests.cluster.istio.server import add_istio
from tests.cluster.lab import Lab
from tests.gateways.browsers import Crowd
from tests.gateways.course import FIRST, Counted, assert_goes, assert_none_failed
from tests.gateways.shop import GrpcShop, Shop, VirtualServiceShop
from tests.integration.releases import image
from tests.integration.test_gateway import dies
from tests.situations import until

RATE, MANY, CROWD = 100, 2000, 300
# Envoy draws each request: of a million counts one is so many standard deviations off.
DEVIATIONS = 4.89
QUARTER = Fraction(1, 4)
SHOPS = {"VirtualService": VirtualServiceShop, "HTTPRoute": Shop, "GRPCRoute": GrpcShop}
New = Callable[..., Shop]


@pytest.fixture(scope="module")
def istio(answering_lab: Lab, say: Say) -> Gateway:
    return add_istio(answering_lab, say)


@pytest.fixture
def new(istio: Gateway, answering_lab: Lab, answering_namespace: str, monkeypatch: pytest.MonkeyPatch) -> New:
    """Shops whose users are answered. What is stated counts as in force sooner than for a proxy that takes its time."""
    quick = {kind: replace(router, settles=2.0) for kind, router in ROUTERS.items()}
    monkeypatch.setattr(network, "ROUTERS", quick)

    def make(kind: str, **given: object) -> Shop:
        return SHOPS[kind](answering_lab, istio, answering_namespace, **given).opened()

    return make


def drawn(share: Fraction) -> int:
    """By how many of `MANY` requests it may be off."""
    return int(DEVIATIONS * sqrt(MANY * share * (1 - share)))


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, *PromoteBy], ids=lambda by: by.value if by else "undo")
@pytest.mark.parametrize("kind", SHOPS)
def test_no_request_fails_from_the_start_to_the_end_and_each_gets_what_was_said(
    kind: str, by: PromoteBy | None, new: New
) -> None:
    off = (drawn(FIRST), drawn(QUARTER))
    counted = Counted(few=MANY, testers=200, second=QUARTER, more=MANY, last=100, off=off, steady=RATE)
    assert_goes(new(kind), by, counted, "stated" if kind == "GRPCRoute" else "proven")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["promote", "undo"])
@pytest.mark.parametrize("kind", ["VirtualService", "HTTPRoute"])
def test_a_verb_that_is_killed_after_each_of_its_writes_fails_no_request(
    kind: str, verb: str, answering_lab: Lab, new: New
) -> None:
    shop = new(kind)
    asked = shop.start_request(weight=QUARTER)
    ending = shop.promote_request() if verb == "promote" else shop.undo_request()
    with shop.users.coming(RATE) as users:
        deaths = dies(answering_lab, "start", asked) + dies(answering_lab, verb, ending)
    assert deaths >= 8
    assert_none_failed(users)
    shop.assert_own()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["VirtualService", "HTTPRoute"])
def test_nobody_who_has_seen_the_canary_sees_the_stable_version_again(kind: str, new: New) -> None:
    """By headers that are matched by expressions, and cookies that a backend sets."""
    shop = new(kind)
    crowd = Crowd.of(CROWD, shop.gateway.address, shop.host)
    with shop.users.coming(RATE) as users:
        shop.start(weight=Fraction(1, 5), sticky=True)
        first, again = crowd.ask(), crowd.ask()
        shop.start(pods=4, weight=Fraction(1, 2), sticky=True)
        second = [crowd.ask() for _again in range(2)]
        shop.promote(PromoteBy.WEIGHTS)
        last = crowd.ask()
    assert_none_failed(users)
    assert first == again and second == [second[0]] * 2 and first <= second[0] < last == CROWD
    assert not crowd.back
    shop.assert_own()


def answered(shop: Shop, version: str) -> int:
    """Requests that the pods of this version have answered, by their own count."""
    found = 0
    for pod in shop.api.list(f"/api/v1/namespaces/{shop.namespace}/pods")["items"]:
        if pod["spec"]["containers"][0]["image"] == image(version):
            with urlopen(f"http://{pod['status']['podIP']}:{shop.lab.port}/metrics", timeout=10) as told:
                counts = re.findall(r"^http_requests_total\{.*\} (\d+)$", told.read().decode(), re.M)
            found += sum(map(int, counts))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["VirtualService", "HTTPRoute"])
def test_copies_come_to_the_canary_in_their_part_and_none_of_its_answers_to_a_user(kind: str, new: New) -> None:
    shop, part = new(kind), QUARTER
    with shop.users.coming(RATE) as at_the_start:
        started = shop.start(mirror=part, proof="prefer")
    assert started.extra["exposure"]["mirror"] == 25.0 and started.extra["exposure"]["programmed"] == "proven"
    before = answered(shop, "v2")
    counted = shop.users.send(MANY)
    # Nobody waits for the answer of a copy.
    until(lambda: answered(shop, "v2") > before, "copies have come")
    time.sleep(1.0)
    copied = answered(shop, "v2") - before
    assert abs(copied - part * MANY) <= DEVIATIONS * sqrt(MANY * part * (1 - part)), copied
    with shop.users.coming(RATE) as at_the_end:
        shop.undo()
    for tally in (at_the_start, counted, at_the_end):
        assert_none_failed(tally)
        assert tally.of("v1") == tally.sent
    shop.assert_own()
