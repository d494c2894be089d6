# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API objects as a server shows them, with only what a test is about spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import (
    NEVER_AVAILABLE_SECONDS,
    NO_PROGRESS_DEADLINE,
    Situation,
    diagnose,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    LIVE,
    RECORD,
    Companion,
    Intent,
    Kind,
    Originals,
    Record,
    StableIdentity,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import (
    REVISION,
    Autoscaler,
    Deployment,
    Picture,
    Pod,
    ReplicaSet,
    Strategy,
)

Json = dict[str, Any]
UID = "deployment-uid"
PINNED = (Companion(Kind.AUTOSCALER, "hpa", "u"),)
OWN = Originals(5, 321, Strategy("RollingUpdate", "30%", 1), None)


def template(version: str, **more: Any) -> Json:
    container = {"name": "app", "image": f"app:{version}", **more}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def record(stable: str = "v1", canary: str = "v2", **changes: Any) -> Record:
    """A hold of one `canary` pod beside 4 `stable` ones."""
    values: Json = {
        "uid": UID,
        "intent": Intent.HOLD,
        "originals": OWN,
        "stable": StableIdentity(f"web-{stable}", f"uid-{stable}", stable, digest(template(stable))),
        "asked": digest(template(canary)),
        "canary": digest(template(canary)),
        "pods": 1,
        "surge": 1,
        "max_unavailable": 0,
        "replicas": 4,
        "started_at": "2026-01-01T00:00:00Z",
        "started_by": "ana",
    }
    return Record(**{**values, **changes})


def deployment(version: str = "v2", **changes: Any) -> Deployment:
    """A held canary of `version`, unless `changes` (fields of spec; `record`, `labels`, `annotations`, `status`) say more."""
    note = changes.pop("record", record())
    labels = changes.pop("labels", {LIVE: "true"})
    annotations = {**({RECORD: note.encode()} if note else {}), **changes.pop("annotations", {})}
    status = changes.pop("status", {"observedGeneration": 3})
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "web"}},
        "minReadySeconds": NEVER_AVAILABLE_SECONDS,
        "progressDeadlineSeconds": NO_PROGRESS_DEADLINE,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template(version),
        **changes,
    }
    meta = {
        "name": "web",
        "namespace": "shop",
        "uid": UID,
        "generation": 3,
        "labels": labels,
        "annotations": annotations,
    }
    return Deployment.parse({"metadata": meta, "spec": spec, "status": status})


def ordinary(version: str = "v1", **changes: Any) -> Deployment:
    """Rolled out, and never touched by a release."""
    counts = dict.fromkeys(
        ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), changes.get("replicas", 4)
    )
    fields: Json = {
        "record": None,
        "labels": {},
        "minReadySeconds": 5,
        "progressDeadlineSeconds": 321,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}},
        "status": {"observedGeneration": 3, **counts},
    }
    return deployment(version, **{**fields, **changes})


def replica_set(version: str, pods: int, revision: int, note: Record | str | None = None, **changes: Any) -> ReplicaSet:
    shown = template(version)
    shown["metadata"]["labels"]["pod-template-hash"] = version
    text = note.encode() if isinstance(note, Record) else note
    annotations = {REVISION: str(revision), **({RECORD: text} if text else {})}
    meta = {
        "name": f"web-{version}",
        "uid": f"uid-{version}",
        "labels": {"pod-template-hash": version},
        "annotations": annotations,
        "creationTimestamp": f"2026-01-01T00:00:0{revision}Z",
    }
    counts = {"replicas": pods, "readyReplicas": pods, **changes.pop("status", {})}
    return ReplicaSet.parse(
        {"metadata": meta, "spec": {"replicas": pods, "template": shown, **changes}, "status": counts}
    )


def pod(name: str, version: str, *, ready: bool = True, terminating: bool = False, **status: Any) -> Pod:
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    owner = {"controller": True, "uid": f"uid-{version}"}
    meta: Json = {"name": name, "uid": name, "labels": {"pod-template-hash": version}, "ownerReferences": [owner]}
    if terminating:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return Pod.parse({"metadata": meta, "spec": {}, "status": {"phase": "Running", "conditions": conditions, **status}})


def held(**changes: Any) -> Situation:
    """4 stable pods of v1 and 1 of v2."""
    return situation(deployment(**changes), replica_set("v2", 1, 2), replica_set("v1", 4, 1))


def situation(of: Deployment, *replica_sets: ReplicaSet, pods: tuple[Pod, ...] | None = None) -> Situation:
    newest_first = tuple(sorted(replica_sets, key=lambda rs: -rs.revision))
    return diagnose(Picture(of, newest_first, pods))


def autoscaler(annotations: Mapping[str, str] | None = None, owner: str = "", **spec: Any) -> Autoscaler:
    owners = [{"controller": True, "kind": owner, "name": "it"}] if owner else []
    meta = {
        "name": "hpa",
        "uid": "u",
        "resourceVersion": "7",
        "annotations": annotations or {},
        "ownerReferences": owners,
    }
    return Autoscaler.parse({"metadata": meta, "spec": {"minReplicas": 2, "maxReplicas": 9, **spec}})
