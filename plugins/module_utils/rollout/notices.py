# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person has to know of a release that goes on.

This module is private to the collection.
"""

from __future__ import annotations

from ..wording import count_of
from .phase import Situation
from .record import Record
from .template import images


def scaled(record: Record, situation: Situation) -> tuple[str, ...]:
    """Told of a release whose Deployment has other replicas than its size was counted from, and not by a scale-up that it lets happen."""
    before, replicas = record.replicas, situation.deployment.replicas
    if before == replicas or (record.may_scale_up and replicas > before):
        return ()
    stable, canary = situation.stable, situation.canary
    return (
        f"somebody scaled the Deployment from {before} to {count_of(replicas, 'replica')} since the start, which spread over both "
        f"versions: {stable.replicas if stable else 0} stable and {count_of(canary.replicas if canary else 0, 'canary pod')} now",
    )


def let_go(situation: Situation) -> tuple[str, ...]:
    """Told of each pod that is no version's any more, and that users of a Service may meet all the same."""
    return tuple(
        f'Pod "{pod.name}" belongs to no ReplicaSet any more, because somebody has changed its labels: nothing of this counts it or takes it away, '
        "and a Service with the selector of the Deployment still sends users to it. Delete it, or take those labels from it as well"
        for pod in situation.picture.let_go
    )


def several_builds(situation: Situation) -> str:
    """What a person has to know where pods of the canary, or of what is out, run different images by one tag; empty where they do not.
    Whatever a look at them tells is of several versions then."""
    version = situation.canary or situation.stable
    named = images(version.template) if version else {}
    pods = [pod for pod in situation.picture.pods_of(version) if not pod.terminating]
    states = [state for pod in pods for state in pod.containers if state.image_id]
    for name in sorted({state.name for state in states if "@" not in named.get(state.name, "")}):
        builds = sorted({state.image_id for state in states if state.name == name})
        if len({build.rpartition("@")[2] for build in builds}) > 1:
            return (
                f"pods of one version run {len(builds)} different images in container {name} ({', '.join(builds)}): the tag of its image was "
                "pushed again meanwhile, so that not all of them run what was looked at. Name images by their digest, so that what is "
                "verified is what is promoted"
            )
    return ""
