# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented return value `canary`: a release as a person or a playbook wants to see it.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ..wording import count_of
from .phase import Situation, current_pods, ready_pods
from .record import Traffic
from .template import images
from .views import Picture, ReplicaSet

# The states of a version's pods that are counted.
COUNTS = ("desired", "current", "ready", "available", "terminating")


def describe(situation: Situation) -> dict[str, Any]:
    """`pods` of a version is an empty list, and `terminating` may be null, where the pods were not read."""
    picture, record = situation.picture, situation.record
    canary_ready = ready_pods(picture, situation.canary) if situation.canary else 0
    stable_ready = ready_pods(picture, situation.stable) if situation.stable else 0
    ready = canary_ready + stable_ready
    return {
        "name": situation.deployment.name,
        "namespace": situation.deployment.namespace,
        "phase": situation.phase.value,
        "why": situation.why or ("the Deployment is being deleted" if situation.deployment.deleting else ""),
        "replicas": situation.deployment.replicas,
        "paused": situation.deployment.paused,
        "terminating": _terminating(picture),
        "stable": _version(picture, situation.stable),
        "canary": _version(picture, situation.canary),
        "weight": round(100 * canary_ready / ready, 1) if ready else 0.0,
        "started_at": record.started_at if record else None,
        "started_by": record.started_by if record else None,
        "run": (record.run or None) if record else None,
        "autoscaler": record.autoscaler if record else None,
        "traffic": _traffic(record.traffic) if record and record.traffic else None,
        "commands": _by_hand(situation),
    }


def _by_hand(situation: Situation) -> dict[str, list[str]]:
    if situation.record is None:
        return {"promote": [], "undo": []}
    from .commands import by_hand  # of use to nobody where no release is live

    return by_hand(situation)


def released_already(described: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a version that was asked for and is the stable one: as a canary that has no pods."""
    stable = described.get("stable")
    if not stable or described.get("canary"):
        return dict(described)
    return {**described, "canary": {**stable, "counts": dict.fromkeys(COUNTS, 0), "pods": []}}


def of_a_failure(described: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the stable pods that are Ready: Ansible prints the whole result of a failed task, and there may be hundreds."""
    stable = described.get("stable")
    if not stable:
        return dict(described)
    return {**described, "stable": {**stable, "pods": [pod for pod in stable["pods"] if not pod["ready"]]}}


def without_pods(template: Mapping[str, Any], replica_set: ReplicaSet | None) -> dict[str, Any]:
    """A version that has no canary pod, because it is only planned (no ReplicaSet yet) or released already: in the shape of one."""
    return {
        "replica_set": replica_set.name if replica_set else None,
        "hash": replica_set.hash if replica_set else None,
        "revision": replica_set.revision if replica_set else None,
        "images": images(template),
        "counts": dict.fromkeys(COUNTS, 0),
        "pods": [],
    }


def _traffic(traffic: Traffic) -> dict[str, Any]:
    routes = [one.name for one in traffic.routes]
    return {"kind": traffic.kind, "service": traffic.service, "routes": routes}


def _terminating(picture: Picture) -> int | None:
    """Pods of any version that are about to end; None where neither pods were read nor the server counts them."""
    if picture.pods is None:
        return picture.deployment.status.terminating
    return len(picture.terminating)


def still_terminating(picture: Picture) -> str:
    """The end of a sentence; empty where no pod is terminating, as far as that is known."""
    count = _terminating(picture)
    return f"; {count_of(count, 'pod', 'is', 'are')} still terminating" if count else ""


def _version(picture: Picture, replica_set: ReplicaSet | None) -> dict[str, Any] | None:
    if replica_set is None:
        return None
    pods = picture.pods_of(replica_set)
    read = picture.pods is not None
    return {
        "replica_set": replica_set.name,
        "hash": replica_set.hash,
        "revision": replica_set.revision,
        "images": images(replica_set.template),
        "counts": {
            "desired": replica_set.replicas,
            "current": current_pods(picture, replica_set),
            "ready": ready_pods(picture, replica_set),
            "available": replica_set.available,
            "terminating": sum(pod.terminating for pod in pods) if read else replica_set.terminating,
        },
        "pods": [
            {"name": pod.name, "ip": pod.ip, "node": pod.node, "ready": pod.ready}
            for pod in sorted(pods, key=lambda pod: pod.name)
            if not pod.terminating
        ],
    }
