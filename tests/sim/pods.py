# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods, and the ReplicaSet controller that makes and deletes them.

A pod is what its `Nature` makes of it: how long until it is Ready, whether it ever is, how it fails. Natures are drawn for
each version; what befalls a pod later (a crash, an eviction) is an incident of the history.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS

from .controllers import Controller, Pace
from .objects import Json, is_being_deleted, moment, owner, quota, version_of
from .store import Change, Store
from .timeline import Timeline

# A quota that refused a pod is asked again after so long, twice as long each time.
_SOONEST_RETRY, _LATEST_RETRY = 0.5, 16.0


# Of a name that the server completes: k8s.io/apiserver/pkg/storage/names/generate.go.
LONGEST_BASE = 58


@dataclass(frozen=True)
class Nature:
    """How pods of a version are. Seconds; `waits` is why its container never starts (a reason of kubelet), `homeless` that no
    node takes it, `restarts` that each of its pods restarts once before it is Ready."""

    soonest_ready: float = 0.5
    latest_ready: float = 2.0
    never_ready: bool = False
    waits: str = ""
    homeless: bool = False
    restarts: bool = False
    ends_in: float = 1.0


# The label of a pod that somebody has set apart.
APART = "example.org/apart"
# Annotations of the fake pods of the test cluster (docs/contributing/test-cluster.md).
BEHAVIOUR = "lab.coalmine/"


def nature_of(template: Json) -> Nature:
    """What the annotations and the image of a pod template say: as the fake pods of the test cluster take them."""
    notes = template["metadata"].get("annotations") or {}
    tag = version_of(template)
    waits = notes.get(f"{BEHAVIOUR}waiting") or ("CrashLoopBackOff" if tag == "crash" else "")
    ready = _seconds(notes, "ready-after", Nature.soonest_ready), _seconds(notes, "ready-after", Nature.latest_ready)
    return Nature(
        *ready,
        never_ready=notes.get(f"{BEHAVIOUR}never-ready") == "true",
        waits=waits or ("ImagePullBackOff" if tag == "missing" else ""),
        restarts=waits == "CrashLoopBackOff",
        ends_in=_seconds(notes, "end-after", Nature.ends_in),
    )


def _seconds(notes: Mapping[str, str], key: str, otherwise: float = 0.0) -> float:
    found = notes.get(BEHAVIOUR + key)
    return otherwise if found is None else int(found) / 1000


@dataclass
class Pod:
    """`owed`: an incident took its place, or that of the pod before it, among the Ready ones; it has not come back yet. `apart`: no ReplicaSet's any more."""

    name: str
    owner_uid: str
    version: str
    template: Json
    nature: Nature
    owner: Json
    made: float
    notes: Json = field(default_factory=dict)
    node: str = ""
    ready: bool = False
    ready_since: float = 0.0
    restarts: int = 0
    waiting: str = ""
    failed: bool = False
    deleted: float | None = None
    owed: bool = False
    apart: bool = False
    uid: str = ""

    @property
    def active(self) -> bool:
        return self.deleted is None and not self.failed and not self.apart

    @property
    def serving(self) -> bool:
        return self.ready and self.active

    @property
    def _last_end(self) -> Json:
        """As in the test cluster (tests/cluster/stages/pod-behaviour.yaml)."""
        return {"reason": "Error", "exitCode": 3 if self.waiting == "CrashLoopBackOff" else 1}

    def to_json(self) -> Json:
        homeless = self.nature.homeless
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "restartCount": self.restarts,
                "state": {"waiting": {"reason": self.waiting}} if self.waiting else {"running": {}},
                **({"lastState": {"terminated": self._last_end}} if self.restarts else {}),
            }
            for container in self.template["spec"]["containers"]
        ]
        ready = {"type": "Ready", "status": str(self.ready), "lastTransitionTime": moment(self.ready_since)}
        if not self.ready:
            ready["reason"] = "ContainersNotReady"
        conditions = [ready]
        if homeless:
            told = {"reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}
            conditions = [{"type": "PodScheduled", "status": "False", **told}]
        status = {
            "phase": "Failed" if self.failed else "Pending" if homeless or self.waiting else "Running",
            "conditions": conditions,
            **({} if homeless else {"containerStatuses": containers}),
        }
        meta = {
            "name": self.name,
            "namespace": "shop",
            "labels": self.template["metadata"]["labels"],
            **({"annotations": self.notes} if self.notes else {}),
            "ownerReferences": [self.owner],
            **({"uid": self.uid} if self.uid else {}),
            **({} if self.deleted is None else {"deletionTimestamp": moment(self.deleted)}),
        }
        return {
            "kind": "Pod",
            "metadata": meta,
            "spec": {**self.template["spec"], **({"nodeName": self.node} if self.node else {})},
            "status": status,
        }


@dataclass
class _Trouble:
    """Of a ReplicaSet whose pods are refused."""

    message: str = ""
    pause: float = _SOONEST_RETRY


class ReplicaSetController(Controller):
    """`quota`: most pods at a time, terminating ones included. `natures`: by version; what is not named is good."""

    name = "replicaset-controller"

    def __init__(
        self,
        timeline: Timeline,
        store: Store,
        pace: Pace,
        chance: random.Random,
        natures: Mapping[str, Nature],
        quota: int | None = None,
    ) -> None:
        super().__init__(timeline, store, pace, chance)
        self.natures, self.quota = natures, quota
        self.pods: dict[str, Pod] = {}
        # Ready pods that incidents took, and that no pod has taken the place of yet, by ReplicaSet.
        self.owed = Counter[str]()
        # As many were taken whose places went with the controller's own steps before any pod was Ready in them: pods of the other
        # version have to come in their stead.
        self.adrift = 0
        # Pods that are no ReplicaSet's any more.
        self.apart = 0
        self._trouble: dict[str, _Trouble] = {}
        self._made = 0
        store.listen(self._notice)

    def concerns(self, change: Change) -> bool:
        return change.kind in ("replicasets", "pods")

    def of(self, uid: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.owner_uid == uid]

    # The controller.

    def work(self) -> None:
        sets = self.store.of("replicasets")
        uids = {rs["metadata"]["uid"] for rs in sets.values()}
        for pod in list(self.pods.values()):
            if pod.owner_uid not in uids and pod.deleted is None:
                self.delete(pod)
        # Deletions first: they may make room for others.
        for rs in sorted(sets.values(), key=lambda rs: rs["spec"]["replicas"]):
            # What it tells is what it found, before it did anything about it (syncReplicaSet in replica_set.go).
            mine = self.of(rs["metadata"]["uid"])
            active = [pod for pod in mine if pod.active]
            found = self._counts(rs, mine, active)
            if is_being_deleted(rs):
                for pod in active:
                    self.delete(pod)
            else:
                self._manage(rs, active)
            self._report(rs, found)

    def _manage(self, rs: Json, active: list[Pod]) -> None:
        uid, wanted = rs["metadata"]["uid"], rs["spec"]["replicas"]
        if len(active) > wanted:
            # Those that are not Ready go first, then the youngest (controller.ActivePodsWithRanks).
            for pod in sorted(active, key=lambda pod: (pod.ready, -pod.made))[: len(active) - wanted]:
                self.delete(pod)
        for _missing in range(wanted - len(active)):
            if not self._make(rs):
                return
        self.adrift += self.owed.pop(uid, 0)
        self._trouble.pop(uid, None)

    def _make(self, rs: Json) -> bool:
        meta = rs["metadata"]
        there = len(self.pods) + self.apart
        if self.quota is not None and there >= self.quota:
            trouble = self._trouble.setdefault(meta["uid"], _Trouble())
            trouble.message = (
                f'pods "{meta["name"]}-" is forbidden: exceeded quota: small, requested: pods=1, '
                f"used: pods={there}, limited: pods={self.quota}"
            )
            self.timeline.after(trouble.pause, self.wake)
            trouble.pause = min(2 * trouble.pause, _LATEST_RETRY)
            return False
        self._made += 1
        template = rs["spec"]["template"]
        pod = Pod(
            name=f"{meta['name']}-"[:LONGEST_BASE] + f"{self._made:05x}",
            owner_uid=meta["uid"],
            version=version_of(template),
            template=template,
            nature=self.natures.get(version_of(template)) or nature_of(template),
            owner=owner(rs),
            made=self.timeline.now,
            notes=template["metadata"].get("annotations") or {},
            node=self._next_node(),
            owed=self.owed[meta["uid"]] > 0,
        )
        self.owed[meta["uid"]] -= pod.owed
        self.pods[pod.name] = pod
        self._count_quota()
        nature = pod.nature
        pod.waiting, pod.restarts = nature.waits, int(nature.restarts)
        self._show(pod)
        if not (nature.never_ready or nature.waits or nature.homeless):
            seconds = nature.soonest_ready + (nature.latest_ready - nature.soonest_ready) * self.chance.random()
            self.timeline.after(seconds, lambda: self._turns_ready(pod))
        return True

    def _next_node(self) -> str:
        """Nodes take turns, whatever there is on them. A cluster without nodes does not say where its pods are."""
        nodes = sorted(self.store.of("nodes"))
        return nodes[self._made % len(nodes)] if nodes else ""

    def _show(self, pod: Pod) -> None:
        pod.uid = self.store.put("pods", pod.to_json(), self.name)["metadata"]["uid"]

    def _turns_ready(self, pod: Pod) -> None:
        if pod.active and not pod.ready:
            pod.ready, pod.ready_since, pod.owed, pod.waiting = True, self.timeline.now, False, ""
            self._show(pod)
            self._does_as_noted(pod, {})

    def _notice(self, change: Change) -> None:
        """What somebody notes at a pod, it does from then on."""
        pod = self.pods.get(change.name) if change.kind == "pods" and change.after and change.by != self.name else None
        if pod is not None and change.after is not None:
            before, pod.notes = pod.notes, change.after["metadata"].get("annotations") or {}
            self._does_as_noted(pod, before)
            if "deletionTimestamp" in change.after["metadata"]:
                self.is_deleted(pod)

    def _does_as_noted(self, pod: Pod, before: Json) -> None:
        notes = {key: value for key, value in pod.notes.items() if before.get(key) != value}
        if f"{BEHAVIOUR}unready-after" in notes:
            self.timeline.after(_seconds(notes, "unready-after"), lambda: self._turns_unready(pod))
        if f"{BEHAVIOUR}restart-after" in notes:
            self.timeline.after(_seconds(notes, "restart-after"), lambda: self._restarts(pod))

    def _turns_unready(self, pod: Pod) -> None:
        if pod.active and pod.ready:
            pod.ready, pod.ready_since = False, self.timeline.now
            self._show(pod)

    def _restarts(self, pod: Pod) -> None:
        """Once, and Ready throughout."""
        if pod.active and not pod.restarts:
            pod.restarts = 1
            self._show(pod)

    def delete(self, pod: Pod) -> None:
        """It serves no more at once, and is gone when it has ended."""
        if pod.deleted is None:
            self.adrift += pod.owed
            pod.deleted, pod.owed = self.timeline.now, False
            self._show(pod)
            self.timeline.after(pod.nature.ends_in, lambda: self._gone(pod))

    def _gone(self, pod: Pod) -> None:
        if self.pods.pop(pod.name, None) is not None:
            self.store.remove("pods", pod.name, self.name)
            self._count_quota()

    def _count_quota(self) -> None:
        """The ResourceQuota's controller. Admission, which makes no pod beyond it, counts by itself (`_make`)."""
        if self.quota is not None:
            counted = quota(self.quota, len(self.pods) + self.apart)
            known = self.store.get("resourcequotas", counted["metadata"]["name"]) or counted
            self.store.put("resourcequotas", {**counted, "metadata": known["metadata"]}, "resourcequota-controller")

    def are_mended(self, version: str) -> None:
        """Whatever kept the pods of a version from getting Ready, somebody has put it right."""
        self.natures = {**self.natures, version: Nature()}
        for pod in self.pods.values():
            if pod.version == version:
                pod.nature = replace(pod.nature, never_ready=False, waits="", homeless=False)
                self._turns_ready(pod)

    # Incidents.

    def crashes(self, pod: Pod, seconds: float) -> None:
        """Its container restarts, and is Ready again after so long."""
        pod.restarts += pod.active
        self.is_unready(pod, seconds)

    def is_unready(self, pod: Pod, seconds: float) -> None:
        """Its probe fails for so long."""
        if pod.active:
            pod.owed = pod.owed or pod.ready
            pod.ready, pod.ready_since = False, self.timeline.now
            self._show(pod)
            self.timeline.after(seconds, lambda: self._turns_ready(pod))

    def is_evicted(self, pod: Pod) -> None:
        """Its node ended it: it failed, and another takes its place."""
        if pod.active:
            self._owes(pod)
            pod.ready, pod.failed, pod.ready_since = False, True, self.timeline.now
            self._show(pod)

    def is_deleted(self, pod: Pod) -> None:
        """By somebody; another takes its place."""
        if pod.active:
            self._owes(pod)
            self.delete(pod)

    def is_set_apart(self, pod: Pod) -> None:
        """By somebody who takes its labels off to look into it: its ReplicaSet lets it go and makes another (releasePod in
        pkg/controller/controller_ref_manager.go)."""
        if pod.active:
            self._owes(pod)
            del self.pods[pod.name]
            pod.apart, self.apart, shown = True, self.apart + 1, pod.to_json()
            meta = {**shown["metadata"], "labels": {APART: pod.name}, "ownerReferences": []}
            self.store.put("pods", {**shown, "metadata": meta}, self.name)

    def _owes(self, pod: Pod) -> None:
        """The pod after it will have to take its place."""
        self.owed[pod.owner_uid] += pod.ready or pod.owed
        pod.owed = False

    # The status.

    def _counts(self, rs: Json, mine: list[Pod], active: list[Pod]) -> Json:
        ready = [pod for pod in active if pod.ready]
        return {
            "replicas": len(active),
            "readyReplicas": len(ready),
            "availableReplicas": sum(self._is_available(pod, rs["spec"]["minReadySeconds"]) for pod in ready),
            "terminatingReplicas": sum(pod.deleted is not None for pod in mine),
        }

    def _report(self, rs: Json, counts: Json) -> None:
        status = {"observedGeneration": rs["metadata"]["generation"], **counts}
        if trouble := self._trouble.get(rs["metadata"]["uid"]):
            failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": trouble.message}
            status["conditions"] = [failure]
        if status != rs["status"]:
            self.store.put("replicasets", {**rs, "status": status}, self.name)

    def _is_available(self, pod: Pod, minimum: int) -> bool:
        if minimum == NEVER_AVAILABLE_SECONDS:
            return False
        left = pod.ready_since + minimum - self.timeline.now
        if left > 0:
            self.timeline.after(left, self.wake)
        return left <= 0
