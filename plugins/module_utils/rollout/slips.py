# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slips in a pod template that an API server refuses without saying where they are.

A number without quotes where Kubernetes takes only text, a text where it takes only a number, and an amount that is none: of
those the server says "cannot convert int64 to string". Everything else it explains better than we could.

The tables hold members that such slips happen in, as those of `equality`. This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from .equality import QUANTITIES
from .quantity import QuantityError, billionths

# A text, a list of texts or a map of texts.
TEXTS: Mapping[str, frozenset[str]] = {
    "metadata": frozenset({"annotations", "labels"}),
    "spec": frozenset({"nodeSelector"}),
    "env": frozenset({"value"}),
    "containers": frozenset({"args", "command", "image"}),
    "initContainers": frozenset({"args", "command", "image"}),
    "exec": frozenset({"command"}),
}
_OF_A_PROBE = frozenset(
    {"initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"}
)
NUMBERS: Mapping[str, frozenset[str]] = {
    "spec": frozenset({"terminationGracePeriodSeconds", "activeDeadlineSeconds"}),
    "ports": frozenset({"containerPort", "hostPort"}),
    "livenessProbe": _OF_A_PROBE,
    "readinessProbe": _OF_A_PROBE,
    "startupProbe": _OF_A_PROBE,
    "securityContext": frozenset({"runAsUser", "runAsGroup", "fsGroup"}),
}
_NONE: frozenset[str] = frozenset()


def slips(template: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong and where, in sentences that show no value; a part of a template will do."""
    return tuple(_in(template, "", ""))


def _in(value: Any, name: str, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            here = f"{path}.{key}".lstrip(".")
            if key in TEXTS.get(name, _NONE):
                yield from _texts(member, here)
            elif key in QUANTITIES.get(name, _NONE):
                yield from _amounts(member, here)
            elif key in NUMBERS.get(name, _NONE):
                yield from _number(member, here)
            else:
                yield from _in(member, key, here)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            named = item.get("name") if isinstance(item, dict) else None
            yield from _in(item, name, f"{path}[{named if isinstance(named, str) else number}]")


def _texts(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _texts(member, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{path}[{number}]")
    elif isinstance(value, bool | int | float):
        kind = "a boolean" if isinstance(value, bool) else "a number"
        yield f"{path} is {kind}, and Kubernetes takes only text there: put it in quotes"


def _number(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        yield (
            f"{path} is a text, and Kubernetes takes only a whole number there: write it without quotes, or what makes it "
            "with the filter int"
        )


def _amounts(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _amounts(member, f"{path}.{key}")
    elif value is not None:
        try:
            billionths(value)
        except (QuantityError, TypeError):
            yield f"{path} is not an amount that Kubernetes knows: write it like 500m, 2 or 1.5Gi"
