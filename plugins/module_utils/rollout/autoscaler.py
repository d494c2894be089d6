# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HorizontalPodAutoscalers during a hold: refuse them, or pin one to the current size and give it back.

A change of `replicas` spreads over both versions in proportion and can leave no stable pod, so the number must stand
still. Pinned means minReplicas = maxReplicas = replicas; what was there before is kept in an annotation of the autoscaler,
written in the same patch. This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .record import AUTOSCALER, Companion, Kind
from .refusal import Code, Refusal
from .views import Autoscaler, Deployment

_MEMBER = "/metadata/annotations/" + AUTOSCALER.replace("/", "~1")


@dataclass(frozen=True)
class Bounds:
    """minReplicas (None: unset, which means 1) and maxReplicas, as the user wrote them."""

    minimum: int | None
    maximum: int
    pinned: int

    def encode(self) -> str:
        value = {"minReplicas": self.minimum, "maxReplicas": self.maximum, "pinned": self.pinned}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))


def bounds(autoscaler: Autoscaler) -> Bounds | None:
    """What a pinned autoscaler looked like before; None for one that is not pinned. Raises Refusal where they cannot be read."""
    text = autoscaler.annotations.get(AUTOSCALER)
    if text is None:
        return None
    try:
        data = json.loads(text)
        minimum = data["minReplicas"]
        return Bounds(None if minimum is None else int(minimum), int(data["maxReplicas"]), int(data["pinned"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(
            Code.AUTOSCALER,
            f'the annotation {AUTOSCALER} of HorizontalPodAutoscaler "{autoscaler.name}" cannot be read ({error!r})',
            "Put its minReplicas and maxReplicas back by hand and remove the annotation",
        ) from error


def to_pin(autoscalers: tuple[Autoscaler, ...], deployment: Deployment) -> Autoscaler | None:
    """The one autoscaler to pin, or None when there is none. Raises Refusal for what cannot be pinned."""
    if not autoscalers:
        return None
    names = ", ".join(a.name for a in autoscalers)
    if len(autoscalers) > 1:
        raise _refused(f"{len(autoscalers)} HorizontalPodAutoscalers ({names}) scale", deployment, "Keep one of them")
    only = autoscalers[0]
    if only.owner:
        raise _refused(
            f'HorizontalPodAutoscaler "{names}", which belongs to {only.owner}, scales',
            deployment,
            "Its owner would put its own values back: pause it there (for KEDA: autoscaling.keda.sh/paused), "
            "then use autoscaler=ignore",
        )
    original = bounds(only)
    minimum = original.minimum if original else only.min_replicas
    if minimum == 0:
        raise _refused(
            f'HorizontalPodAutoscaler "{names}" with minReplicas 0 scales',
            deployment,
            "Set minReplicas to 1 or more for the time of the release: after a scale to zero every pod would be a canary",
        )
    return only


def refuse(autoscalers: tuple[Autoscaler, ...], deployment: Deployment) -> None:
    """Raises Refusal when any autoscaler targets the Deployment."""
    if autoscalers:
        names = ", ".join(f'"{a.name}"' for a in autoscalers)
        raise _refused(
            f"HorizontalPodAutoscaler {names} scales",
            deployment,
            "A change of replicas would break the split between stable and canary pods. Choose autoscaler=pin (keeps the "
            "number of replicas until the release has ended, then gives the autoscaler back) or autoscaler=ignore "
            "(at your own risk)",
        )


def _refused(what: str, deployment: Deployment, remedy: str) -> Refusal:
    return Refusal(Code.AUTOSCALER, f'{what} Deployment "{deployment.name}"', remedy)


def companion(autoscaler: Autoscaler) -> Companion:
    """How the record of a release names the autoscaler that was pinned for it."""
    return Companion(Kind.AUTOSCALER, autoscaler.name, autoscaler.uid)


def pin(autoscaler: Autoscaler, replicas: int) -> list[dict[str, Any]]:
    """The JSON patch that pins it to `replicas`; originals of an earlier, interrupted pin are kept."""
    before = bounds(autoscaler)
    minimum, maximum = (
        (before.minimum, before.maximum) if before else (autoscaler.min_replicas, autoscaler.max_replicas)
    )
    value = Bounds(minimum, maximum, replicas).encode()
    annotate: dict[str, Any] = {"op": "add", "path": _MEMBER, "value": value}
    if not autoscaler.annotations:
        annotate = {"op": "add", "path": "/metadata/annotations", "value": {AUTOSCALER: value}}
    return [
        *_guard(autoscaler),
        {"op": "add", "path": "/spec/minReplicas", "value": replicas},
        {"op": "add", "path": "/spec/maxReplicas", "value": replicas},
        annotate,
    ]


def pinned_to(autoscaler: Autoscaler, replicas: int) -> bool:
    return AUTOSCALER in autoscaler.annotations and autoscaler.min_replicas == autoscaler.max_replicas == replicas


def still_pinned(autoscaler: Autoscaler) -> bool:
    """Its bounds are those that the pin wrote: nobody changed them meanwhile. Raises Refusal where they cannot be read."""
    before = bounds(autoscaler)
    return before is not None and autoscaler.min_replicas == autoscaler.max_replicas == before.pinned


def give_back(autoscaler: Autoscaler) -> list[dict[str, Any]]:
    """The JSON patch that puts back what was there before the pin; empty for an autoscaler that is not pinned.

    Bounds that somebody changed meanwhile are left as they are: only the annotation goes.
    """
    before = bounds(autoscaler)
    if before is None:
        return []
    operations = [*_guard(autoscaler), {"op": "remove", "path": _MEMBER}]
    if still_pinned(autoscaler):
        minimum = 1 if before.minimum is None else before.minimum
        operations.append({"op": "add", "path": "/spec/minReplicas", "value": minimum})
        operations.append({"op": "add", "path": "/spec/maxReplicas", "value": before.maximum})
    return operations


def _guard(autoscaler: Autoscaler) -> list[dict[str, Any]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": autoscaler.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": autoscaler.resource_version},
    ]
