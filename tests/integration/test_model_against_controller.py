# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of the Deployment controller against the real one: the same patches, the same ReplicaSets in the end.

Each sequence is one Deployment that is patched, comes to rest, is patched again. After every patch all its ReplicaSets
must equal the model's: sizes, Ready and available pods, the annotations that proportional scaling reads. Ready pods seen
on the way are never fewer than the model says. Sequences run side by side; each has a test of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.sim.model import (
    ReplicaSet,
    Spec,
    State,
    finished,
    never_ready,
    settle,
)

NEVER_AVAILABLE_SECONDS = 2**31 - 2
NO_DEADLINE_SECONDS = 2**31 - 1
# Nothing changed for this long: at rest. It also puts ReplicaSets that follow each other into different seconds, as
# their order is that of creationTimestamp, which has no finer unit.
QUIET_SECONDS = 1.0
REST_TIMEOUT_SECONDS = 180.0
SIDE_BY_SIDE = 30
LOOK_AGAIN_SECONDS = 0.3

Patch = dict[str, Any]


@dataclass(frozen=True)
class Sequence:
    """`unready` names templates whose pods never become Ready: no node is good enough for them."""

    start: Spec
    patches: tuple[Patch, ...]
    unready: tuple[str, ...] = field(default=())


def hold(surge: int | str, unavailable: int | str, template: str = "canary") -> Patch:
    return {"template": template, "min_ready_forever": True, "max_surge": surge, "max_unavailable": unavailable}


def promote(surge: int | str = "25%", unavailable: int | str = "25%") -> Patch:
    return {"min_ready_forever": False, "paused": False, "max_surge": surge, "max_unavailable": unavailable}


def undo(surge: int | str, unavailable: int | str) -> Patch:
    return {**promote(surge, unavailable), "template": "stable"}


def scale(*sizes: int) -> list[Patch]:
    return [{"replicas": size} for size in sizes]


def of(replicas: int) -> Spec:
    return Spec(replicas, "25%", "25%")


FREEZE: Patch = {"paused": True}
UNFREEZE: Patch = {"paused": False}

SEQUENCES: dict[str, Sequence] = {
    "rollout": Sequence(of(7), ({"template": "canary"},)),
    "rollout stuck, held, undone": Sequence(
        of(10), ({"template": "bad"}, hold(1, 0, "third"), undo(3, 0)), unready=("bad",)
    ),
    "rollout stuck, paused, scaled": Sequence(
        of(10), ({"template": "bad"}, FREEZE, *scale(20, 7), undo(2, 0)), unready=("bad",)
    ),
    "rollout over unready pods": Sequence(
        of(10), ({"template": "bad"}, hold("25%", "25%", "third"), promote()), unready=("stable", "bad")
    ),
    "released, scaled, held": Sequence(of(6), (hold(1, 0), promote(1, 0), *scale(4), hold(1, 0, "third"))),
    "hold, steps, promote": Sequence(of(10), (hold(1, 0), hold(1, 1), hold(1, 3), promote())),
    "hold, lower, promote": Sequence(of(5), (hold(3, 0), hold(1, 0), hold(0, 2), hold(1, 1), promote(1, 0))),
    "hold, freeze, unfreeze, undo": Sequence(of(8), (hold(2, 3), FREEZE, UNFREEZE, undo(5, 0))),
    "hold without surge, undo without surge": Sequence(of(5), (hold(0, 2), undo(0, 2))),
    "hold of percentages": Sequence(of(13), (hold("15%", "10%"), hold("15%", "33%"), promote("1%", "1%"))),
    "hold of a rounded-down nothing": Sequence(of(6), (hold(0, "1%"), undo(1, 0))),
    "hold of all": Sequence(of(4), (hold(2, 9), undo(6, 0))),
    "single replica": Sequence(of(1), (hold(1, 0), hold(1, 1), undo(2, 0), hold(1, 0), promote(1, 0))),
    "canary never ready": Sequence(of(6), (hold(3, 1, "bad"), hold(3, 2, "bad"), undo(5, 0)), unready=("bad",)),
    "held again after undo": Sequence(of(6), (hold(1, 2), undo(3, 0), hold(2, 1), promote(1, 0))),
    "foreign template": Sequence(of(7), (hold(1, 3), {"template": "third"}, undo(4, 0))),
    "third template beside an available canary": Sequence(
        of(10), (hold(2, 0), {**FREEZE, "min_ready_forever": False}, {**hold(2, 0, "third"), **UNFREEZE})
    ),
    "lowered, then frozen": Sequence(of(2), (hold(4, 1), hold(0, 1), FREEZE)),
    "frozen with older annotations": Sequence(Spec(7, 1, 4), (hold(1, 2), hold(4, 2, "third"), FREEZE)),
    "available, frozen, scaled to the size of the canary": Sequence(
        of(10), (hold(1, 4), {**FREEZE, "min_ready_forever": False}, *scale(5))
    ),
    "empty, paused, scaled up": Sequence(
        of(3), ({"template": "canary"}, *scale(0), {**FREEZE, "template": "third"}, *scale(2))
    ),
    "strategy restored while paused": Sequence(
        of(10), (hold(0, 1), {**FREEZE, "max_surge": "25%", "max_unavailable": "25%"}, {"max_surge": 1})
    ),
    "minReadySeconds restored while paused": Sequence(of(3), (hold(3, 0), {**FREEZE, "min_ready_forever": False})),
    "stable template put back while paused": Sequence(of(6), (hold(1, 0), {**undo(1, 0), **FREEZE})),
    "held and scaled": Sequence(of(10), (hold(1, 0), *scale(20, 10, 5, 4, 2, 10))),
    "held with both and scaled": Sequence(of(20), (hold(2, 3), *scale(10, 5, 20))),
    "frozen and scaled": Sequence(of(20), (hold(2, 3), FREEZE, *scale(10, 5, 20))),
    "frozen and scaled until the canary is gone": Sequence(of(30), (hold(3, 0), FREEZE, *scale(1, 30), UNFREEZE)),
    "scaled to zero and back": Sequence(of(4), (hold(1, 0), *scale(0, 4))),
    "blue/green, scaled, promoted": Sequence(of(5), (hold("100%", 0), *scale(8, 3), FREEZE, *scale(6), promote(1, 0))),
}

# The others, and random ones, are for `make slow`.
SHORT = (
    "rollout stuck, held, undone",
    "hold, steps, promote",
    "hold, freeze, unfreeze, undo",
    "hold without surge, undo without surge",
    "foreign template",
    "third template beside an available canary",
    "minReadySeconds restored while paused",
    "held with both and scaled",
    "frozen and scaled until the canary is gone",
)


def random_sequence(seed: int) -> Sequence:
    """Patches of every kind in any order, without those whose outcome the real controller leaves to a race.

    The race: `min_ready_forever` set for pods that are available. Whether the controller still believes so decides.
    """
    chance = random.Random(seed)
    start = Spec(chance.randint(1, 12), chance.choice([1, 2, "25%"]), chance.choice([0, 1, "25%"]))
    state, patches = finished(start), []
    for _ in range(6):
        surge = chance.randint(0, 4)
        unavailable = chance.randint(0 if surge else 1, 4)
        patch = chance.choice(
            [
                hold(surge, unavailable, chance.choice(["canary", "third"])),
                promote(surge, unavailable),
                undo(surge, unavailable),
                {"paused": not state.spec.paused},
                {"replicas": chance.randint(0, 14)},
                {"max_surge": surge, "max_unavailable": unavailable},
            ]
        )
        patched = state.patched(**patch)
        new = patched.new
        if patched.spec.min_ready_forever and new is not None and new.available > 0:
            continue
        patches.append(patch)
        state = settle(patched).state
    return Sequence(start, tuple(patches))


class RealDeployment:
    """One Deployment on the API server, written from a `Spec` and read as the model's ReplicaSets."""

    def __init__(self, api: Api, namespace: str, name: str, unready: tuple[str, ...]) -> None:
        self._api = api
        self._apps = f"/apis/apps/v1/namespaces/{namespace}"
        self._name = name
        self._path = f"{self._apps}/deployments/{name}"
        self._unready = unready
        self.min_ready = 0

    def create(self, spec: Spec) -> None:
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self._name},
            "spec": {"selector": {"matchLabels": {"app": self._name}}, **self._fields(spec)},
        }
        self._api.create(f"{self._apps}/deployments", body)

    def write(self, spec: Spec) -> None:
        """All fields in one JSON patch, as it leaves nothing of the template before."""
        patch = [{"op": "add", "path": f"/spec/{name}", "value": value} for name, value in self._fields(spec).items()]
        self._api.patch(self._path, patch, PatchKind.JSON)

    def delete(self) -> None:
        self._api.delete(self._path, self._api.get(self._path)["metadata"]["uid"])

    def rest(self) -> list[ReplicaSet]:
        """Waits until everything written has been seen and nothing changes any more; notes the fewest Ready pods."""
        deadline = time.monotonic() + REST_TIMEOUT_SECONDS
        self.min_ready = NO_DEADLINE_SECONDS
        versions, since = None, time.monotonic()
        while time.monotonic() < deadline:
            deployment, sets = self._read()
            self.min_ready = min(self.min_ready, sum(rs["status"].get("readyReplicas", 0) for rs in sets))
            seen = [one["metadata"]["resourceVersion"] for one in (deployment, *sets)]
            if seen != versions or not all(map(self._caught_up, (deployment, *sets))):
                versions, since = seen, time.monotonic()
            elif time.monotonic() - since >= QUIET_SECONDS and self._synced_in_vain(sets):
                return [_replica_set(rs) for rs in sets]
            time.sleep(LOOK_AGAIN_SECONDS)
        raise TimeoutError(f"{self._name} did not come to rest in {REST_TIMEOUT_SECONDS} s: {self._read()}")

    def _synced_in_vain(self, sets: list[dict[str, Any]]) -> bool:
        """The controller has looked again, twice, and done nothing: it is at rest, and not only slow.

        A field without effect on any of these ReplicaSets makes it look: a new generation that it says it has observed.
        """
        for limit in (11, 10):
            patch = [{"op": "add", "path": "/spec/revisionHistoryLimit", "value": limit}]
            written = self._api.patch(self._path, patch, PatchKind.JSON)
            deadline = time.monotonic() + REST_TIMEOUT_SECONDS
            while self._read()[0]["status"].get("observedGeneration", 0) < written["metadata"]["generation"]:
                if time.monotonic() > deadline:
                    return False
                time.sleep(LOOK_AGAIN_SECONDS)
        return [_state(rs) for rs in self._read()[1]] == [_state(rs) for rs in sets]

    def _read(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        deployment = self._api.get(self._path)
        sets = self._api.list(f"{self._apps}/replicasets", {"labelSelector": f"app={self._name}"})["items"]
        sets.sort(key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))
        return deployment, sets

    def _caught_up(self, one: dict[str, Any]) -> bool:
        status = one.get("status", {})
        if status.get("observedGeneration", 0) < one["metadata"]["generation"]:
            return False
        if one.get("kind") == "Deployment":
            return True
        pods = status.get("replicas", 0)
        ready = 0 if _version(one) in self._unready else pods
        return (pods, status.get("readyReplicas", 0)) == (one["spec"]["replicas"], ready)

    def _fields(self, spec: Spec) -> dict[str, Any]:
        node = {"nodeSelector": {"model.test/good-enough": "no"}} if spec.template in self._unready else {}
        return {
            "replicas": spec.replicas,
            "paused": spec.paused,
            "minReadySeconds": NEVER_AVAILABLE_SECONDS if spec.min_ready_forever else 0,
            "progressDeadlineSeconds": NO_DEADLINE_SECONDS,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": spec.max_surge, "maxUnavailable": spec.max_unavailable},
            },
            "template": {
                "metadata": {"labels": {"app": self._name, "version": spec.template}},
                "spec": {"containers": [{"name": "app", "image": f"example.invalid/app:{spec.template}"}], **node},
            },
        }


def _version(replica_set: dict[str, Any]) -> str:
    return str(replica_set["spec"]["template"]["metadata"]["labels"]["version"])


def _state(replica_set: dict[str, Any]) -> tuple[Any, ...]:
    return replica_set["metadata"]["name"], replica_set["spec"], replica_set["status"]


def _replica_set(read: dict[str, Any]) -> ReplicaSet:
    spec, status, annotations = read["spec"], read["status"], read["metadata"]["annotations"]
    return ReplicaSet(
        template=_version(read),
        size=spec["replicas"],
        pods=status["replicas"],
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        min_ready_forever=spec.get("minReadySeconds") == NEVER_AVAILABLE_SECONDS,
        desired=int(annotations["deployment.kubernetes.io/desired-replicas"]),
        max_replicas=int(annotations["deployment.kubernetes.io/max-replicas"]),
    )


@dataclass(frozen=True)
class Step:
    """After one patch: the ReplicaSets as predicted and as they are, and the fewest Ready pods likewise."""

    patch: Patch
    predicted: list[ReplicaSet]
    real: list[ReplicaSet]
    predicted_min_ready: int
    seen_min_ready: int


def compare(kubeconfig: str, namespace: str, name: str, sequence: Sequence) -> list[Step]:
    with connect(Connection(kubeconfig=kubeconfig)) as api:
        return _compare(api, namespace, name, sequence)


def _compare(api: Api, namespace: str, name: str, sequence: Sequence) -> list[Step]:
    deployment = RealDeployment(api, namespace, name, sequence.unready)
    deployment.create(sequence.start)
    state = settle(State(sequence.start), never_ready(*sequence.unready)).state
    steps = [Step({}, list(state.sets), deployment.rest(), 0, 0)]
    for patch in sequence.patches:
        state = state.patched(**patch)
        deployment.write(state.spec)
        settled = settle(state, never_ready(*sequence.unready))
        state = settled.state
        real = deployment.rest()
        steps.append(Step(patch, list(state.sets), real, settled.min_ready, deployment.min_ready))
    deployment.delete()
    return steps


class Runs:
    """Sequences under way. Asking for one waits for it; all others of the module go on meanwhile."""

    def __init__(self, kubeconfig: str, namespace: str, pool: ThreadPoolExecutor) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._pool = pool
        self._futures: dict[str, Future[list[Step]]] = {}

    def start(self, name: str, sequence: Sequence) -> None:
        deployment = f"d{len(self._futures)}"
        self._futures[name] = self._pool.submit(compare, self._kubeconfig, self._namespace, deployment, sequence)

    def steps(self, name: str) -> list[Step]:
        return self._futures[name].result()


@pytest.fixture(scope="module")
def runs(lab: Lab | ForeignCluster) -> Iterator[Runs]:
    namespace = lab.create_namespace()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield Runs(str(lab.kubeconfig), namespace, pool)
    lab.vacate(namespace)


@pytest.fixture(scope="module")
def chosen(runs: Runs) -> Runs:
    for name in SHORT:
        runs.start(name, SEQUENCES[name])
    return runs


def check(steps: list[Step]) -> None:
    for step in steps:
        assert step.real == step.predicted, step.patch
        assert step.seen_min_ready >= step.predicted_min_ready, step.patch


@pytest.mark.parametrize("name", SHORT)
def test_the_real_controller_does_what_the_model_says(chosen: Runs, name: str) -> None:
    check(chosen.steps(name))


@pytest.mark.slow
def test_the_real_controller_does_what_the_model_says_of_any_sequence(runs: Runs) -> None:
    more = {name: sequence for name, sequence in SEQUENCES.items() if name not in SHORT}
    more |= {f"seed {seed}": random_sequence(seed) for seed in range(120)}
    for name, sequence in more.items():
        runs.start(name, sequence)
    for name in more:
        check(runs.steps(name))
