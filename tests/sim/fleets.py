# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in simulated time: one cluster for each release, all in one timeline, with faults, and a process that may be killed.

Its crew is made of processes of the timeline instead of threads, so that a run can be repeated exactly.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.crew import Meanwhile, Work
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.release.waves import DEFAULT, Waves
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    Call,
    NewTemplate,
    Size,
    StartRequest,
    Target,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.fleet import fleet
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.orders import FleetRequest, Member
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import ReleaseRequest, StepAsked

from .deployments import DeploymentController
from .faults import Fault, Faults, Planned
from .history import SWIFT
from .network import Network
from .objects import CONTAINER, NAME, NAMESPACE, Json, TemplateKeys, deployment, image, version_of
from .patching import strategic_merge
from .pictures import Pictures
from .pods import Nature, ReplicaSetController
from .server import Server
from .store import Store
from .timeline import Actor, Process, Timeline

ENOUGH = 7200.0
REPLICAS = 4
# What may go wrong with a request without that its process ends.
SURVIVED = tuple(fault for fault in Fault if fault not in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER))
NEVER_READY = Nature(never_ready=True, waits="ImagePullBackOff")
# Which process runs in this thread.
_HERE = threading.local()


class Cluster:
    """One Deployment of `REPLICAS` pods of v1. `nature`: how pods of v2 are. `meddled`: somebody releases another version by hand
    while v2 is promoted."""

    def __init__(self, number: int, timeline: Timeline, chance: random.Random, nature: Nature, meddled: bool) -> None:
        self.store = Store(timeline)
        # Objects of different clusters have different uids.
        self.store.revision = 10000 * (number + 1)
        self._pictures = Pictures(self.store)
        self.server = Server(timeline, self.store)
        DeploymentController(TemplateKeys(), timeline, self.store, SWIFT, chance)
        ReplicaSetController(timeline, self.store, SWIFT, chance, {"v2": nature}, None)
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
        manifest = deployment(REPLICAS, strategy=strategy, revisionHistoryLimit=10, minReadySeconds=0)
        self.server.create("deployments", manifest, "somebody", "kubectl-create")
        self.promoted = False
        self._meddled = meddled
        self.store.listen(lambda change: self._looks())

    @property
    def deployment(self) -> Json:
        found = self.store.get("deployments", NAME)
        assert found is not None
        return found

    @property
    def version(self) -> str:
        return version_of(self.deployment["spec"]["template"])

    @property
    def phase(self) -> Phase:
        seen = self._pictures.situation()
        assert seen is not None
        return seen.phase

    @property
    def spec(self) -> Json:
        return {name: value for name, value in self.deployment["spec"].items() if name != "template"}

    def _looks(self) -> None:
        if self.promoted or self.store.get("deployments", NAME) is None:
            return
        if self.phase is Phase.PROMOTING and self.version == "v2":
            self.promoted = True
            if self._meddled:
                self.store.timeline.after(0.2, self._meddle)

    def _meddle(self) -> None:
        self.patched({"template": {"spec": {"containers": [{"name": CONTAINER, "image": image("v9")}]}}})

    def is_frozen(self) -> None:
        """By hand."""
        self.patched({"paused": True})

    def patched(self, spec: Json) -> None:
        asked = Asked("patch", "deployments.apps", NAME, NAMESPACE)
        self.server.patch("deployments", asked, {"spec": spec}, strategic_merge, "somebody", "kubectl")


class Sea:
    """`bad`: fleets' places whose pods of v2 never become Ready, `how` that shows. `meddled`: those whose promotion somebody disturbs."""

    def __init__(
        self,
        seed: int,
        ships: int,
        bad: Sequence[int] = (),
        meddled: Sequence[int] = (),
        how: Nature = NEVER_READY,
    ) -> None:
        self.timeline, self.chance = Timeline(), random.Random(seed)
        self.clusters = [
            Cluster(n, self.timeline, self.chance, how if n in bad else Nature(), n in meddled) for n in range(ships)
        ]
        self.director = Actor(self.timeline, "director")
        self.director.sleep(10.0)
        self.before = [cluster.spec for cluster in self.clusters]
        self.told: list[str] = []

    def request(self, **options: Any) -> FleetRequest:
        ships = len(self.clusters)
        waves = Waves.parse(options.pop("waves", DEFAULT)).of([""] * ships)
        members = tuple(Member(_asked(), number, f"c{number}") for number in range(ships))
        return FleetRequest(options.pop("members", members), waves, **options)

    def sails(
        self,
        request: FleetRequest,
        *,
        faults: float = 0.0,
        killed: float | None = None,
        dies_at: Planned | None = None,
        away: Mapping[int, float] = MappingProxyType({}),
        back: float = math.inf,
        how: Fault = Fault.REFUSED,
    ) -> Outcome | VerbFailure | None:
        """How the call ended; None where its process was killed: after so many seconds, or at one request of all. `faults`: the share of
        requests that go wrong. `away`: clusters that nobody reaches after so many seconds, until after `back` everybody does again; `how`
        that shows."""
        gone = {cluster: self.timeline.now + seconds for cluster, seconds in away.items()}
        crew = Crew(self, faults, dies_at, gone, self.timeline.now + back, how)
        ended: list[Outcome | VerbFailure] = []

        def lives() -> None:
            _HERE.actor = crew.actor
            try:
                ended.append(fleet(crew, request, self.told.append))
            except VerbFailure as failure:
                ended.append(failure)

        crew.actor = Process(self.timeline, "fleet", self.timeline.now, lives, self.director.wake)
        if killed is not None:
            self.timeline.after(killed, crew.kill)
        self.director.wait(self.timeline.now + ENOUGH)
        assert crew.actor.is_over, "every call comes to an end"
        if crew.actor.failed is not None:
            raise crew.actor.failed
        self.director.sleep(5.0)
        return ended[0] if ended else None

    def works(self, work: Callable[[Crew], object]) -> None:
        """It is done in a process of its own, which ends with it."""
        crew = Crew(self, 0.0)

        def lives() -> None:
            _HERE.actor = crew.actor
            work(crew)

        crew.actor = Process(self.timeline, "fleet", self.timeline.now, lives, self.director.wake)
        self.director.wait(self.timeline.now + ENOUGH)
        if crew.actor.failed is not None:
            raise crew.actor.failed


def _asked() -> ReleaseRequest:
    call = Call(Target(NAME, NAMESPACE), Wait(timeout=60.0))
    template = NewTemplate(images={CONTAINER: image("v2")})
    return ReleaseRequest(
        call=call,
        start=StartRequest(call, template),
        judge=VerifyRequest(call, ()),
        room=HeadroomRequest(call, template),
        steps=(StepAsked(Size(1), bake=20.0), StepAsked(Size(2), bake=20.0)),
        policies=Policies(headroom=Headroom.SKIP),
    )


@dataclass(frozen=True)
class Alone:
    """What a process knows of itself and of those before it, on one machine (cluster/processes.py)."""

    crew: Crew

    def this_process(self) -> str:
        return f"here.{self.crew.number}"

    def parent(self) -> str:
        return self.this_process()

    def has_ended(self, name: str) -> bool:
        return name != self.this_process()


@dataclass
class Crew:
    """Of one process: whoever kills it kills all that it does."""

    sea: Sea
    faults: float
    dies_at: Planned | None = None
    away: Mapping[int, float] = field(default_factory=dict)
    back: float = math.inf
    how: Fault = Fault.REFUSED
    actor: Process | None = None
    works: list[Process] = field(default_factory=list)
    number: int = field(default_factory=count(1).__next__)
    requests: int = 0

    @property
    def clock(self) -> Process:
        assert self.actor is not None
        return self.actor

    def api(self, cluster: int) -> Api:
        chance = self.sea.chance
        wrong = {
            number: Planned(number, chance.choice(SURVIVED)) for number in range(200) if chance.random() < self.faults
        }
        there, faults = self.sea.clusters[cluster], _OfAFleet(wrong, crew=self, cluster=cluster)
        # Of two ways to one cluster, as two users, the address is the same.
        host = f"sim-{self.sea.clusters.index(there)}"
        return Network(_HERE.actor, there.server, "fleet", faults, chance, Alone(self), host=host)

    def befalls(self, cluster: int) -> Planned | None:
        """What befalls the next request because of what befalls the whole process, or the whole cluster."""
        self.requests += 1
        if self.dies_at is not None and self.requests == self.dies_at.number:
            self.kill(but=_HERE.actor)
            return self.dies_at
        is_away = self.away.get(cluster, math.inf) <= self.sea.timeline.now < self.back
        return Planned(self.requests, self.how) if is_away else None

    def all(self, works: Iterable[Work], at_once: int, meanwhile: Meanwhile | None = None) -> None:
        waiting, under_way = iter(works), list[Process]()
        begun: list[Process] = []
        # A work may have works of its own.
        me: Process = _HERE.actor
        due = self.clock.monotonic() + meanwhile.every if meanwhile else 0.0
        while True:
            while len(under_way) < at_once and (work := next(waiting, None)) is not None:
                under_way.append(self._begins(work, me))
                begun.append(under_way[-1])
            if not under_way:
                break
            me.wait(due if meanwhile else self.clock.timeline.now + ENOUGH)
            if meanwhile and self.clock.monotonic() >= due:
                meanwhile.does()
                due = self.clock.monotonic() + meanwhile.every
            under_way = [process for process in under_way if not process.is_over]
        for process in begun:
            if process.failed is not None:
                raise process.failed

    def _begins(self, work: Work, whose: Process) -> Process:
        def lives() -> None:
            _HERE.actor = process
            work()

        timeline = self.sea.timeline
        process = Process(timeline, f"work {len(self.works)}", timeline.now, lives, whose.wake)
        self.works.append(process)
        return process

    def kill(self, but: Process | None = None) -> None:
        for process in (*self.works, self.clock):
            if not process.is_over and process is not but:
                process.killed = True
                process.wake()


@dataclass
class _OfAFleet(Faults):
    """Those of one connection, beside what befalls its whole process or its whole cluster."""

    crew: Crew = field(kw_only=True)
    cluster: int = field(kw_only=True)

    def of_request(self) -> Planned | None:
        own = super().of_request()
        return self.crew.befalls(self.cluster) or own
