# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HorizontalPodAutoscalers during a hold: refuse them, or pin one to the current size and give it back.

A change of `replicas` spreads over both versions in proportion and can leave no stable pod, so the number must stand
still. Pinned means minReplicas = maxReplicas = replicas; what was there before is kept in an annotation of the autoscaler,
written in the same patch, with whose pin it is. This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..values import dataclass
from .fields import MAX_INT64, is_integer
from .record import ANNOTATIONS_BYTES, AUTOSCALER, MAX_INT32, Companion, Kind
from .refusal import Code, Refusal
from .views import Autoscaler, Deployment

_MEMBER = "/metadata/annotations/" + AUTOSCALER.replace("/", "~1")


# Between a pin and the first patch of its release lie the autoscaler's controller and perhaps some pods that get Ready. Whose
# process cannot be asked whether it lives is given this time.
STALE_SECONDS = 900


@dataclass(frozen=True)
class Claim:
    """Whose a pin is: of which run, in which process, since when (seconds since 1970).

    `release` is the generation of the release that it serves (`Record.generation`), and 0 until that has begun.
    """

    run: str = ""
    process: str = ""
    at: int = 0
    release: int = 0


NOBODYS = Claim()


@dataclass(frozen=True)
class Bounds:
    """minReplicas (None: unset, which means 1) and maxReplicas, as the user wrote them, and whose pin replaced them."""

    minimum: int | None
    maximum: int
    pinned: int
    claim: Claim = Claim()

    def encode(self) -> str:
        value = {"minReplicas": self.minimum, "maxReplicas": self.maximum, "pinned": self.pinned}
        claim = {name: said for name, said in vars(self.claim).items() if said}
        return json.dumps({**value, **claim}, sort_keys=True, separators=(",", ":"))


def bounds(autoscaler: Autoscaler) -> Bounds | None:
    """What a pinned autoscaler looked like before; None for one that is not pinned. Raises Refusal where they cannot be read."""
    text = autoscaler.annotations.get(AUTOSCALER)
    if text is None:
        return None
    try:
        return _read(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else f"{error!r}"[:100]
        raise Refusal(
            Code.AUTOSCALER,
            f'the annotation {AUTOSCALER} of HorizontalPodAutoscaler "{autoscaler.name}" cannot be read ({why})',
            "Put its minReplicas and maxReplicas back by hand and remove the annotation",
        ) from None


def _read(text: str) -> Bounds:
    """As the server validates these fields (pkg/apis/autoscaling/validation, validateHorizontalPodAutoscalerSpec)."""
    if len(text) > ANNOTATIONS_BYTES:
        raise ValueError(f"{len(text)} characters")
    data = json.loads(text)
    minimum = data["minReplicas"]
    least = None if minimum is None else _count(minimum, 0)
    most = _count(data["maxReplicas"], max(1, least or 0))
    run, process = (said if isinstance(said := data.get(name), str) else "" for name in ("run", "process"))
    at, release = (
        said if is_integer(said := data.get(name)) and 0 <= said <= MAX_INT64 else 0 for name in ("at", "release")
    )
    return Bounds(least, most, _count(data["pinned"], 1), Claim(run, process, at, release))


def _count(value: Any, least: int) -> int:
    if not is_integer(value) or not least <= value <= MAX_INT32:
        raise ValueError(f"{value!r} is not a number from {least} to {MAX_INT32}")
    return value


def free(note: Bounds, run: str, now: float, process_has_ended: bool) -> bool:
    """Whether a pin may be given back where no release is live: it is of this run, or was one of a release, which then has
    ended; or nobody will come back for it."""
    claim = note.claim
    nameless = not claim.run and not claim.process
    stale = abs(now - claim.at) > STALE_SECONDS
    return claim.release > 0 or claim.run == run or nameless or process_has_ended or stale


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


def pin(autoscaler: Autoscaler, replicas: int, claim: Claim = NOBODYS) -> list[dict[str, Any]]:
    """The JSON patch that pins it to `replicas`; originals of an earlier, interrupted pin are kept."""
    before = bounds(autoscaler)
    minimum, maximum = (
        (before.minimum, before.maximum) if before else (autoscaler.min_replicas, autoscaler.max_replicas)
    )
    return [
        *_guard(autoscaler),
        {"op": "add", "path": "/spec/minReplicas", "value": replicas},
        {"op": "add", "path": "/spec/maxReplicas", "value": replicas},
        _annotated(autoscaler, Bounds(minimum, maximum, replicas, claim)),
    ]


def serve(autoscaler: Autoscaler, replicas: int, claim: Claim) -> list[dict[str, Any]]:
    """The JSON patch after which a pin is that of a release that has begun; empty where it is already.

    It changes the autoscaler in any case, so that a patch which gives it back, and was decided before, is refused. One that
    was given back meanwhile is pinned again; bounds that somebody changed are left.
    """
    note = bounds(autoscaler)
    if note is None:
        return pin(autoscaler, replicas, claim)
    if note.claim.release == claim.release:
        return []
    return [*_guard(autoscaler), _annotated(autoscaler, replace(note, claim=claim))]


def _annotated(autoscaler: Autoscaler, note: Bounds) -> dict[str, Any]:
    value = note.encode()
    if not autoscaler.annotations:
        return {"op": "add", "path": "/metadata/annotations", "value": {AUTOSCALER: value}}
    return {"op": "add", "path": _MEMBER, "value": value}


def pinned_to(autoscaler: Autoscaler, replicas: int, run: str = "") -> bool:
    """By that run; empty: by any."""
    if autoscaler.min_replicas != replicas or autoscaler.max_replicas != replicas:
        return False
    note = bounds(autoscaler)
    return note is not None and (not run or note.claim.run == run)


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
