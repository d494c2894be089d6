# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth about a history while it is played, which all rules go by, and what was found against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .calls import Called
from .history import History
from .objects import TemplateKeys
from .pods import Pod, ReplicaSetController
from .promises import Release
from .store import Store


@dataclass(frozen=True)
class Violation:
    at: float
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:.3f} s: {self.rule}: {self.what}"


@dataclass
class Ledger:
    """`tried`: when each user has tried a write of a Deployment last. `calls`: by the name as which each wrote. `release`: the one under
    way; `latest`: that, or the last that was. `repaired`: a person has put the Deployment right by hand, as the last refusal told him to.
    `surprised`: a policy has made other pods of a write than a try of it had told. `rerouted`: somebody with an editor has written a
    route or a Service. `robbed`: what others wrote to the Deployment may take servers of users (promises.py), and no release has begun since.
    `remade`: it was deleted, and proxies hear late of what is there in its place."""

    history: History
    store: Store
    pods: ReplicaSetController
    keys: TemplateKeys
    tried: Mapping[str, float]
    calls: dict[str, Called] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    release: Release | None = None
    latest: Release | None = None
    releases: int = 0
    repaired: bool = False
    rerouted: bool = False
    surprised: bool = False
    robbed: bool = False
    remade: bool = False
    _keys_of: dict[str, str] = field(default_factory=dict)

    def violated(self, rule: str, what: str) -> None:
        """Of each rule the first violation counts."""
        if not any(found.rule == rule for found in self.violations):
            self.violations.append(Violation(self.store.timeline.now, rule, what))

    def key(self, pod: Pod) -> str:
        """Of its template. A ReplicaSet keeps its own as long as it lives."""
        found = self._keys_of.get(pod.owner_uid)
        if found is None:
            sets = self.store.of("replicasets").values()
            rs = next((rs for rs in sets if rs["metadata"]["uid"] == pod.owner_uid), None)
            found = self._keys_of[pod.owner_uid] = self.keys.of(rs["spec"]["template"]) if rs else ""
        return found

    def pods_of(self, key: str) -> list[Pod]:
        """Those of a template, but for those that go."""
        return [pod for pod in self.pods.pods.values() if pod.active and self.key(pod) == key]

    def is_of(self, name: str, key: str) -> bool:
        pod = self.pods.pods.get(name)
        return pod is not None and pod.active and self.key(pod) == key

    @property
    def alone(self) -> bool:
        """One process, and nobody else."""
        return not self.history.foreign and len(self.history.scripts) == 1

    @property
    def is_routed_by_us(self) -> bool:
        """Nobody but verbs has anything to do with where requests go."""
        return bool(self.history.gateway) and self.history.quiet and not (self.repaired or self.rerouted)
