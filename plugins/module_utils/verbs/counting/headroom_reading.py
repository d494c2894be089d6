# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what headroom needs, page by page, and makes the question of it. Every right that is missing becomes an unknown.

This module is private to the collection.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, TypeVar

from ...cluster.api import Api
from ...cluster.errors import AdmissionDenied, ApiError, Forbidden, Invalid, NotFound
from ...cluster.lists import glances, kept, parser
from ...collecting import uncollected
from ...headroom.admission import (
    admitted_locally,
    pod_to_ask_for,
    with_default_class,
    with_priority_class,
    with_runtime_class,
    with_what_was_added,
)
from ...headroom.fields import NodeFields, PodFields
from ...headroom.finding import PodSource, Question
from ...headroom.neighbours import needs_namespace_labels
from ...headroom.peaks import Rollout
from ...headroom.pod_request import NEWEST_KNOWN_MINOR
from ...headroom.quantity import written
from ...headroom.quota import Quota, quota_view
from ...headroom.scene import Scene, SceneBuilder, relevance
from ...headroom.views import Incoming, Node, NodeViews, PodViews, incoming_view
from ...headroom.volumes import Storage
from ...rollout.views import ReplicaSet
from ...values import dataclass
from ..call.outcome import Report

Object = Mapping[str, Any]
_NODES = "/api/v1/nodes"
_PODS = "/api/v1/pods"
NOT_OVER = "status.phase!=Succeeded,status.phase!=Failed"
# What the API server says where the dry run met a quota, which is counted here anyway, or a webhook that allows no dry run.
_NOT_FOR_THE_POD = re.compile(r"exceeded quota|failed quota|status unknown for quota")
_NO_DRY_RUN = re.compile(r"does not support dry run")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Subject:
    """What the check is about: the new pod template of a Deployment, beside its stable ReplicaSet."""

    name: str
    namespace: str
    template: Object
    stable: ReplicaSet
    owners: frozenset[str]
    min_ready_seconds: int
    progress_deadline_seconds: int | None


class Lists:
    """Small lists, such as the quotas of a namespace, which all releases that are asked about have in common: each is read once, by
    whoever needs it first."""

    def __init__(self) -> None:
        self._read: dict[str, list[Object]] = {}

    def all(self, api: Api, path: str) -> list[Object]:
        if path not in self._read:
            self._read[path] = list(_each(api, path))
        return self._read[path]


class Reader:
    """What concerns one Deployment alone. `unknown` says what could not be read, `incoming` is its new pod as the scheduler sees it."""

    def __init__(self, api: Api, subject: Subject, minor: int, lists: Lists) -> None:
        self._api, self._lists = api, lists
        self.subject = subject
        self._core = f"/api/v1/namespaces/{subject.namespace}"
        self._limit_ranges: tuple[Object, ...] = ()
        self._old_pod: Object | None = None
        self._ready_after: list[float] = []
        self._refusals: list[str] = []
        self.unknown: list[str] = []
        self.assumptions: list[str] = []
        self._minor = minor
        self._pod, self._source = self._admitted(minor)
        self.incoming = incoming_view(self._pod, minor)

    def learns(self, raw: Object) -> None:
        """From a running pod of the stable version."""
        self._ready_after.extend(_seconds_to_ready(raw))

    def keeps(self, raw: Object) -> None:
        """One of those as an example."""
        self._old_pod = kept(raw)

    def question(self, rollout: Rollout, cluster: Cluster) -> Question:
        """Everything that the pure check needs."""
        minor, pod = self._minor, self._pod
        if self._source is PodSource.TEMPLATE:
            pod = self._as_running_ones(pod, minor)
        old_pod = self._old(minor)
        quotas = self._quotas()
        storage = self._storage(self.incoming)
        self._look_for_device_classes(self.incoming, cluster.scene)
        ready_after = usual_seconds(self._ready_after, self.subject.progress_deadline_seconds)
        return Question(
            pod=pod,
            pod_source=self._source,
            minor=minor,
            scene=cluster.scene,
            rollout=rollout,
            owners=self.subject.owners,
            old_pod=old_pod,
            storage=storage,
            quotas=quotas,
            refusals=tuple(self._refusals),
            unknown=(*cluster.unknown, *self.unknown),
            assumptions=(*cluster.assumptions, *self.assumptions),
            ready_seconds=None if ready_after is None else ready_after + self.subject.min_ready_seconds,
            cluster_known=cluster.known,
        )

    def _old(self, minor: int) -> Object:
        """A pod of the stable version: a running one, else what its template would become.

        Lists leave most of a pod's affinity out, which decides whether some quotas count it; the template has the whole.
        """
        template = self.subject.stable.template
        if self._old_pod is None:
            return admitted_locally(self._asked(template), self._limit_ranges, minor)[0]
        return {**self._old_pod, "spec": {**self._old_pod["spec"], "affinity": template["spec"].get("affinity")}}

    def _asked(self, template: Object) -> dict[str, Any]:
        return pod_to_ask_for(template, self.subject.namespace, self.subject.name, self.subject.stable)

    def _admitted(self, minor: int) -> tuple[Object, PodSource]:
        """The pod as the API server would make it, by a dry run; else by what every API server does."""
        asked = self._asked(self.subject.template)
        try:
            return self._api.create(f"{self._core}/pods", asked, dry_run=True), PodSource.DRY_RUN
        except (AdmissionDenied, Invalid) as refused:
            if _NO_DRY_RUN.search(refused.message):
                self.assumptions.append(f"dry_run_of_a_pod_not_possible: {refused.message}")
            elif not _NOT_FOR_THE_POD.search(refused.message):
                self._refusals.append(refused.message)
        except ApiError as error:
            if error.status not in (400, 403):
                raise
            self.assumptions.append(f"dry_run_of_a_pod_not_possible: {error.why}")
        self._limit_ranges = tuple(
            self._tried("limitranges", lambda: self._lists.all(self._api, f"{self._core}/limitranges")) or ()
        )
        pod, refusals = admitted_locally(asked, self._limit_ranges, minor)
        self._refusals.extend(refusals if not self._refusals else ())
        return self._completed(pod), PodSource.TEMPLATE

    def _completed(self, pod: dict[str, Any]) -> dict[str, Any]:
        """With what admission would take from other objects, where they can be read."""
        if name := pod["spec"].get("runtimeClassName"):
            runtime_class = self._class("RuntimeClass", "runtimeclasses", "node.k8s.io", name)
            if runtime_class is not None:
                pod, refusals = with_runtime_class(pod, runtime_class)
                self._refusals.extend(refusals)
        if name := pod["spec"].get("priorityClassName"):
            priority_class = self._class("PriorityClass", "priorityclasses", "scheduling.k8s.io", name)
            if priority_class is not None:
                pod = with_priority_class(pod, priority_class)
        return pod

    def _class(self, kind: str, resource: str, group: str, name: str) -> Object | None:
        """A class that the pod names; admission refuses a pod whose class is not there."""
        found = self._tried(f"{resource}.{group}", lambda: self._named(f"/apis/{group}/v1/{resource}", (name,)))
        if found is not None and name not in found:
            self._refusals.append(f"{kind} {name}, which the pod names, is not there")
        return (found or {}).get(name)

    def _as_running_ones(self, pod: Object, minor: int) -> Object:
        """The pod that was worked out from the template, with what the cluster adds to pods of this Deployment."""
        if self._old_pod is None:
            return pod
        plain, _refusals = admitted_locally(self._asked(self.subject.stable.template), self._limit_ranges, minor)
        pod, added = with_what_was_added(with_default_class(pod, plain, self._old_pod), plain, self._old_pod, minor)
        if added:
            told = ", ".join(f"{written(name, amount)} of {name}" for name, amount in sorted(added.items()))
            self.assumptions.append(f"admission_adds_as_to_a_running_pod: {told}")
        return pod

    def _quotas(self) -> tuple[Quota, ...]:
        found = self._tried("resourcequotas", lambda: self._lists.all(self._api, f"{self._core}/resourcequotas"))
        return tuple(map(quota_view, found or ()))

    def _storage(self, incoming: Incoming) -> Storage:
        """Only what the pod's volumes ask for."""
        if not incoming.claims and not incoming.inline_csi_drivers:
            return Storage()
        claims = self._tried(
            "persistentvolumeclaims", lambda: self._named(f"{self._core}/persistentvolumeclaims", incoming.claims)
        )
        bound = [claim["spec"]["volumeName"] for claim in (claims or {}).values() if claim["spec"].get("volumeName")]
        volumes = self._tried("persistentvolumes", lambda: self._named("/api/v1/persistentvolumes", bound))
        drivers = self._tried(
            "csinodes.storage.k8s.io", lambda: _limited(_each(self._api, "/apis/storage.k8s.io/v1/csinodes"))
        )
        return Storage(claims, volumes, drivers)

    def _look_for_device_classes(self, incoming: Incoming, scene: Scene) -> None:
        """An extended resource that no node has may be given by Dynamic Resource Allocation, which a client cannot foresee."""
        absent = [
            name
            for name in incoming.request
            if "/" in name and not any(node.allocatable.get(name) for node in scene.nodes)
        ]
        if not absent:
            return
        classes = self._tried(
            "deviceclasses.resource.k8s.io",
            lambda: self._lists.all(self._api, "/apis/resource.k8s.io/v1/deviceclasses"),
        )
        named = {(one.get("spec") or {}).get("extendedResourceName") for one in classes or ()}
        self.unknown.extend(
            f"dra_extended_resource: {name}"
            for name in absent
            if name in named or name.startswith("deviceclass.resource.kubernetes.io/")
        )

    def _tried(self, resource: str, ask: Callable[[], _Found]) -> _Found | None:
        return _tried(self.unknown, resource, ask)

    def _named(self, path: str, names: Iterable[str]) -> dict[str, Object]:
        found: dict[str, Object] = {}
        for name in dict.fromkeys(names):
            try:
                found[name] = self._api.get(f"{path}/{name}")
            except NotFound:
                continue
        return found


@dataclass(frozen=True)
class Cluster:
    """Nodes and pods at one moment, read once for all who ask. `known` False: they could not be listed. `read` says what it cost."""

    scene: Scene
    known: bool
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)


class ClusterReader:
    def __init__(self, api: Api, readers: Sequence[Reader], minor: int, report: Report) -> None:
        self._api, self._readers, self._minor, self._report = api, readers, minor, report
        self._by_stable = {reader.subject.stable.uid: reader for reader in readers}
        self._unknown: list[str] = []
        self._assumptions: list[str] = []
        self._read: dict[str, Any] = {"nodes": 0, "pods": 0, "resource_version": None, "parser": parser()}

    def cluster(self) -> Cluster:
        nodes = _tried(self._unknown, "nodes", self._nodes)
        self._read["nodes"] = len(nodes or ())
        owners = frozenset(uid for reader in self._readers for uid in reader.subject.owners)
        incoming = [reader.incoming for reader in self._readers]
        builder = SceneBuilder(nodes or (), relevance(incoming, owners))
        known = nodes is not None and _tried(self._unknown, "pods", lambda: self._read_pods(builder)) is not None
        scene = builder.scene(None)
        if known and any(needs_namespace_labels(one, scene) for one in incoming):
            spaces = _tried(self._unknown, "namespaces", lambda: list(_each(self._api, "/api/v1/namespaces")))
            if spaces is not None:
                labels = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in spaces}
                scene = replace(scene, namespaces=labels)
        return Cluster(scene, known, tuple(self._unknown), tuple(self._assumptions), self._read)

    def _nodes(self) -> list[Node]:
        views = NodeViews()
        return [views.view(raw) for _moment, page in self._api.read(_NODES, NodeFields) for raw in page]

    def _read_pods(self, builder: SceneBuilder) -> bool:
        self._report("reading the pods of the cluster")
        moments: list[str] = []
        views = PodViews(self._minor, glances())
        # Pages are many small dictionaries without cycles: looking for cycles in them doubles the time of reading.
        with uncollected():
            for moment, page in self._api.read(_PODS, PodFields, {"fieldSelector": NOT_OVER}):
                moments.append(moment)
                self._fold(page, views, builder)
        self._read["resource_version"] = moments[-1]
        self._assumptions.append(f"snapshot_rv_{moments[-1]}")
        if len(set(moments)) > 1:
            self._assumptions.append("pods_changed_while_they_were_read")
        return True

    def _fold(self, page: Iterable[Object], views: PodViews, builder: SceneBuilder) -> None:
        """Counts the pods of a page in, and lets readers learn from those of their stable versions."""
        found: dict[str, Object] = {}
        count = 0
        for raw in page:
            pod = views.view(raw)
            if pod is None:
                continue
            count += 1
            builder.add(pod)
            owner = pod.kind.owner
            if owner in self._by_stable:
                found[owner] = raw
                self._by_stable[owner].learns(raw)
        views.forget()
        self._read["pods"] += count
        for owner, raw in found.items():
            self._by_stable[owner].keeps(raw)


def server_minor(api: Api) -> tuple[int, tuple[str, ...]]:
    """The minor version of the server, and what of it is unknown."""
    try:
        digits = re.match(r"\d+", str(api.get("/version").get("minor") or ""))
    except Forbidden as error:
        return NEWEST_KNOWN_MINOR, (not_readable("server_version", error),)
    return (int(digits[0]), ()) if digits else (NEWEST_KNOWN_MINOR, ("server_version_not_readable",))


def not_readable(what: str, error: Forbidden) -> str:
    """As an entry of what is unknown."""
    return f"{what}_not_readable: needs the right to {error.right}"


def _tried(unknown: list[str], resource: str, ask: Callable[[], _Found]) -> _Found | None:
    """What was asked for; None where the right or the API is missing, which is noted as unknown."""
    try:
        return ask()
    except Forbidden as error:
        unknown.append(not_readable(resource.partition(".")[0], error))
    except NotFound:
        pass
    return None


def _each(api: Api, path: str) -> Iterator[Object]:
    for page in api.pages(path, {}):
        yield from page.get("items") or ()


def _limited(csi_nodes: Iterable[Object]) -> frozenset[str]:
    """Drivers that limit how many volumes some node takes."""
    return frozenset(
        driver["name"]
        for one in csi_nodes
        for driver in (one.get("spec") or {}).get("drivers") or ()
        if (driver.get("allocatable") or {}).get("count") is not None
    )


def _seconds_to_ready(raw: Object) -> list[float]:
    """How long after its creation a pod last became Ready; nothing for one that is not."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    since = [
        one.get("lastTransitionTime")
        for one in conditions
        if one.get("type") == "Ready" and one.get("status") == "True"
    ]
    created = raw["metadata"].get("creationTimestamp")
    return [(_moment(text) - _moment(created)).total_seconds() for text in since if text and created]


def usual_seconds(ready_after: Iterable[float], deadline: int | None) -> float | None:
    """How long pods take to become Ready, None when nothing tells: the lower quartile.

    A pod that was not Ready for a while tells when it came back instead, which is later: no Deployment that waits only until
    `deadline` has seen its pods take longer than that.
    """
    told = sorted(one for one in ready_after if deadline is None or one <= deadline)
    return told[(len(told) - 1) // 4] if told else None


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - both are UTC, only their distance matters
