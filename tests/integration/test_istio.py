# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualServices on a real API server, with the definition of Istio itself: what is stored, guarded, and put back.

What a proxy makes of it is played in tests/sim/test_istio.py.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Conflict, NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Exposure, Stage, Versions, Wanted
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.virtualservice import parse, plan, state
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Header,
    PromoteBy,
    PromoteRequest,
    TrafficRequest,
    UndoRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo
from tests.cluster.foreign import ForeignCluster
from tests.cluster.istio.definitions import definition
from tests.cluster.lab import Lab
from tests.cluster.objects import DEFINITIONS
from tests.gateways.objects import Json
from tests.integration.releases import Release, image, silent
from tests.integration.routed import RoutedRelease
from tests.situations import until


class Meshed(RoutedRelease):
    """A VirtualService with a rule of the Deployment's Service, one of both, and one of another."""

    group, plural = "networking.istio.io/v1", "virtualservices"
    asked = TrafficRequest(kind="istio", proof="none")

    def route_made(self) -> Json:
        own = {"destination": {"host": f"web.{self.namespace}.svc.cluster.local", "port": {"number": 80}}}
        legacy = {"destination": {"host": "legacy", "port": {"number": 80}}}
        http = [
            {
                "name": "api",
                "match": [{"uri": {"prefix": "/api"}}],
                "timeout": "5s",
                "retries": {"attempts": 2},
                "route": [{**own, "weight": 60}, {**legacy, "weight": 40}],
            },
            {"match": [{"uri": {"prefix": "/old"}}], "route": [legacy]},
            {"route": [{"destination": {"host": "web"}}]},
        ]
        meta = {"name": "web", "annotations": {"team": "a & <b>"}}
        spec = {"hosts": ["shop.example"], "gateways": ["edge"], "http": http}
        return {"apiVersion": self.group, "kind": "VirtualService", "metadata": meta, "spec": spec}

    def destinations(self) -> list[dict[str, int]]:
        return [
            {ref["destination"]["host"].split(".")[0]: ref.get("weight", 0) for ref in rule["route"]}
            for rule in self.route()["spec"]["http"]
        ]


@pytest.fixture(scope="module")
def defined(lab: Lab | ForeignCluster) -> None:
    """The API server knows VirtualServices."""
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        with suppress(Conflict):
            api.create(DEFINITIONS, definition("VirtualService"))
        until(lambda: _is_served(api), "VirtualServices are served")


def _is_served(api: Api) -> bool:
    try:
        api.list("/apis/networking.istio.io/v1/virtualservices")
    except NotFound:
        return False
    return True


@pytest.fixture
def meshed(defined: None, release: Release, no_proxy: None) -> Meshed:
    return Meshed(release)


def test_a_release_by_weights_from_its_start_to_its_end_and_whoever_writes_meanwhile(meshed: Meshed) -> None:
    started = meshed.start(1, weight=Fraction(5, 100), header=Header("X-Canary", "always"))
    assert started.extra["exposure"]["weight"] == 5.0 and started.extra["exposure"]["programmed"] == "stated"
    first, copy, *_rest, last = meshed.destinations()
    (canary,) = first
    (stable,) = last.keys() - {canary}
    assert canary.startswith(f"web-{started.canary['canary']['hash']}-") and copy.keys() == {stable, canary, "legacy"}
    assert copy == {stable: 57, canary: 3, "legacy": 40} and last == {stable: 95, canary: 5}
    assert not meshed.start(1, weight=Fraction(5, 100), header=Header("X-Canary", "always")).changed
    put_back = [{"op": "replace", "path": "/spec/http", "value": meshed.before["spec"]["http"]}]
    meshed.api.patch(f"{meshed.routes}/web", put_back, PatchKind.JSON, field_manager="argocd-controller")
    again = meshed.start(4, weight=Fraction(1, 4), without_header=True)
    assert any("argocd-controller" in warning for warning in again.warnings)
    assert meshed.destinations()[-1] == {stable: 75, canary: 25}
    promoted = promote(meshed.api, PromoteRequest(meshed.release.call, PromoteBy.WEIGHTS), silent)
    containers = meshed.release.deployment()["spec"]["template"]["spec"]["containers"]
    assert promoted.changed and containers[0]["image"] == image("v2")
    meshed.assert_as_before()


def test_copies_are_kept_by_the_server_and_taken_back(meshed: Meshed) -> None:
    started = meshed.start(1, mirror=Fraction(1, 10))
    assert started.extra["exposure"]["mirror"] == 10.0
    first, other, last = meshed.route()["spec"]["http"]
    assert (first["mirrorPercentage"], last["mirrorPercentage"]) == (
        {"value": 6},
        {"value": 10},
    ) and "mirror" not in other
    assert last["mirror"]["host"].startswith(f"web-{started.canary['canary']['hash']}-")
    assert not meshed.start(1, mirror=Fraction(1, 10)).changed
    undo(meshed.api, UndoRequest(meshed.release.call), silent)
    meshed.assert_as_before()


def test_rules_for_probes_are_taken_as_they_are_and_taken_away_again(meshed: Meshed) -> None:
    versions, release = Versions("web", "web-7db95c9fc5-1", "web-58d4cfb7fd-1"), {"owner": "uid", "token": "0123"}
    split = Exposure(Fraction(1, 3), Header("X-Canary", "always"))
    for wanted in (
        Wanted(Stage.OWN, warm=(versions.stable,), mark=1),
        Wanted(Stage.ISOLATED, warm=(versions.canary,), mark=2),
        Wanted(Stage.SPLIT, split, mark=3),
        Wanted(Stage.SPLIT, Exposure(mirror=Fraction(1, 10)), mark=4),
        Wanted(Stage.OWN, Exposure(header=split.header), mark=5),
        Wanted(Stage.OWN),
    ):
        planned = plan(parse(meshed.route()), versions, wanted, **release)
        assert planned is not None
        meshed.api.patch(f"{meshed.routes}/web", list(planned.operations), PatchKind.JSON)
        route = parse(meshed.route())
        assert state(route, versions) == (wanted.stage, wanted) and plan(route, versions, wanted, **release) is None
    meshed.assert_as_before()
