# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes of the routes and Services of one release; every method is one request, unless it says otherwise.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ...cluster.api import Api, PatchKind
from ...cluster.errors import NotFound
from ...rollout.fields import Fields, items, must_be
from ...rollout.views import Pod
from ...traffic.exposure import Json
from ...traffic.route import Route, RoutePlan
from ...traffic.routers import GATEWAY_API, ROUTERS
from ...traffic.services import Owner, is_ours, label_query, ready_addresses
from ...traffic.shapes import ENDPOINT_SLICE, SERVICE

_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"


class Network:
    """`kind`: of the traffic (traffic/routers.py), which says what objects are its routes."""

    def __init__(self, api: Api, namespace: str, kind: str = GATEWAY_API) -> None:
        self._api = api
        self.router = ROUTERS[kind]
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._services = f"/api/v1/namespaces/{namespace}/services"
        self._routes = self.router.collection.format(namespace)
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def routes(self) -> list[Route]:
        return [self._parsed(item) for item in items(self._api.list(self._routes), self.router.kind)]

    def _parsed(self, found: Any) -> Route:
        must_be(found, self.router.shape, self.router.kind)
        return self.router.parse(found)

    def path_of(self, name: str) -> str:
        return f"{self._routes}/{name}"

    def route(self, name: str) -> Route:
        return self._parsed(self._api.get(self.path_of(name)))

    def write(self, route: Route, plan: RoutePlan, *, dry_run: bool = False) -> Route:
        body = list(plan.operations)
        return self._parsed(self._api.patch(self.path_of(route.name), body, PatchKind.JSON, dry_run=dry_run))

    def gateway(self, name: str, namespace: str) -> Fields:
        return Fields(self._api.get(f"{_GATEWAY_API}/namespaces/{namespace}/gateways/{name}"), "Gateway")

    def pods(self, selector: Mapping[str, str]) -> list[Pod]:
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
        return [Pod.parse(item) for item in items(self._api.list(self._pods, query), "Pod")]

    def service(self, name: str) -> Json | None:
        try:
            found = self._api.get(f"{self._services}/{name}")
        except NotFound:
            return None
        must_be(found, SERVICE, "Service")
        return found

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> None:
        """Raises Conflict where there is one of this name."""
        self._api.create(self._services, manifest, dry_run=dry_run)

    def of(self, owner: Owner) -> list[Json]:
        """The Services that were made for this Deployment."""
        found = items(self._api.list(self._services, {"labelSelector": label_query(owner)}), "Service")
        must_be(found, [SERVICE], "ServiceList.items")
        return [one for one in found if is_ours(one, owner)]

    def delete(self, service: Mapping[str, Any]) -> bool:
        """False where it is gone already."""
        meta = Fields(service, "Service").within("metadata")
        try:
            self._api.delete(f"{self._services}/{meta.name('name')}", meta.text("uid"))
        except NotFound:
            return False
        return True

    def ready(self, service: str) -> frozenset[str]:
        """Addresses of the endpoints that take requests, as a proxy is told."""
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        found = items(self._api.list(self._slices, query), "EndpointSlice")
        must_be(found, [ENDPOINT_SLICE], "EndpointSliceList.items")
        return ready_addresses(found)
