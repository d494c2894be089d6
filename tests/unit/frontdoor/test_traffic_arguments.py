# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option traffic: what comes of it, and what is refused in words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.nested import validated
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.start import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.traffic import new_traffic
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Header, TrafficRequest


def traffic(**given: Any) -> TrafficRequest:
    asked = new_traffic(validated("traffic", VERB.arguments.options, {"kind": "gateway_api", **given}))
    assert asked is not None
    return asked


def test_what_is_not_given_stays_as_it_is() -> None:
    assert traffic() == TrafficRequest()
    assert new_traffic(None) is None


@pytest.mark.parametrize(("weight", "share"), [(5, "1/20"), (0.1, "1/1000"), ("12.5", "1/8"), (0, "0"), (100, "1")])
def test_a_weight_is_the_number_that_was_written(weight: Any, share: str) -> None:
    assert traffic(weight=weight).weight == Fraction(share)


def test_a_header_is_given_or_taken_away() -> None:
    assert traffic(header={"name": "x-canary", "value": "always"}).header == Header("x-canary", "always")
    assert traffic(header={}).without_header and not traffic().without_header


def test_users_are_kept_or_not_and_otherwise_it_stays_as_it_is() -> None:
    assert [traffic(**given).sticky for given in ({}, {"sticky": "cookie"}, {"sticky": "none"})] == [None, True, False]


@pytest.mark.parametrize(("mirror", "part"), [(10, "1/10"), (0.01, "1/10000"), (0, "0"), (100, "1")])
@pytest.mark.parametrize("kind", ["gateway_api", "istio"])
def test_a_part_of_the_requests_is_copied(kind: str, mirror: float, part: str) -> None:
    asked = traffic(kind=kind, mirror=mirror)
    assert asked.mirror == asked.bears == Fraction(part)


def test_what_nobody_has_to_show_needs_no_proof() -> None:
    assert traffic(kind="ingress_nginx", sticky="cookie", proof="none").sticky


def test_of_an_url_only_where_users_come_in_is_kept() -> None:
    asked = traffic(
        probe={"url": "https://shop.example:8443/a?token=secret", "address": "10.0.0.1", "validate_certs": False}
    )
    assert (asked.url, asked.address, asked.verify) == ("https://shop.example:8443", "10.0.0.1", False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weight": -1}, "traffic.weight is -1"),
        ({"weight": 100.1}, "traffic.weight is 100.1"),
        ({"mirror": 101}, "traffic.mirror is 101"),
        ({"mirror": 10, "weight": 5}, "traffic.mirror is 10 and traffic.weight is 5"),
        ({"mirror": 10, "sticky": "cookie"}, "traffic.mirror is 10 and traffic.sticky is cookie"),
        *(
            ({"kind": kind, "mirror": 10}, f"traffic.mirror is nothing that {kind} has")
            for kind in ("ingress_nginx", "alb", "gateway_api_grpc", "service_selector")
        ),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": 4000}, "traffic.timeout is 4000"),
        ({"service": "Web"}, "traffic.service"),
        ({"routes": ["a", "a"]}, "traffic.routes"),
        ({"routes": ["../x"]}, "traffic.routes"),
        ({"header": {"name": "x y", "value": "a"}}, "traffic.header"),
        ({"header": {"name": "x", "value": "a\n"}}, "traffic.header"),
        ({"header": {"name": "x"}}, "traffic.header"),
        ({"sticky": "cookie", "proof": "none"}, "traffic.sticky is cookie and traffic.proof is none"),
        ({"kind": "alb", "sticky": "cookie"}, "traffic.sticky is nothing that alb has"),
        ({"kind": "ingress_nginx", "proof": "require"}, "traffic.proof: require is nothing that ingress_nginx has"),
        ({"kind": "service_selector", "sticky": "cookie"}, "traffic.sticky is nothing that service_selector has"),
        ({"kind": "service_selector", "weight": 5}, "traffic.weight is neither 0 nor 100"),
        (
            {"kind": "service_selector", "header": {"name": "x", "value": "y"}},
            "traffic.header is nothing that service_selector has",
        ),
        ({"kind": "service_selector", "routes": ["web"]}, "traffic.routes is nothing that service_selector has"),
        (
            {"kind": "service_selector", "probe": {"url": "http://shop.example"}},
            "traffic.probe is nothing that service_selector has",
        ),
        ({"probe": {"url": "ftp://a"}}, "traffic.probe.url"),
        ({"probe": {"url": "https://user:pass@a"}}, "traffic.probe.url"),
        ({"probe": {"url": "https://a:99999"}}, "traffic.probe.url"),
        ({"probe": {"url": "https://a", "address": "a/b"}}, "traffic.probe.address"),
        ({"kind": "traefik"}, "kind"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        traffic(**given)
