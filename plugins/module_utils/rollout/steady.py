# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a held canary is still what it was at a first look: the same pods, Ready all the time, nothing restarted.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ..values import dataclass
from ..wording import count_of
from .fields import Shape, must_be
from .phase import Situation
from .progress import Going, Progress, Stuck, refused_pods, restarted, rewritten, trouble, why_taken
from .views import Pod
from .words import WORDS, because


@dataclass(frozen=True)
class Stood:
    """A canary pod, and since when it was Ready, as it says itself."""

    name: str
    ready_since: str


_TOLD: Shape = {"replicas": (int,), "pods": ({"*": ({"name": (str,), "ready_since": (str,)},)},)}


@dataclass(frozen=True)
class FirstLook:
    """What must not change: the Deployment's replicas, and for each canary pod (by uid) since when it is Ready. `may_scale_up`: they may
    become more, and then so may the pods. One that came with a scale-up before this look, and is not Ready yet, is none of them."""

    replicas: int
    pods: Mapping[str, Stood]
    may_scale_up: bool = False

    @classmethod
    def of(cls, situation: Situation) -> FirstLook:
        replicas, record = situation.deployment.replicas, situation.record
        may_scale_up = record is not None and record.may_scale_up
        has_grown = record is not None and may_scale_up and replicas > record.replicas
        pods = [pod for pod in _canary_pods(situation) if pod.ready or not has_grown]
        return cls(replicas, {pod.uid: Stood(pod.name, pod.ready_since) for pod in pods}, may_scale_up)

    def and_what(self, stood: FirstLook | None) -> FirstLook:
        """Nor may what `stood` at an earlier look, unless somebody scaled the Deployment down since, which may have taken any pod."""
        if stood is None or stood.replicas > self.replicas:
            return self
        return replace(self, pods={**self.pods, **stood.pods})

    def to_json(self) -> dict[str, Any]:
        """{"replicas": count, "pods": {uid: {"name": name, "ready_since": RFC 3339}}}"""
        return {"replicas": self.replicas, "pods": {uid: vars(pod) for uid, pod in self.pods.items()}}

    @classmethod
    def from_json(cls, told: Any) -> FirstLook:
        """Raises Malformed for anything else than `to_json` tells."""
        must_be(told, _TOLD, "the first look")
        pods = {uid: Stood(pod["name"], pod["ready_since"]) for uid, pod in told["pods"].items()}
        return cls(told["replicas"], pods)


def _canary_pods(situation: Situation) -> tuple[Pod, ...]:
    return tuple(pod for pod in situation.picture.pods_of(situation.canary) if not pod.terminating)


def steady(situation: Situation, first: FirstLook) -> Progress:
    """Going while all is as it was; Stuck at the first thing that is not. Never Done: only the time ends a bake."""
    return _disturbed(situation, first) or _unhealthy(situation, first) or _going(situation)


def _disturbed(situation: Situation, first: FirstLook) -> Stuck | None:
    deployment = situation.deployment
    # A canary pod that is not Ready makes the phase starting or stepping: told by its pods.
    what = WORDS[situation.phase].ends_bake
    if what:
        return Stuck(because(what, situation.why))
    grew = first.may_scale_up and deployment.replicas > first.replicas
    if deployment.replicas != first.replicas and not grew:
        return Stuck(
            f"somebody scaled the Deployment from {first.replicas} to {count_of(deployment.replicas, 'replica')}, "
            "so the split is no longer what was asked for"
        )
    return None


def _unhealthy(situation: Situation, first: FirstLook) -> Stuck | None:
    now = {pod.uid: pod for pod in _canary_pods(situation)}
    # One that came when the Deployment was scaled up takes its time.
    settled = [pod for uid, pod in now.items() if uid in first.pods or not first.may_scale_up]
    return (
        rewritten(tuple(now.values()))
        or restarted(tuple(now.values()))
        or trouble(tuple(settled), room_comes=False)
        or trouble(tuple(now.values()), room_comes=True)
        or refused_pods(situation.canary)
        or lost(situation, first)
        or next(
            (Stuck(f"canary pod {pod.name} is not Ready", pod.name, pod.explains) for pod in settled if not pod.ready),
            None,
        )
        or (None if now else Stuck("there is no canary pod"))
    )


def lost(situation: Situation, first: FirstLook) -> Stuck | None:
    """The first of those pods that is not what it was; whatever has become of others."""
    now = {pod.uid: pod for pod in _canary_pods(situation)}
    shown = {pod.uid: pod for pod in situation.picture.pods or ()}
    found = (_lost(pod, now.get(uid), shown.get(uid)) for uid, pod in first.pods.items())
    return next((stuck for stuck in found if stuck), None)


def _lost(before: Stood, now: Pod | None, shown: Pod | None) -> Stuck | None:
    """A pod that is gone, or was not Ready for a while that no look saw. `shown`: it is still told of, failed or terminating."""
    if now is None:
        return Stuck(because(f"canary pod {before.name} is gone", why_taken(shown) if shown else ""))
    if not now.ready:
        return Stuck(f"canary pod {now.name} is not Ready any more", now.name, now.explains)
    if now.ready_since != before.ready_since:
        return Stuck(f"canary pod {now.name} was not Ready until {now.ready_since}", now.name, now.explains)
    return None


def _going(situation: Situation) -> Going:
    return Going(f"{count_of(len(_canary_pods(situation)), 'canary pod')} Ready, none restarted")
