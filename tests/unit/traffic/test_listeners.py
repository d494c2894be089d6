# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listeners of a Gateway a route is attached to, and as whose requests they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import Fields
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.listeners import Way, ways
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from tests.unit.traffic.test_httproute import Json, ref, route

HTTP, HTTPS = Way(80, "shop.example", False), Way(443, "shop.example", True)


def listener(name: str = "web", port: int = 80, protocol: str = "HTTP", hostname: str = "", **allowed: Any) -> Json:
    more = {"hostname": hostname} if hostname else {}
    return {"name": name, "port": port, "protocol": protocol, **more, **({"allowedRoutes": allowed} if allowed else {})}


def found(*listeners: Json, hosts: list[str], **parent: Any) -> list[Way]:
    item = route({"backendRefs": [ref("web")]})
    item["spec"].update(hostnames=hosts, parentRefs=[{"name": "gw", **parent}])
    parsed = Route.parse(item)
    return ways(Fields({"spec": {"listeners": list(listeners)}}, "Gateway"), parsed, parsed.parents[0])


SECURE = listener("secure", 443, "HTTPS")


@pytest.mark.parametrize(
    ("listeners", "parent", "expected"),
    [
        ([listener(), SECURE], {}, [HTTP, HTTPS]),
        ([listener(), SECURE], {"sectionName": "secure"}, [HTTPS]),
        ([listener(), SECURE], {"port": 80}, [HTTP]),
        ([listener(), listener("raw", 9000, "TCP"), listener("through", 443, "TLS")], {}, [HTTP]),
        # Whose routes a listener takes: those of its own namespace, if it does not say.
        ([listener()], {"namespace": "infra"}, []),
        ([listener(namespaces={"from": "All"})], {"namespace": "infra"}, [HTTP]),
        ([listener(namespaces={"from": "Same"})], {}, [HTTP]),
        ([listener(namespaces={"from": "None"})], {}, []),
        ([listener(namespaces={"from": "Selector", "selector": {}})], {"namespace": "infra"}, [HTTP]),
        ([listener(kinds=[{"kind": "GRPCRoute"}]), SECURE], {}, [HTTPS]),
        ([listener(kinds=[{"kind": "GRPCRoute"}, {"kind": "HTTPRoute"}])], {}, [HTTP]),
        # The same port and host once.
        ([listener(), listener("twice")], {}, [HTTP]),
    ],
)
def test_it_is_asked_at_each_listener_that_takes_it(listeners: list[Json], parent: Json, expected: list[Way]) -> None:
    assert found(*listeners, hosts=["shop.example"], **parent) == expected


@pytest.mark.parametrize(
    ("hostname", "hosts", "expected"),
    [
        ("", [], [""]),
        ("", ["shop.example", "cart.example"], ["shop.example"]),
        ("shop.example", [], ["shop.example"]),
        ("cart.example", ["shop.example", "cart.example"], ["cart.example"]),
        ("other.example", ["shop.example"], []),
        ("*.example", ["shop.example"], ["shop.example"]),
        ("*.example", ["a.shop.example"], ["a.shop.example"]),
        ("*.example", ["example"], []),
        ("shop.example", ["*.example"], ["shop.example"]),
        ("*.shop.example", ["*.example"], ["*.shop.example"]),
        ("*.example", ["*.other"], []),
    ],
)
def test_it_is_asked_as_a_host_that_both_take(hostname: str, hosts: list[str], expected: list[str]) -> None:
    assert [way.host for way in found(listener(hostname=hostname), hosts=hosts)] == expected
