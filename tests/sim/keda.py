# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA's operator: of each ScaledObject it makes an autoscaler, and puts that back whenever somebody else changes it.

controllers/keda/hpa.go of KEDA 2.21: newHPAForScaledObject, updateHPAIfNeeded. Its own scaling to zero is in pkg/scaling/executor.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from .controllers import Controller, Pace
from .objects import NAMESPACE, Json, changed
from .store import Change, Store
from .timeline import Timeline

VERSION = "app.kubernetes.io/version"
# The first that takes away again from an autoscaler what a switch has disabled there.
GIVES_BACK = (2, 18, 2)
WATCHED = ("scaledobjects", "horizontalpodautoscalers")
SWITCHES = {"scaleDown": "autoscaling.keda.sh/paused-scale-in", "scaleUp": "autoscaling.keda.sh/paused-scale-out"}


def scaled_object(
    name: str,
    minimum: int,
    maximum: int,
    target: str,
    *,
    autoscaler: str,
    annotations: Mapping[str, str] | None = None,
) -> Json:
    """`autoscaler`: what its autoscaler is to be called."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": dict(annotations or {})},
        "spec": {
            "scaleTargetRef": {"name": target},
            "minReplicaCount": minimum,
            "maxReplicaCount": maximum,
            "advanced": {"horizontalPodAutoscalerConfig": {"name": autoscaler}},
        },
    }


class KedaOperator(Controller):
    """`idle_at`: from which moment on no trigger is active, so that it scales to zero. `version`: which KEDA this is: the
    switches are known from 2.18 on. `tells`: the text of its version, another one in a build of one's own."""

    name = "keda-operator"

    def __init__(self, timeline: Timeline, store: Store, pace: Pace, chance: random.Random) -> None:
        super().__init__(timeline, store, pace, chance)
        self.idle_at: float | None = None
        self.version = (2, 18, 3)
        self.tells = ""

    def concerns(self, change: Change) -> bool:
        if change.kind not in WATCHED or change.by == self.name:
            return False
        return change.before is None or change.after is None or self._seen(change.before) != self._seen(change.after)

    def _seen(self, found: Json) -> Json:
        """What it looks for changes of: of a ScaledObject its spec and its switches, of an autoscaler all but its status
        (controllers/keda/scaledobject_controller.go, SetupWithManager)."""
        meta = found["metadata"]
        annotations = meta.get("annotations") or {}
        if found["kind"] == "ScaledObject":
            return {"spec": found["spec"], "on": [annotations.get(switch) or "" for switch in SWITCHES.values()]}
        return {"spec": found["spec"], "annotations": annotations, "labels": meta.get("labels") or {}}

    def work(self) -> None:
        for found in list(self.store.of("scaledobjects").values()):
            self._makes_autoscaler(found)
            if self.idle_at is not None and self.timeline.now >= self.idle_at:
                self._scales_to_zero(found)

    def _on(self, found: Json, switch: str) -> bool:
        """Whatever is no word for false is true (getBoolAnnotation)."""
        value = (found["metadata"].get("annotations") or {}).get(switch)
        return self.version >= (2, 18) and value is not None and value.lower() not in ("false", "f", "0")

    def _makes_autoscaler(self, found: Json) -> None:
        name = found["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"]
        before = self.store.get("horizontalpodautoscalers", name)
        wanted = self._autoscaler(name, found)
        if before is None:
            self.store.put("horizontalpodautoscalers", wanted, self.name)
            return
        same = self._same(before["spec"], wanted["spec"])
        annotations = before["metadata"].get("annotations") or {}
        asked = wanted["metadata"]["annotations"]
        # What is there beside those that are asked for stays, unless none is.
        if same and asked.items() <= annotations.items() and (asked or not annotations):
            return
        kept = {**before["metadata"], **{key: wanted["metadata"][key] for key in ("annotations", "labels")}}
        kept["generation"] = before["metadata"]["generation"] + (not same)
        self.store.put("horizontalpodautoscalers", {**before, "spec": wanted["spec"], "metadata": kept}, self.name)

    def _same(self, there: Json, wanted: Json) -> bool:
        """Before 2.18.2 a behavior that is not asked for is as good as any (DeepDerivative)."""
        if self.version >= GIVES_BACK:
            return there == wanted
        behavior = {**(there.get("behavior") or {}), **(wanted.get("behavior") or {})}
        return there == {**wanted, **({"behavior": behavior} if behavior else {})}

    def _autoscaler(self, name: str, found: Json) -> Json:
        meta, spec = found["metadata"], found["spec"]
        sides = {side: {"selectPolicy": "Disabled"} for side, switch in SWITCHES.items() if self._on(found, switch)}
        owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": meta["name"], "uid": meta["uid"]}
        made: dict[str, Any] = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec["scaleTargetRef"]["name"]},
            "minReplicas": max(1, spec["minReplicaCount"]),
            "maxReplicas": spec["maxReplicaCount"],
            **({"behavior": sides} if sides else {}),
        }
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "generation": 1,
                "labels": {VERSION: self.tells or ".".join(map(str, self.version)), **(meta.get("labels") or {})},
                "annotations": dict(meta.get("annotations") or {}),
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": made,
            "status": {},
        }

    def _scales_to_zero(self, found: Json) -> None:
        live = self.store.get("deployments", found["spec"]["scaleTargetRef"]["name"])
        if live is None or not live["spec"]["replicas"] or found["spec"]["minReplicaCount"]:
            return
        if not self._on(found, SWITCHES["scaleDown"]):
            generation = live["metadata"]["generation"] + 1
            scaled = changed(live, spec={"replicas": 0}, metadata={"generation": generation})
            self.store.put("deployments", scaled, self.name)
