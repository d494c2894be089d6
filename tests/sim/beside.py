# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside a Deployment, made on a real server as in the simulation, and told of both in the same words.

A gateway is played on both: there is none on a real server, whose objects are what the answers come from.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Knock, Knocked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Conflict, NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import items
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.cookies import canary_cookie
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import ready_endpoints, serves
from tests.cluster.gateway.program import definitions
from tests.cluster.istio.definitions import definition
from tests.cluster.objects import DEFINITIONS

from .foreign import SOMEBODY
from .gateway import answer, rule_of
from .history import History
from .objects import NAME, NAMESPACE, Json, autoscaler, version_of
from .routers import Routers

GATEWAY_API, ISTIO = "gateway.networking.k8s.io/v1", "networking.istio.io/v1"
# What a server knows of once somebody has defined it: the version of its group, and its kind.
DEFINED = {
    "gatewayclasses": (GATEWAY_API, "GatewayClass"),
    "gateways": (GATEWAY_API, "Gateway"),
    "httproutes": (GATEWAY_API, "HTTPRoute"),
    "grpcroutes": (GATEWAY_API, "GRPCRoute"),
    "virtualservices": (ISTIO, "VirtualService"),
}
COLLECTIONS = {
    "services": "/api/v1/namespaces/{}/services",
    "ingresses": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "horizontalpodautoscalers": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    **{kind: f"/apis/{version}/namespaces/{{}}/{kind}" for kind, (version, _name) in DEFINED.items()},
    "gatewayclasses": f"/apis/{GATEWAY_API}/gatewayclasses",
}
TOLD = ("services", "ingresses", "horizontalpodautoscalers", "httproutes", "grpcroutes", "virtualservices")
SERVED_SECONDS, LOOK_AGAIN_SECONDS = 30.0, 0.1
# What is kept on an object is about one moment of one cluster.
OURS = "coalmine.canary/"


@dataclass(frozen=True)
class RealServer:
    """It takes what is made beside the Deployment as the simulated one does."""

    api: Api
    namespace: str

    def create(self, kind: str, obj: Json, user: str, manager: str) -> Json:
        """What belongs to no namespace may have been made by another history."""
        del user, manager
        metadata = {name: value for name, value in obj["metadata"].items() if name != "namespace"}
        made: Json = json.loads(json.dumps(obj).replace(f".{NAMESPACE}.svc", f".{self.namespace}.svc"))
        made |= {"metadata": metadata, **self._kind(kind)}
        with suppress(Conflict):
            self.api.create(self._path(kind), made)
        path = f"{self._path(kind)}/{metadata['name']}"
        if "status" in made:
            self.api.patch(f"{path}/status", {"status": made["status"]}, PatchKind.MERGE)
        return self.api.get(path)

    def _kind(self, kind: str) -> Json:
        """As whoever makes one has to say it, of what is defined by then."""
        if kind not in DEFINED:
            return {}
        version, name = DEFINED[kind]
        if self.all(kind) is None:
            of_group = [definition(name)] if version == ISTIO else definitions()
            with suppress(Conflict):
                self.api.create(DEFINITIONS, next(one for one in of_group if one["spec"]["names"]["kind"] == name))
            deadline = time.monotonic() + SERVED_SECONDS
            while self.all(kind) is None:
                assert time.monotonic() < deadline, f"{kind} are not served"
                time.sleep(LOOK_AGAIN_SECONDS)
        return {"apiVersion": version, "kind": name}

    def all(self, kind: str) -> list[Json] | None:
        """None where the server does not know this kind."""
        try:
            return items(self.api.list(self._path(kind)), kind)
        except NotFound:
            return None

    def _path(self, kind: str) -> str:
        return COLLECTIONS[kind].format(self.namespace)


@dataclass(frozen=True)
class RealObjects:
    """A gateway that goes by what the server has at the moment of a request."""

    server: RealServer
    routers: Routers

    def knock(self, asked: Knock) -> Knocked:
        kinds = {"httproutes": lambda item: item, **self.routers.translates}
        routes = [as_route(item) for kind, as_route in kinds.items() for item in self.server.all(kind) or ()]
        slices = self.server.all("endpointslices") or ()
        rule = rule_of(routes, asked)
        if rule is None:
            return Knocked(404)
        return answer(rule, lambda name: sorted(ready_endpoints([one for one in slices if serves(one, name)])))


def make(history: History, server: RealServer) -> None:
    """What the simulation makes of the same history."""
    if history.gateway is not None:
        Routers(history).make(server)
    if history.bounds is not None:
        server.create("horizontalpodautoscalers", autoscaler(*history.bounds), SOMEBODY, "kubectl-create")


def told(found: Situation, every: Callable[[str], Sequence[Json] | None]) -> Json:
    """Versions are told by their images, and names of our own without the number of their release."""
    text = json.dumps({kind: [_one(item) for item in every(kind) or ()] for kind in TOLD})
    for rs in found.picture.replica_sets:
        text = text.replace(rs.hash, version_of(rs.template))
    text = re.sub(rf"({NAME}-v\d)-\d+", r"\1", text)
    text = re.sub(r"\.[a-z0-9-]+\.svc\b", ".its-namespace.svc", text)
    return {kind: sorted(there, key=str) for kind, there in json.loads(text).items()}


def _one(item: Json) -> Json:
    """What verbs write of it, without what was drawn for a release."""
    spec, annotations = item["spec"], item["metadata"].get("annotations") or {}
    behavior = spec.get("behavior") or {}
    one: Json = {
        "name": item["metadata"]["name"],
        "annotations": {name: "" if name.startswith(OURS) else value for name, value in annotations.items()},
        **{name: spec[name] for name in ("selector", "rules", "http", "minReplicas", "maxReplicas") if name in spec},
        "disabled": [side for side, rules in behavior.items() if rules.get("selectPolicy") == "Disabled"],
    }
    if KEPT not in annotations:
        return one
    token = Kept.decode(annotations[KEPT]).token
    text = json.dumps(one).replace(token, "its-token").replace(canary_cookie(token).removesuffix("-c"), "its-cookie")
    told: Json = json.loads(text)
    return told
