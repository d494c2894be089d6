# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topology spread constraints that forbid, kept up to date while copies are placed.

Rule for a node in domain d: matching pods in d + 1 (if the pod selects itself) - the least of all domains <= maxSkew.
Source: plugins/podtopologyspread/{common,filtering}.go. Domains are those of nodes that carry the keys of *all* constraints and pass
this constraint's inclusion policies; a tainted or cordoned node's domain still counts unless nodeTaintsPolicy is Honor.
Terminating pods are not counted, an empty selector counts nobody, and only pods of the same namespace matter.
This module is private to the collection.
"""

from __future__ import annotations

from copy import copy
from typing import Iterable

from . import selectors as sel
from .scene import Scene
from .views import Incoming, Node, Pod, Spread

SPREAD = "topology spread constraints"
SPREAD_LABEL_MISSING = "topology spread: missing label"


class Spreading:
    """The state of all forbidding spread constraints of one incoming pod."""

    def __init__(self, pod: Incoming, scene: Scene) -> None:
        self._pod = pod
        self._rules = [_Rule(spread, pod) for spread in pod.spreads]
        self._keys = tuple(spread.key for spread in pod.spreads)
        if not self._rules:
            return
        for node in scene.nodes:
            if self._has_all_keys(node):
                pods = scene.load(node.name).kept
                for rule in self._rules:
                    rule.count_node(node, pods)

    def copy(self) -> Spreading:
        """The same counts, to be changed apart."""
        twin = copy(self)
        twin._rules = [rule.copy() for rule in self._rules]
        return twin

    @property
    def changes_with_copies(self) -> bool:
        """Whether one copy decides where the next may go."""
        return any(rule.counts_itself for rule in self._rules)

    def objection(self, node: Node, promised: Iterable[Pod] = ()) -> str | None:
        """Why the pod may not go here; `promised` pods count as if they ran on this node already."""
        if not self._rules:
            return None
        if any(key not in node.labels for key in self._keys):
            return SPREAD_LABEL_MISSING
        if not all(rule.allows(node, ()) for rule in self._rules):
            return SPREAD
        promised = tuple(promised)
        if promised and not all(rule.allows(node, promised) for rule in self._rules):
            return SPREAD
        return None

    def sign(self, node: Node) -> tuple[object, ...]:
        """The same for nodes that these rules will never tell apart, however many copies are placed."""
        return tuple((node.labels.get(rule.key), rule.includes(node)) for rule in self._rules)

    def place(self, node: Node, copies: int) -> None:
        """Counts copies of the pod itself onto a node; a negative number takes them away again."""
        if self._rules and self._has_all_keys(node):
            for rule in self._rules:
                rule.place(node, copies)

    def recount(self, node: Node, other: Pod, times: int) -> None:
        """Counts an existing pod in (1) or out (-1)."""
        if self._rules and self._has_all_keys(node):
            for rule in self._rules:
                rule.recount(node, other, times)

    def _has_all_keys(self, node: Node) -> bool:
        return all(key in node.labels for key in self._keys)


class _Rule:
    """One constraint with the count of matching pods in each domain."""

    def __init__(self, spread: Spread, pod: Incoming) -> None:
        self._spread = spread
        self._pod = pod
        self._domains: dict[str, int] = {}
        self._least: int | None = None
        self._selects_itself = spread.selector.selects(pod.labels)

    def copy(self) -> _Rule:
        twin = copy(self)
        twin._domains = dict(self._domains)
        return twin

    @property
    def key(self) -> str:
        return self._spread.key

    @property
    def counts_itself(self) -> bool:
        return self._selects_itself and not self._spread.selector.is_empty

    def count_node(self, node: Node, pods: Iterable[Pod]) -> None:
        if not self.includes(node):
            return
        domain = node.labels[self._spread.key]
        matching = 0 if self._spread.selector.is_empty else sum(map(self._matches, pods))
        self._domains[domain] = self._domains.get(domain, 0) + matching

    def recount(self, node: Node, other: Pod, times: int) -> None:
        if not self._spread.selector.is_empty and self.includes(node) and self._matches(other):
            self._domains[node.labels[self._spread.key]] += times
            self._least = None

    def allows(self, node: Node, promised: Iterable[Pod]) -> bool:
        domain = node.labels[self._spread.key]
        count, least = self._domains.get(domain, 0), self._least_of_all()
        # A promised pod is counted by the selector alone, terminating or not (updateWithPod).
        added = sum(
            one.namespace == self._pod.namespace and self._spread.selector.selects(one.labels) for one in promised
        )
        if added and self.includes(node):
            count += added
            if len(self._domains) >= self._spread.min_domains:
                least = min([count, *(other for name, other in self._domains.items() if name != domain)])
        return count + self._selects_itself - least <= self._spread.max_skew

    def place(self, node: Node, copies: int) -> None:
        if self.counts_itself and self.includes(node):
            domain = node.labels[self._spread.key]
            self._domains[domain] = self._domains.get(domain, 0) + copies
            self._least = None

    def _least_of_all(self) -> int:
        """The global minimum; 0 while there are fewer domains than minDomains."""
        if self._least is None:
            enough = self._domains and len(self._domains) >= self._spread.min_domains
            self._least = min(self._domains.values()) if enough else 0
        return self._least

    def includes(self, node: Node) -> bool:
        """Whether pods on this node are counted."""
        if self._spread.honor_affinity and not self._pod.wants_node(node):
            return False
        return not self._spread.honor_taints or sel.untolerated(node.taints, self._pod.tolerations) is None

    def _matches(self, other: Pod) -> bool:
        return (
            not other.terminating
            and other.namespace == self._pod.namespace
            and self._spread.selector.selects(other.labels)
        )
