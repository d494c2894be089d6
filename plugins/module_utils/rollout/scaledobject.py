# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA's ScaledObject during a hold: the switches by which its owner keeps it from scaling, and their give-back.

KEDA makes the HorizontalPodAutoscaler of a ScaledObject, puts every change of that back at once (controllers/keda/hpa.go,
updateHPAIfNeeded), and scales to zero past it. Its own switches (KEDA 2.18.2 or later) set selectPolicy to Disabled there, and keep it from
zero: one annotation for scaling in, one for scaling out. What they were before is kept in an annotation beside them, written in the
same patch, with whose pin it is. KEDA copies annotations to its autoscaler, which so tells of a pin. This module is private to the collection.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Mapping

from ..values import dataclass
from .autoscaler import Claim, claim_of
from .record import ANNOTATIONS_BYTES, SCALED_OBJECT
from .refusal import Code, Refusal
from .views import Autoscaler, ScaledObject

SCALE_IN, SCALE_OUT = "autoscaling.keda.sh/paused-scale-in", "autoscaling.keda.sh/paused-scale-out"
# Which side of the autoscaler's behavior each of them disables.
SIDES: Mapping[str, str] = {SCALE_IN: "scaleDown", SCALE_OUT: "scaleUp"}
ON = "true"
# Whatever else is written there is true to KEDA (apis/keda/v1alpha1/scaledobject_types.go, getBoolAnnotation).
_FALSE = frozenset(("0", "f", "F", "false", "False", "FALSE"))
DISABLED = "Disabled"
# Before it KEDA does not take away again from its autoscaler what a switch has disabled there, unless something else changes (#7291).
GIVES_BACK = (2, 18, 2)
_VERSION = re.compile(r"v?([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?![0-9])")


@dataclass(frozen=True)
class Note:
    """`before`: the value of each switch that was set, None where it was not there; and whose pin it is."""

    before: Mapping[str, str | None]
    claim: Claim

    def encode(self) -> str:
        claim = {name: said for name, said in vars(self.claim).items() if said}
        return json.dumps({"switches": dict(self.before), **claim}, sort_keys=True, separators=(",", ":"))


def note(found: ScaledObject) -> Note | None:
    """None for one that is not paused by a release. Raises Refusal where that cannot be read."""
    text = found.annotations.get(SCALED_OBJECT)
    if text is None:
        return None
    try:
        if len(text) > ANNOTATIONS_BYTES:
            raise ValueError(f"{len(text)} characters")
        data = json.loads(text)
        before = dict(data["switches"])
        if not before.keys() <= SIDES.keys() or not all(isinstance(value, str | None) for value in before.values()):
            raise ValueError("switches are none of KEDA's")
        return Note(before, claim_of(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(
            Code.AUTOSCALER,
            f'the annotation {SCALED_OBJECT} of ScaledObject "{found.name}" cannot be read ({type(error).__name__})',
            f"Remove it, and {SCALE_IN} and {SCALE_OUT} if they are not yours, with kubectl annotate",
        ) from None


def pause(found: ScaledObject, claim: Claim, *, scales_up: bool) -> list[dict[str, Any]]:
    """The JSON patch that keeps it from scaling in, and out unless it may scale up; empty where that run has done so already, and where
    its owner has. So a note is never written without a switch: KEDA does not look at a ScaledObject for any other annotation
    (controllers/keda/scaledobject_controller.go, SetupWithManager), and would not tell of that note."""
    asked = (SCALE_IN,) if scales_up else (SCALE_IN, SCALE_OUT)
    before = note(found)
    if before is not None and before.claim.run == claim.run and before.before.keys() == {*asked} and is_paused(found):
        return []
    values: dict[str, str | None] = dict(_owners(found))
    # One without a text is on, too, but KEDA did not look when it was written.
    if all(values[switch] and _is_on(values[switch]) for switch in asked):
        return give_back(found)
    kept = Note({switch: values.get(switch) for switch in asked}, claim)
    wanted: dict[str, str | None] = {**values, **dict.fromkeys(asked, ON), SCALED_OBJECT: kept.encode()}
    return _written(found, wanted)


def is_paused(found: ScaledObject) -> bool:
    """As the pin wrote it. Raises Refusal where that cannot be read."""
    return note(found) is not None and not changed(found)


def changed(found: ScaledObject) -> tuple[str, ...]:
    """The switches that are not as the pin wrote them."""
    before = note(found)
    return tuple(switch for switch in before.before if found.annotations.get(switch) != ON) if before else ()


def serve(found: ScaledObject, claim: Claim, *, scales_up: bool) -> list[dict[str, Any]]:
    """The JSON patch after which the pin is that of a release that has begun; empty where it is already. One that was given back
    meanwhile is written again."""
    before = note(found)
    if before is None:
        return pause(found, claim, scales_up=scales_up)
    if before.claim.release == claim.release:
        return []
    return _written(found, {SCALED_OBJECT: replace(before, claim=claim).encode()})


def give_back(found: ScaledObject) -> list[dict[str, Any]]:
    """The JSON patch that puts each switch back that is still as the pin wrote it; empty for one that is not paused by a release."""
    return _written(found, {**_owners(found), SCALED_OBJECT: None}) if note(found) is not None else []


def takes(autoscaler: Autoscaler, paused: ScaledObject, *, scales_up: bool) -> bool:
    """Whether KEDA has taken the switches over to its autoscaler, and the note beside them, where one was written: a side may be disabled
    by its owner's behavior as well, and then KEDA may not have seen a switch yet."""
    asked = (SCALE_IN,) if scales_up else (SCALE_IN, SCALE_OUT)
    seen = SCALED_OBJECT in autoscaler.annotations or SCALED_OBJECT not in paused.annotations
    return seen and all(_disables(autoscaler.behavior, SIDES[switch]) for switch in asked)


def still_disabled(autoscaler: Autoscaler, found: ScaledObject) -> tuple[str, ...]:
    """The sides of its behavior that KEDA has yet to give back: nothing on the ScaledObject disables them."""
    return tuple(
        side
        for switch, side in SIDES.items()
        if _disables(autoscaler.behavior, side)
        and not _is_on(found.annotations.get(switch))
        and not _disables(found.behavior, side)
    )


def _is_on(value: str | None) -> bool:
    return value is not None and value not in _FALSE


def _disables(behavior: Mapping[str, Any] | None, side: str) -> bool:
    rules = (behavior or {}).get(side)
    return isinstance(rules, Mapping) and rules.get("selectPolicy") == DISABLED


def gives_back(autoscaler: Autoscaler) -> bool:
    """By the version that its label tells; what is no version passes."""
    told = _VERSION.match(autoscaler.version)
    return told is None or tuple(int(part) for part in told.groups()) >= GIVES_BACK


def must_give_back(autoscaler: Autoscaler, found: ScaledObject) -> None:
    """Raises Refusal where KEDA would leave its autoscaler disabled after a give-back. A label of the ScaledObject's own is not KEDA's."""
    if gives_back(autoscaler) or found.version:
        return
    raise Refusal(
        Code.AUTOSCALER,
        f'ScaledObject "{found.name}" is of KEDA {autoscaler.version[:40]}, which leaves HorizontalPodAutoscaler "{autoscaler.name}" disabled once '
        "its switches are given back: it would not scale again",
        "Upgrade KEDA to 2.18.2 or later. Or keep it from scaling yourself, such as with autoscaling.keda.sh/paused on the ScaledObject, and "
        "use autoscaler=ignore",
    )


def _owners(found: ScaledObject) -> dict[str, str | None]:
    """The switches without the pin."""
    before, theirs = note(found), changed(found)
    if before is None:
        return {switch: found.annotations.get(switch) for switch in SIDES}
    return {
        switch: before.before[switch] if switch in before.before and switch not in theirs else value
        for switch, value in ((switch, found.annotations.get(switch)) for switch in SIDES)
    }


def _written(found: ScaledObject, wanted: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """None: it is taken away."""
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": found.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": found.resource_version},
    ]
    if not found.annotations:
        there = {key: value for key, value in wanted.items() if value is not None}
        return [*operations, {"op": "add", "path": "/metadata/annotations", "value": there}]
    for key, value in wanted.items():
        path = "/metadata/annotations/" + key.replace("/", "~1")
        if value is not None and found.annotations.get(key) != value:
            operations.append({"op": "add", "path": path, "value": value})
        elif value is None and key in found.annotations:
            operations.append({"op": "remove", "path": path})
    return operations
