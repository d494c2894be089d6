# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who keep their version, and users of a Service that is switched, through a real proxy (Traefik).

The laws of both are in tests/unit/traffic, every order and every death in tests/sim/test_traffic.py and tests/sim/test_switch.py.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from tests.cluster.gateway.server import Gateway
from tests.cluster.lab import Lab
from tests.gateways.browsers import Crowd
from tests.gateways.shop import Shop
from tests.integration.releases import silent
from tests.situations import until

MANY = 100


@pytest.fixture
def new(answering_lab: Lab, gateway: Gateway, answering_namespace: str) -> Callable[..., Shop]:
    """Shops whose users are answered."""

    def make(**given: Any) -> Shop:
        return Shop(answering_lab, gateway, answering_namespace, **given).opened()

    return make


def test_nobody_who_has_seen_the_canary_sees_the_stable_version_again(new: Callable[..., Shop]) -> None:
    shop = new()
    crowd = Crowd.of(MANY, shop.gateway.address, shop.host)
    with shop.users.coming() as users:
        # In the middle of a split, which the proxy has to show as the first one.
        shop.start(weight=Fraction(1, 5))
        shop.start(weight=Fraction(1, 5), sticky=True)
        first, again = crowd.ask(), crowd.ask()
        shop.start(pods=4, weight=Fraction(1, 2), sticky=True)
        second = [crowd.ask() for _again in range(3)]
        promote(shop.api, PromoteRequest(shop.release.call), silent)
        last = crowd.ask()
    assert not users.failed, users.why
    # Traefik draws in turn, and the steady users take some of the turns.
    assert first == again and abs(first - 20) <= 10
    assert abs(second[0] - 50) <= 15 and second == [second[0]] * 3
    assert last == MANY and not crowd.back
    shop.assert_own()


def test_a_service_is_switched_there_and_back_and_no_request_fails(new: Callable[..., Shop]) -> None:
    shop = new()
    switch = {"kind": "service_selector", "proof": "prefer", "pods": 4}
    with shop.users.coming() as users:
        for weight, version in ((0, "v1"), (1, "v2"), (0, "v1"), (1, "v2")):
            shop.start(weight=Fraction(weight), **switch)
            until(lambda of=version: shop.users.send(100).of(of) == 100, f"everybody gets {version}")
        promote(shop.api, PromoteRequest(shop.release.call, keep=2.0), silent)
        until(lambda: shop.users.send(100).of("v2") == 100, "everybody gets the new version")
    assert users.sent and not users.failed, users.why
    shop.assert_own()
    service = shop.api.get(f"{shop.services}/web")
    assert service["spec"]["selector"] == {"app": shop.release.name} and not service["metadata"].get("annotations")
