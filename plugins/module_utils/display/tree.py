# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as a tree: the Deployment, its versions, their pods.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Callable, Iterable, Mapping

from ..foreign import printable
from ..rollout.phase import Phase, Situation, current_pods, ready_pods
from ..rollout.template import images
from ..rollout.views import Pod, ReplicaSet
from ..wording import count_of
from .pods import SYMBOLS, state_of

# Pods of one version that are shown each; those that are not Ready come first.
MOST_PODS = 8
# Seconds since a moment as Kubernetes writes it (RFC 3339); None for what is none.
Age = Callable[[str], "float | None"]

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))
# What may come next, by phase: how the two ways out are called.
_PROMOTE, _UNDO = "canary_promote promotes it", "canary_undo takes it back"
NEXT: Mapping[Phase, str] = {
    **dict.fromkeys((Phase.STARTING, Phase.STEPPING, Phase.HELD), f"{_PROMOTE}, {_UNDO}"),
    Phase.FROZEN: f"canary_resume lets it go on, {_PROMOTE}, {_UNDO}",
    Phase.PROMOTING: f"canary_promote waits for it, {_UNDO}",
    Phase.UNDOING: "canary_undo goes on with it",
    Phase.FOREIGN: "canary_undo brings the stable version back",
    Phase.DAMAGED: "canary_undo brings the stable version back",
}


def headline(situation: Situation, gets: str = "") -> str:
    """held: canary 1 of 1 asked for Ready beside 9 stable pods, 10 % of all. `gets`: what it was given of the requests, in words."""
    ready = {
        side: ready_pods(situation.picture, version) if version else 0
        for side, version in (("canary", situation.canary), ("stable", situation.stable))
    }
    if situation.canary is None:
        return f"{situation.phase.value}: {ready['stable']} of {situation.deployment.replicas} pods are Ready"
    asked = situation.record.pods if situation.record and situation.phase is not Phase.PROMOTING else 0
    of = f" of {asked} asked for" if asked else ""
    everyone = sum(ready.values())
    share = f", {100 * ready['canary'] / everyone:.3g} % of all" if everyone else ""
    share += f", given {gets}" if gets else ""
    why = f" ({situation.why})" if situation.why else ""
    return f"{situation.phase.value}{why}: canary {ready['canary']}{of} Ready beside {count_of(ready['stable'], 'stable pod')}{share}"


def tree(situation: Situation, age: Age) -> list[str]:
    """Lines below `headline`. Whatever others wrote in it is printable."""
    versions = [("stable", situation.stable), ("canary", situation.canary)]
    present = [(side, version) for side, version in versions if version is not None]
    lines = _begun(situation)
    for number, (side, version) in enumerate(present, 1):
        last = number == len(present)
        lines.append(f"{'└' if last else '├'}─ {_version(situation, side, version)}")
        stem = " " if last else "│"
        lines += [f"{stem}  {told}" for told in _pods(situation.picture.pods_of(version), age)]
    following = NEXT.get(situation.phase)
    return [*lines, *([f"   {following}"] if following else [])]


def _begun(situation: Situation) -> list[str]:
    record = situation.record
    return [printable(f"started by {record.started_by} at {record.started_at}")] if record else []


def _version(situation: Situation, side: str, version: ReplicaSet) -> str:
    picture = situation.picture
    counts = f"{ready_pods(picture, version)} of {current_pods(picture, version)} Ready"
    run = ", ".join(f"{name}={image}" for name, image in images(version.template).items())
    return printable(f"{side} {version.hash or version.name}  {counts}  {run}")


def _pods(pods: Iterable[Pod], age: Age) -> list[str]:
    ordered = sorted(pods, key=lambda pod: (pod.serving, pod.name))
    shown = ordered[:MOST_PODS]
    rows = [_pod(pod, age) for pod in shown]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    left = len(ordered) - len(shown)
    lines += [f"and {left} more"] if left else []
    return [f"{'└' if number == len(lines) else '├'}─ {line}" for number, line in enumerate(lines, 1)]


def _pod(pod: Pod, age: Age) -> list[str]:
    restarts = sum(state.restarts for state in pod.containers)
    said = "Ready" if pod.serving else "terminating" if pod.terminating else _why(pod)
    cells = (
        f"{SYMBOLS[state_of(pod)]} {pod.name}",
        said,
        f"{restarts} restart{'' if restarts == 1 else 's'}",
        short(age(pod.created)),
        pod.node or "no node yet",
    )
    return [printable(cell) for cell in cells]


def _why(pod: Pod) -> str:
    waiting = next((state.waiting for state in pod.containers if state.waiting), "")
    return waiting or ("Unschedulable" if pod.unschedulable else pod.reason or "not Ready")


def short(seconds: float | None) -> str:
    """As kubectl tells an age: 12s, 5m, 3h, 2d."""
    if seconds is None:
        return "?"
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(int(seconds), 0)}s"
