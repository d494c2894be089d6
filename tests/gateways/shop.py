# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment whose fake pods answer, behind a Service and an HTTPRoute that a real proxy serves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    NewTemplate,
    PromoteBy,
    PromoteRequest,
    Size,
    StartRequest,
    TrafficRequest,
    UndoRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo
from tests.cluster.gateway.server import Gateway
from tests.cluster.lab import Lab
from tests.integration.releases import CONTAINER, Release, annotated, image, silent

from .objects import Json, RoutedObjects
from .users import Users

# Pods finish what they were sent, for longer than the proxy needs to hear that they are going: on a machine with far too much to do,
# its controllers tell that many seconds late. No verb waits for it.
DRAIN_MS = 20_000
SERVED_SECONDS = 30


class Shop(RoutedObjects):
    """`rules`: of the route, where one that sends all requests to `web` is not enough. `grpc`: its users call it, by gRPC."""

    grpc = False

    def __init__(
        self,
        lab: Lab,
        gateway: Gateway,
        namespace: str,
        *,
        replicas: int = 4,
        drain_ms: int = DRAIN_MS,
        rules: Sequence[Mapping[str, Any]] = (),
        parent: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(connect(Connection(kubeconfig=str(lab.kubeconfig))), namespace)
        self.lab, self.gateway = lab, gateway
        self.own_services = ["web"]
        self.release = Release(self.api, namespace)
        self.host = f"{namespace}.example"
        self.users = Users(lab.programs / "load", gateway.address, self.host, self.grpc)
        patience = annotated(end_after=str(drain_ms))["metadata"]["annotations"] if drain_ms else {}
        self.release.make(replicas, annotations=patience)
        self.serve("web", {"app": self.release.name})
        # By its owner, who is somebody else.
        self.before = lab.api.request("POST", self.routes, self.manifest(rules, parent or gateway.parent))

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        """Of what sends users to `web`."""
        spec = {
            "parentRefs": [parent],
            "hostnames": [self.host],
            "rules": list(rules) or [{"backendRefs": [{"name": "web", "port": 80}]}],
        }
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        return {**kind, "metadata": {"name": "web"}, "spec": spec}

    def serve(self, name: str, selector: Mapping[str, str]) -> None:
        """A Service of this name."""
        spoken = {"appProtocol": "kubernetes.io/h2c"} if self.grpc else {}
        ports = [{"name": "http", "port": 80, "targetPort": self.lab.port, **spoken}]
        self.api.create(
            self.services, {"metadata": {"name": name}, "spec": {"selector": dict(selector), "ports": ports}}
        )

    def add_other(self, name: str, version: str) -> None:
        """Another Deployment with a Service, both of this name, that the rules of the route may send to."""
        other = Release(self.api, self.namespace, name)
        manifest = other.manifest(1)
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image(version)
        self.api.create(other.path.rpartition("/")[0], manifest)
        other.promote()
        self.serve(name, {"app": name})
        self.own_services = sorted([*self.own_services, name])

    def opened(self) -> Shop:
        """When users are answered."""
        deadline = time.monotonic() + SERVED_SECONDS
        while self.users.send(20, rate=200).failed:
            assert time.monotonic() < deadline, f"http://{self.host} at {self.gateway.address} is not served"
        return self

    # Verbs, as a run asks for them.

    def start_request(self, version: str = "v2", pods: int = 1, **traffic: Any) -> StartRequest:
        template = NewTemplate(images={CONTAINER: image(version)})
        asked = TrafficRequest(**{"proof": "require", **traffic})
        return StartRequest(self.release.call, template, Size(pods), surge=pods, traffic=asked)

    def promote_request(self, by: PromoteBy = PromoteBy.PODS) -> PromoteRequest:
        return PromoteRequest(self.release.call, by)

    def undo_request(self) -> UndoRequest:
        return UndoRequest(self.release.call, reason="test")

    def start(self, version: str = "v2", pods: int = 1, **traffic: Any) -> Outcome:
        return start(self.api, self.start_request(version, pods, **traffic), silent)

    def promote(self, by: PromoteBy = PromoteBy.PODS) -> Outcome:
        return promote(self.api, self.promote_request(by), silent)

    def undo(self) -> Outcome:
        return undo(self.api, self.undo_request(), silent)

    # What has to hold.

    def assert_own(self) -> None:
        """The route is its owner's, to the byte, and no Service but the owner's is left."""
        now = self.route()
        assert now["spec"] == self.before["spec"]
        assert not now["metadata"].get("annotations")
        assert [one["metadata"]["name"] for one in self.api.list(self.services)["items"]] == self.own_services


class IngressShop(Shop):
    """Behind an Ingress, of which the proxy takes the annotations as ingress-nginx does."""

    @property
    def routes(self) -> str:
        return f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses"

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        """Of the class that has the name of the gateway."""
        del rules
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        spec = {"ingressClassName": parent["name"], "rules": [{"host": self.host, "http": {"paths": paths}}]}
        return {"metadata": {"name": "web"}, "spec": spec}

    def start_request(self, version: str = "v2", pods: int = 1, **traffic: Any) -> StartRequest:
        return super().start_request(version, pods, kind="ingress_nginx", proof="prefer", **traffic)

    def assert_own(self) -> None:
        super().assert_own()
        assert [one["metadata"]["name"] for one in self.api.list(self.routes)["items"]] == ["web"]


class VirtualServiceShop(Shop):
    """Behind a VirtualService, at Istio's own Gateway of the same name."""

    group, plural = "networking.istio.io/v1", "virtualservices"

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        http = list(rules) or [{"route": [{"destination": {"host": "web", "port": {"number": 80}}}]}]
        spec = {"hosts": [self.host], "gateways": [f"{parent['namespace']}/{parent['name']}"], "http": http}
        return {"apiVersion": self.group, "kind": "VirtualService", "metadata": {"name": "web"}, "spec": spec}

    def start_request(self, version: str = "v2", pods: int = 1, **traffic: Any) -> StartRequest:
        """Proven where users come in."""
        address, port = self.gateway.address.split(":")
        entry = {"url": f"http://{self.host}:{port}", "address": address}
        return super().start_request(version, pods, kind="istio", **entry, **traffic)


class GrpcShop(Shop):
    """Behind a GRPCRoute, of which nothing proves what a proxy does."""

    plural = "grpcroutes"
    grpc = True

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        return {**super().manifest(rules, parent), "kind": "GRPCRoute"}

    def start_request(self, version: str = "v2", pods: int = 1, **traffic: Any) -> StartRequest:
        return super().start_request(version, pods, kind="gateway_api_grpc", proof="prefer", **traffic)
