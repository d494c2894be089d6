# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same histories in the simulation and on a real cluster: the same calls have to end in the same words, phases and pods.

    python -m tests.sim.truth --histories 200        on a cluster of its own; prints what differs

Nothing goes wrong with processes and requests here, and both come to rest after each step, so that no difference is one of time. One history
in five has an autoscaler, and one routes or a Service that is switched: no proxy hears of those of the real cluster, and whoever asks a gateway
is answered by what stands there (`beside.py`).
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import items
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import (
    NEVER_AVAILABLE_SECONDS,
    Phase,
    Situation,
    diagnose,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Picture
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import Proof
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import proving
from tests.cluster.lab import start_lab
from tests.gateways.unheard import await_no_proxy

from . import calls
from .beside import RealObjects, RealServer, make, told
from .calls import Called
from .drawing import SPLITS, STRATEGIES, release, shared
from .foreign import BESIDE, WRITES, Cascade, Somebody
from .gateway import Lags
from .history import Ask, Foreign, History, Script
from .network import Network
from .objects import NAME, Json, deployment, version_of
from .pictures import Pictures
from .routers import Routers
from .world import World

# What others do by a patch of the Deployment alone, and which the controllers of both then answer.
OTHERS = (
    "kubectl scale",
    "kubectl set image",
    "kubectl rollout pause",
    "kubectl rollout resume",
    "minReadySeconds put back",
    "another strategy",
    "record lost",
    "label lost",
    "other annotation",
    "delete and create",
    "delete in the foreground and create",
    "delete without its pods and create",
    "delete and create from a copy",
    BESIDE,
)
# Where something stands beside it nobody makes the Deployment again.
BESIDE_OTHERS = OTHERS[: OTHERS.index("delete and create")]
# Others may hold canaries in the real cluster, too; it has other nodes; and how much is judged is a matter of moments.
NOT_THE_SAME = frozenset({"info of all", "headroom", "verify", "guard"})
REST_SECONDS, LOOK_AGAIN_SECONDS, STILL_SECONDS = 30.0, 0.1, 0.7

Step = Ask | Foreign


@dataclass(frozen=True)
class Told:
    """What a step came to: how the call ended, and what stands there once everything rests. Names and hashes are left out. `collisions` of
    these are counted where their number is no matter of moments. `beside`: what is told of the objects beside the Deployment."""

    step: str
    ended: str
    phase: str
    collisions: int
    pods: Mapping[str, int]
    spec: Json
    beside: Json


def drawn(seed: int) -> tuple[History, tuple[Step, ...]]:
    chance = random.Random(seed)
    surge, unavailable = chance.choice(STRATEGIES)
    history = History(seed, replicas=chance.randint(1, 5), max_surge=surge, max_unavailable=unavailable)
    history, asks = DRAWN.get(seed % 5, _alone)(chance, history)
    steps, others = list[Step](asks), BESIDE_OTHERS if seed % 5 in DRAWN else OTHERS
    if chance.random() < 0.6:
        what = Foreign(0.0, chance.choice(others), chance.randint(1, 6), chance.choice(("v1", "v2", "v3")))
        steps.insert(chance.randint(1, len(steps)), what)
    named = [
        replace(step, verb="info") if isinstance(step, Ask) and step.verb in NOT_THE_SAME else step for step in steps
    ]
    return history, (*named, Ask(history.end.value), Ask("undo"))


def _alone(chance: random.Random, history: History) -> tuple[History, Sequence[Ask]]:
    return history, [*release(chance, history), *release(chance, history, version="v3")]


def _scaled(chance: random.Random, history: History) -> tuple[History, Sequence[Ask]]:
    """Nobody measures any load, so that the autoscaler only keeps its bounds."""
    bounds = (chance.randint(1, history.replicas), history.replicas + chance.randint(0, 3))
    policies = chance.choices(("pin", "hold", "refuse"), (4, 4, 1), k=2)
    asks = [
        ask
        for version, policy in zip(("v2", "v3"), policies, strict=True)
        for ask in release(chance, history, version=version, autoscaler=policy)
    ]
    return replace(history, bounds=bounds), asks


def _routed(chance: random.Random, history: History) -> tuple[History, Sequence[Ask]]:
    """No controller says on a real server that it takes a route: what is not asked is not waited for."""
    kind = chance.choice(tuple(SPLITS))
    proof = "prefer" if ROUTERS[kind].proof is Proof.ASKED else "none"
    asks = [
        replace(ask, proof=proof)
        for version in ("v2", "v3")
        for ask in shared(chance, history, release(chance, history, version=version), kind)
    ]
    return replace(history, gateway=Lags(0.05, 0.05), scripts=(Script("ana", asks=tuple(asks)),)), asks


# By the remainder of the seed and five.
DRAWN = {3: _scaled, 4: _routed}


def played(
    steps: Sequence[Step],
    call: Callable[[Called], None],
    others: Somebody,
    look: Callable[[], Situation],
    every: Callable[[str], Sequence[Json] | None],
) -> Iterator[Told]:
    """`every`: all objects of one kind."""
    for number, step in enumerate(steps):
        if isinstance(step, Foreign):
            others.writes(step)
            ended = ""
        else:
            # Bakes and waits of both are as long as they need be: what is compared is how they end.
            called = Called("ana", number, replace(step, think=0.0, seconds=min(step.seconds, 1.0)), 0.0)
            call(called)
            ended = _ended(called)
        found = look()
        pods = {version_of(rs.template): rs.replicas for rs in found.picture.replica_sets if rs.replicas}
        if found.phase is Phase.DAMAGED and found.deployment.min_ready_seconds == NEVER_AVAILABLE_SECONDS:
            # Under the stable template whether the canary goes is a race of the real controller: decisions/0001, rule 7.
            pods = {}
        what = step.what if isinstance(step, Foreign) else step.verb
        collisions = int(others.live()["status"].get("collisionCount", 0)) if what == BESIDE else 0
        yield Told(what, ended, found.phase.value, collisions, pods, _spec(found), told(found, every))


def _spec(found: Situation) -> Json:
    it = found.deployment
    strategy = it.strategy.to_json()
    return {"paused": it.paused, "minReadySeconds": it.min_ready_seconds, "replicas": it.replicas, "strategy": strategy}


def _ended(called: Called) -> str:
    result = called.result
    if isinstance(result, (Outcome, VerbFailure)):
        code = result.code if isinstance(result, VerbFailure) else "ok"
        return f"{code}, {'changed' if result.changed else 'not changed'}: {_plain(result.message)}"
    return called.told()


def _plain(message: str) -> str:
    """Without names that each cluster gives, and what is a matter of moments: pods that are about to end, or get Ready."""
    message = re.sub(rf"{NAME}-[a-z0-9]+(-[a-z0-9]+)?", "a ReplicaSet or pod", message)
    message = re.sub(r"; \d+ pods? (is|are) still terminating", "", message)
    message = re.sub(r"\b[a-z0-9]{8,10} \(revision \d+, ", "(", message)
    message = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "then", message)
    message = re.sub(r"run the version \S+", "run the version", message)
    return re.sub(r'namespace ("[^"]+"|[^\s:]+)', "this namespace", message)


def simulated(seed: int) -> list[Told]:
    history, steps = drawn(seed)
    world = World(history)
    knock = world.proxy.knock if world.proxy else None
    network = Network(
        world.director, world.server, "ana", world.no_faults(), random.Random(seed), world.machine("ana"), knock
    )
    world.director.sleep(10.0)

    def look() -> Situation:
        world.director.sleep(30.0)
        found = Pictures(world.store).situation()
        assert found is not None
        return found

    def every(kind: str) -> list[Json]:
        return list(world.store.of(kind).values())

    return list(played(steps, lambda called: world.call(network, called), world.somebody, look, every))


class Others(Somebody):
    """The same writes on a real server."""

    def __init__(self, api: Api, namespace: str, manifest: Json) -> None:
        self.api, self.manifest = api, manifest
        self.deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self.path = f"{self.deployments}/{NAME}"

    def writes(self, foreign: Foreign) -> None:
        WRITES[foreign.what](self, foreign)

    def live(self) -> Json:
        return self.api.get(self.path)

    def delete(self, cascade: Cascade) -> None:
        answer = self.api.raw("DELETE", self.path, query={"propagationPolicy": cascade.name.capitalize()})
        assert answer.status == 200, answer
        deadline = time.monotonic() + REST_SECONDS
        with suppress(NotFound):
            while self.live():
                assert time.monotonic() < deadline, "it is still being deleted"
                time.sleep(LOOK_AGAIN_SECONDS)

    def create(self, manifest: Json, seconds: float) -> None:
        del seconds
        self.api.create(self.deployments, manifest)

    def set_apart(self) -> None:
        sets = self.deployments.replace("deployments", "replicasets")
        for rs in items(self.api.list(sets), "ReplicaSet"):
            self.api.patch(f"{sets}/{rs['metadata']['name']}", {"metadata": {"labels": {"app": None}}}, PatchKind.MERGE)

    def strategic(self, patch: Mapping[str, Any], manager: str = "kubectl-edit") -> None:
        self.api.patch(self.path, patch, PatchKind.STRATEGIC, field_manager=manager)

    def merge(self, patch: Mapping[str, Any]) -> None:
        self.api.patch(self.path, patch, PatchKind.MERGE, field_manager="kubectl-edit")


def real(seed: int, api: Api, namespace: str) -> list[Told]:
    """`namespace` is empty."""
    history, steps = drawn(seed)
    rolling = {"maxSurge": history.max_surge, "maxUnavailable": history.max_unavailable}
    manifest = deployment(history.replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    manifest["metadata"] = {"name": NAME}
    api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", manifest)
    site = Site(api, Target(NAME, namespace))

    def look() -> Situation:
        deadline = time.monotonic() + REST_SECONDS
        before = None
        while not (_rests(picture := site.look(pods=True)) and (picture.deployment.rolled_out or picture == before)):
            assert time.monotonic() < deadline, "it does not come to rest"
            # Between two steps of the controller everything is counted, too.
            time.sleep(STILL_SECONDS if _rests(picture) else LOOK_AGAIN_SECONDS)
            before = picture
        return diagnose(picture)

    server = RealServer(api, namespace)
    gateway = RealObjects(server, Routers(history))

    def call(called: Called) -> None:
        called.namespace = namespace
        with pytest.MonkeyPatch.context() as patcher:
            patcher.setattr(api, "knock", gateway.knock)
            patcher.setattr(proving, "IN_A_ROW", 1)  # it has no replicas that may be late
            calls.run(api, called, lambda line: None)

    make(history, server)
    look()
    return list(played(steps, call, Others(api, namespace, manifest), look, server.all))


def _rests(picture: Picture) -> bool:
    """Every pod that is asked for is Ready and counted, and none is ending."""
    pods = picture.pods or ()
    counts = [
        (rs.replicas, rs.current, rs.ready, sum(pod.serving for pod in picture.pods_of(rs)))
        for rs in picture.replica_sets
    ]
    settled = (
        picture.counted and all(len(set(of_one)) == 1 for of_one in counts) and not any(p.terminating for p in pods)
    )
    return settled and sum(of_one[0] for of_one in counts) >= min(1, picture.deployment.replicas)


def differences(seed: int, api: Api, namespace: str) -> list[str]:
    """Of one history, as lines; none where both came to the same."""
    there, here = real(seed, api, namespace), simulated(seed)
    for number, (one, other) in enumerate(zip(there, here, strict=True)):
        if one != other:
            return [f"history {seed}, step {number}:", f"  real       {one}", f"  simulated  {other}"]
    return []


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args(arguments)
    failed = 0
    with (
        pytest.MonkeyPatch.context() as patcher,
        start_lab() as lab,
        connect(Connection(kubeconfig=str(lab.kubeconfig))) as api,
    ):
        await_no_proxy(patcher)
        for seed in range(asked.first, asked.first + asked.histories):
            namespace = lab.create_namespace("truth")
            found = differences(seed, api, namespace)
            lab.delete_namespace(namespace)
            failed += bool(found)
            print(*(found or [f"history {seed}: the same"]), sep="\n", flush=True)
    print(f"{asked.histories} histories, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
