# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as the scheduler sees it at one moment: nodes, and what the pods on each of them hold.

Pods are folded into sums while they are read, so that 150,000 of them need little memory; only those that a rule may look at again are kept.
This module is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from functools import cached_property
from typing import Callable, Collection, Hashable, Iterable, Mapping, Sequence

from ..values import dataclass
from .quantity import Amounts, add
from .selectors import Labels
from .views import Disk, Incoming, Node, Pod, PodKind, Port

# Who owns pods that belong to a node, not to a workload: DaemonSets, and the kubelet's own static pods.
NODE_OWNERS = ("DaemonSet", "Node")


@dataclass(frozen=True, slots=True)
class Burden:
    """What a pod takes of its node; `request` in the scheduler's units. `lasting`: a new node of the same kind bears it too."""

    request: Amounts
    ports: tuple[Port, ...]
    disks: tuple[Disk, ...]
    lasting: bool

    @staticmethod
    def of(kind: PodKind) -> Burden:
        return Burden(kind.request, kind.ports, kind.disks, kind.owner_kind in NODE_OWNERS)

    @property
    def sign(self) -> Hashable:
        """The same for equal burdens."""
        return frozenset(self.request.items()), self.ports, self.disks, self.lasting


@dataclass(slots=True)
class Load:
    """What the pods of one node hold together; `request` in the scheduler's units. `kept` are the pods that rules look at.

    `daemon_count` and `daemon_request` are what DaemonSet and static pods hold of it: a new node of the same kind has them too.
    """

    count: int = 0
    request: Amounts = field(default_factory=dict)
    ports: Counter[Port] = field(default_factory=Counter)
    disks: Counter[Disk] = field(default_factory=Counter)
    kept: list[Pod] = field(default_factory=list)
    daemon_count: int = 0
    daemon_request: Amounts = field(default_factory=dict)

    def bear(self, burden: Burden) -> None:
        """Counts what a pod takes in."""
        self.count += 1
        add(self.request, burden.request)
        # Most pods have neither, and an update with nothing is not free.
        if burden.ports:
            self.ports.update(burden.ports)
        if burden.disks:
            self.disks.update(burden.disks)
        if burden.lasting:
            self.daemon_count += 1
            add(self.daemon_request, burden.request)

    def take(self, pod: Pod) -> None:
        """Counts a pod in, and keeps it."""
        self.bear(Burden.of(pod.kind))
        self.kept.append(pod)

    def copy(self) -> Load:
        return Load(
            self.count,
            dict(self.request),
            Counter(self.ports),
            Counter(self.disks),
            list(self.kept),
            self.daemon_count,
            self.daemon_request,
        )

    def without(self, gone: Collection[int]) -> Load:
        """A copy without these kept pods, named by `id`."""
        result = self.copy()
        result.kept = [pod for pod in self.kept if id(pod) not in gone]
        for pod in self.kept:
            if id(pod) not in gone:
                continue
            result.count -= 1
            add(result.request, {name: -amount for name, amount in pod.request.items()})
            if pod.ports:
                result.ports -= Counter(pod.ports)
            if pod.disks:
                result.disks -= Counter(pod.disks)
        return result


_NO_LOAD = Load()


@dataclass(frozen=True)
class Scene:
    """`namespaces` are the labels of all namespaces by name, None where they could not be read.

    `nominated` are pending pods that a node has been promised to, by that node's name. `waiting`: how many pods of each owner have no node.
    """

    nodes: tuple[Node, ...]
    loads: Mapping[str, Load]
    nominated: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    claims_in_use: Mapping[tuple[str, str], int] = field(default_factory=dict)
    namespaces: Mapping[str, Labels] | None = None
    pending: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)

    def load(self, name: str) -> Load:
        """What the pods of this node hold."""
        return self.loads.get(name, _NO_LOAD)

    def kept_pods(self) -> Iterable[tuple[Node, Pod]]:
        """Every pod that rules may look at, with its node."""
        for node in self.nodes:
            for pod in self.load(node.name).kept:
                yield node, pod

    @cached_property
    def repelling(self) -> tuple[tuple[Node, Pod], ...]:
        """Those of them that keep others away by anti-affinity of their own, found once: most clusters have few."""
        return tuple(one for one in self.kept_pods() if one[1].anti_affinity)

    def without(self, gone: Iterable[Pod]) -> Scene:
        """The same cluster after these kept pods have left."""
        by_node: dict[str, set[int]] = {}
        claims = Counter(self.claims_in_use)
        for pod in gone:
            by_node.setdefault(pod.node, set()).add(id(pod))
            claims.subtract((pod.namespace, claim) for claim in set(pod.claims))
        loads = dict(self.loads)
        for name, pods in by_node.items():
            loads[name] = self.load(name).without(pods)
        return replace(self, loads=loads, claims_in_use=claims)

    def with_nodes(self, more: Iterable[Node], loads: Mapping[str, Load]) -> Scene:
        """The same cluster with further nodes."""
        return replace(self, nodes=(*self.nodes, *more), loads={**self.loads, **loads})


class SceneBuilder:
    """Folds pods into a scene, one at a time. `keep` says of which kinds rules may look at them again.

    Of any other pod only one of few burdens is noted, at its node; they are summed up in the end, node by node: to change sums all over
    the memory at every pod would take several times as long.
    """

    def __init__(self, nodes: Iterable[Node], keep: Callable[[PodKind], bool] = lambda kind: True) -> None:
        self._nodes = tuple(nodes)
        self._keep = keep
        self._borne: dict[str, list[Burden]] = {node.name: [] for node in self._nodes}
        self._kept: dict[str, list[Pod]] = {}
        self._nominated: dict[str, list[Pod]] = {}
        self._claims: Counter[tuple[str, str]] = Counter()
        self._waiting: Counter[str] = Counter()
        self._burdens: dict[Hashable, Burden] = {}
        # The last pod's kind, and what follows from it.
        self._kind: PodKind | None = None
        self._burden: Burden
        self._is_kept = False

    def add(self, pod: Pod) -> None:
        """Counts a pod that is not over. A pod whose node is gone holds nothing that matters."""
        kind = pod.kind
        if kind is not self._kind:
            self._turn_to(kind)
        borne = self._borne.get(pod.node)
        if borne is not None:
            borne.append(self._burden)
            if self._is_kept:
                self._kept.setdefault(pod.node, []).append(pod)
            if kind.claims:
                self._claims.update((kind.namespace, claim) for claim in set(kind.claims))
        elif not pod.node:
            self._waiting[kind.owner] += 1
            if pod.nominated:
                self._nominated.setdefault(pod.nominated, []).append(pod)

    def _turn_to(self, kind: PodKind) -> None:
        burden = Burden.of(kind)
        self._kind, self._is_kept = kind, self._keep(kind)
        self._burden = self._burdens.setdefault(burden.sign, burden)

    def scene(self, namespaces: Mapping[str, Labels] | None) -> Scene:
        """What has been read so far."""
        loads = {name: self._load(name, borne) for name, borne in self._borne.items()}
        nominated = {name: tuple(pods) for name, pods in self._nominated.items()}
        return Scene(self._nodes, loads, nominated, self._claims, namespaces, self._waiting.total(), self._waiting)

    def _load(self, name: str, borne: Iterable[Burden]) -> Load:
        load = Load(kept=list(self._kept.get(name, ())))
        for burden in borne:
            load.bear(burden)
        return load


def relevance(incoming: Incoming | Sequence[Incoming], owners: Collection[str]) -> Callable[[PodKind], bool]:
    """Of which kinds existing pods are that any rule about `incoming` (of one release, or of several) may look at again.

    Those of the same Deployments (`owners`: uids of their ReplicaSets), those that preemption may evict, those with anti-affinity of
    their own, and those that the incoming pods' own affinity or spreading may count.
    """
    several = [incoming] if isinstance(incoming, Incoming) else incoming
    own_terms = [term for one in several for term in (*one.affinity, *one.anti_affinity)]
    own_spreads = [(one.namespace, spread) for one in several for spread in one.spreads]
    evicting = [one.priority for one in several if one.may_preempt]
    highest = max(evicting, default=None)

    def keep(kind: PodKind) -> bool:
        if kind.owner in owners or kind.anti_affinity or (highest is not None and kind.priority < highest):
            return True
        if any(space == kind.namespace and spread.selector.selects(kind.labels) for space, spread in own_spreads):
            return True
        return any(term.selector.selects(kind.labels) for term in own_terms)

    return keep
