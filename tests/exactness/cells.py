# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of the exactness table, and what one release in a cell promises and does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.integration.releases import Release

from .recorder import Recorder, Seen
from .verbs import Asked, Canary, Verbs

MOST_REPLICAS, MOST_SURGE = 12, 3
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


class Trial:
    """Start and promote, then start and undo, in one cell and one namespace."""

    def __init__(self, release: Release, verbs: Verbs, recorder: Recorder, cell: Cell, seed: int) -> None:
        self._release, self._verbs, self._recorder, self._cell = release, verbs, recorder, cell
        self._namespace = release.namespace
        self._random = random.Random(seed)
        self._strategy = self._random.choice(STRATEGIES)

    def run(self) -> list[Finding]:
        surge, unavailable = self._strategy
        strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
        self._release.make(self._cell.replicas, annotations=self._readiness(), strategy=strategy)
        found = [self._start("v2", "v1"), self._promote("v2"), self._start("v3", "v2"), self._undo("v2")]
        return [finding for findings in found for finding in findings]

    def _readiness(self) -> dict[str, str]:
        return {"lab.coalmine/ready-after": str(self._random.choice(READY_AFTER_MS))}

    def _spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self._release.deployment()["spec"]
        return spec

    def _start(self, version: str, stable: str) -> list[Finding]:
        cell, verb = self._cell, f"start {version}"
        asked = Asked(version, cell.pods, cell.surge, {"metadata": {"annotations": self._readiness()}})
        self._before = self._spec()
        self._recorder.mark(self._namespace)
        canary = self._verbs.start(asked)
        seen = self._recorder.since_mark(self._namespace)
        promised = f"{cell.stable}+{cell.canary}"
        return [
            Finding(cell, verb, f"held {promised}", f"{canary['phase']} {_counts(canary)}"),
            Finding(cell, f"{verb}, onlooker", promised, f"{seen.versions[stable]}+{seen.versions[version]}"),
            _never_below(cell, verb, cell.replicas - cell.max_unavailable, seen),
            Finding(cell, f"{verb}, most canary pods", str(cell.canary), str(seen.most[version])),
        ]

    def _promote(self, version: str) -> list[Finding]:
        self._recorder.mark(self._namespace)
        canary = self._verbs.promote()
        fields = {**self._before, "template": self._spec()["template"]}
        floor = self._cell.replicas - own_max_unavailable(self._strategy, self._cell.replicas)
        return self._ended("promote", version, canary, floor, fields)

    def _undo(self, version: str) -> list[Finding]:
        self._recorder.mark(self._namespace)
        canary = self._verbs.undo()
        return self._ended("undo", version, canary, self._cell.replicas - self._cell.max_unavailable, self._before)

    def _ended(self, verb: str, version: str, canary: Canary, floor: int, spec: dict[str, Any]) -> list[Finding]:
        cell, now = self._cell, self._spec()
        seen = self._recorder.since_mark(self._namespace)
        pods = {tag: count for tag, count in seen.versions.items() if count}
        changed = [key for key in {*spec, *now} if spec.get(key) != now.get(key)]
        return [
            Finding(cell, verb, f"none {cell.replicas}", f"{canary['phase']} {_counts(canary)}"),
            Finding(cell, f"{verb}, onlooker", str({version: cell.replicas}), str(pods)),
            _never_below(cell, verb, floor, seen),
            Finding(cell, f"{verb}, fields not as they were", "[]", str(sorted(changed))),
        ]


def own_max_unavailable(strategy: tuple[int | str, int | str], replicas: int) -> int:
    """pkg/controller/deployment/util: a percentage of maxUnavailable rounds down, and both at 0 mean 1 unavailable."""
    surge, unavailable = (
        value if isinstance(value, int) else replicas * int(value.rstrip("%")) / 100 for value in strategy
    )
    exact = math.floor(unavailable)
    return 1 if math.ceil(surge) == 0 and exact == 0 else exact


def _counts(canary: Canary) -> str:
    versions = (canary["stable"], canary["canary"])
    return "+".join(str(version["counts"]["ready"]) for version in versions if version)


def _never_below(cell: Cell, verb: str, floor: int, seen: Seen) -> Finding:
    return Finding(cell, f"{verb}, Ready", f"never below {floor}", f"never below {min(floor, seen.fewest)}")
