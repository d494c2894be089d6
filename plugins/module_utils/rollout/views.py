# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen views of the API objects that a release is about: only the fields that a decision needs.

Every view is made from the JSON of an API server by its `parse`; nothing here asks a server or a clock.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ..foreign import printable

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
# As kubectl reads it. Whoever injects sidecars sets it.
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

# What a pod can say about itself: the reasons of kubelet and scheduler, as they stand in its status.
UNSCHEDULABLE = "Unschedulable"


@dataclass(frozen=True)
class Strategy:
    """`spec.strategy`. `max_surge` and `max_unavailable` are counts or percentages, as stored; None when unset."""

    type: str = "RollingUpdate"
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None

    @classmethod
    def parse(cls, strategy: Mapping[str, Any] | None) -> Strategy:
        rolling = (strategy or {}).get("rollingUpdate") or {}
        return cls(
            type=(strategy or {}).get("type") or "RollingUpdate",
            max_surge=rolling.get("maxSurge"),
            max_unavailable=rolling.get("maxUnavailable"),
        )

    def to_json(self) -> dict[str, Any]:
        """The value that `spec.strategy` takes in a patch: unset parts stay out, the server defaults them."""
        rolling = {"maxSurge": self.max_surge, "maxUnavailable": self.max_unavailable}
        given = {key: value for key, value in rolling.items() if value is not None}
        return {"type": self.type, **({"rollingUpdate": given} if given else {})}


@dataclass(frozen=True)
class Condition:
    """`since`: when `status` last changed (RFC 3339, whole seconds), empty where the server does not say."""

    type: str
    status: str
    reason: str
    message: str
    since: str = ""


def _conditions(status: Mapping[str, Any]) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=c.get("type", ""),
            status=c.get("status", ""),
            reason=printable(c.get("reason") or ""),
            message=printable(c.get("message") or ""),
            since=c.get("lastTransitionTime") or "",
        )
        for c in status.get("conditions") or ()
    )


@dataclass(frozen=True)
class DeploymentStatus:
    """Pod counts as the controller last wrote them. `terminating` is None where the server does not count it."""

    observed_generation: int
    replicas: int
    updated: int
    ready: int
    available: int
    terminating: int | None
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> DeploymentStatus:
        return cls(
            observed_generation=status.get("observedGeneration") or 0,
            replicas=status.get("replicas") or 0,
            updated=status.get("updatedReplicas") or 0,
            ready=status.get("readyReplicas") or 0,
            available=status.get("availableReplicas") or 0,
            terminating=status.get("terminatingReplicas"),
            conditions=_conditions(status),
        )


@dataclass(frozen=True)
class Deployment:
    name: str
    namespace: str
    uid: str
    generation: int
    replicas: int
    paused: bool
    min_ready_seconds: int
    progress_deadline_seconds: int | None
    revision_history_limit: int | None
    strategy: Strategy
    template: Mapping[str, Any]
    selector: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    managed_fields: tuple[Mapping[str, Any], ...]
    controller: str
    status: DeploymentStatus
    deleting: bool = False

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Deployment:
        meta, spec = obj["metadata"], obj["spec"]
        replicas = spec.get("replicas")
        return cls(
            name=meta["name"],
            namespace=meta.get("namespace") or "default",
            uid=meta["uid"],
            generation=meta.get("generation") or 0,
            replicas=1 if replicas is None else replicas,
            paused=bool(spec.get("paused")),
            min_ready_seconds=spec.get("minReadySeconds") or 0,
            progress_deadline_seconds=spec.get("progressDeadlineSeconds"),
            revision_history_limit=spec.get("revisionHistoryLimit"),
            strategy=Strategy.parse(spec.get("strategy")),
            template=spec["template"],
            selector=spec.get("selector") or {},
            labels=meta.get("labels") or {},
            annotations=meta.get("annotations") or {},
            managed_fields=tuple(meta.get("managedFields") or ()),
            controller=next(
                (
                    f'{one["kind"]} "{one["name"]}"'
                    for one in meta.get("ownerReferences") or ()
                    if one.get("controller")
                ),
                "",
            ),
            status=DeploymentStatus.parse(obj.get("status") or {}),
            deleting=meta.get("deletionTimestamp") is not None,
        )

    @property
    def observed(self) -> bool:
        """The controller has seen this spec."""
        return self.status.observed_generation >= self.generation

    @property
    def rolled_out(self) -> bool:
        """Kubernetes' own "rolled out": every pod is of the current template, Ready and Available.

        Terminating pods do not count (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go).
        """
        status = self.status
        return self.observed and status.updated == status.ready == status.available == status.replicas == self.replicas


@dataclass(frozen=True)
class ReplicaSet:
    """`replicas` is what the Deployment controller asked for; `current` and `ready` what its own controller counted.

    `observed`: that controller has seen what was asked for last. Before that its counts are of the past.
    """

    name: str
    uid: str
    hash: str
    revision: int
    created: str
    replicas: int
    current: int
    ready: int
    available: int
    terminating: int | None
    min_ready_seconds: int
    template: Mapping[str, Any]
    annotations: Mapping[str, str]
    conditions: tuple[Condition, ...]
    observed: bool = True

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> ReplicaSet:
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        annotations = meta.get("annotations") or {}
        revision = annotations.get(REVISION, "")
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            hash=(meta.get("labels") or {}).get(HASH_LABEL, ""),
            revision=int(revision) if revision.isdigit() else 0,
            created=meta.get("creationTimestamp") or "",
            replicas=spec.get("replicas") or 0,
            current=status.get("replicas") or 0,
            ready=status.get("readyReplicas") or 0,
            available=status.get("availableReplicas") or 0,
            terminating=status.get("terminatingReplicas"),
            min_ready_seconds=spec.get("minReadySeconds") or 0,
            template=spec["template"],
            annotations=annotations,
            conditions=_conditions(status),
            observed=(status.get("observedGeneration") or 0) >= (meta.get("generation") or 0),
        )

    @property
    def active(self) -> bool:
        return self.replicas > 0

    @property
    def empty(self) -> bool:
        """No pod is left of it (terminating ones aside), and none will be made. A count that is older than what was asked for
        last says nothing: a ReplicaSet that was just made has pods before its status counts them."""
        return not self.active and self.current == 0 and self.observed


@dataclass(frozen=True)
class ContainerState:
    """What kubelet says of one container: `waiting` and `terminated` are reasons, empty when it is in neither state."""

    name: str
    image: str
    restarts: int
    waiting: str
    waiting_message: str
    terminated: str
    exit_code: int | None
    last_terminated: str
    last_exit_code: int | None

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> ContainerState:
        state, last = status.get("state") or {}, status.get("lastState") or {}
        waiting, ended, before = state.get("waiting") or {}, state.get("terminated") or {}, last.get("terminated") or {}
        return cls(
            name=status.get("name", ""),
            image=status.get("image", ""),
            restarts=status.get("restartCount") or 0,
            waiting=printable(waiting.get("reason") or ""),
            waiting_message=printable(waiting.get("message") or ""),
            terminated=printable(ended.get("reason") or ""),
            exit_code=ended.get("exitCode"),
            last_terminated=printable(before.get("reason") or ""),
            last_exit_code=before.get("exitCode"),
        )


@dataclass(frozen=True)
class Pod:
    """`ready` is the pod's Ready condition: what Services and disruption budgets go by. `ready_since` is when that last
    became what it is (RFC 3339, whole seconds; empty where the pod has no such condition yet). `running_containers` are names,
    with sidecars (init containers that are always restarted) and without what ends before they run; `default_container` is
    the one that its annotation names for whoever does not say which one is meant. `reason` and `message` are why
    it failed, `lacks` the conditions that it does not meet."""

    name: str
    uid: str
    owner_uid: str
    hash: str
    ip: str
    node: str
    phase: str
    ready: bool
    terminating: bool
    unschedulable: str
    nominated_node: str
    containers: tuple[ContainerState, ...]
    ready_since: str = ""
    running_containers: tuple[str, ...] = ()
    default_container: str = ""
    created: str = ""
    reason: str = ""
    message: str = ""
    lacks: tuple[Condition, ...] = ()

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Pod:
        meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        conditions = {c.type: c for c in _conditions(status)}
        scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
        refused = scheduled is not None and scheduled.status == "False" and scheduled.reason == UNSCHEDULABLE
        states = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            owner_uid=controller_uid(meta),
            hash=(meta.get("labels") or {}).get(HASH_LABEL, ""),
            ip=status.get("podIP") or "",
            node=spec.get("nodeName") or "",
            phase=status.get("phase") or "",
            ready=ready is not None and ready.status == "True",
            terminating=meta.get("deletionTimestamp") is not None,
            unschedulable=scheduled.message if refused and scheduled is not None else "",
            nominated_node=status.get("nominatedNodeName") or "",
            containers=tuple(ContainerState.parse(s) for s in states),
            ready_since=ready.since if ready is not None else "",
            running_containers=_running_containers(spec),
            default_container=str((meta.get("annotations") or {}).get(DEFAULT_CONTAINER, "")),
            created=meta.get("creationTimestamp") or "",
            reason=printable(status.get("reason") or ""),
            message=printable(status.get("message") or ""),
            lacks=tuple(c for c in conditions.values() if c.status == "False"),
        )

    @property
    def serving(self) -> bool:
        return self.ready and not self.terminating

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


def _running_containers(spec: Mapping[str, Any]) -> tuple[str, ...]:
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return tuple(one["name"] for one in (*(spec.get("containers") or ()), *sidecars))


@dataclass(frozen=True)
class Autoscaler:
    """A HorizontalPodAutoscaler. `min_replicas` is None when unset (the server's default is 1);
    `generation` is None where the server does not count it (before 1.37)."""

    name: str
    uid: str
    resource_version: str
    generation: int | None
    observed_generation: int | None
    min_replicas: int | None
    max_replicas: int
    annotations: Mapping[str, str]
    owner: str

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Autoscaler:
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        owners = [o for o in meta.get("ownerReferences") or () if o.get("controller")]
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            resource_version=meta.get("resourceVersion") or "",
            generation=meta.get("generation"),
            observed_generation=status.get("observedGeneration"),
            min_replicas=spec.get("minReplicas"),
            max_replicas=spec.get("maxReplicas") or 0,
            annotations=meta.get("annotations") or {},
            owner=f"{owners[0].get('kind', '')}/{owners[0].get('name', '')}" if owners else "",
        )


@dataclass(frozen=True)
class Event:
    """What was told of an object. `at`: when last (RFC 3339)."""

    name: str
    resource_version: str
    reason: str
    message: str
    at: str

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Event:
        meta, series = obj["metadata"], obj.get("series") or {}
        times = (series.get("lastObservedTime"), obj.get("lastTimestamp"), obj.get("eventTime"))
        return cls(
            name=meta["name"],
            resource_version=meta.get("resourceVersion") or "",
            reason=printable(obj.get("reason") or ""),
            message=printable(obj.get("message") or ""),
            at=next((time for time in times if time), meta.get("creationTimestamp") or ""),
        )


def controller_uid(meta: Mapping[str, Any]) -> str:
    """The uid of the controller that owns an object; empty when none does."""
    return next((o.get("uid", "") for o in meta.get("ownerReferences") or () if o.get("controller")), "")


def scales(autoscaler: Mapping[str, Any], deployment: str) -> bool:
    """Whether this HorizontalPodAutoscaler (JSON) targets that Deployment."""
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    return target.get("kind") == "Deployment" and target.get("name") == deployment


@dataclass(frozen=True)
class Picture:
    """One Deployment with what belongs to it, as read together.

    `replica_sets` are the ones that it owns, by controller uid, newest revision first. `pods` are those of its
    selector, or None when they were not read. `autoscalers` are the ones that target it, or None likewise.
    """

    deployment: Deployment
    replica_sets: tuple[ReplicaSet, ...]
    pods: tuple[Pod, ...] | None = None
    autoscalers: tuple[Autoscaler, ...] | None = None

    @property
    def active(self) -> tuple[ReplicaSet, ...]:
        return tuple(rs for rs in self.replica_sets if rs.active)

    @property
    def counted(self) -> bool:
        """All controllers have seen what was asked for last, so that their counts are not of a moment before it."""
        return self.deployment.observed and all(rs.observed for rs in self.replica_sets)

    def by_uid(self, uid: str) -> ReplicaSet | None:
        return next((rs for rs in self.replica_sets if rs.uid == uid), None)

    def pods_of(self, replica_set: ReplicaSet | None) -> tuple[Pod, ...]:
        """The pods of one ReplicaSet, terminating ones included; finished ones left out."""
        if replica_set is None:
            return ()
        return tuple(p for p in self.pods or () if p.owner_uid == replica_set.uid and not p.finished)


def owned_replica_sets(items: Any, deployment_uid: str) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets in `items` (JSON) whose controller is that Deployment, newest revision first."""
    mine = (ReplicaSet.parse(item) for item in items if controller_uid(item["metadata"]) == deployment_uid)
    return tuple(sorted(mine, key=lambda rs: (-rs.revision, rs.created, rs.name)))


def selector_query(selector: Mapping[str, Any]) -> str:
    """A Deployment's `spec.selector` as the text of a `labelSelector` query."""
    equal = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return ",".join(equal + [_requirement(e) for e in selector.get("matchExpressions") or ()])


_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def _requirement(expression: Mapping[str, Any]) -> str:
    values = ",".join(expression.get("values") or ())
    return _OPERATORS[expression["operator"]].format(key=expression["key"], values=values)
