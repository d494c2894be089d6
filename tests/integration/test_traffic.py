# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes on a real API server, with the definitions of Gateway API itself: what is stored, guarded, and put back.

What a proxy makes of it is tried in test_gateway.py, and played in tests/sim/test_traffic.py.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Conflict, Invalid, NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Stage,
    Sticky,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import plan, state
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.bake import bake
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    BakeRequest,
    Header,
    PromoteBy,
    PromoteRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    PodsAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.foreign import ForeignCluster
from tests.cluster.gateway.program import definitions
from tests.cluster.lab import Lab
from tests.cluster.objects import DEFINITIONS
from tests.gateways.objects import Json
from tests.integration.releases import Release, image, silent
from tests.integration.routed import RoutedRelease
from tests.sim.odd_routes import REFUSED, TAKEN
from tests.situations import until


class Routed(RoutedRelease):
    """Two rules of an HTTPRoute that send to the Deployment's Service; one of them also to another."""

    def route_made(self) -> Json:
        both = [{"name": "web", "port": 80, "weight": 3}, {"name": "legacy", "port": 80}]
        rules = [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                "backendRefs": both,
                "timeouts": {"request": "10s"},
            },
            {"backendRefs": [{"name": "web", "port": 80}]},
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
                "backendRefs": [{"name": "legacy", "port": 80}],
            },
        ]
        spec = {"parentRefs": [{"name": "gw"}], "hostnames": ["shop.example"], "rules": rules}
        meta = {"name": "web", "annotations": {"team": "a & <b>"}}
        return {"apiVersion": self.group, "kind": "HTTPRoute", "metadata": meta, "spec": spec}

    def backends(self) -> list[dict[str, int]]:
        rules = self.route()["spec"]["rules"]
        return [{ref["name"]: ref["weight"] for ref in rule.get("backendRefs", ())} for rule in rules]


@pytest.fixture(scope="module")
def defined(lab: Lab | ForeignCluster) -> None:
    """The API server knows HTTPRoutes. Each definition costs it a second, so it has no other one."""
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        (routes,) = (one for one in definitions() if one["spec"]["names"]["kind"] == "HTTPRoute")
        with suppress(Conflict):
            api.create(DEFINITIONS, routes)
        until(lambda: is_served(api), "HTTPRoutes are served")


def is_served(api: Api, kind: str = "httproutes") -> bool:
    try:
        api.list(f"/apis/gateway.networking.k8s.io/v1/{kind}")
    except NotFound:
        return False
    return True


@pytest.fixture
def routed(defined: None, release: Release, no_proxy: None) -> Routed:
    return Routed(release)


def test_a_release_by_weights_from_its_start_to_its_end(routed: Routed) -> None:
    started = routed.start(1, weight=Fraction(5, 100), header=Header("x-canary", "always"))
    release = json.loads(routed.release.deployment()["metadata"]["annotations"][RECORD])["generation"]
    stable, canary = (f"web-{started.canary[one]['hash']}-{release}" for one in ("stable", "canary"))
    shares = [{stable: 57, canary: 3, "legacy": 20}, {stable: 19, canary: 1}, {"legacy": 1}]
    assert routed.backends() == [*shares, {canary: 1}, {canary: 1}]
    assert started.extra["exposure"]["weight"] == 5.0 and started.extra["exposure"]["programmed"] == "stated"
    assert "paused" not in routed.api.get(routed.release.path)["spec"]
    for name in (stable, canary):
        spec = routed.api.get(f"{routed.services}/{name}")["spec"]
        assert spec["selector"]["app"] == "web" and spec["ports"][0]["targetPort"] == 8080
    generation = routed.route()["metadata"]["generation"]
    again = routed.start(1, weight=Fraction(5, 100), header=Header("x-canary", "always"))
    assert not again.changed and routed.route()["metadata"]["generation"] == generation
    routed.start(4, weight=Fraction(1, 4), without_header=True)
    assert routed.backends() == [{stable: 9, canary: 3, "legacy": 4}, {stable: 3, canary: 1}, {"legacy": 1}]
    promoted = promote(routed.api, PromoteRequest(routed.release.call, PromoteBy.WEIGHTS), silent)
    assert promoted.changed and routed.release.deployment()["spec"]["template"]["spec"]["containers"][0][
        "image"
    ] == image("v2")
    routed.assert_as_before()


def test_an_undo_puts_the_route_back_whoever_wrote_to_it_meanwhile(routed: Routed) -> None:
    routed.start(1, weight=Fraction(1, 10))
    put_back = [{"op": "replace", "path": "/spec/rules", "value": routed.before["spec"]["rules"]}]
    routed.api.patch(f"{routed.routes}/web", put_back, PatchKind.JSON, field_manager="argocd-controller")
    again = routed.start(1, weight=Fraction(1, 10))
    assert any("argocd-controller" in warning for warning in again.warnings)
    assert again.extra["exposure"]["routes"] == [{"name": "web", "stage": "split"}]
    routed.release.undo()
    routed.assert_as_before()


def bakes(routed: Routed) -> None:
    """One of so many that its first look comes after 16 s."""
    bake(routed.api, BakeRequest(replace(routed.release.call, together=400), 300.0), silent)


def verifies(routed: Routed) -> None:
    check = CheckAsked(RateCheck("pods", Tolerance(max_increase=0.01)), PodsAsked())
    verify(routed.api, VerifyRequest(routed.release.call, (check,), 300.0, interval=60.0), silent)


@pytest.mark.parametrize("watches", [bakes, verifies])
def test_whoever_watches_is_told_at_once_of_a_write_to_its_route(
    routed: Routed, lab: Lab | ForeignCluster, watches: Callable[[Routed], None]
) -> None:
    routed.start(1, weight=Fraction(1, 10))
    written: list[float] = []

    def puts_back() -> None:
        rules = [{"op": "replace", "path": "/spec/rules", "value": routed.before["spec"]["rules"]}]
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as somebody:
            somebody.patch(f"{routed.routes}/web", rules, PatchKind.JSON, field_manager="argocd-controller")
        written.append(time.monotonic())

    later = threading.Timer(1.5, puts_back)
    later.start()
    with pytest.raises(VerbFailure, match="somebody else writes the backends") as raised:
        watches(routed)
    later.join()
    assert raised.value.code == "contested"
    # A second is promised; the next look would come after more than ten.
    assert time.monotonic() - written[0] < 5.0
    routed.release.undo()
    routed.assert_as_before()


def test_rules_for_cookies_and_for_copies_are_taken_as_they_are_and_taken_away_again(routed: Routed) -> None:
    versions, release = Versions("web", "web-7db95c9fc5", "web-58d4cfb7fd"), {"owner": "uid", "token": "0123"}
    first = Exposure(Fraction(1, 5), sticky=Sticky.after(Exposure(), Fraction(1, 5)))
    second = Exposure(Fraction(1, 2), sticky=Sticky.after(first, Fraction(1, 2)))
    warm = Wanted(Stage.ISOLATED, Exposure(sticky=first.sticky), (versions.canary,), mark=1)
    for wanted in (
        replace(warm, copies=True, exposure=Exposure()),
        Wanted(Stage.SPLIT, Exposure(mirror=Fraction(1, 10)), mark=2),
        Wanted(Stage.SPLIT, Exposure(mirror=Fraction(1)), mark=3),
        warm,
        Wanted(Stage.SPLIT, first, mark=2),
        Wanted(Stage.SPLIT, second, mark=3),
        Wanted(Stage.OWN),
    ):
        planned = plan(Route.parse(routed.route()), versions, wanted, **release)
        assert planned is not None
        routed.api.patch(f"{routed.routes}/web", list(planned.operations), PatchKind.JSON)
        route = Route.parse(routed.route())
        assert state(route, versions) == (wanted.stage, wanted) and plan(route, versions, wanted, **release) is None
    routed.assert_as_before()


def test_a_grpc_route_is_rewritten_as_it_stands_and_given_back(routed: Routed) -> None:
    """With the status that a controller would write: nobody reads it here, so that the time of it is over."""
    (definition,) = (one for one in definitions() if one["spec"]["names"]["kind"] == "GRPCRoute")
    with suppress(Conflict):
        routed.api.create(DEFINITIONS, definition)
    routes = routed.routes.replace("httproutes", "grpcroutes")
    until(lambda: is_served(routed.api, "grpcroutes"), "GRPCRoutes are served")
    rules: list[dict[str, Any]] = [
        {"matches": [{"method": {"service": "shop.Web"}}], "backendRefs": [{"name": "web", "port": 80}]},
        {"backendRefs": [{"name": "web", "port": 80, "weight": 3}, {"name": "legacy", "port": 80}]},
    ]
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": ["shop.example"], "rules": rules}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute"}
    before = routed.api.create(routes, {**kind, "metadata": {"name": "web"}, "spec": spec})
    routed.start(1, weight=Fraction(5, 100), header=Header("x-canary", "always"), kind="gateway_api_grpc")
    first, second, *copies = routed.api.get(f"{routes}/web")["spec"]["rules"]
    shares = [[ref["weight"] for ref in rule["backendRefs"]] for rule in (first, second)]
    assert shares == [[19, 1], [57, 3, 20]] and len(copies) == 2
    assert copies[0]["matches"][0]["method"]["service"] == "shop.Web"
    routed.release.undo()
    after = routed.api.get(f"{routes}/web")
    assert after["spec"] == before["spec"] and not after["metadata"].get("annotations")
    routed.assert_as_before()


def test_what_cannot_be_routed_is_refused_and_nothing_is_written(routed: Routed) -> None:
    before = routed.release.deployment()["metadata"]["resourceVersion"]
    wrong: dict[str, dict[str, Any]] = {
        "no_route": {"routes": ("nothing",)},
        "service": {"service": "legacy"},
        "overloaded": {"weight": Fraction(1, 2)},
    }
    for code, traffic in wrong.items():
        with pytest.raises(VerbFailure) as refused:
            routed.start(1, **traffic)
        assert refused.value.code == code and not refused.value.changed
    assert routed.release.deployment()["metadata"]["resourceVersion"] == before
    routed.assert_as_before()


def test_the_simulated_server_takes_of_a_route_what_this_one_takes(defined: None, release: Release) -> None:
    """As tests/sim/test_gateway_api.py has it of the simulated one."""
    routes = f"/apis/gateway.networking.k8s.io/v1/namespaces/{release.namespace}/httproutes"

    def is_taken(rules: list[Json]) -> bool:
        item = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "odd"},
            "spec": {"rules": rules},
        }
        try:
            release.api.create(routes, item, dry_run=True)
        except Invalid:
            return False
        return True

    assert [name for name, rules in TAKEN.items() if not is_taken(rules)] == []
    assert [name for name, rules in REFUSED.items() if is_taken(rules)] == []
