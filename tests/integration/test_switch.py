# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blue and green by the selector of a Service, on a real API server with its real EndpointSlices.

What a proxy makes of it, and whatever may go wrong, is played in tests/sim/test_switch.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    InfoRequest,
    NewTemplate,
    Size,
    StartRequest,
    TrafficRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest, StepAsked
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release as whole_release
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.integration.releases import CONTAINER, Release, image, silent

BLUE_GREEN = TrafficRequest(Fraction(0), without_header=True, kind="service_selector")
TEMPLATE = NewTemplate(images={CONTAINER: image("v2")})
HTTP = {"name": "http", "containerPort": 8080}


class Switched:
    """A Deployment and its Service."""

    def __init__(self, release: Release) -> None:
        self.release, self.api = release, release.api
        self.services = f"/api/v1/namespaces/{release.namespace}/services"
        self.slices = f"/apis/discovery.k8s.io/v1/namespaces/{release.namespace}/endpointslices"
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        meta = {"name": "web", "annotations": {"team": "a"}}
        self.api.create(self.services, {"metadata": meta, "spec": {"selector": {"app": "web"}, "ports": ports}})

    def start(self, weight: int) -> Outcome:
        asked = replace(BLUE_GREEN, weight=Fraction(weight))
        size = Size.bearing(Fraction(1))
        return start(self.api, StartRequest(self.release.call, TEMPLATE, size, surge=None, traffic=asked), silent)

    def serving(self) -> set[str]:
        """Pods that the Service sends to."""
        found = self.api.list(self.slices, {"labelSelector": "kubernetes.io/service-name=web"})["items"]
        ready = (one for item in found for one in item.get("endpoints") or () if one["conditions"]["ready"])
        return {one["targetRef"]["name"] for one in ready}

    def assert_as_before(self) -> None:
        found = {one["metadata"]["name"]: one for one in self.api.list(self.services)["items"]}
        assert list(found) == ["web"]
        assert found["web"]["spec"]["selector"] == {"app": "web"}
        assert found["web"]["metadata"]["annotations"] == {"team": "a"}


@pytest.fixture
def switched(release: Release, no_proxy: None) -> Iterator[Switched]:
    yield Switched(release)


def pods(version: Any) -> set[str]:
    return {pod["name"] for pod in version["pods"]}


def test_everybody_is_switched_there_and_back_and_an_undo_leaves_the_service_as_it_was(switched: Switched) -> None:
    held = switched.start(0).canary
    assert switched.serving() == pods(held["stable"]) and len(pods(held["canary"])) == held["replicas"]
    switched.start(1)
    assert switched.serving() == pods(held["canary"])
    told = info(switched.api, InfoRequest("web", switched.release.namespace))
    given = {"weight": 100.0, "header": None, "sticky": False, "mirror": 0.0}
    assert told.canary["traffic"] == {"kind": "service_selector", "service": "web", "routes": ["web"], "given": given}
    assert told.extra["exposure"]["weight"] == 100.0
    switched.start(0)
    assert switched.serving() == pods(held["stable"])
    switched.start(1)
    switched.release.undo()
    assert switched.serving() == pods(held["stable"])
    switched.assert_as_before()


def test_a_whole_release_switches_keeps_the_old_pods_and_gives_the_service_back(switched: Switched) -> None:
    call = switched.release.call
    request = ReleaseRequest(
        call=call,
        start=StartRequest(call, TEMPLATE, surge=None),
        judge=VerifyRequest(call, ()),
        room=HeadroomRequest(call, TEMPLATE),
        steps=(StepAsked(Size.bearing(Fraction(1)), traffic=BLUE_GREEN),),
        policies=Policies(headroom=Headroom.SKIP),
        keep=2.0,
    )
    told = whole_release(switched.api, request, silent).extra["release"]
    assert told["outcome"] == "released"
    shares = [moment["share"] for moment in told["timeline"] if moment["what"] == "start"]
    assert shares == [0.0, 100.0]
    assert switched.release.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == image("v2")
    switched.assert_as_before()


def test_a_container_port_that_only_the_stable_version_names_is_refused_before_any_pod(switched: Switched) -> None:
    path = f"{switched.services}/web"
    switched.api.patch(path, [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": "http"}], PatchKind.JSON)
    named = {"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, "ports": [HTTP]}]}}}}
    switched.api.patch(switched.release.path, named, PatchKind.STRATEGIC)
    switched.release.promote()
    without = {"spec": {"containers": [{"name": CONTAINER, "ports": [{"$patch": "replace"}, {**HTTP, "name": "web"}]}]}}
    asked = StartRequest(
        switched.release.call,
        replace(TEMPLATE, patch=without),
        Size.bearing(Fraction(1)),
        surge=None,
        traffic=BLUE_GREEN,
    )
    with pytest.raises(VerbFailure, match='sends to the container port "http"') as failed:
        start(switched.api, asked, silent)
    assert not failed.value.changed
    switched.start(0)
    switched.start(1)
    found = switched.api.list(switched.slices, {"labelSelector": "kubernetes.io/service-name=web"})["items"]
    assert [one["ports"][0]["port"] for one in found if one["endpoints"]] == [HTTP["containerPort"]]
