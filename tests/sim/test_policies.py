# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BackendTLSPolicy, and mostly a DestinationRule, too, names Services one by one, so the gateway would speak plain HTTP to the copies of one:
nobody is to find out by a 400."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Forbidden
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.history import Ask
from tests.sim.objects import NAME, NAMESPACE, Json
from tests.sim.refusals import not_served
from tests.sim.test_traffic import SWIFT, world
from tests.sim.world import World

START = Ask("start", share="5")
POLICIES = "backendtlspolicies.gateway.networking.k8s.io"
SERVICE = {"group": "", "kind": "Service", "name": NAME}


def governed(ask: Ask, *targets: Json) -> World:
    one = world(ask)
    tls = {"hostname": "web.example", "wellKnownCACertificates": "System"}
    policy = {
        "metadata": {"name": "tls", "namespace": NAMESPACE},
        "spec": {"targetRefs": list(targets), "validation": tls},
    }
    one.server.create("backendtlspolicies", policy, "somebody", "kubectl-create")
    return one


@pytest.mark.parametrize("kind", ["gateway_api", "gateway_api_grpc"])
@pytest.mark.parametrize("section", [{}, {"sectionName": "http"}], ids=["the Service", "its port"])
def test_a_start_is_refused_before_anything_is_written(section: Json, kind: str) -> None:
    started = governed(replace(START, kind=kind), {**SERVICE, **section}).play().calls[0]
    told = started.told()
    assert told.startswith('failed (traffic_policy): BackendTLSPolicy "tls" says how Service "web" is reached'), told
    assert "every request would fail" in told and "service_selector" in told and not started.writes


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("gateway_api", {**SERVICE, "name": "api"}),
        ("gateway_api", {**SERVICE, "sectionName": "admin"}),
        ("gateway_api", {**SERVICE, "kind": "ServiceImport", "group": "multicluster.x-k8s.io"}),
        ("service_selector", SERVICE),
    ],
    ids=["another Service", "another port", "another kind", "switched itself"],
)
def test_one_that_says_nothing_of_what_the_routes_reach_is_nobodys_business(kind: str, target: Json) -> None:
    green = Ask("start", pods=4, surge=4, share="0", kind=kind)
    outcome = governed(green if kind == "service_selector" else START, target).play().calls[0].result
    assert isinstance(outcome, Outcome) and not any("BackendTLSPolicy" in text for text in outcome.warnings)


def test_one_of_the_version_before_counts_where_the_cluster_has_no_newer() -> None:
    one = governed(START, SERVICE)
    before, lists = one.server.may, list[Asked]()

    def may(asked: Asked, user: str) -> None:
        if asked.resource == POLICIES:
            lists.append(asked)
            if len(lists) == 1:
                raise not_served()
        before(asked, user)

    one.server.may = may  # type: ignore[method-assign]
    assert one.play().calls[0].told().startswith("failed (traffic_policy)") and len(lists) == 2


def test_who_may_not_read_them_is_told_what_nobody_knows_now() -> None:
    one = world(START)
    before = one.server.may

    def may(asked: Asked, user: str) -> None:
        if asked.resource == POLICIES:
            raise Forbidden(asked, "no right")
        before(asked, user)

    one.server.may = may  # type: ignore[method-assign]
    outcome = one.play().calls[0].result
    assert isinstance(outcome, Outcome)
    assert [text for text in outcome.warnings if "whether a BackendTLSPolicy says how" in text]


RULES = "destinationrules.networking.istio.io"


def ruled(kind: str, policy: Json, controller: str) -> World:
    """A DestinationRule for the Service of a route that this controller has accepted."""
    one = world(replace(START, kind=kind), lags=replace(SWIFT, controller=controller))
    rule = {"metadata": {"name": "safe", "namespace": NAMESPACE}, "spec": {"host": NAME, "trafficPolicy": policy}}
    one.server.create("destinationrules", rule, "somebody", "kubectl-create")
    return one


@pytest.mark.parametrize("kind", ["gateway_api", "gateway_api_grpc"])
def test_a_start_by_a_gateway_of_istio_is_refused_where_a_destination_rule_says_that_pods_speak_tls(kind: str) -> None:
    started = ruled(kind, {"tls": {"mode": "SIMPLE"}}, "istio.io/gateway-controller").play().calls[0]
    told = started.told()
    assert told.startswith('failed (traffic_policy): DestinationRule "safe" says how Service "web" is reached'), told
    assert f"*.{NAMESPACE}.svc.cluster.local" in told and not started.writes


@pytest.mark.parametrize(("controller", "asks"), [("istio.io/mesh-controller", True), ("lab.example/gateway", False)])
def test_destination_rules_are_asked_for_where_istio_reports_alone(controller: str, asks: bool) -> None:
    one = ruled("gateway_api", {"outlierDetection": {}}, controller)
    before, lists = one.server.may, list[Asked]()

    def may(asked: Asked, user: str) -> None:
        if asked.resource == RULES:
            lists.append(asked)
        before(asked, user)

    one.server.may = may  # type: ignore[method-assign]
    outcome = one.play().calls[0].result
    assert isinstance(outcome, Outcome) and bool(lists) is asks
    assert any('DestinationRule "safe" says how' in text for text in outcome.warnings) is asks
