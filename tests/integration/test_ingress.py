# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ingress and its canary Ingress on a real API server: what is stored, guarded, and put back.

What ingress-nginx makes of them is played in tests/sim/test_ingress.py.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Header,
    PromoteBy,
    PromoteRequest,
    TrafficRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from tests.gateways.objects import Json
from tests.integration.releases import Release, image, silent
from tests.integration.routed import RoutedRelease

P = "nginx.ingress.kubernetes.io/"


class Served(RoutedRelease):
    """An Ingress with one path of the Deployment's Service and one of another."""

    group, plural = "networking.k8s.io/v1", "ingresses"
    asked = TrafficRequest(kind="ingress_nginx")

    def route_made(self) -> Json:
        paths = [
            {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": port}}}
            for path, name, port in (("/", "web", {"name": "http"}), ("/old", "legacy", {"number": 80}))
        ]
        rules = [{"host": "shop.example", "http": {"paths": paths}}]
        meta = {"name": "web", "annotations": {"team": "a & <b>", f"{P}affinity": "cookie"}}
        return {"metadata": meta, "spec": {"ingressClassName": "nginx", "rules": rules}}

    def backends(self, name: str = "web") -> list[str]:
        (rule,) = self.route(name)["spec"]["rules"]
        return [path["backend"]["service"]["name"] for path in rule["http"]["paths"]]


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
    found = served.route("web-coalmine-canary")
    assert found["spec"]["ingressClassName"] == "nginx"
    assert found["metadata"]["annotations"] == {
        f"{P}affinity": "cookie",
        f"{P}canary": "true",
        f"{P}canary-weight": "1",
        f"{P}canary-weight-total": "200",
        f"{P}canary-by-header": "x-canary",
        f"{P}canary-by-header-value": "always",
    }
    generation = served.route()["metadata"]["generation"]
    again = served.start(1, weight=Fraction(5, 1000), header=Header("x-canary", "always"))
    assert not again.changed
    served.start(4, weight=Fraction(1, 4), without_header=True)
    annotations = served.route("web-coalmine-canary")["metadata"]["annotations"]
    assert annotations == {f"{P}affinity": "cookie", f"{P}canary": "true", f"{P}canary-weight": "25"}
    assert served.route()["metadata"]["generation"] == generation
    promoted = promote(served.api, PromoteRequest(served.release.call, PromoteBy.WEIGHTS), silent)
    containers = served.release.deployment()["spec"]["template"]["spec"]["containers"]
    assert promoted.changed and containers[0]["image"] == image("v2")
    served.assert_as_before()


def test_an_undo_puts_both_back_whoever_wrote_to_them_meanwhile(served: Served) -> None:
    served.start(1, weight=Fraction(1, 10))
    put_back = [{"op": "replace", "path": "/spec/rules", "value": served.before["spec"]["rules"]}]
    served.api.patch(f"{served.routes}/web", put_back, PatchKind.JSON, field_manager="argocd-controller")
    again = served.start(1)
    assert any("argocd-controller" in warning for warning in again.warnings)
    assert again.extra["exposure"]["weight"] == 10.0
    served.release.undo()
    served.assert_as_before()
