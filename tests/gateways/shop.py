# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment whose fake pods answer, behind a Service and an HTTPRoute that a real proxy serves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    LeaseAsked,
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
    """`rules`: of the route, where one that sends all requests to `web` is not enough. `beside`: names of Gateways that it is attached to
    beside the one by which users come. `annotations`: what its owner says with it. `grpc`: its users call it, by gRPC."""

    grpc = False
    field = "rules"
    # What its owner has to say before users can keep their version.
    keeps_users: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        lab: Lab,
        gateway: Gateway,
        namespace: str,
        *,
        replicas: int = 4,
        drain_ms: int = DRAIN_MS,
        rules: Sequence[Mapping[str, Any]] = (),
        beside: Sequence[str] = (),
        annotations: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.lab, self.gateway = lab, gateway
        super().__init__(self.another_api(), namespace)
        self.own_services = ["web"]
        self.release = Release(self.api, namespace)
        self.host = f"{namespace}.example"
        self.users = Users(lab.programs / "load", gateway.address, self.host, self.grpc)
        patience = annotated(end_after=str(drain_ms))["metadata"]["annotations"] if drain_ms else {}
        self.release.make(replicas, annotations=patience)
        self.serve("web", {"app": self.release.name})
        # By its owner, who is somebody else.
        self.parents = [gateway.parent, *({**gateway.parent, "name": name} for name in beside)]
        made = self.manifest(rules, gateway.parent)
        made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **annotations}
        self.before = lab.api.request("POST", self.routes, made)

    def another_api(self) -> Api:
        """Of somebody else, who may do the same."""
        return connect(Connection(kubeconfig=str(self.lab.kubeconfig)))

    def manifest(self, rules: Sequence[Mapping[str, Any]], parent: Mapping[str, str]) -> Json:
        """Of what sends users to `web`."""
        del parent
        spec = {
            "parentRefs": self.parents,
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

    def promote_request(self, by: PromoteBy = PromoteBy.PODS, keep: float = 0.0) -> PromoteRequest:
        return PromoteRequest(self.release.call, by, keep)

    def undo_request(self, takeover: bool = False) -> UndoRequest:
        call = replace(self.release.call, lease=LeaseAsked(takeover=takeover))
        return UndoRequest(call, reason="test")

    def start(self, version: str = "v2", pods: int = 1, **traffic: Any) -> Outcome:
        return start(self.api, self.start_request(version, pods, **traffic), silent)

    def promote(self, by: PromoteBy = PromoteBy.PODS, keep: float = 0.0) -> Outcome:
        return promote(self.api, self.promote_request(by, keep), silent)

    def undo(self, takeover: bool = False) -> Outcome:
        return undo(self.api, self.undo_request(takeover), silent)

    def rules_of(self, route: Json) -> tuple[str, list[Json]]:
        """Where they are in it, as a patch names it, and what they are."""
        return f"/spec/{self.field}", route["spec"][self.field]

    # What has to hold.

    def assert_own(self) -> None:
        """The route is its owner's, to the byte, and no Service but the owner's is left."""
        now = self.route()
        assert now["spec"] == self.before["spec"]
        assert now["metadata"].get("annotations") == self.before["metadata"].get("annotations")
        assert [one["metadata"]["name"] for one in self.api.list(self.services)["items"]] == self.own_services


class IngressShop(Shop):
    """Behind an Ingress, of which the proxy takes the annotations as ingress-nginx does."""

    keeps_users = MappingProxyType({"nginx.ingress.kubernetes.io/affinity": "cookie"})

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
    field = "http"

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
