# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ingress and its canary Ingress on a real API server: what is stored, guarded, and put back.

What ingress-nginx makes of them is played in tests/sim/test_ingress.py.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Header,
    NewTemplate,
    PromoteBy,
    PromoteRequest,
    Size,
    StartRequest,
    TrafficRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.integration.releases import CONTAINER, Release, image, silent

P = "nginx.ingress.kubernetes.io/"


class Served:
    """A Deployment, its Service, and an Ingress with one path of it and one of another."""

    def __init__(self, release: Release) -> None:
        self.release, self.api = release, release.api
        self.services = f"/api/v1/namespaces/{release.namespace}/services"
        self.ingresses = f"/apis/networking.k8s.io/v1/namespaces/{release.namespace}/ingresses"
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        self.api.create(
            self.services, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        )
        paths = [
            {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": port}}}
            for path, name, port in (("/", "web", {"name": "http"}), ("/old", "legacy", {"number": 80}))
        ]
        rules = [{"host": "shop.example", "http": {"paths": paths}}]
        meta = {"name": "web", "annotations": {"team": "a & <b>", f"{P}affinity": "cookie"}}
        body = {"metadata": meta, "spec": {"ingressClassName": "nginx", "rules": rules}}
        self.before = self.api.create(self.ingresses, body)

    def ingress(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{self.ingresses}/{name}")
        return found

    def backends(self, name: str = "web") -> list[str]:
        (rule,) = self.ingress(name)["spec"]["rules"]
        return [path["backend"]["service"]["name"] for path in rule["http"]["paths"]]

    def start(self, pods: int, **traffic: Any) -> Outcome:
        asked = TrafficRequest(kind="ingress_nginx", **traffic)
        template = NewTemplate(images={CONTAINER: image("v2")})
        return start(self.api, StartRequest(self.release.call, template, Size(pods), surge=pods, traffic=asked), silent)

    def assert_as_before(self) -> None:
        now = self.ingress()
        assert now["spec"] == self.before["spec"]
        assert now["metadata"]["annotations"] == self.before["metadata"]["annotations"]
        for collection in (self.services, self.ingresses):
            assert [one["metadata"]["name"] for one in self.api.list(collection)["items"]] == ["web"]


@pytest.fixture
def served(release: Release, no_proxy: None) -> Served:
    return Served(release)


def test_a_release_by_weights_from_its_start_to_its_end(served: Served) -> None:
    started = served.start(1, weight=Fraction(5, 1000), header=Header("x-canary", "always"))
    assert started.extra["exposure"]["weight"] == 0.5 and started.extra["exposure"]["programmed"] == "stated"
    stable, other = served.backends()
    assert stable.startswith(f"web-{started.canary['stable']['hash']}-") and other == "legacy"
    (canary,) = served.backends("web-coalmine-canary")
    assert canary.startswith(f"web-{started.canary['canary']['hash']}-")
    found = served.ingress("web-coalmine-canary")
    assert found["spec"]["ingressClassName"] == "nginx"
    assert found["metadata"]["annotations"] == {
        f"{P}affinity": "cookie",
        f"{P}canary": "true",
        f"{P}canary-weight": "1",
        f"{P}canary-weight-total": "200",
        f"{P}canary-by-header": "x-canary",
        f"{P}canary-by-header-value": "always",
    }
    generation = served.ingress()["metadata"]["generation"]
    again = served.start(1, weight=Fraction(5, 1000), header=Header("x-canary", "always"))
    assert not again.changed
    served.start(4, weight=Fraction(1, 4), without_header=True)
    annotations = served.ingress("web-coalmine-canary")["metadata"]["annotations"]
    assert annotations == {f"{P}affinity": "cookie", f"{P}canary": "true", f"{P}canary-weight": "25"}
    assert served.ingress()["metadata"]["generation"] == generation
    promoted = promote(served.api, PromoteRequest(served.release.call, PromoteBy.WEIGHTS), silent)
    containers = served.release.deployment()["spec"]["template"]["spec"]["containers"]
    assert promoted.changed and containers[0]["image"] == image("v2")
    served.assert_as_before()


def test_an_undo_puts_both_back_whoever_wrote_to_them_meanwhile(served: Served) -> None:
    served.start(1, weight=Fraction(1, 10))
    put_back = [{"op": "replace", "path": "/spec/rules", "value": served.before["spec"]["rules"]}]
    served.api.patch(f"{served.ingresses}/web", put_back, PatchKind.JSON, field_manager="argocd-controller")
    again = served.start(1)
    assert any("argocd-controller" in warning for warning in again.warnings)
    assert again.extra["exposure"]["weight"] == 10.0
    served.release.undo()
    served.assert_as_before()
