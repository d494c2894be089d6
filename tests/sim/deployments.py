# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Deployment controller: its model (model.py), between ReplicaSets as objects.

The model decides sizes. What it leaves out is here: names, revisions, annotations that are copied, clean-up, and the status.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from operator import is_

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import HASH_LABEL, REVISION

from . import model
from .controllers import Controller, Pace
from .objects import (
    Json,
    Looked,
    TemplateKeys,
    annotated,
    changed,
    hash_of,
    hashed,
    is_being_deleted,
    owned,
    owner,
)
from .store import Change, Store
from .timeline import Timeline

DESIRED, MOST = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
# Of the name of a Deployment, in that of its ReplicaSets: a name has at most 253 characters.
LONGEST_PREFIX = 242
# Not copied from a Deployment to its ReplicaSet: annotationsToSkip in deployment_util.go.
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        "deployment.kubernetes.io/revision-history",
        DESIRED,
        MOST,
    }
)


class DeploymentController(Controller):
    """`colliding`: the hashes of all templates are the same until the first collision, so that there is one at the second version."""

    name = "deployment-controller"

    def __init__(
        self,
        keys: TemplateKeys,
        timeline: Timeline,
        store: Store,
        pace: Pace,
        chance: random.Random,
        *,
        colliding: bool = False,
    ) -> None:
        super().__init__(timeline, store, pace, chance)
        self.keys, self.colliding = keys, colliding
        self._spec, self._size = Looked(self._spec_of).at, Looked(self._size_of).at
        # What the last pass over each Deployment has left, and the ReplicaSets that it found.
        self._left: dict[str, tuple[Json | None, ...]] = {}

    def concerns(self, change: Change) -> bool:
        return change.kind in ("deployments", "replicasets")

    def work(self) -> None:
        for deployment in list(self.store.of("deployments").values()):
            if deployment["spec"]["strategy"]["type"] != "Recreate":
                self._sync(deployment)
            else:
                self._report(deployment)  # nothing of ours rolls one out

    def _sync(self, deployment: Json) -> None:
        if is_being_deleted(deployment):
            self._report(deployment)
            return
        self._adopt(deployment)
        name, sets = deployment["metadata"]["name"], self.sets(deployment)
        if _are_these(self._left.get(name, ()), (deployment, *sets)):
            return  # nothing but its own report has come since
        spec = self._spec(deployment["spec"])
        after = model.sync(model.State(spec, tuple(map(self._size, sets))))
        by_key = {self.keys.of(rs["spec"]["template"]): rs for rs in sets}
        for told in sorted(after.sets, key=lambda told: told.template in by_key):
            found = by_key.get(told.template)
            if found is None:
                if not self._make(deployment, told, sets):
                    return
            elif told.template == spec.template:
                self._write(deployment, found, told, sets, is_new=True)
            elif told != self._size(found):
                self._write(deployment, found, told, sets, is_new=False)
        self._report(deployment)
        self._left[name] = self.store.get("deployments", name), *sets

    def _adopt(self, deployment: Json) -> None:
        """ClaimObject in controller_ref_manager.go: what is nobody's and has its labels."""
        for rs in list(self.store.of("replicasets").values()):
            if not rs["metadata"].get("ownerReferences") and not is_being_deleted(rs) and _selects(deployment, rs):
                self.store.put("replicasets", changed(rs, metadata={"ownerReferences": [owner(deployment)]}), self.name)

    def sets(self, deployment: Json) -> list[Json]:
        """Oldest first, as FindNewReplicaSet takes them: by the second of their creation, then by name."""
        mine = owned(self.store.of("replicasets"), deployment)
        return sorted(mine, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))

    def _spec_of(self, spec: Json) -> model.Spec:
        rolling = spec["strategy"]["rollingUpdate"]
        return model.Spec(
            spec["replicas"],
            rolling["maxSurge"],
            rolling["maxUnavailable"],
            self.keys.of(spec["template"]),
            spec.get("minReadySeconds", 0) == NEVER_AVAILABLE_SECONDS,
            spec.get("paused", False),
        )

    def _size_of(self, rs: Json) -> model.ReplicaSet:
        spec, status, notes = rs["spec"], rs["status"], rs["metadata"]["annotations"]
        return model.ReplicaSet(
            self.keys.of(spec["template"]),
            size=spec["replicas"],
            pods=status["replicas"],
            ready=status["readyReplicas"],
            available=status["availableReplicas"],
            min_ready_forever=spec["minReadySeconds"] == NEVER_AVAILABLE_SECONDS,
            desired=int(notes[DESIRED]),
            max_replicas=int(notes[MOST]),
        )

    def _make(self, deployment: Json, told: model.ReplicaSet, sets: Sequence[Json]) -> bool:
        """False where another ReplicaSet has its name: the hash is to be another one, and it is tried again (getNewReplicaSet)."""
        of_hash = self._hash(told.template, _collisions(deployment))
        name = f"{deployment['metadata']['name'][:LONGEST_PREFIX]}-{of_hash}"
        if self.store.get("replicasets", name) is not None:
            bumped = {"collisionCount": _collisions(deployment) + 1}
            self.store.put("deployments", changed(deployment, status=bumped), self.name)
            return False
        made = {
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": deployment["metadata"]["namespace"],
                "generation": 1,
                "labels": {**deployment["spec"]["template"]["metadata"]["labels"], HASH_LABEL: of_hash},
                "annotations": self._notes({}, deployment, told, str(_revision(sets) + 1)),
                "ownerReferences": [owner(deployment)],
            },
            "spec": {
                "replicas": told.size,
                "minReadySeconds": deployment["spec"].get("minReadySeconds", 0),
                "selector": {
                    **deployment["spec"]["selector"],
                    "matchLabels": {**(deployment["spec"]["selector"].get("matchLabels") or {}), HASH_LABEL: of_hash},
                },
                "template": hashed(deployment["spec"]["template"], of_hash),
            },
            "status": {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0, "observedGeneration": 0},
        }
        self.store.put("replicasets", made, self.name)
        return True

    def _hash(self, key: str, collisions: int) -> str:
        return hash_of("" if self.colliding and not collisions else key, collisions)

    def _notes(self, present: Json, deployment: Json, told: model.ReplicaSet, revision: str) -> Json:
        """What a new ReplicaSet's annotations become; those that the Deployment has no more stay."""
        given = deployment["metadata"].get("annotations") or {}
        copied = {key: value for key, value in given.items() if key not in _NOT_COPIED}
        return {**present, **copied, REVISION: revision, DESIRED: str(told.desired), MOST: str(told.max_replicas)}

    def _write(self, deployment: Json, rs: Json, told: model.ReplicaSet, sets: Sequence[Json], *, is_new: bool) -> None:
        notes = {**rs["metadata"]["annotations"], DESIRED: str(told.desired), MOST: str(told.max_replicas)}
        minimum = rs["spec"]["minReadySeconds"]
        if is_new:
            others = [other for other in sets if other is not rs]
            revision = str(max(_revision([rs]), _revision(others) + 1))
            if _number(rs) is not None:  # it leaves what it cannot read, with everything beside it
                notes = self._notes(notes, deployment, told, revision)
            minimum = deployment["spec"].get("minReadySeconds", 0)
        after = changed(rs, metadata={"annotations": notes}, spec={"replicas": told.size, "minReadySeconds": minimum})
        if after == rs:
            return
        generation = rs["metadata"]["generation"] + (after["spec"] != rs["spec"])
        self.store.put("replicasets", changed(after, metadata={"generation": generation}), self.name)

    def _report(self, deployment: Json) -> None:
        """The status, from what the ReplicaSets say of themselves; and the end of those that nobody needs any more."""
        sets = self.sets(deployment)
        new_key = self.keys.of(deployment["spec"]["template"])
        new = next((rs for rs in sets if self.keys.of(rs["spec"]["template"]) == new_key), None)

        def total(count: str, of: Sequence[Json]) -> int:
            return sum(rs["status"].get(count, 0) for rs in of)

        counts = {
            "replicas": total("replicas", sets),
            "updatedReplicas": total("replicas", [new] if new else []),
            "readyReplicas": total("readyReplicas", sets),
            "availableReplicas": total("availableReplicas", sets),
            "terminatingReplicas": total("terminatingReplicas", sets),
        }
        status = {"observedGeneration": deployment["metadata"]["generation"], **counts}
        if collisions := _collisions(deployment):
            status["collisionCount"] = collisions
        after = {**deployment, "status": status}
        if new is not None:
            after = annotated(after, **{REVISION: new["metadata"]["annotations"][REVISION]})
        if after != deployment:
            self.store.put("deployments", after, self.name)
        wanted = deployment["spec"]["replicas"]
        complete = wanted == counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"]
        if complete or deployment["spec"].get("paused"):
            self._clean_up(deployment, [rs for rs in sets if rs is not new])

    def _clean_up(self, deployment: Json, old: Sequence[Json]) -> None:
        """cleanupDeployment: ReplicaSets without pods beyond revisionHistoryLimit, the oldest revision first."""
        idle = [rs for rs in old if not rs["spec"]["replicas"] and not rs["status"]["replicas"] and _observed(rs)]
        surplus = len(old) - deployment["spec"]["revisionHistoryLimit"]
        for rs in sorted(idle, key=lambda rs: _revision([rs]))[: max(0, surplus)]:
            self.store.remove("replicasets", rs["metadata"]["name"], self.name)


def _are_these(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _collisions(deployment: Json) -> int:
    return int(deployment["status"].get("collisionCount", 0))


def _selects(deployment: Json, rs: Json) -> bool:
    wanted = deployment["spec"]["selector"].get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= (rs["metadata"].get("labels") or {}).items()


def _observed(rs: Json) -> bool:
    return bool(rs["status"]["observedGeneration"] >= rs["metadata"]["generation"])


def _revision(sets: Sequence[Json]) -> int:
    """The highest; those that are no numbers are left out, as by MaxRevision in deployment_util.go."""
    return max((_number(rs) or 0 for rs in sets), default=0)


def _number(rs: Json) -> int | None:
    found = str(rs["metadata"]["annotations"][REVISION])
    return int(found) if found.isascii() and found.isdigit() else None
