# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Required inter-pod affinity and anti-affinity, kept up to date while copies are placed.

Source: plugins/interpodaffinity/filtering.go. Three counts by (topology key, value): pods whose anti-affinity refuses the incoming pod
(`hostile`), pods that the incoming pod's anti-affinity refuses (`avoided`), pods that satisfy all its affinity terms (`near`).
This module is private to the collection.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import replace
from typing import Iterable

from .scene import Scene
from .selectors import NOTHING
from .views import AffinityTerm, Incoming, Node, Pod

Pair = tuple[str, str]
REFUSED_BY_OTHERS = "existing pods' anti-affinity"
OWN_ANTI_AFFINITY = "pod anti-affinity"
OWN_AFFINITY = "pod affinity"


class Neighbours:
    """The state of all affinity rules around one incoming pod."""

    def __init__(self, pod: Incoming, scene: Scene) -> None:
        self._pod = pod
        self._namespace_labels = (scene.namespaces or {}).get(pod.namespace, {})
        self._affinity = tuple(_with_namespaces(term, scene) for term in pod.affinity)
        self._anti = tuple(_with_namespaces(term, scene) for term in pod.anti_affinity)
        self._hostile: Counter[Pair] = Counter()
        self._avoided: Counter[Pair] = Counter()
        self._near: Counter[Pair] = Counter()
        for node, other in scene.kept_pods() if self._affinity or self._anti else scene.repelling:
            self.recount(node, other, 1)
        self._is_idle = not self._hostile and not self._affinity and not self._anti
        self._repels_itself = tuple(term.key for term in self._anti if self._selects_itself(term))
        self._attracts_itself = bool(self._affinity) and all(map(self._selects_itself, self._affinity))
        self._affinity_keys = tuple(term.key for term in self._affinity)

    def copy(self) -> Neighbours:
        """The same counts, to be changed apart."""
        twin = copy(self)
        twin._hostile, twin._avoided, twin._near = Counter(self._hostile), Counter(self._avoided), Counter(self._near)
        return twin

    @property
    def repelled_keys(self) -> tuple[str, ...]:
        """Topology keys over which copies keep each other away."""
        return self._repels_itself

    @property
    def changes_with_copies(self) -> bool:
        """Whether one copy decides where the next may go."""
        return bool(self._repels_itself) or self._attracts_itself

    def objection(self, node: Node, promised: Iterable[Pod] = ()) -> str | None:
        """Why the pod may not go here; `promised` pods count as if they ran on this node already."""
        refused = self._refused_by_affinity(node)
        if refused is None:
            refused = self._refused_by_anti_affinity(node, ())
        if refused is None and not self._is_idle:
            promised = tuple(promised)
            if promised:
                refused = self._refused_by_anti_affinity(node, promised)
        return refused

    def sign(self, node: Node) -> tuple[object, ...]:
        """The same for nodes that these rules will never tell apart, however many copies are placed."""
        keys = (*self._repels_itself, *self._affinity_keys)
        refused = self._refused_by_anti_affinity(node, ())
        if not self._attracts_itself:
            refused = self._refused_by_affinity(node) or refused
        return (refused, *(node.labels.get(key) for key in keys))

    def place(self, node: Node, copies: int) -> None:
        """Counts copies of the pod itself onto a node; a negative number takes them away again."""
        for key in self._repels_itself:
            if key in node.labels:
                _change(self._hostile, (key, node.labels[key]), copies)
        if self._attracts_itself:
            for key in self._affinity_keys:
                if key in node.labels:
                    _change(self._near, (key, node.labels[key]), copies)

    def recount(self, node: Node, other: Pod, times: int) -> None:
        """Counts an existing pod in (1) or out (-1)."""
        if not (other.anti_affinity or self._anti or self._affinity):
            return
        for pair in self._hostile_pairs(node, other):
            _change(self._hostile, pair, times)
        for pair in self._avoided_pairs(node, other):
            _change(self._avoided, pair, times)
        if self._affinity and all(term.matches(other.namespace, other.labels, {}) for term in self._affinity):
            for term in self._affinity:
                if term.key in node.labels:
                    _change(self._near, (term.key, node.labels[term.key]), times)

    def _hostile_pairs(self, node: Node, other: Pod) -> list[Pair]:
        return [
            (term.key, node.labels[term.key])
            for term in other.anti_affinity
            if term.key in node.labels and term.matches(self._pod.namespace, self._pod.labels, self._namespace_labels)
        ]

    def _avoided_pairs(self, node: Node, other: Pod) -> list[Pair]:
        return [
            (term.key, node.labels[term.key])
            for term in self._anti
            if term.key in node.labels and term.matches(other.namespace, other.labels, {})
        ]

    def _refused_by_affinity(self, node: Node) -> str | None:
        if not self._affinity:
            return None
        if any(key not in node.labels for key in self._affinity_keys):
            return OWN_AFFINITY
        if all(self._near.get((key, node.labels[key]), 0) > 0 for key in self._affinity_keys):
            return None
        # The first pod of a group that is attracted to itself may start anywhere (satisfiesSelfAffinityCheck).
        return None if self._attracts_itself and not self._near else OWN_AFFINITY

    def _refused_by_anti_affinity(self, node: Node, promised: Iterable[Pod]) -> str | None:
        hostile, avoided = set(), set()
        for other in promised:
            hostile.update(self._hostile_pairs(node, other))
            avoided.update(self._avoided_pairs(node, other))
        for term in self._anti:
            pair = (term.key, node.labels.get(term.key, ""))
            if term.key in node.labels and (self._avoided.get(pair, 0) > 0 or pair in avoided):
                return OWN_ANTI_AFFINITY
        if hostile or self._hostile and any(self._hostile.get(pair, 0) > 0 for pair in node.labels.items()):
            return REFUSED_BY_OTHERS
        return None

    def _selects_itself(self, term: AffinityTerm) -> bool:
        return term.matches(self._pod.namespace, self._pod.labels, {})


def needs_namespace_labels(pod: Incoming, scene: Scene) -> bool:
    """Whether a rule asks for labels of namespaces."""
    own = (*pod.affinity, *pod.anti_affinity)
    others = (term for _place, other in scene.repelling for term in other.anti_affinity)
    return any(term.namespace_selector.requirements for term in (*own, *others))


def _with_namespaces(term: AffinityTerm, scene: Scene) -> AffinityTerm:
    """The namespaces that the selector selects, by name (`mergeAffinityTermNamespacesIfNotEmpty`)."""
    if not term.namespace_selector.requirements:
        return term
    chosen = {name for name, labels in (scene.namespaces or {}).items() if term.namespace_selector.selects(labels)}
    return replace(term, namespaces=term.namespaces | chosen, namespace_selector=NOTHING)


def _change(counts: Counter[Pair], pair: Pair, by: int) -> None:
    counts[pair] += by
    if not counts[pair]:
        del counts[pair]
