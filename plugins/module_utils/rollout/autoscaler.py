# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HorizontalPodAutoscalers during a hold: refuse them, or keep one from scaling and give it back.

A change of `replicas` spreads over both versions in proportion and can leave no stable pod, so the number must stand still, or only grow
beside more stable pods than canary pods: of what is added the larger version gets most (pkg/controller/deployment/sync.go, scale).

Pinned means minReplicas = maxReplicas = replicas. Held means that it may scale up and not down: minReplicas = replicas, and
behavior.scaleDown.selectPolicy is Disabled. It counts the pods beyond replicas, too, and would scale up for them alone: a tolerance of its
own keeps it from that (KEP-4951). What was there before is kept in an annotation of the autoscaler, written in the same patch, with whose
pin it is. This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Mapping

from ..values import dataclass
from ..wording import count_of
from .fields import MAX_INT64, is_integer
from .record import ANNOTATIONS_BYTES, AUTOSCALER, MAX_INT32, SCALED_OBJECT, Companion, Kind
from .refusal import Code, Refusal
from .views import Autoscaler, Deployment

_MEMBER = "/metadata/annotations/" + AUTOSCALER.replace("/", "~1")


# Between a pin and the first patch of its release lie the autoscaler's controller and perhaps some pods that get Ready. Whose
# process cannot be asked whether it lives is given this time.
STALE_SECONDS = 900


@dataclass(frozen=True)
class Claim:
    """Whose a pin is: of which run, in which process, since when (seconds since 1970 by the API server's clock, 0 where that did not say).

    `release` is the generation of the release that it serves (`Record.generation`), and 0 until that has begun.
    """

    run: str = ""
    process: str = ""
    at: int = 0
    release: int = 0


NOBODYS = Claim()


@dataclass(frozen=True)
class Bounds:
    """minReplicas (None: unset, which means 1) and maxReplicas, as the user wrote them, and whose pin replaced them. `scales_up`: it is
    held, and `behavior` is the user's, too (None: unset)."""

    minimum: int | None
    maximum: int
    pinned: int
    claim: Claim = Claim()
    scales_up: bool = False
    behavior: Mapping[str, Any] | None = None

    def encode(self) -> str:
        value: dict[str, Any] = {"minReplicas": self.minimum, "maxReplicas": self.maximum, "pinned": self.pinned}
        if self.scales_up:
            value["behavior"] = self.behavior
        claim = {name: said for name, said in vars(self.claim).items() if said}
        return json.dumps({**value, **claim}, sort_keys=True, separators=(",", ":"))


def is_pinned(autoscaler: Autoscaler) -> bool:
    """By a release, itself or by the ScaledObject of which it is made, whose annotations KEDA copies to it. Raises Refusal where that
    cannot be read."""
    if autoscaler.scaled_object:
        return SCALED_OBJECT in autoscaler.annotations
    return bounds(autoscaler) is not None


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
    behavior = data.get("behavior")
    if behavior is not None and not isinstance(behavior, dict):
        raise TypeError("behavior is no object")
    return Bounds(least, most, _count(data["pinned"], 1), claim_of(data), "behavior" in data, behavior)


def claim_of(data: Mapping[str, Any]) -> Claim:
    """As a note has it: what is not there, or is none, is as if nobody had said it."""
    run, process = (said if isinstance(said := data.get(name), str) else "" for name in ("run", "process"))
    at, release = (
        said if is_integer(said := data.get(name)) and 0 <= said <= MAX_INT64 else 0 for name in ("at", "release")
    )
    return Claim(run, process, at, release)


def _count(value: Any, least: int) -> int:
    if not is_integer(value) or not least <= value <= MAX_INT32:
        raise ValueError(f"{value!r} is not a number from {least} to {MAX_INT32}")
    return value


def free(claim: Claim, run: str, now: float | None, process_has_ended: bool) -> bool:
    """Whether a pin may be given back where no release is live: it is of this run, or was one of a release, which then has
    ended; or nobody will come back for it. `now`: as `Claim.at`; None where the server does not say."""
    nameless = not claim.run and not claim.process
    stale = now is not None and abs(now - claim.at) > STALE_SECONDS
    return claim.release > 0 or claim.run == run or nameless or process_has_ended or stale


def to_pin(
    autoscalers: tuple[Autoscaler, ...], deployment: Deployment, *, scales_up: bool = False
) -> Autoscaler | None:
    """The one autoscaler to pin, or to hold, or None when there is none. Raises Refusal for what cannot be pinned or held."""
    if not autoscalers:
        return None
    names = ", ".join(a.name for a in autoscalers)
    if len(autoscalers) > 1:
        raise _refused(f"{len(autoscalers)} HorizontalPodAutoscalers ({names}) scale", deployment, "Keep one of them")
    only = autoscalers[0]
    if only.scaled_object:
        _can_be_paused(only, deployment, scales_up=scales_up)
        return only
    if only.owner:
        raise _refused(
            f'HorizontalPodAutoscaler "{names}", which belongs to {only.owner}, scales',
            deployment,
            "Its owner would put its own values back: keep it from scaling there, then use autoscaler=ignore",
        )
    if _owners(only)[0] == 0:
        raise _refused(
            f'HorizontalPodAutoscaler "{names}" with minReplicas 0 scales',
            deployment,
            "Set minReplicas to 1 or more for the time of the release: after a scale to zero every pod would be a canary",
        )
    if scales_up:
        _can_be_held(only, deployment)
    return only


def _can_be_paused(autoscaler: Autoscaler, deployment: Deployment, *, scales_up: bool) -> None:
    """KEDA's own switches set no tolerance. Raises Refusal."""
    if scales_up and any(metric in WHOLE for metric in autoscaler.metrics):
        raise _refused(
            f'HorizontalPodAutoscaler "{autoscaler.name}", which KEDA makes of {autoscaler.owner} and which has metrics of the target type '
            "Value, scales",
            deployment,
            "It would scale up for canary pods alone, and KEDA has no switch against that. Use autoscaler=pin, or a trigger of metricType "
            "AverageValue",
        )


def _can_be_held(autoscaler: Autoscaler, deployment: Deployment) -> None:
    """Raises Refusal."""
    whole = [metric for metric in autoscaler.metrics if metric in WHOLE]
    if whole and len(whole) < len(autoscaler.metrics):
        raise _refused(
            f'HorizontalPodAutoscaler "{autoscaler.name}", which has metrics of the target type Value beside others, scales',
            deployment,
            "No tolerance is right for both while there are pods beyond replicas. Use autoscaler=pin",
        )
    if deployment.replicas > autoscaler.max_replicas:
        raise _refused(
            f'HorizontalPodAutoscaler "{autoscaler.name}", whose maxReplicas {autoscaler.max_replicas} are fewer than '
            f"{count_of(deployment.replicas, 'replica')}, is about to scale down",
            deployment,
            "Wait until it has, or raise maxReplicas",
        )


def must_be_smaller(canary: int, stable: int, unavailable: int, deployment: Deployment) -> None:
    """Raises Refusal for a hold beside which an autoscaler may not scale up: of what is added the larger version gets most, and the stable
    pods that were given up for canary pods do not come back."""
    if unavailable or canary >= stable:
        raise Refusal(
            Code.AUTOSCALER,
            f'{canary} canary beside {count_of(stable, "stable pod")} of Deployment "{deployment.name}" would not stay so when it is scaled up',
            "With autoscaler=hold the canary pods come beside the stable ones (surge) and are fewer. Ask for fewer, or use autoscaler=pin",
        )


def has_kept(autoscaler: Autoscaler, deployment: Deployment) -> None:
    """As the server has stored it. Raises Refusal where it knows no tolerance (before Kubernetes 1.35), and metrics need one."""
    external = any(kind in ("External", "Object") for kind, _target in autoscaler.metrics)
    if external and "tolerance" not in _scale_down(autoscaler.behavior):
        raise _refused(
            f'HorizontalPodAutoscaler "{autoscaler.name}", which has external metrics and counts the canary pods by them, scales',
            deployment,
            "This server knows no tolerance of an autoscaler (Kubernetes 1.35), which would keep it from scaling up for canary pods alone. "
            "Use autoscaler=pin",
        )


def refuse(autoscalers: tuple[Autoscaler, ...], deployment: Deployment) -> None:
    """Raises Refusal when any autoscaler targets the Deployment."""
    if autoscalers:
        names = ", ".join(f'"{a.name}"' for a in autoscalers)
        raise _refused(
            f"HorizontalPodAutoscaler {names} scales",
            deployment,
            "A change of replicas would break the split between stable and canary pods. Choose autoscaler=pin (keeps the "
            "number of replicas until the release has ended, then gives the autoscaler back), autoscaler=hold (lets it scale up, "
            "not down) or autoscaler=ignore (at your own risk)",
        )


def came(autoscalers: tuple[Autoscaler, ...], pinned: Companion | None) -> tuple[Autoscaler, ...]:
    """Of what scales the Deployment of a live release that which the release has not pinned. One that was made anew by its name is another,
    unless it has the pin from a copy. Raises Refusal where that cannot be read."""
    return tuple(one for one in autoscalers if pinned is None or not _is_it(one, pinned))


def _is_it(autoscaler: Autoscaler, pinned: Companion) -> bool:
    found = companion(autoscaler)
    if (found.kind.is_of_keda, found.name) != (pinned.kind.is_of_keda, pinned.name):
        return False
    return pinned.uid in ("", found.uid) or is_pinned(autoscaler)


def to_pin_late(
    autoscalers: tuple[Autoscaler, ...], pinned: Companion | None, deployment: Deployment, *, scales_up: bool
) -> Autoscaler | None:
    """As `to_pin`, of what `came` while a canary is held. Raises Refusal also where the release has one already, and where nobody could
    see before the canary stands beside it that it is held."""
    names = ", ".join(f'"{one.name}"' for one in autoscalers)
    if autoscalers and pinned is not None:
        raise _refused(
            f"HorizontalPodAutoscaler {names}, beside {pinned.name}, which this release keeps, scales",
            deployment,
            "Keep one of them, or take the canary back with canary_undo, which gives that one back, and start it anew",
        )
    if scales_up and any(kind in ("External", "Object") for one in autoscalers for kind, _target in one.metrics):
        raise _refused(
            f"HorizontalPodAutoscaler {names}, which has external metrics and came while the canary is held, scales",
            deployment,
            "It would count the canary pods. Use autoscaler=pin",
        )
    return to_pin(autoscalers, deployment, scales_up=scales_up)


def _refused(what: str, deployment: Deployment, remedy: str) -> Refusal:
    return Refusal(Code.AUTOSCALER, f'{what} Deployment "{deployment.name}"', remedy)


def companion(autoscaler: Autoscaler, *, scales_up: bool = False) -> Companion:
    """How the record of a release names what was pinned, or held, for it: the autoscaler, or the ScaledObject of which it is made."""
    if autoscaler.scaled_object:
        kind = Kind.HELD_SCALED_OBJECT if scales_up else Kind.SCALED_OBJECT
        return Companion(kind, autoscaler.scaled_object, autoscaler.owner_uid)
    return Companion(Kind.HELD_AUTOSCALER if scales_up else Kind.AUTOSCALER, autoscaler.name, autoscaler.uid)


def pin(
    autoscaler: Autoscaler, replicas: int, claim: Claim = NOBODYS, *, scales_up: bool = False
) -> list[dict[str, Any]]:
    """The JSON patch that pins or holds it at `replicas`; of an earlier, interrupted pin the originals are kept that nobody replaced."""
    minimum, maximum, behavior = _owners(autoscaler)
    note = Bounds(minimum, maximum, replicas, claim, scales_up, behavior if scales_up else None)
    return [
        *_guard(autoscaler),
        {"op": "add", "path": "/spec/minReplicas", "value": replicas},
        {"op": "add", "path": "/spec/maxReplicas", "value": maximum if scales_up else replicas},
        *_behaves(autoscaler, _with_hold(behavior, autoscaler.metrics) if scales_up else behavior),
        _annotated(autoscaler, note),
    ]


# Metrics of which the whole is compared, and not what comes to one pod.
WHOLE = (("External", "Value"), ("Object", "Value"))
# By a Value the controller takes all pods for its own: a tolerance of the whole keeps it from scaling up below the target. Of what is
# divided by pods none is needed (pkg/controller/podautoscaler/replica_calculator.go).
NO_TOLERANCE, FULL_TOLERANCE = "0", "1"


def _with_hold(behavior: Mapping[str, Any] | None, metrics: tuple[tuple[str, str], ...]) -> Mapping[str, Any]:
    tolerance = FULL_TOLERANCE if any(metric in WHOLE for metric in metrics) else NO_TOLERANCE
    down = {**_scale_down(behavior), "selectPolicy": "Disabled", "tolerance": tolerance}
    return {**(behavior or {}), "scaleDown": down}


def _scale_down(behavior: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return _rules(behavior, "scaleDown")


def _rules(behavior: Mapping[str, Any] | None, side: str) -> Mapping[str, Any]:
    found = (behavior or {}).get(side)
    return found if isinstance(found, dict) else {}


def _behaves(autoscaler: Autoscaler, behavior: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if behavior == autoscaler.behavior:
        return []
    if behavior is None:
        return [{"op": "remove", "path": "/spec/behavior"}]
    return [{"op": "add", "path": "/spec/behavior", "value": behavior}]


def serve(autoscaler: Autoscaler, replicas: int, claim: Claim, *, scales_up: bool = False) -> list[dict[str, Any]]:
    """The JSON patch after which a pin is that of a release that has begun; empty where it is already.

    It changes the autoscaler in any case, so that a patch which gives it back, and was decided before, is refused. One that
    was given back meanwhile is pinned again; bounds that somebody changed are left.
    """
    note = bounds(autoscaler)
    if note is None:
        return pin(autoscaler, replicas, claim, scales_up=scales_up)
    if note.claim.release == claim.release:
        return []
    return [*_guard(autoscaler), _annotated(autoscaler, replace(note, claim=claim))]


def _annotated(autoscaler: Autoscaler, note: Bounds) -> dict[str, Any]:
    value = note.encode()
    if not autoscaler.annotations:
        return {"op": "add", "path": "/metadata/annotations", "value": {AUTOSCALER: value}}
    return {"op": "add", "path": _MEMBER, "value": value}


def pinned_to(autoscaler: Autoscaler, replicas: int, run: str = "", *, scales_up: bool = False) -> bool:
    """By that run; empty: by any."""
    note = bounds(autoscaler)
    if note is None or note.scales_up != scales_up or note.pinned != replicas or not still_pinned(autoscaler):
        return False
    return not run or note.claim.run == run


def still_pinned(autoscaler: Autoscaler) -> bool:
    """It is as the pin wrote it: nobody changed that meanwhile. Raises Refusal where that cannot be read."""
    return bounds(autoscaler) is not None and not changed(autoscaler)


def changed(autoscaler: Autoscaler) -> tuple[str, ...]:
    """The fields of a pinned autoscaler that are not as the pin wrote them: somebody else did meanwhile."""
    before = bounds(autoscaler)
    if before is None:
        return ()
    found = {
        "minReplicas": autoscaler.min_replicas != before.pinned,
        "maxReplicas": autoscaler.max_replicas != (before.maximum if before.scales_up else before.pinned),
        "behavior": before.scales_up and not _is_held(autoscaler, before),
    }
    return tuple(name for name, differs in found.items() if differs)


# What a hold writes into behavior.scaleDown, and no more than that is given back.
_HELD: Mapping[str, tuple[str, ...]] = {"selectPolicy": ("Disabled",), "tolerance": (NO_TOLERANCE, FULL_TOLERANCE)}
# What the server adds to a behavior that is written (pkg/apis/autoscaling/v2/defaults.go, GenerateHPAScaleUpRules and ...DownRules).
_DOUBLES = {"type": "Percent", "value": 100, "periodSeconds": 15}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _DOUBLES],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [_DOUBLES]},
}


def _stored(behavior: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {side: {**rules, **_rules(behavior, side)} for side, rules in _DEFAULTS.items()}


def _is_held(autoscaler: Autoscaler, before: Bounds) -> bool:
    disabled = _scale_down(autoscaler.behavior).get("selectPolicy") in _HELD["selectPolicy"]
    return disabled and _stored(_behavior(autoscaler, before)) == _stored(before.behavior)


def _behavior(autoscaler: Autoscaler, before: Bounds) -> Mapping[str, Any] | None:
    """The present one, but for what a hold has written into it; just as it was before where that makes no difference."""
    found, was = _scale_down(autoscaler.behavior), _scale_down(before.behavior)
    if not before.scales_up or not found:
        return autoscaler.behavior
    ours = {name for name, written in _HELD.items() if found.get(name) in written}
    down = {name: value for name, value in found.items() if name not in ours}
    down |= {name: was[name] for name in ours if name in was}
    rest = {**(autoscaler.behavior or {}), "scaleDown": down}
    return before.behavior if _stored(rest) == _stored(before.behavior) else rest


def _owners(autoscaler: Autoscaler) -> tuple[int | None, int, Mapping[str, Any] | None]:
    """minReplicas, maxReplicas and behavior without the pin: each is what was there before where it still is as the pin wrote it, and
    otherwise what somebody has written since."""
    before = bounds(autoscaler)
    if before is None:
        return autoscaler.min_replicas, autoscaler.max_replicas, autoscaler.behavior
    theirs = changed(autoscaler)
    most = autoscaler.max_replicas if "maxReplicas" in theirs else before.maximum
    least = autoscaler.min_replicas if "minReplicas" in theirs else before.minimum
    return None if least is None else min(least, most), most, _behavior(autoscaler, before)


def give_back(autoscaler: Autoscaler) -> list[dict[str, Any]]:
    """The JSON patch that puts back what was there before the pin; empty for an autoscaler that is not pinned.

    Each field is its own, because a manifest that lacks one is applied again without it: what somebody changed meanwhile is left as
    it is, and the rest is put back.
    """
    if bounds(autoscaler) is None:
        return []
    least, most, behavior = _owners(autoscaler)
    operations = [*_guard(autoscaler), {"op": "remove", "path": _MEMBER}]
    if least != autoscaler.min_replicas:
        operations.append({"op": "add", "path": "/spec/minReplicas", "value": 1 if least is None else least})
    if most != autoscaler.max_replicas:
        operations.append({"op": "add", "path": "/spec/maxReplicas", "value": most})
    return [*operations, *_behaves(autoscaler, behavior)]


def _guard(autoscaler: Autoscaler) -> list[dict[str, Any]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": autoscaler.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": autoscaler.resource_version},
    ]
