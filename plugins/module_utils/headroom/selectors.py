# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which labels a selector selects, which taints a toleration tolerates: the small relations that all rules are built of.

This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ..values import dataclass

Labels = Mapping[str, str]
_INTEGER = re.compile(r"[+-]?\d+")
_INT64 = 2**63


@dataclass(frozen=True)
class Requirement:
    """One line of a selector; `operator` in Kubernetes' words (In, NotIn, Exists, DoesNotExist, Gt, Lt)."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Labels) -> bool:
        """Source: `Requirement.Matches`, apimachinery pkg/labels/selector.go."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value is not None and value in self.values
        if self.operator == "NotIn":
            return value is None or value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        mine, other = _int64(value), _int64(next(iter(self.values), None)) if len(self.values) == 1 else None
        if mine is None or other is None:
            return False
        return mine > other if self.operator == "Gt" else self.operator == "Lt" and mine < other


@dataclass(frozen=True)
class Selector:
    """All requirements at once. `requirements` None selects nothing, an empty tuple selects everything."""

    requirements: tuple[Requirement, ...] | None

    @property
    def is_empty(self) -> bool:
        """Selects everything because it asks for nothing; Kubernetes sometimes treats that apart."""
        return self.requirements == ()

    def selects(self, labels: Labels) -> bool:
        """Whether all requirements hold."""
        return self.requirements is not None and all(one.holds(labels) for one in self.requirements)

    def narrowed(self, more: Iterable[Requirement]) -> Selector:
        """With further requirements; a selector that selects nothing stays so."""
        return self if self.requirements is None else Selector((*self.requirements, *more))


NOTHING = Selector(None)


def label_selector(raw: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector of the API: absent selects nothing, empty selects everything."""
    if raw is None:
        return NOTHING
    wanted = [Requirement(key, "In", frozenset((value,))) for key, value in (raw.get("matchLabels") or {}).items()]
    return Selector((*wanted, *map(_requirement, raw.get("matchExpressions") or ())))


def _requirement(raw: Mapping[str, Any]) -> Requirement:
    return Requirement(raw["key"], raw["operator"], frozenset(map(str, raw.get("values") or ())))


def _int64(text: str | None) -> int | None:
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -_INT64 <= number < _INT64 else None


@dataclass(frozen=True)
class NodeTerm:
    """One term of a node selector: labels and fields at once. Only the field metadata.name exists."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, labels: Labels, name: str) -> bool:
        """`name` is empty where Kubernetes looks at labels only (volumes); fields are not looked at then."""
        if not all(one.holds(labels) for one in self.labels):
            return False
        return not name or all(one.holds({"metadata.name": name}) for one in self.fields)


def node_terms(raw: Mapping[str, Any] | None) -> tuple[NodeTerm, ...] | None:
    """The terms of a NodeSelector, of which one must match; None when there is no selector. An empty term matches no node."""
    if raw is None:
        return None
    return tuple(
        NodeTerm(
            tuple(map(_requirement, term.get("matchExpressions") or ())),
            tuple(map(_requirement, term.get("matchFields") or ())),
        )
        for term in raw.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True)
class Toleration:
    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """Source: `ToleratesTaint`, k8s.io/api core/v1/toleration.go; its Gt and Lt are off by default and tolerate nothing."""
        if self.effect and self.effect != taint.effect or self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or self.operator in ("", "Equal") and self.value == taint.value


UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


def taints(raw: Iterable[Mapping[str, Any]] | None) -> tuple[Taint, ...]:
    """The taints that keep pods away (NoSchedule, NoExecute)."""
    return tuple(
        Taint(one["key"], one.get("value") or "", one["effect"])
        for one in raw or ()
        if one.get("effect") in ("NoSchedule", "NoExecute")
    )


def tolerations(raw: Iterable[Mapping[str, Any]] | None) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(one.get("key") or "", one.get("operator") or "", one.get("value") or "", one.get("effect") or "")
        for one in raw or ()
    )


def untolerated(node_taints: Iterable[Taint], tolerated: Iterable[Toleration]) -> Taint | None:
    """The first taint that none of the tolerations tolerates."""
    tolerated = tuple(tolerated)
    return next((taint for taint in node_taints if not any(one.tolerates(taint) for one in tolerated)), None)
