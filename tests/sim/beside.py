# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside a Deployment, made on a real server as in the simulation, and told of both in the same words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import items
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import INGRESS_NGINX

from . import gateway, nginx
from .foreign import SOMEBODY
from .history import History
from .objects import NAME, Json, autoscaler, version_of

COLLECTIONS = {
    "services": "/api/v1/namespaces/{}/services",
    "ingresses": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "horizontalpodautoscalers": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}
# What is kept on an object is about one moment of one cluster.
OURS = "coalmine.canary/"


@dataclass(frozen=True)
class RealServer:
    """It takes what is made beside the Deployment as the simulated one does."""

    api: Api
    namespace: str

    def create(self, kind: str, obj: Json, user: str, manager: str) -> Json:
        del user, manager
        metadata = {name: value for name, value in obj["metadata"].items() if name != "namespace"}
        return self.api.create(self._path(kind), {**obj, "metadata": metadata})

    def all(self, kind: str) -> list[Json]:
        return items(self.api.list(self._path(kind)), kind)

    def _path(self, kind: str) -> str:
        return COLLECTIONS[kind].format(self.namespace)


def make(history: History, server: RealServer) -> None:
    """What the simulation makes of the same history."""
    asks = [ask for script in history.scripts for ask in script.asks]
    if history.gateway is not None:
        gateway.make(server, routed=False)
    if any(ask.kind == INGRESS_NGINX for ask in asks):
        nginx.make(server, sticky=any(ask.sticky for ask in asks))
    if history.bounds is not None:
        server.create("horizontalpodautoscalers", autoscaler(*history.bounds), SOMEBODY, "kubectl-create")


def told(found: Situation, every: Callable[[str], Sequence[Json]]) -> Json:
    """Versions are told by their images, and names of our own without the number of their release."""
    text = json.dumps({kind: list(map(_one, every(kind))) for kind in COLLECTIONS})
    for rs in found.picture.replica_sets:
        text = text.replace(rs.hash, version_of(rs.template))
    text = re.sub(rf"({NAME}-v\d)-\d+", r"\1", text)
    return {kind: sorted(there, key=str) for kind, there in json.loads(text).items()}


def _one(item: Json) -> Json:
    """What verbs write of it."""
    spec, annotations = item["spec"], item["metadata"].get("annotations") or {}
    behavior = spec.get("behavior") or {}
    return {
        "name": item["metadata"]["name"],
        "annotations": {name: "" if name.startswith(OURS) else value for name, value in annotations.items()},
        **{name: spec[name] for name in ("selector", "rules", "minReplicas", "maxReplicas") if name in spec},
        "disabled": [side for side, rules in behavior.items() if rules.get("selectPolicy") == "Disabled"],
    }
