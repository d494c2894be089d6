# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment, its Service, and what splits its users, on a real API server that no proxy listens to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    NewTemplate,
    Size,
    StartRequest,
    TrafficRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.gateways.objects import Json, RoutedObjects
from tests.integration.releases import CONTAINER, Release, image, silent


class RoutedRelease(RoutedObjects):
    """`route_made` is created beside a Service, both `web`, and `before` as it is stored. `asked`: what every start says of traffic."""

    asked = TrafficRequest(proof="none")

    def __init__(self, release: Release) -> None:
        super().__init__(release.api, release.namespace)
        self.release = release
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        self.api.create(self.services, service)
        self.before = self.api.create(self.routes, self.route_made())

    def route_made(self) -> Json:
        raise NotImplementedError

    def start(self, pods: int, **traffic: Any) -> Outcome:
        asked = replace(self.asked, **traffic)
        template = NewTemplate(images={CONTAINER: image("v2")})
        return start(self.api, StartRequest(self.release.call, template, Size(pods), surge=pods, traffic=asked), silent)

    def assert_as_before(self) -> None:
        now = self.route()
        assert now["spec"] == self.before["spec"]
        assert now["metadata"]["annotations"] == self.before["metadata"]["annotations"]
        for collection in (self.services, self.routes):
            assert [one["metadata"]["name"] for one in self.api.list(collection)["items"]] == ["web"]
