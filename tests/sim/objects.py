# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of Kubernetes as JSON: how they are made, and who they belong to. They are never changed in place.

This is what makes copies unnecessary: whoever holds an object holds it as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import stamp
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import bare
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import HASH_LABEL

from .timeline import EPOCH

Json = dict[str, Any]
_Seen = TypeVar("_Seen")

NAMESPACE, NAME, CONTAINER = "shop", "web", "app"
LABELS = {"app": NAME}
AUTOSCALER_NAME = "web-hpa"


def moment(seconds: float) -> str:
    """Virtual seconds as the API server writes them."""
    return _second(int(seconds))


@cache
def _second(number: int) -> str:
    return stamp(EPOCH + number)


def image(version: str) -> str:
    return f"app:{version}"


def version_of(template: Mapping[str, Any]) -> str:
    """The tag of its image: what tests call a version."""
    return str(template["spec"]["containers"][0]["image"]).rpartition(":")[2]


def template(version: str) -> Json:
    return {
        "metadata": {"labels": dict(LABELS)},
        "spec": {"containers": [{"name": CONTAINER, "image": image(version)}], "restartPolicy": "Always"},
    }


def deployment(replicas: int, version: str = "v1", **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(LABELS)},
            "template": template(version),
            **spec,
        },
    }


def autoscaler(minimum: int, maximum: int) -> Json:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": AUTOSCALER_NAME, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": minimum,
            "maxReplicas": maximum,
        },
    }


def node(name: str) -> Json:
    """One with room."""
    ready = {"type": "Ready", "status": "True"}
    room = {"cpu": "32", "memory": "64Gi", "pods": "110"}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": room, "capacity": room, "conditions": [ready]},
    }


def quota(pods: int, used: int) -> Json:
    """A ResourceQuota of pods, with what its controller counts."""
    hard = {"pods": str(pods)}
    return {
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": NAMESPACE},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": {"pods": str(used)}},
    }


def changed(obj: Mapping[str, Any], **parts: Mapping[str, Any]) -> Json:
    """A copy with other members of some of its parts: changed(d, spec={"paused": True}). None takes a member away."""
    result = dict(obj)
    for part, members in parts.items():
        merged = {**(obj.get(part) or {}), **members}
        result[part] = {key: value for key, value in merged.items() if value is not None}
    return result


def annotated(obj: Mapping[str, Any], **annotations: str | None) -> Json:
    """A copy with other annotations; names are written with a dot and a slash by whoever passes them as **{...}."""
    merged = {**(obj["metadata"].get("annotations") or {}), **annotations}
    kept = {key: value for key, value in merged.items() if value is not None}
    return changed(obj, metadata={"annotations": kept or None})


def owner(obj: Mapping[str, Any]) -> Json:
    meta = obj["metadata"]
    return {"apiVersion": "apps/v1", "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"], "controller": True}


_NOBODY: list[Json] = [{"kind": "", "uid": ""}]


def owner_of(obj: Mapping[str, Any]) -> Json:
    """The first reference to one; nobody's where it is an orphan."""
    found: Json = (obj["metadata"].get("ownerReferences") or _NOBODY)[0]
    return found


def owned(objects: Mapping[str, Json], by: Mapping[str, Any]) -> Iterator[Json]:
    """Those whose controller it is."""
    uid = by["metadata"]["uid"]
    return (obj for obj in objects.values() if owner_of(obj)["uid"] == uid)


def marked_deleted(obj: Mapping[str, Any], now: float) -> Json:
    """As the server leaves it where something has to go first (markAsDeleting, registry/generic/registry/store.go)."""
    return changed(obj, metadata={"deletionTimestamp": moment(now), "generation": obj["metadata"]["generation"] + 1})


def is_being_deleted(obj: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in obj["metadata"]


class Looked(Generic[_Seen]):
    """What `look` sees in objects, each of which is looked at once: they never change."""

    def __init__(self, look: Callable[[Any], _Seen]) -> None:
        self._look = look
        self._known: dict[int, tuple[Any, _Seen]] = {}

    def at(self, obj: Any) -> _Seen:
        found = self._known.get(id(obj))
        if found is None:
            # The object is kept with what was seen in it: its id is nobody else's as long as it lives.
            found = self._known[id(obj)] = (obj, self._look(obj))
        return found[1]


class TemplateKeys:
    """The same text for pod templates that are the same but for what a ReplicaSet adds to them."""

    def __init__(self) -> None:
        self.of = Looked(_key).at


def _key(pod_template: Mapping[str, Any]) -> str:
    return json.dumps(bare(pod_template), sort_keys=True)


def hash_of(key: str, collisions: int = 0) -> str:
    """A pod-template-hash. The real one is another; nobody reads anything into it."""
    return hashlib.sha256(f"{key}{collisions}".encode()).hexdigest()[:10]


def hashed(pod_template: Mapping[str, Any], of_hash: str) -> Json:
    """The template as its ReplicaSet has it."""
    meta = pod_template.get("metadata") or {}
    return {**pod_template, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), HASH_LABEL: of_hash}}}
