# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations (tests/situations.py) in a simulated cluster: any number of Deployments in one namespace, and no time that passes.

A test is an actor of the timeline itself. Whoever acts beside it is a process.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.processes import Processes
from tests.situations import MARK, MIRROR, PATIENCE_SECONDS, Policy, Right, Web

from .autoscalers import AutoscalerController
from .controllers import Pace
from .deployments import DeploymentController
from .faults import Faults
from .keda import KedaOperator
from .kubectl import kubectl
from .network import Network
from .objects import NAMESPACE, Json, TemplateKeys
from .pods import Nature, ReplicaSetController
from .server import Server
from .store import Store
from .timeline import Actor, Process, Timeline

_PATCHES = re.compile(r"PATCH /apis/apps/v1/namespaces/[^/]+/deployments/")


class _Alone(Processes):
    """Nobody else's process is known."""

    def this_process(self) -> str:
        return "here.tests"

    def parent(self) -> str:
        return ""

    def has_ended(self, name: str) -> bool:
        return False


class Intercepted(Network):
    """Things happen right before its patches of a Deployment arrive, one before each."""

    edits: tuple[Callable[[], object], ...] = ()

    def _send(self, request: Request) -> Exchange:
        if self.edits and _PATCHES.match(f"{request.method} {request.path}") and "dryRun" not in request.query:
            first, *rest = self.edits
            self.edits = tuple(rest)
            first()
        return super()._send(request)


class Stage:
    """A cluster without anything in it. `natures`: of pods, by version; those of others are as their annotations say."""

    def __init__(self, seed: int = 0, natures: Mapping[str, Nature] | None = None, quota: int | None = None) -> None:
        self.timeline = Timeline()
        self.store = Store(self.timeline)
        self.server = Server(self.timeline, self.store)
        self._chance = random.Random(seed)
        common = (self.timeline, self.store, Pace(), self._chance)
        self.deployments = DeploymentController(TemplateKeys(), *common)
        self.pods = ReplicaSetController(*common, natures or {}, quota)
        self.autoscalers = AutoscalerController(*common, ())
        self.keda = KedaOperator(self.timeline, self.store, Pace(), random.Random(seed))
        self.test = Actor(self.timeline, "test")
        self._numbers = count(1)

    def api(self, user: str, actor: Actor | None = None, faults: Faults | None = None) -> Intercepted:
        return Intercepted(actor or self.test, self.server, user, faults or Faults(), self._chance, _Alone())

    def web(self, name: str = "") -> Web:
        """A Deployment, not made yet."""
        return Web(self.api("admin"), NAMESPACE, name or f"web-{next(self._numbers)}", self)

    # As a Web's world.

    def kubectl(self, *arguments: str, **options: Any) -> str:
        namespace, _name, *rest = arguments
        assert namespace == "--namespace", arguments
        kubectl(self.server, *rest, **options)
        return ""

    def account(self, web: Web, rights: Sequence[Right]) -> Network:
        user = f"system:serviceaccount:{web.namespace}:may-{next(self._numbers)}"
        granted = frozenset((verb, f"{resource}.{group}" if group else resource) for group, resource, verb in rights)
        self.server.granted[user] = granted
        return self.api(user)

    def right_before(self, web: Web, edits: Sequence[Callable[[], object]]) -> Network:
        del web
        api = self.api("somebody-else")
        api.edits = tuple(edits)
        return api

    @contextmanager
    def meanwhile(self, web: Web, doing: Callable[[Web], object]) -> Iterator[None]:
        def lives() -> None:
            doing(replace(web, admin=self.api("meanwhile", process)))

        process = Process(self.timeline, "meanwhile", self.timeline.now, lives, lambda: None)
        yield
        deadline = self.timeline.now + PATIENCE_SECONDS
        while not process.is_over:
            assert self.timeline.now < deadline, "somebody is still at it"
            self.test.sleep(0.1)
        if process.failed is not None:
            raise process.failed

    @contextmanager
    def admission(self, web: Web, policy: Policy) -> Iterator[None]:
        del web
        self.server.admission.append(POLICIES[policy])
        try:
            yield
        finally:
            self.server.admission.remove(POLICIES[policy])


def _marks(kind: str, before: Json | None, after: Json) -> Json:
    del before
    if kind != "deployments":
        return after
    template = after["spec"]["template"]
    notes = {**(template["metadata"].get("annotations") or {}), "policy": MARK}
    return _with(after, {**template, "metadata": {**template["metadata"], "annotations": notes}})


def _rewrites_images(kind: str, before: Json | None, after: Json) -> Json:
    del before
    if kind != "deployments":
        return after
    template = after["spec"]["template"]
    containers = [
        {**each, "image": MIRROR + each["image"].removeprefix(MIRROR)} for each in template["spec"]["containers"]
    ]
    return _with(after, {**template, "spec": {**template["spec"], "containers": containers}})


def _with(deployment: Json, template: Json) -> Json:
    return {**deployment, "spec": {**deployment["spec"], "template": template}}


POLICIES = {Policy.MARKS: _marks, Policy.REWRITES_IMAGES: _rewrites_images}
