# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HorizontalPodAutoscaler's controller. What it would like to see is a load that the history draws."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial

from .controllers import Controller, Pace
from .objects import Json, changed
from .store import Change, Store
from .timeline import Timeline

SYNC_SECONDS = 15.0


class AutoscalerController(Controller):
    """`load`: from which moment on how many replicas would be right."""

    name = "horizontal-pod-autoscaler"

    def __init__(
        self,
        timeline: Timeline,
        store: Store,
        pace: Pace,
        chance: random.Random,
        load: Sequence[tuple[float, int]],
    ) -> None:
        super().__init__(timeline, store, pace, chance)
        self.load = load
        # A decision that is about to be written: until then nothing else is decided, as one worker has one key of the queue.
        self._deciding = False
        self._is_going_round = True
        timeline.after(SYNC_SECONDS * chance.random(), self._again)

    def _again(self) -> None:
        self.wake()
        if self.store.of("horizontalpodautoscalers"):
            self.timeline.after(SYNC_SECONDS, self._again)
        else:
            self._is_going_round = False

    def concerns(self, change: Change) -> bool:
        return change.kind == "horizontalpodautoscalers" and change.by != self.name

    def _target(self, scaler: Json) -> Json | None:
        """Kinds are known in lower case, too."""
        target = scaler["spec"]["scaleTargetRef"]
        return self.store.get("deployments", target["name"]) if target["kind"].lower() == "deployment" else None

    def work(self) -> None:
        if not self._is_going_round:  # the first of them has come
            self._is_going_round = True
            self.timeline.after(SYNC_SECONDS, self._again)
        if self._deciding:
            return
        for scaler in list(self.store.of("horizontalpodautoscalers").values()):
            deployment = self._target(scaler)
            spec = scaler["spec"]
            # Scaled to zero by hand, it is disabled.
            if deployment is not None and deployment["spec"]["replicas"]:
                wanted = self._wanted(deployment["spec"]["replicas"], spec)
                if wanted != deployment["spec"]["replicas"]:
                    # What was decided is written a moment later, whatever bounds there are by then.
                    self._deciding = True
                    moment = self.pace.moment(self.timeline.now, self.chance)
                    self.timeline.at(moment, partial(self._decided, scaler, deployment, wanted))
                    return
            self._observed(scaler)

    def _decided(self, scaler: Json, read: Json, wanted: int) -> None:
        """The scale subresource, which refuses where the Deployment has changed since, and then the status. What has come
        meanwhile is worked on after that."""
        self._deciding = False
        live = self.store.get("deployments", read["metadata"]["name"])
        if live is not None and live is read:
            generation = live["metadata"]["generation"] + 1
            scaled = changed(live, spec={"replicas": wanted}, metadata={"generation": generation})
            self.store.put("deployments", scaled, self.name)
        self._observed(scaler)
        self.wake()

    def _observed(self, scaler: Json) -> None:
        """The generation that was decided on."""
        live = self.store.get("horizontalpodautoscalers", scaler["metadata"]["name"])
        observed = {"observedGeneration": scaler["metadata"]["generation"]}
        if live is not None and live.get("status") != observed:
            self.store.put("horizontalpodautoscalers", {**live, "status": observed}, self.name)

    def _wanted(self, present: int, spec: Json) -> int:
        """Bounds hold whatever the behavior is (pkg/controller/podautoscaler/horizontal.go, normalizeDesiredReplicasWithBehaviors)."""
        load = self._load(present)
        down = (spec.get("behavior") or {}).get("scaleDown") or {}
        if down.get("selectPolicy") == "Disabled":
            load = max(load, present)
        if ((spec.get("behavior") or {}).get("scaleUp") or {}).get("selectPolicy") == "Disabled":
            load = min(load, present)
        return int(min(max(load, spec["minReplicas"]), spec["maxReplicas"]))

    def _load(self, present: int) -> int:
        position = bisect_right(self.load, self.timeline.now, key=lambda step: step[0])
        return self.load[position - 1][1] if position else present
