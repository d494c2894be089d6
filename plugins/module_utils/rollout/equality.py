# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When Kubernetes takes two pod templates for the same, although their JSON differs.

The Deployment controller compares what it has decoded (EqualIgnoreHash, which is apiequality.Semantic.DeepEqual of
apimachinery pkg/api/equality): quantities by their values, and an empty list or map like none. An empty mapping that Go
holds by a pointer is not like none: `emptyDir: {}` says something. Only JSON of an API server is compared, in which
defaults are filled in, times are written in one way, and texts and numbers that mean nothing are left out.

The tables hold {member: its members} by the names of JSON; an item of a list stands under the name of the list. A test
compares them with the types of the Kubernetes that it builds. This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from .quantity import QuantityError, billionths
from .views import HASH_LABEL

_NONE: frozenset[str] = frozenset()

# Quantities, and maps of them.
QUANTITIES: Mapping[str, frozenset[str]] = {
    "spec": frozenset({"overhead"}),
    "resources": frozenset({"limits", "requests"}),
    "emptyDir": frozenset({"sizeLimit"}),
    "resourceFieldRef": frozenset({"divisor"}),
}

# Mappings that mean the same when they are empty as when they are absent: maps, and types that are no pointers.
EMPTY_IS_ABSENT: Mapping[str, frozenset[str]] = {
    "": frozenset({"metadata", "spec"}),
    "metadata": frozenset({"labels", "annotations"}),
    "spec": frozenset({"nodeSelector", "overhead"}),
    "containers": frozenset({"resources"}),
    "initContainers": frozenset({"resources"}),
    "ephemeralContainers": frozenset({"resources"}),
    "resources": frozenset({"limits", "requests"}),
    "csi": frozenset({"volumeAttributes"}),
    "flexVolume": frozenset({"options"}),
    "podCertificate": frozenset({"userAnnotations"}),
    "volumeClaimTemplate": frozenset({"metadata", "spec"}),
    "selector": frozenset({"matchLabels"}),
    "labelSelector": frozenset({"matchLabels"}),
    "namespaceSelector": frozenset({"matchLabels"}),
    "preferredDuringSchedulingIgnoredDuringExecution": frozenset({"podAffinityTerm", "preference"}),
}
# A quantity that is no pointer: none is zero.
_ZERO_IS_ABSENT = ("resourceFieldRef", "divisor")


def canonical(template: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that equals another's exactly where Kubernetes takes the two for the same template. Never to be written:
    its quantities are whole numbers of billionths."""
    labels = (template.get("metadata") or {}).get("labels")
    if labels and HASH_LABEL in labels:
        labels = {key: value for key, value in labels.items() if key != HASH_LABEL}
        template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    return _canonical(template, "")


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether Kubernetes takes the two for the same, pod-template-hash left aside."""
    return canonical(one) == canonical(other)


def _canonical(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    quantities, droppable = QUANTITIES.get(name, _NONE), EMPTY_IS_ABSENT.get(name, _NONE)
    result: dict[str, Any] = {}
    for key, member in holder.items():
        value = _amount(member) if key in quantities else _value(member, key)
        if value is None or value == [] or (value == {} and key in droppable):
            continue
        if (name, key) == _ZERO_IS_ABSENT and value == 0:
            continue
        result[key] = value
    return result


def _value(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return _canonical(value, name)
    if isinstance(value, list):
        return [_value(item, name) for item in value]
    return value


def _amount(value: Any) -> Any:
    """Billionths; a map of quantities as a map of them. What no server would have taken stays as it is."""
    if isinstance(value, dict):
        return {key: _amount(item) for key, item in value.items()}
    try:
        return value if value is None else billionths(value)
    except (QuantityError, TypeError):
        return value
