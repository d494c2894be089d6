# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a history: everything that there is, put together, from its first moment to its end."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Knock, Knocked
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import FAILURES, Ending, Release
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.autoscaler import STALE_SECONDS
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.identity import Meant
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER, SCALED_OBJECT
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import new_run
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import TIMEOUT, Outcome, VerbFailure

from . import calls, nginx
from .autoscalers import AutoscalerController
from .calls import ANY, Called
from .controllers import Pace
from .deployments import DeploymentController
from .faults import Faults
from .foreign import SOMEBODY, Somebody, ends
from .garbage import GarbageCollector
from .gateway import EndpointSliceController, Lags, Proxy
from .governing import NOTE, Hook
from .history import Ask, Befalls, Foreign, History, Incident, Script
from .invariants import Witness
from .keda import KedaOperator, scaled_object
from .ledger import Violation
from .network import Network
from .objects import (
    AUTOSCALER_NAME,
    NAME,
    TemplateKeys,
    autoscaler,
    deployment,
    is_being_deleted,
    node,
    version_of,
)
from .pictures import Pictures
from .pods import ReplicaSetController
from .routers import Routers
from .server import Server
from .store import Store
from .timeline import Actor, Process, Timeline
from .tracing import Trace
from .users import Served

# After this everything has come to rest.
REST = 5.0
# From the end of a Deployment to that of what belonged to it.
COLLECTS = Pace(0.01, 1.0)
# Whoever has not come to an end by then never will.
HORIZON = 7200.0
MOST_TRIES = 8
# Room for more pods than any history asks for.
NODES = 2
# Verbs that may say which release they are about.
NAMED = frozenset({"promote", "undo", "bake", "verify", "guard"})
CHANGE_CAUSE = {"kubernetes.io/change-cause": "first"}


@dataclass
class Played:
    """How a history went. `trace`: lines for people, empty unless they were asked for."""

    history: History
    violations: list[Violation]
    calls: list[Called]
    releases: int
    requests: int
    seconds: float
    trace: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """What is tried next. `restores`: with the Deployment's own fields; `keeps`: because nothing is left to come back to;
    `applies`: after its manifest was applied by hand; `takeover`: from a run that still has it."""

    verb: str
    takeover: bool = False
    restores: bool = False
    keeps: bool = False
    applies: bool = False


def _after(step: Step, code: str) -> Step:
    """What the remedies of the refusals say."""
    if code == "locked":
        return replace(step, takeover=True)
    if code == "no_stable":
        return Step("promote", keeps=True)
    if code == "damaged" and not step.restores:
        return Step("undo", restores=True)
    return Step("undo", applies=bool(code) and (step.restores or step.keeps))


@dataclass(frozen=True)
class _Machine:
    """What a process knows of itself and of the others (cluster/processes.py)."""

    name: str
    processes: Mapping[str, Process]

    def this_process(self) -> str:
        return self.name

    def parent(self) -> str:
        """A script is a play: it goes on from task to task."""
        return self.name

    def has_ended(self, name: str) -> bool:
        mine, theirs = (one.partition(".")[0] for one in (self.name, name))
        return mine == theirs and self.has_ended_anywhere(name)

    def has_ended_anywhere(self, name: str) -> bool:
        return name in self.processes and self.processes[name].is_over


class World:
    def __init__(self, history: History, *, traced: bool = False) -> None:
        self.history = history
        self.timeline = Timeline()
        self.store = Store(self.timeline)
        self.server = Server(self.timeline, self.store)
        self._pictures = Pictures(self.store)
        self.calls: list[Called] = []
        self.requests = 0
        self._forbidden = {script.name: script.forbidden for script in history.scripts}
        self.trace = Trace(self.store, wanted=traced)
        chances = [random.Random(history.seed * 7 + purpose) for purpose in range(4)]
        keys = TemplateKeys()
        common = (self.timeline, self.store)
        self.deployments = DeploymentController(
            keys, *common, history.deployments, chances[0], colliding=history.colliding
        )
        self.garbage = GarbageCollector(*common, COLLECTS, random.Random(history.seed * 7 + len(chances)))
        self.replica_sets = ReplicaSetController(
            *common, history.replica_sets, chances[1], history.natures, history.quota
        )
        self.autoscalers = AutoscalerController(*common, history.autoscalers, chances[2], history.load)
        # An operator that has no ScaledObject does nothing.
        self.keda = KedaOperator(*common, history.autoscalers, random.Random(history.seed * 7 + 4))
        self._chance = chances[3]
        self.server.governed = history.governed
        self._routers = Routers(history)
        self.proxy = self._has_a_gateway(history.gateway) if history.gateway is not None else None
        self._make()
        self._processes: dict[str, Process] = {}
        self.witness = Witness(
            history,
            self.store,
            self.replica_sets,
            keys,
            self.server.shown,
            self.server.tried,
            self.machine("anybody").has_ended_anywhere,
            partial(self._routers.as_route, self.store),
        )
        self.director = Actor(self.timeline, "director")
        self._living: list[Process] = []
        self._networks: list[Network] = []

    def _has_a_gateway(self, lags: Lags) -> Proxy:
        common = (self.timeline, self.store)
        self.endpoints = EndpointSliceController(*common, self.history.replica_sets, self._chance)
        # Whatever is made is heard of by a proxy that was there before.
        proxy = Proxy(*common, lags, self._chance, self._fails, self._sees, nginx.as_route, self._routers.translates)
        self._routers.make(self.server)
        return proxy

    def _make(self) -> None:
        history = self.history
        rolling = {"maxSurge": history.max_surge, "maxUnavailable": history.max_unavailable}
        spec: dict[str, Any] = {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "minReadySeconds": history.min_ready,
            "revisionHistoryLimit": history.history_limit,
        }
        manifest = deployment(history.replicas, **spec)
        if history.change_cause:
            manifest["metadata"]["annotations"] = dict(CHANGE_CAUSE)
        self.somebody = Somebody(self.server, manifest)
        if not history.missing:
            self.server.create("deployments", manifest, SOMEBODY, "kubectl-create")
        for number in range(NODES):
            self.store.put("nodes", node(f"node-{number}"), SOMEBODY)
        if history.bounds and history.keda:
            manifest = scaled_object("queue", *history.bounds, NAME, autoscaler=AUTOSCALER_NAME)
            self.server.create("scaledobjects", manifest, SOMEBODY, "kubectl-create")
        elif history.bounds:
            self.server.create("horizontalpodautoscalers", autoscaler(*history.bounds), SOMEBODY, "kubectl-create")

    # Playing.

    def play(self) -> Played:
        history = self.history
        for script in history.scripts:
            self._give_birth(script)
        for incident in history.incidents:
            self.timeline.at(incident.at, partial(self._befall, incident))
        for foreign in history.foreign:
            if foreign.request is None:
                self.timeline.at(foreign.at, partial(self._write, foreign))
            elif self._networks:
                self._networks[0].meanwhile[foreign.request] = partial(self._write, foreign)
        if self._living:
            self.director.wait(HORIZON)
        for process in list(self._living):
            self._violated("every call comes to an end", f"{process.name} is still waiting")
            self._kill(process)
        moments = [*(one.at for one in history.incidents), *map(ends, history.foreign)]
        moments += [history.governed.ends] if history.governed and history.governed.hook is Hook.DENIES else []
        moments += [network.carried_out for network in self._networks]
        self.director.wait(max([self.timeline.now, *moments]) + REST)
        while self._is_made_again():
            self.director.sleep(REST)
        self.witness.over(brought_to_end=self._bring_to_an_end())
        return Played(
            history,
            self.witness.violations,
            self.calls,
            self.witness.releases,
            self.requests,
            self.timeline.now,
            self.trace.lines,
        )

    def _is_made_again(self) -> bool:
        """Just now; it is there in a moment."""
        found = self.store.get("deployments", NAME)
        return self.somebody.is_making or (found is not None and is_being_deleted(found))

    def machine(self, name: str, where: str = "here") -> _Machine:
        return _Machine(f"{where}.{name}", self._processes)

    @staticmethod
    def no_faults() -> Faults:
        return Faults()

    def _sees(self, served: Served) -> None:
        self.witness.sees(served)

    def _fails(self, service: str, told: str) -> None:
        """At the owner's Service only what the Deployment's own strategy promises counts. What others write to the Deployment may take all of its
        pods; and so may an undo of which nobody could know that other pods come with it."""
        lacks = (service == NAME and self.history.may_lack_all) or self.witness.is_surprised
        if not (lacks or self.witness.is_robbed):
            self._violated_once("no request fails", told)

    def _violated_once(self, rule: str, what: str) -> None:
        if not any(found.rule == rule for found in self.witness.violations):
            self._violated(rule, what)

    def _violated(self, rule: str, what: str) -> None:
        self.witness.violations.append(Violation(self.timeline.now, rule, what))

    def _give_birth(self, script: Script) -> None:
        def lives() -> None:
            held, returned = "", dict[str, Release]()
            for number, asked in enumerate(script.asks):
                cut_off = self._cut_off(asked.rescues)
                ask = replace(asked, version=cut_off.ask.version) if cut_off else asked
                process.sleep(ask.think)
                is_named = ask.verb in NAMED or ask.held
                if script.names and not held and is_named and not ask.check:
                    continue  # nothing was held that could be named: whoever names things stops there, save in a check
                run = script.name if script.names in ("run", "both") else ""
                meant = Meant(held if script.names in ("hash", "both") else "", run) if is_named else ANY
                left = self._left_by(cut_off) if cut_off else None
                previous = returned.get(ask.version) if ask.goes_on else left
                if previous is None and ask.rescues:
                    continue  # nothing was cut off
                if previous is not None and previous.outcome in FAILURES:
                    continue  # a play ends there
                run = previous.run if previous else run or (new_run() if ask.verb == "release" else "")
                called = Called(script.name, number, ask, self.timeline.now, meant=meant, run=run, previous=previous)
                called.manifest = self.somebody.manifest_of(ask.version) if ask.creates else None
                self.call(network, called)
                if called.release is not None and not (ask.check or ask.held):
                    returned[ask.version] = called.release
                    if called.release.outcome is Ending.HELD:
                        held = called.release.hash
                if (
                    ask.verb == "start"
                    and not ask.check
                    and isinstance(called.result, Outcome)
                    and called.result.canary.get("canary")
                ):
                    held = called.result.canary["canary"]["hash"]

        process = Process(self.timeline, script.name, script.begins, lives, lambda: self._has_ended(process))
        process.skew = script.skew
        faults = Faults({one.number: one for one in script.faults}, {one.number: one for one in script.streams})
        self._processes[f"{script.machine}.{script.name}"] = process
        here = self.machine(script.name, script.machine)
        network = self.network(process, self.server, script.name, faults, self._chance, here, self._knock())
        self._living.append(process)
        self._networks.append(network)

    def _cut_off(self, name: str) -> Called | None:
        """The whole release in which this process was killed. None where it was not killed in any."""
        last = next((called for called in reversed(self.calls) if called.actor == name), None)
        if last is None or last.ended is None or last.result or last.broke:
            return None
        return last if last.ask.verb == "release" and not last.ask.held else None

    @staticmethod
    def _left_by(call: Called) -> Release:
        """What it would have returned, for whoever comes in its place: how far it came nobody knows (`cut_off` of frontdoor/release.py)."""
        known = call.previous or Release(run=call.run)
        is_over = known.outcome not in (Ending.PLANNED, Ending.HELD)
        return known if is_over or call.ask.check or call.ask.through == "room" else replace(known, stage=Stage.UNKNOWN)

    def network(self, *given: Any) -> Network:
        """The way of a script to the server."""
        return Network(*given)

    def _knock(self) -> Callable[[Knock], Knocked] | None:
        return self.proxy.knock if self.proxy else None

    def _has_ended(self, process: Process) -> None:
        self._living.remove(process)
        if process.failed is not None:
            self._violated("no verb ends in an error of its own", repr(process.failed))
        if not self._living:
            self.director.wake()

    def _kill(self, process: Process) -> None:
        process.killed = True
        process.wake()
        self.director.sleep(0.0)

    def call(self, network: Network, called: Called) -> None:
        network.user, network.doubled, network.hit = called.user, False, called.hit
        called.forbidden = self._forbidden.get(called.actor, frozenset())
        self.server.forbidden[called.user] = called.forbidden
        self.calls.append(called)
        self.witness.began(called)
        self.trace.add(called.user, f"canary_{called.ask.verb} begins")
        before = network.requests
        try:
            calls.run(network, called, lambda line: self.trace.add(called.user, line))
        finally:
            called.requests = network.requests - before
            self.requests += called.requests
            called.doubled = network.doubled
            called.ended = self.timeline.now
            self.trace.add(called.user, f"canary_{called.ask.verb} {called.told()}")
        self.witness.ended(called)

    def _befall(self, incident: Incident) -> None:
        there = [pod for pod in self.replica_sets.pods.values() if pod.active and pod.version == incident.version]
        if not there:
            return
        pod = there[incident.place % len(there)]
        self.trace.add("incident", f"pod {pod.name} {incident.what.value}")
        if incident.what is Befalls.CRASH:
            self.replica_sets.crashes(pod, incident.seconds)
        elif incident.what is Befalls.EVICTION:
            self.replica_sets.is_evicted(pod)
        elif incident.what is Befalls.APART:
            self.replica_sets.is_set_apart(pod)
        else:
            self.replica_sets.is_deleted(pod)

    def _write(self, foreign: Foreign) -> None:
        self.trace.add(SOMEBODY, f"{foreign.what} {foreign.number} {foreign.version}")
        self.somebody.writes(foreign)

    # The end.

    def _bring_to_an_end(self) -> bool:
        """Whoever comes last finishes what is there, as a person would: asks, and does what the refusal says. False when that
        leads nowhere."""
        network = Network(
            self.director, self.server, "last", self.no_faults(), self._chance, self.machine("last"), self._knock()
        )
        # What stands in the way of pods is not for verbs to cure.
        self.replica_sets.quota = None
        step, waited = Step(self.history.end.value), False
        for number in range(MOST_TRIES):
            called = Called("last", number, Ask(step.verb, timeout=600.0, takeover=step.takeover), self.timeline.now)
            called.restores = self._originals() if step.restores else None
            self.call(network, called)
            if isinstance(called.result, Outcome) and self._is_over():
                self.director.sleep(REST)
                if waited or not self._is_pinned():
                    return True
                # By a process of another machine, which may live: the verb says how long to wait for it.
                self.director.sleep(STALE_SECONDS)
                waited = True
            code = called.result.code if isinstance(called.result, VerbFailure) else ""
            step = _after(step, code)
            if code == TIMEOUT:
                self._mends_pods_of_a_policy()
            if step.applies:
                self._write(Foreign(self.timeline.now, "the whole manifest", 0, "v1"))
                self.director.sleep(REST)
        return False

    def _mends_pods_of_a_policy(self) -> None:
        """The undo has brought another template back than the one that stood there, because a policy makes that of it by now. Of pods that
        never get Ready the controller keeps as many as it may lack none of, and then nothing ends before somebody has looked at why."""
        governed, seen = self.history.governed, self._pictures.situation()
        if governed is None or not governed.comes_later or seen is None or seen.phase is not Phase.UNDOING:
            return
        template = self.store.of("deployments")[NAME]["spec"]["template"]
        if NOTE in (template["metadata"].get("annotations") or {}):
            self.replica_sets.are_mended(version_of(template))

    def _is_over(self) -> bool:
        seen = self._pictures.situation()
        return seen is None or seen.phase is Phase.NONE

    def _is_pinned(self) -> bool:
        """Itself, or by the ScaledObject of which it is made, whose annotations KEDA copies to it."""
        scaler = self.store.get("horizontalpodautoscalers", AUTOSCALER_NAME)
        annotations = (scaler["metadata"].get("annotations") if scaler is not None else None) or {}
        return not annotations.keys().isdisjoint((AUTOSCALER, SCALED_OBJECT))

    def _originals(self) -> Restore:
        history = self.history
        return Restore(history.min_ready, 600, history.max_surge, history.max_unavailable)
