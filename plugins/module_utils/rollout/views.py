# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen views of the API objects that a release is about: only the fields that a decision needs.

Every view is made from the JSON of an API server by its `parse`, which raises Malformed where that is of another shape than
the API says; nothing here asks a server or a clock. This module is private to the collection.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Iterable, Iterator, Mapping

from ..foreign import printable
from ..values import dataclass
from .fields import Fields, Malformed, pod_template

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
# As kubectl reads it. Whoever injects sidecars sets it.
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_REVISION = re.compile(r"[0-9]{1,18}")
_VERSION = re.compile(r"[0-9]{1,30}", re.ASCII)

# Of a name that the server completes (k8s.io/apiserver, pkg/storage/names/generate.go).
_LONGEST_GENERATED, _RANDOM = 58, 5

# What a pod can say about itself: the reasons of kubelet and scheduler, as they stand in its status.
UNSCHEDULABLE = "Unschedulable"


@dataclass(frozen=True)
class Strategy:
    """`spec.strategy`. `max_surge` and `max_unavailable` are counts or percentages, as stored; None when unset."""

    type: str = "RollingUpdate"
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None

    @classmethod
    def parse(cls, strategy: Fields) -> Strategy:
        rolling = strategy.within("rollingUpdate")
        return cls(
            type=strategy.text("type") or "RollingUpdate",
            max_surge=rolling.share("maxSurge"),
            max_unavailable=rolling.share("maxUnavailable"),
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


def _conditions(status: Fields) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=c.text("type"),
            status=c.text("status"),
            reason=printable(c.text("reason")),
            message=printable(c.text("message")),
            since=c.text("lastTransitionTime"),
        )
        for c in status.each("conditions")
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
    def parse(cls, status: Fields) -> DeploymentStatus:
        return cls(
            observed_generation=status.count("observedGeneration") or 0,
            replicas=status.count("replicas") or 0,
            updated=status.count("updatedReplicas") or 0,
            ready=status.count("readyReplicas") or 0,
            available=status.count("availableReplicas") or 0,
            terminating=status.count("terminatingReplicas"),
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
    # Of its resourceVersion, 0 where that cannot be compared.
    version: int = 0

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Deployment:
        fields = Fields(obj, "Deployment")
        meta, spec = fields.required("metadata"), fields.required("spec")
        replicas = spec.count("replicas")
        owner = _controller(meta)
        return cls(
            name=meta.name("name"),
            namespace=meta.text("namespace") or "default",
            uid=meta.text("uid"),
            generation=meta.count("generation") or 0,
            replicas=1 if replicas is None else replicas,
            paused=spec.flag("paused"),
            min_ready_seconds=spec.count("minReadySeconds") or 0,
            progress_deadline_seconds=spec.count("progressDeadlineSeconds"),
            revision_history_limit=spec.count("revisionHistoryLimit"),
            strategy=Strategy.parse(spec.within("strategy")),
            template=pod_template(spec.required("template")),
            selector=_selector(spec.within("selector")),
            labels=meta.texts("labels"),
            annotations=meta.texts("annotations"),
            managed_fields=tuple(_managed(entry) for entry in meta.each("managedFields")),
            controller=f'{owner.text("kind")} "{owner.text("name")}"' if owner else "",
            status=DeploymentStatus.parse(fields.within("status")),
            deleting=meta.text("deletionTimestamp") != "",
            version=_comparable(meta.text("resourceVersion")),
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
        fields = Fields(obj, "ReplicaSet")
        meta, spec, status = fields.required("metadata"), fields.required("spec"), fields.within("status")
        annotations = meta.texts("annotations")
        revision = annotations.get(REVISION, "")
        return cls(
            name=meta.name("name"),
            uid=meta.text("uid"),
            hash=meta.texts("labels").get(HASH_LABEL, ""),
            revision=int(revision) if _REVISION.fullmatch(revision) else 0,
            created=meta.text("creationTimestamp"),
            replicas=spec.count("replicas") or 0,
            current=status.count("replicas") or 0,
            ready=status.count("readyReplicas") or 0,
            available=status.count("availableReplicas") or 0,
            terminating=status.count("terminatingReplicas"),
            min_ready_seconds=spec.count("minReadySeconds") or 0,
            template=pod_template(spec.required("template")),
            annotations=annotations,
            conditions=_conditions(status),
            observed=(status.count("observedGeneration") or 0) >= (meta.count("generation") or 0),
        )

    @property
    def active(self) -> bool:
        return self.replicas > 0

    @property
    def empty(self) -> bool:
        """No pod is left of it (terminating ones aside), and none will be made. A count that is older than what was asked for
        last says nothing: a ReplicaSet that was just made has pods before its status counts them."""
        return not self.active and self.current == 0 and self.observed

    @property
    def counted(self) -> bool:
        """Its controller has seen what was asked for last, and counts no pod that it has taken away for it: its first status after a change
        tells what was there before it (syncReplicaSet in pkg/controller/replicaset)."""
        return self.observed and self.current <= self.replicas


@dataclass(frozen=True)
class ContainerState:
    """What kubelet says of one container: `waiting` and `terminated` are reasons, empty when it is in neither state. `restarts`: 0 of one
    that only initialises its pod. `image_id`: by which
    digest its registry knows the image that runs; empty as long as that is not said, or where it came from no registry."""

    name: str
    image: str
    image_id: str
    restarts: int
    waiting: str
    waiting_message: str
    terminated: str
    exit_code: int | None
    last_terminated: str
    last_exit_code: int | None
    ready: bool

    @classmethod
    def parse(cls, status: Fields) -> ContainerState:
        state, last = status.within("state"), status.within("lastState")
        waiting, ended, before = state.within("waiting"), state.within("terminated"), last.within("terminated")
        return cls(
            name=status.text("name"),
            image=status.text("image"),
            image_id=status.text("imageID") if "@" in status.text("imageID") else "",
            restarts=status.count("restartCount") or 0,
            waiting=printable(waiting.text("reason")),
            waiting_message=printable(waiting.text("message")),
            terminated=printable(ended.text("reason")),
            exit_code=ended.integer("exitCode"),
            last_terminated=printable(before.text("reason")),
            last_exit_code=before.integer("exitCode"),
            ready=status.flag("ready"),
        )


# What the admission of a VerticalPodAutoscaler writes on each of its pods (vertical-pod-autoscaler, pkg/utils/annotations).
_RESIZED = ("vpaObservedContainers", "vpaUpdates")


@dataclass(frozen=True)
class Pod:
    """`ready` is the pod's Ready condition: what Services and disruption budgets go by. `ready_since` is when that last
    became what it is (RFC 3339, whole seconds; empty where the pod has no such condition yet). `running_containers` are names,
    with sidecars (init containers that are always restarted) and without what ends before they run; `default_container` is
    the one that its annotation names for whoever does not say which one is meant. `reason` and `message` are why
    it failed, `lacks` the conditions that it does not meet, and `disrupted` why the cluster takes it (its condition DisruptionTarget: it was
    evicted, its node is lost, another pod was more important). `version` is its resourceVersion, by which moments can be compared.
    `resized`: a VerticalPodAutoscaler says that it is one of its own. `rewritten_by`: who has given a container of it another image since it
    was made, as managedFields name him; empty: nobody."""

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
    disrupted: Condition | None = None
    version: int = 0
    resized: bool = False
    rewritten_by: str = ""

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Pod:
        fields = Fields(obj, "Pod")
        meta, spec, status = fields.required("metadata"), fields.within("spec"), fields.within("status")
        conditions = {c.type: c for c in _conditions(status)}
        scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
        disrupted = conditions.get("DisruptionTarget")
        refused = scheduled is not None and scheduled.status == "False" and scheduled.reason == UNSCHEDULABLE
        running = _running_containers(spec)
        states = (*_initial(status, running), *map(ContainerState.parse, status.each("containerStatuses")))
        owner, annotations = _controller(meta), meta.texts("annotations")
        return cls(
            name=meta.name("name"),
            uid=meta.text("uid"),
            owner_uid=owner.text("uid") if owner else "",
            hash=meta.texts("labels").get(HASH_LABEL, ""),
            ip=status.text("podIP"),
            node=spec.text("nodeName"),
            phase=status.text("phase"),
            ready=ready is not None and ready.status == "True",
            terminating=meta.text("deletionTimestamp") != "",
            unschedulable=scheduled.message if refused and scheduled is not None else "",
            nominated_node=status.text("nominatedNodeName"),
            containers=states,
            ready_since=ready.since if ready is not None else "",
            running_containers=running,
            default_container=annotations.get(DEFAULT_CONTAINER, ""),
            created=meta.text("creationTimestamp"),
            reason=printable(status.text("reason")),
            message=printable(status.text("message")),
            lacks=tuple(c for c in conditions.values() if c.status == "False"),
            disrupted=disrupted if disrupted is not None and disrupted.status == "True" else None,
            version=_comparable(meta.text("resourceVersion")),
            resized=any(mark in annotations for mark in _RESIZED),
            rewritten_by=_rewriter(meta),
        )

    @property
    def explains(self) -> str:
        """The container whose log may say why the pod is not Ready, or was not for a while: one that runs and is not ready, else the
        one that is meant where nobody says which. What only initialises the pod has ended long before; empty where nothing runs."""
        unready = {state.name for state in self.containers if not state.ready}
        lost = next((name for name in self.running_containers if name in unready), "")
        return lost or self.default_container or next(iter(self.running_containers), "")

    @staticmethod
    def moment(obj: Mapping[str, Any]) -> tuple[str, int]:
        """Its uid and its version: whether there is anything new in it."""
        meta = Fields(obj, "Pod").required("metadata")
        return meta.text("uid"), _comparable(meta.text("resourceVersion"))

    @property
    def serving(self) -> bool:
        return self.ready and not self.terminating

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def may_serve(self) -> bool:
        """Now or later: it is not about to go, and has not ended."""
        return not (self.terminating or self.finished)


def _comparable(resource_version: str) -> int:
    """A number that grows with every change in the cluster: promised since 1.35 (KEP-5504), and always so before. 0 where it is none."""
    return int(resource_version) if _VERSION.fullmatch(resource_version) else 0


def version_of(obj: Mapping[str, Any], kind: str) -> int:
    """Of an object or a list (JSON), as it can be compared with others; 0 where it cannot."""
    return _comparable(Fields(obj, kind).within("metadata").text("resourceVersion"))


def _rewriter(meta: Fields) -> str:
    """Whoever manages the image of a container without having made it. An image may be changed in a pod that runs (validation.go,
    ValidatePodUpdate); a webhook that gives it another one when the pod is made does so in the name of who makes it."""
    entries = [entry for entry in meta.each("managedFields") if not entry.text("subresource")]
    if len(entries) < 2:
        return ""
    made: dict[tuple[str, str], str] = {}
    imaged: dict[tuple[str, str], str] = {}
    for entry in entries:
        spec = entry.within("fieldsV1").within("f:spec")
        for kind in ("f:containers", "f:initContainers"):
            for container, fields in spec.within(kind).raw.items():
                for field, owners in (("f:name", made), ("f:image", imaged)):
                    if isinstance(fields, Mapping) and field in fields:
                        owners[kind, container] = entry.text("manager")
    found = (manager for key, manager in imaged.items() if made.get(key, manager) != manager)
    return printable(next(found, ""))


def _initial(status: Fields, running: tuple[str, ...]) -> Iterator[ContainerState]:
    """Sidecars, and what ends before the others run. One of these that is tried again (a wait for a database) has restarted nothing, and
    what never ends well shows by what it waits for."""
    for found in status.each("initContainerStatuses"):
        state = ContainerState.parse(found)
        yield state if state.name in running else replace(state, restarts=0)


def _running_containers(spec: Fields) -> tuple[str, ...]:
    sidecars = [one for one in spec.each("initContainers") if one.text("restartPolicy") == "Always"]
    return tuple(one.text("name") for one in (*spec.each("containers"), *sidecars))


# A label that KEDA gives its autoscaler, with its own version, unless the ScaledObject has one of its own.
VERSION = "app.kubernetes.io/version"


@dataclass(frozen=True)
class Autoscaler:
    """A HorizontalPodAutoscaler. `min_replicas` is None when unset (the server's default is 1);
    `generation` is None where the server does not count it (before 1.37). `behavior` as it stands, None where it is unset. `metrics`: of
    each its type, and the type of its target. `version`: of KEDA, where that has made it and its ScaledObject has no such label. `owner_uid`:
    of what `owner` names."""

    name: str
    uid: str
    resource_version: str
    generation: int | None
    observed_generation: int | None
    min_replicas: int | None
    max_replicas: int
    annotations: Mapping[str, str]
    owner: str
    behavior: Mapping[str, Any] | None = None
    metrics: tuple[tuple[str, str], ...] = ()
    version: str = ""
    owner_uid: str = ""

    @property
    def scaled_object(self) -> str:
        """The name of KEDA's ScaledObject of which it is made; empty where it is none of KEDA's."""
        kind, _slash, name = self.owner.partition("/")
        return name if kind == "ScaledObject" else ""

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Autoscaler:
        fields = Fields(obj, "HorizontalPodAutoscaler")
        meta, spec, status = fields.required("metadata"), fields.required("spec"), fields.within("status")
        owner = _controller(meta)
        return cls(
            name=meta.name("name"),
            uid=meta.text("uid"),
            resource_version=meta.text("resourceVersion"),
            generation=meta.count("generation"),
            observed_generation=status.count("observedGeneration"),
            min_replicas=spec.count("minReplicas"),
            max_replicas=spec.count("maxReplicas") or 0,
            annotations=meta.texts("annotations"),
            owner=f"{owner.text('kind')}/{owner.name('name')}" if owner else "",
            behavior=spec.within("behavior").raw or None,
            metrics=tuple(_metric(metric) for metric in spec.each("metrics")),
            version=meta.texts("labels").get(VERSION, ""),
            owner_uid=owner.text("uid") if owner else "",
        )


@dataclass(frozen=True)
class ScaledObject:
    """KEDA's, of which it makes an autoscaler. `version`: a label of its own. `behavior`: what it asks of its autoscaler."""

    name: str
    uid: str
    resource_version: str
    annotations: Mapping[str, str]
    version: str = ""
    behavior: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> ScaledObject:
        fields = Fields(obj, "ScaledObject")
        meta, advanced = fields.required("metadata"), fields.within("spec").within("advanced")
        return cls(
            name=meta.name("name"),
            uid=meta.text("uid"),
            resource_version=meta.text("resourceVersion"),
            annotations=meta.texts("annotations"),
            version=meta.texts("labels").get(VERSION, ""),
            behavior=advanced.within("horizontalPodAutoscalerConfig").within("behavior").raw or None,
        )


def _metric(metric: Fields) -> tuple[str, str]:
    kind = metric.text("type")
    return kind, metric.within(kind[:1].lower() + kind[1:]).within("target").text("type")


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
        fields = Fields(obj, "Event")
        meta, series = fields.required("metadata"), fields.within("series")
        times = (series.text("lastObservedTime"), fields.text("lastTimestamp"), fields.text("eventTime"))
        return cls(
            name=meta.text("name"),
            resource_version=meta.text("resourceVersion"),
            reason=printable(fields.text("reason")),
            message=printable(fields.text("message")),
            at=next((time for time in times if time), meta.text("creationTimestamp")),
        )


def _controller(meta: Fields) -> Fields | None:
    """The reference to the controller that owns an object: the first one that says so (apimachinery, GetControllerOf)."""
    return next((owner for owner in meta.each("ownerReferences") if owner.flag("controller")), None)


def controller_uid(obj: Mapping[str, Any], kind: str) -> str:
    """The uid of the controller that owns an object (JSON); empty when none does."""
    owner = _controller(Fields(obj, kind).within("metadata"))
    return owner.text("uid") if owner else ""


def _managed(entry: Fields) -> Mapping[str, Any]:
    """An entry of managedFields: what tells tools apart, when it was written, and which fields of spec and which marks it owns."""
    fields = entry.within("fieldsV1")
    marks = {which: fields.within("f:metadata").within(which).raw for which in ("f:labels", "f:annotations")}
    said = {member: entry.text(member) for member in ("manager", "operation", "subresource", "time")}
    return {**said, "fieldsV1": {"f:spec": fields.within("f:spec").raw, "f:metadata": marks}}


def scales(autoscaler: Mapping[str, Any], deployment: str, reference: str = "scaleTargetRef") -> bool:
    """Whether this autoscaler (JSON) targets that Deployment by the `reference` in its spec, as a HorizontalPodAutoscaler's controller finds it.

    That takes the group and leaves the version aside, and its RESTMapper knows each kind in lower case too
    (pkg/controller/podautoscaler/horizontal.go, reconcileAutoscaler; client-go restmapper/discovery.go). Read a little more
    widely here, other cases and no group at all: what might rescale a canary is told.
    """
    target = Fields(autoscaler, "autoscaler").within("spec").within(reference)
    group, _slash, _version = target.text("apiVersion").rpartition("/")
    ours = group in ("", "apps", "extensions") and target.text("kind").lower() == "deployment"
    return ours and target.text("name") == deployment


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
        """All controllers have seen what was asked for last, and count no pod that they have taken away for it."""
        return self.deployment.observed and all(rs.counted for rs in self.replica_sets)

    def by_uid(self, uid: str) -> ReplicaSet | None:
        return next((rs for rs in self.replica_sets if rs.uid == uid), None)

    def pods_of(self, replica_set: ReplicaSet | None) -> tuple[Pod, ...]:
        """The pods of one ReplicaSet, terminating ones included; finished ones left out."""
        if replica_set is None:
            return ()
        return tuple(p for p in self.pods or () if p.owner_uid == replica_set.uid and not p.finished)

    @property
    def terminating(self) -> tuple[Pod, ...]:
        """Of the pods that the selector finds, those of this Deployment that are about to end. Its ReplicaSet may be gone before they
        are, so that only its name tells whose a pod is: it begins with the ReplicaSet's, and that with the Deployment's
        (getNewReplicaSet in pkg/controller/deployment/sync.go)."""
        owners, name = {rs.uid for rs in self.replica_sets}, self.deployment.name

        def ours(pod: Pod) -> bool:
            made = f"{name}-{pod.hash}-"[:_LONGEST_GENERATED]
            return pod.owner_uid in owners or (pod.hash != "" and pod.name[:-_RANDOM] == made)

        return tuple(pod for pod in self.pods or () if pod.terminating and ours(pod))

    @property
    def let_go(self) -> tuple[Pod, ...]:
        """Of the pods that the selector finds, those that are Ready and were made for this Deployment, as their names tell, but that its
        ReplicaSets have let go because somebody has given them another hash (releasePod in pkg/controller/controller_ref_manager.go)."""
        made = {f"{rs.name}-"[:_LONGEST_GENERATED] for rs in self.replica_sets}
        return tuple(
            pod for pod in self.pods or () if not pod.owner_uid and pod.serving and pod.name[:-_RANDOM] in made
        )


def owned_replica_sets(items: Any, deployment_uid: str) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets in `items` (JSON) whose controller is that Deployment, newest revision first."""
    return newest_first(
        ReplicaSet.parse(item) for item in items if controller_uid(item, "ReplicaSet") == deployment_uid
    )


def newest_first(replica_sets: Iterable[ReplicaSet]) -> tuple[ReplicaSet, ...]:
    return tuple(sorted(replica_sets, key=lambda rs: (-rs.revision, rs.created, rs.name)))


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


def _selector(selector: Fields) -> Mapping[str, Any]:
    """One that can be asked for."""
    expressions = []
    for one in selector.each("matchExpressions"):
        key, operator = one.text("key"), one.text("operator")
        if not key or operator not in _OPERATORS:
            raise Malformed(one.path, one.raw, "a requirement of labels")
        values = {"values": found} if (found := one.words("values")) else {}
        expressions.append({"key": key, "operator": operator, **values})
    parts = {"matchLabels": selector.texts("matchLabels"), "matchExpressions": expressions}
    return {name: part for name, part in parts.items() if part}
