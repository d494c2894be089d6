# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of the exactness table, and what one release in a cell promises and does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.outcome import Outcome
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.requests import (
    Call,
    NewTemplate,
    PromoteRequest,
    Size,
    StartRequest,
    Target,
    UndoRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo

from .recorder import Recorder

NAME = "web"
MOST_REPLICAS, MOST_SURGE = 12, 3
WAIT_SECONDS = 240.0
# Milliseconds until a pod is Ready, drawn anew for each version: readiness decides the order of everything.
READY_AFTER_MS = (0, 50, 200, 500)
STRATEGIES: tuple[tuple[int | str, int | str], ...] = (("25%", "25%"), (1, 0), (2, 1), ("100%", 0), (0, 1))


@dataclass(frozen=True)
class Cell:
    replicas: int
    pods: int
    surge: int

    @property
    def max_unavailable(self) -> int:
        return 0 if self.surge else 1

    @property
    def canary(self) -> int:
        return self.pods

    @property
    def stable(self) -> int:
        return self.replicas - (self.pods - min(self.surge, self.pods))


def all_cells() -> Iterator[Cell]:
    """Every size that leaves a stable pod."""
    for replicas in range(1, MOST_REPLICAS + 1):
        for pods in range(1, replicas + 1):
            for surge in range(MOST_SURGE + 1):
                if (cell := Cell(replicas, pods, surge)).stable >= 1:
                    yield cell


@dataclass(frozen=True)
class Finding:
    """One verb in one cell: what was promised and what the onlooker saw."""

    cell: Cell
    verb: str
    promised: str
    seen: str

    @property
    def kept(self) -> bool:
        return self.promised == self.seen


def silent(line: str) -> None:
    del line


class Trial:
    """Start and promote, then start and undo, in one cell and one namespace."""

    def __init__(self, api: Api, recorder: Recorder, namespace: str, cell: Cell, seed: int) -> None:
        self._api, self._recorder, self._namespace, self._cell = api, recorder, namespace, cell
        self._random = random.Random(seed)
        self._strategy = self._random.choice(STRATEGIES)
        self._call = Call(Target(NAME, namespace), Wait(timeout=WAIT_SECONDS), actor="exactness")

    def run(self) -> list[Finding]:
        self._create()
        promote(self._api, PromoteRequest(self._call), silent)
        found = [self._start("v2"), self._promote(), self._start("v3"), self._undo()]
        return [finding for findings in found for finding in findings]

    def _create(self) -> None:
        surge, unavailable = self._strategy
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {
                "replicas": self._cell.replicas,
                "selector": {"matchLabels": {"app": NAME}},
                "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
                "template": {
                    "metadata": {"labels": {"app": NAME}, "annotations": self._readiness()},
                    "spec": {"containers": [{"name": "app", "image": "lab.local/app:v1"}]},
                },
            },
        }
        self._api.create(f"/apis/apps/v1/namespaces/{self._namespace}/deployments", body)

    def _readiness(self) -> dict[str, str]:
        return {"lab.coalmine/ready-after": str(self._random.choice(READY_AFTER_MS))}

    def _start(self, version: str) -> list[Finding]:
        patch: dict[str, Any] = {"metadata": {"annotations": self._readiness()}}
        request = StartRequest(
            self._call,
            NewTemplate(images={"app": f"lab.local/app:{version}"}, patch=patch),
            Size(self._cell.pods),
            surge=self._cell.surge,
        )
        self._recorder.mark(self._namespace, self._cell.replicas)
        outcome = start(self._api, request, silent)
        cell = self._cell
        counts = self._counts(outcome)
        return [
            Finding(cell, f"start {version}", f"{cell.stable}+{cell.canary}", counts),
            self._never_below(f"start {version}", cell.replicas - cell.max_unavailable, cell.stable + cell.canary),
        ]

    def _counts(self, outcome: Outcome) -> str:
        versions = (outcome.canary["stable"], outcome.canary["canary"])
        return "+".join(str(version["counts"]["ready"]) for version in versions if version)

    def _promote(self) -> list[Finding]:
        self._recorder.mark(self._namespace, self._cell.stable + self._cell.canary)
        outcome = promote(self._api, PromoteRequest(self._call), silent)
        return self._ended("promote", outcome, self._cell.replicas - self._own_max_unavailable())

    def _undo(self) -> list[Finding]:
        self._recorder.mark(self._namespace, self._cell.stable + self._cell.canary)
        outcome = undo(self._api, UndoRequest(self._call, reason="trial"), silent)
        return self._ended("undo", outcome, self._cell.replicas - self._cell.max_unavailable)

    def _ended(self, verb: str, outcome: Outcome, floor: int) -> list[Finding]:
        replicas = self._cell.replicas
        return [
            Finding(self._cell, verb, f"none {replicas}", f"{outcome.canary['phase']} {self._counts(outcome)}"),
            self._never_below(verb, floor, replicas),
        ]

    def _own_max_unavailable(self) -> int:
        """pkg/controller/deployment/util: percentages round down, and both at 0 means 1 unavailable."""
        surge, unavailable = (self._resolved(value) for value in self._strategy)
        exact = math.floor(unavailable)
        return 1 if math.ceil(surge) == 0 and exact == 0 else exact

    def _resolved(self, value: int | str) -> float:
        return value if isinstance(value, int) else self._cell.replicas * int(value.rstrip("%")) / 100

    def _never_below(self, verb: str, floor: int, now: int) -> Finding:
        fewest = self._recorder.fewest_ready(self._namespace, now)
        return Finding(self._cell, f"{verb}: Ready", f"never below {floor}", f"never below {min(floor, fewest)}")
