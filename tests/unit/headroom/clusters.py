# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small clusters, said in few words."""

from __future__ import annotations

from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.board import Board
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import PodSource, Question
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.peaks import Rollout
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.placement import Fit, fit
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.scene import Scene, SceneBuilder
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import incoming_view, node_view, pod_view
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.volumes import Storage, volume_rules

Object = dict[str, Any]
MINOR = 37
ZONE = "topology.kubernetes.io/zone"
HOSTNAME = "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPACES = {"shop": {"team": "red"}, "other": {"team": "blue"}}


def node(
    name: str = "n1", *, zone: str | None = "z1", spec: Object | None = None, labels: Object | None = None, **size: str
) -> Object:
    allocatable = {
        "cpu": "4",
        "memory": "8Gi",
        "pods": "110",
        **{key.replace("_", "-"): value for key, value in size.items()},
    }
    own = {HOSTNAME: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": allocatable, "conditions": ready}
    return {"metadata": {"name": name, "labels": own}, "spec": spec or {}, "status": status}


def container(cpu: str | None = None, memory: str | None = None, **more: Any) -> Object:
    requests = {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount is not None}
    return {"name": "app", "image": "app:1", "resources": {"requests": requests} if requests else {}, **more}


def pod(
    name: str = "p",
    *,
    on: str | None = None,
    cpu: str | None = "1",
    labels: Object | None = None,
    namespace: str = "shop",
    meta: Object | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    body = {"containers": [container(cpu)], **spec}
    if on:
        body["nodeName"] = on
    own = {"name": name, "namespace": namespace, "labels": labels or {"app": "web"}, **(meta or {})}
    return {"metadata": own, "spec": body, "status": status or {}}


def of(owner: str, kind: str = "ReplicaSet") -> Object:
    return {"ownerReferences": [{"uid": owner, "kind": kind, "name": owner, "controller": True}]}


def scene(nodes: list[Object], pods: list[Object] | tuple[Object, ...] = (), minor: int = MINOR) -> Scene:
    builder = SceneBuilder(map(node_view, nodes))
    for one in pods:
        builder.add(pod_view(one, minor))
    return builder.scene(SPACES)


def board(
    new: Object, nodes: list[Object], pods: list[Object] | tuple[Object, ...] = (), storage: Storage | None = None
) -> Board:
    incoming = incoming_view(new, MINOR)
    return Board(scene(nodes, pods), incoming, volume_rules(incoming, storage or Storage()))


def placeable(new: Object, nodes: list[Object], pods: list[Object] | tuple[Object, ...] = (), wanted: int = 10) -> Fit:
    return fit(board(new, nodes, pods), wanted)


def question(new: Object, nodes: list[Object], pods: list[Object] | tuple[Object, ...] = (), **more: Any) -> Question:
    rollout = more.pop(
        "rollout", Rollout(replicas=2, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    )
    return Question(new, PodSource.DRY_RUN, MINOR, scene(nodes, pods), rollout, **more)


NODEPOOL = {"karpenter.sh/nodepool": "np-a", "node.kubernetes.io/instance-type": "m6i.xlarge"}
TWO_OLD = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(2)]


def ask(new: Object, nodes: list[Object], pods: list[Object] | None = None, **more: Any) -> Any:
    more.setdefault("owners", frozenset({"rs-old"}))
    return question(new, nodes, TWO_OLD if pods is None else pods, **more)
