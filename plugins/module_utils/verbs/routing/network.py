# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes of the routes and Services of one release; every method is one request, unless it says otherwise.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Sequence

from ...cluster.api import Api, PatchKind
from ...cluster.errors import Conflict, NotFound
from ...cluster.watch import Watched
from ...rollout.fields import Fields, must_be
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Pod
from ...traffic.exposure import Json
from ...traffic.kinds import GATEWAY_API
from ...traffic.route import Route, RoutePlan
from ...traffic.routers import ROUTERS, Policy
from ...traffic.services import SERVICE_NAME, Owner, is_of_controller, is_ours, ready_endpoints, serves
from ...traffic.shapes import ENDPOINT_SLICE, SERVICE
from ..call.listing import listed

ROUTES = "routes"
_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"


class Network:
    """`kind`: of the traffic (traffic/routers.py), which says what objects are its routes. `version`: of the Deployment as it was read; no
    list of what belongs to it is to be older."""

    def __init__(self, api: Api, namespace: str, kind: str = GATEWAY_API, version: int = 0) -> None:
        self._api, self._namespace, self._version = api, namespace, version
        self.kind, self.router = kind, ROUTERS[kind]
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._services = f"/api/v1/namespaces/{namespace}/services"
        self._routes = self.router.collection.format(namespace)
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def _listed(self, path: str, kind: str, query: Mapping[str, str] | None = None) -> list[Any]:
        return listed(self._api, path, kind, self._version, query)

    def routes(self) -> list[Route]:
        found = self._listed(self._routes, self.router.kind)
        must_be(found, [self.router.shape], f"{self.router.kind}List.items")
        by_name = {item["metadata"]["name"]: item for item in found} if self.router.companion_name else {}
        return [
            self._parsed(item, by_name.get(self._companion_of(item["metadata"]["name"])))
            for item in found
            if not self.router.is_companion(item)
        ]

    def policies(self, policy: Policy, own: Json, routes: Sequence[Route]) -> dict[str, bool]:
        """Names of what says how this Service is reached by these routes, and whether requests fail without that; none where the cluster has no
        such kind."""
        for collection in policy.collections:
            try:
                found = self._listed(collection.format(self._namespace), policy.kind)
            except NotFound:
                continue
            must_be(found, [policy.shape], f"{policy.kind}List.items")
            governing = (item for item in found if policy.governs(item, own, routes))
            return {str(item["metadata"]["name"]): policy.is_fatal(item) for item in governing}
        return {}

    def _parsed(self, found: Any, companion: Json | None = None) -> Route:
        must_be(found, self.router.shape, self.router.kind)
        return replace(self.router.parse(found), companion=companion)

    def _companion_of(self, name: str) -> str:
        return self.router.companion_name(name) if self.router.companion_name else ""

    def watched(self, names: Sequence[str]) -> Watched:
        """What tells of these routes, and of their companions: of all in the namespace where that is more than one object."""
        only = len(names) == 1 and not self.router.companion_name
        return Watched(ROUTES, self._routes, {"fieldSelector": f"metadata.name={names[0]}"} if only else {})

    def path_of(self, name: str) -> str:
        return f"{self._routes}/{name}"

    def route(self, name: str) -> Route:
        """A request, and one more for its companion where it may have one."""
        found = self._api.get(self.path_of(name))
        return self._parsed(found, self._companion(name) if self.router.companion_name else None)

    def _companion(self, name: str) -> Json | None:
        try:
            found: Json = self._api.get(self.path_of(self._companion_of(name)))
        except NotFound:
            return None
        must_be(found, self.router.shape, self.router.kind)
        return found

    def write(self, route: Route, plan: RoutePlan, *, dry_run: bool = False) -> Route:
        """A request for each of the two that changes, and one more where the companion changes twice."""
        body, beside = list(plan.operations), plan.companion
        # What a dry run makes is not there to be changed.
        only_made = dry_run and route.companion is None
        if beside and beside.first is not None:
            route = replace(route, companion=self._with(route, beside.first, dry_run=dry_run))
        if body:
            found = self._api.patch(self.path_of(route.name), body, PatchKind.JSON, dry_run=dry_run)
            route = self._parsed(found, route.companion)
        if beside and not only_made and beside.changes_last:
            route = replace(route, companion=self._with(route, beside.last, dry_run=dry_run))
        return route

    def _with(self, route: Route, manifest: Json | None, *, dry_run: bool) -> Json | None:
        """The companion as it is then. Guarded by what was read of it: that it is gone is somebody else's write, too."""
        path, there = self.path_of(self._companion_of(route.name)), route.companion
        if there is None and manifest is not None:
            made: Json = self._api.create(self._routes, manifest, dry_run=dry_run)
            must_be(made, self.router.shape, self.router.kind)
            return made
        meta = Fields(there, self.router.kind).within("metadata")
        if manifest is None:
            if not dry_run:
                self._gone(path, meta.text("uid"))
            return None
        body = [
            {"op": "test", "path": f"/metadata/{name}", "value": meta.text(name)} for name in ("uid", "resourceVersion")
        ]
        wanted = manifest["metadata"]
        marked = {**wanted, "labels": {**meta.texts("labels"), **wanted["labels"]}}
        # Somebody may have taken all of them, and what is not there cannot be replaced.
        for name in ("annotations", "labels", "ownerReferences"):
            body.append({"op": "add", "path": f"/metadata/{name}", "value": marked[name]})
        body.append({"op": "replace", "path": "/spec", "value": manifest["spec"]})
        try:
            found: Json = self._api.patch(path, body, PatchKind.JSON, dry_run=dry_run)
        except NotFound as error:
            raise Conflict(error.asked, error.message, status=error.status, reason=error.reason) from error
        must_be(found, self.router.shape, self.router.kind)
        return found

    def busy(self, name: str, to_be: str = "written") -> Refusal:
        kind = self.router.kind
        return Refusal(
            Code.BUSY,
            f'{kind} "{name}" kept changing while it was to be {to_be}',
            f"Find out who writes to it (kubectl get {kind.lower()} --show-managed-fields), then run this again",
        )

    def _gone(self, path: str, uid: str) -> bool:
        """False where it is gone already."""
        try:
            self._api.delete(path, uid)
        except NotFound:
            return False
        return True

    def gateway(self, name: str, namespace: str) -> Fields:
        return Fields(self._api.get(f"{_GATEWAY_API}/namespaces/{namespace}/gateways/{name}"), "Gateway")

    def gateway_class(self, name: str) -> Fields:
        return Fields(self._api.get(f"{_GATEWAY_API}/gatewayclasses/{name}"), "GatewayClass")

    def pods(self, selector: Mapping[str, str]) -> list[Pod]:
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
        return [Pod.parse(item) for item in self._listed(self._pods, "Pod", query)]

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
        found = self._listed(self._services, "Service")
        must_be(found, [SERVICE], "ServiceList.items")
        return [one for one in found if is_ours(one, owner)]

    def delete(self, service: Mapping[str, Any]) -> bool:
        """False where it is gone already."""
        meta = Fields(service, "Service").within("metadata")
        return self._gone(f"{self._services}/{meta.name('name')}", meta.text("uid"))

    def ready(self, *services: str) -> list[frozenset[str]]:
        """The pods that take requests by each of these, as a proxy is told."""
        return list(map(ready_endpoints, self.slices(*services)))

    def added(self, service: str) -> frozenset[str]:
        """As `ready`, of what somebody else than Kubernetes says to be behind this Service: a mesh of clusters, or a person. Of any family."""
        theirs = (one for one in self.slices(service)[0] if not is_of_controller(one))
        return frozenset[str]().union(*(ready_endpoints([one]) for one in theirs))

    def slices(self, *services: str) -> list[list[Json]]:
        """The EndpointSlices of each of these, as of one moment."""
        query = {"labelSelector": f"{SERVICE_NAME} in ({','.join(services)})"}
        found = self._listed(self._slices, "EndpointSlice", query)
        must_be(found, [ENDPOINT_SLICE], "EndpointSliceList.items")
        return [[one for one in found if serves(one, service)] for service in services]
