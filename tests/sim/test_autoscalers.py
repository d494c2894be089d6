# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The autoscaler's controller works on one autoscaler at a time: what it has seen, it has decided everything before."""

from __future__ import annotations

import random

from tests.sim.autoscalers import AutoscalerController
from tests.sim.controllers import Pace
from tests.sim.objects import AUTOSCALER_NAME, NAME, autoscaler, changed, deployment
from tests.sim.server import Server
from tests.sim.store import Change, Store
from tests.sim.timeline import Actor, Timeline

LOAD = ((5.0, 9),)


def scaled_after_the_pin_was_seen(seed: int) -> bool:
    timeline = Timeline()
    store = Store(timeline)
    server, director = Server(timeline, store), Actor(timeline, "director")
    AutoscalerController(timeline, store, Pace(0.05, 1.0), random.Random(seed), LOAD)
    server.create("deployments", deployment(2), "somebody", "kubectl-create")
    server.create("horizontalpodautoscalers", autoscaler(2, 3), "somebody", "kubectl-create")
    seen: list[bool] = []

    def hear(change: Change) -> None:
        scaler = store.of("horizontalpodautoscalers")[AUTOSCALER_NAME]
        observed = (scaler.get("status") or {}).get("observedGeneration")
        is_pinned = scaler["spec"]["maxReplicas"] == 2
        if change.kind == "deployments" and is_pinned and observed == scaler["metadata"]["generation"]:
            seen.append(store.of("deployments")[NAME]["spec"]["replicas"] == 3)

    store.listen(hear)
    director.wait(5.0 + 10.0 * random.Random(seed).random())
    scaler = store.of("horizontalpodautoscalers")[AUTOSCALER_NAME]
    generation = scaler["metadata"]["generation"] + 1
    pinned = changed(scaler, spec={"maxReplicas": 2}, metadata={"generation": generation})
    store.put("horizontalpodautoscalers", pinned, "ana")
    director.wait(30.0)
    return any(seen)


def test_what_was_decided_before_a_pin_is_written_before_the_pin_is_said_to_be_seen() -> None:
    assert not [seed for seed in range(200) if scaled_after_the_pin_was_seen(seed)]
