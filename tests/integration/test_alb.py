# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ingress of the AWS Load Balancer Controller on a real API server: what is stored, guarded, and put back; and users before a stand-in that
obeys its annotations. No load balancer of AWS is run. Every order and every lag is tried in tests/sim/test_alb.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
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
from tests.cluster.gateway.server import Gateway
from tests.cluster.lab import Lab
from tests.gateways.balancer import LOOPBACK, Balancer, balancing
from tests.gateways.course import TESTER, Counted, assert_goes
from tests.gateways.objects import Json
from tests.gateways.shop import IngressShop
from tests.integration.releases import CONTAINER, Release, image, silent

P = "alb.ingress.kubernetes.io/"


class Served:
    """A Deployment, its Service, and an Ingress with a path of it, one of an action among others, and one of another Service."""

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
            for path, name, port in (
                ("/", "web", {"number": 80}),
                ("/split", "split", {"name": "use-annotation"}),
                ("/old", "legacy", {"number": 80}),
            )
        ]
        groups = [
            {"serviceName": "web", "servicePort": "http", "weight": 3},
            {"serviceName": "legacy", "servicePort": 80, "weight": 1},
        ]
        action = json.dumps({"type": "forward", "forwardConfig": {"targetGroups": groups}}, indent=2)
        meta = {"name": "web", "annotations": {"team": "a & <b>", f"{P}target-type": "ip", f"{P}actions.split": action}}
        rules = [{"host": "shop.example", "http": {"paths": paths}}]
        self.before = self.api.create(
            self.ingresses, {"metadata": meta, "spec": {"ingressClassName": "alb", "rules": rules}}
        )

    def weights(self, action: str) -> list[int]:
        annotations = self.api.get(f"{self.ingresses}/web")["metadata"]["annotations"]
        groups = json.loads(annotations[f"{P}actions.{action}"])["forwardConfig"]["targetGroups"]
        return [group["weight"] for group in groups]

    def start(self, pods: int, *, check: bool = False, **traffic: Any) -> Outcome:
        template, call = NewTemplate(images={CONTAINER: image("v2")}), replace(self.release.call, check=check)
        asked = TrafficRequest(kind="alb", **traffic)
        return start(self.api, StartRequest(call, template, Size(pods), surge=pods, traffic=asked), silent)

    def assert_as_before(self) -> None:
        now = self.api.get(f"{self.ingresses}/web")
        assert now["spec"] == self.before["spec"]
        assert now["metadata"]["annotations"] == self.before["metadata"]["annotations"]
        assert [one["metadata"]["name"] for one in self.api.list(self.services)["items"]] == ["web"]


@pytest.fixture
def served(release: Release, no_proxy: None) -> Served:
    return Served(release)


def test_a_release_by_weights_from_its_start_to_its_end(served: Served) -> None:
    started = served.start(1, weight=Fraction(5, 100), header=TESTER)
    assert started.extra["exposure"]["weight"] == 5.0 and started.extra["exposure"]["programmed"] == "stated"
    assert served.weights("web") == [19, 1] and served.weights("split") == [57, 3, 20]
    assert not served.start(1, weight=Fraction(5, 100), header=TESTER).changed
    served.start(4, weight=Fraction(1, 4), without_header=True)
    assert served.weights("web") == [3, 1] and served.weights("split") == [9, 3, 4]
    promoted = promote(served.api, PromoteRequest(served.release.call, PromoteBy.WEIGHTS), silent)
    containers = served.release.deployment()["spec"]["template"]["spec"]["containers"]
    assert promoted.changed and containers[0]["image"] == image("v2")
    served.assert_as_before()


def test_check_mode_tries_every_write_and_makes_none(served: Served) -> None:
    foretold = served.start(1, check=True, weight=Fraction(5, 100), header=TESTER)
    assert foretold.changed and foretold.before["web: path shop.example/split"] == "web 3, legacy 1"
    assert (
        foretold.after["web: path shop.example/"].endswith(" 1")
        and " 19, " in foretold.after["web: path shop.example/"]
    )
    assert "web: path shop.example/old" not in foretold.after
    served.assert_as_before()


def test_an_undo_puts_all_back_whoever_wrote_to_it_meanwhile(served: Served) -> None:
    served.start(1, weight=Fraction(1, 10))
    put_back = [{"op": "replace", "path": "/spec/rules", "value": served.before["spec"]["rules"]}]
    served.api.patch(f"{served.ingresses}/web", put_back, PatchKind.JSON, field_manager="argocd-controller")
    again = served.start(1)
    assert any("argocd-controller" in warning for warning in again.warnings)
    assert again.extra["exposure"]["weight"] == 10.0 and served.weights("web") == [9, 1]
    served.release.undo()
    served.assert_as_before()


class BalancedShop(IngressShop):
    """Behind an Ingress of the AWS Load Balancer Controller."""

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        found = super().manifest(rules, parent)
        found["metadata"]["annotations"] = {f"{P}target-type": "ip"}
        return found

    def start_request(self, version: str = "v2", pods: int = 1, **traffic: Any) -> StartRequest:
        entry = {"url": f"http://{self.host}:{self.gateway.port}", "address": LOOPBACK}
        return super(IngressShop, self).start_request(version, pods, kind="alb", **entry, **traffic)

    def assert_own(self) -> None:
        now = self.route()
        assert now["spec"] == self.before["spec"]
        assert now["metadata"]["annotations"] == {f"{P}target-type": "ip"}
        assert [one["metadata"]["name"] for one in self.api.list(self.services)["items"]] == self.own_services


@pytest.fixture
def balancer(answering_lab: Lab, answering_namespace: str) -> Iterator[Balancer]:
    api = connect(Connection(kubeconfig=str(answering_lab.kubeconfig)))
    with balancing(api, answering_namespace, late=1.5) as found:
        yield found


# The stand-in is no more real than the one of tests/sim/test_alb.py, which is asked in every order.
@pytest.mark.slow
@pytest.mark.parametrize("by", [None, *PromoteBy])
def test_no_request_fails_before_what_obeys_the_annotations_and_each_gets_what_was_said(
    by: PromoteBy | None, balancer: Balancer, answering_lab: Lab, answering_namespace: str
) -> None:
    """A target group has its first target long after the rule that names it, which a write is not believed before."""
    at = Gateway("alb", balancer.port, ())
    counted = Counted(
        few=200, testers=20, second=Fraction(1, 3), more=150, last=20, off=(4, 10), steady=5, rate=50, calm=50
    )
    assert_goes(BalancedShop(answering_lab, at, answering_namespace).opened(), by, counted, "proven")
