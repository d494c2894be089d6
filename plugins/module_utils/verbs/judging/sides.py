# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two versions of a release as sources see them: pods by owner, never by image or age.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...probes.source import ProbedPod, Sides, Version
from ...rollout.phase import Situation
from ...rollout.views import Picture, Pod, ReplicaSet

NOBODY = Version("", ())


def sides_of(situation: Situation) -> Sides | None:
    """None when one of the two versions has no pod."""
    canary, stable = (version_of(situation.picture, rs) for rs in (situation.canary, situation.stable))
    if canary is None or stable is None or not canary.pods or not stable.pods:
        return None
    return Sides(situation.deployment.namespace, canary, stable)


def version_of(picture: Picture, replica_set: ReplicaSet | None) -> Version | None:
    if replica_set is None:
        return None
    alive = tuple(_probed(pod) for pod in picture.pods_of(replica_set) if not pod.terminating)
    failed = tuple(
        _probed(pod) for pod in picture.pods or () if pod.owner_uid == replica_set.uid and pod.phase == "Failed"
    )
    return Version(replica_set.hash, alive, failed)


def _probed(pod: Pod) -> ProbedPod:
    return ProbedPod(
        pod.name,
        pod.uid,
        pod.ip,
        pod.ready,
        restarts=sum(container.restarts for container in pod.containers),
        containers=pod.running_containers,
        default_container=pod.default_container,
        ready_since=pod.ready_since,
    )


class Served:
    """Which pods have had users: those that were Ready at some look. A pod that is only starting refuses every request, which
    is nobody's error; one that served and then fails is. Where no pod of a version is Ready at the first look, all are.
    """

    def __init__(self, first: Sides) -> None:
        self._served = {pod.uid for version in (first.canary, first.stable) for pod in _ready_or_all(version)}

    def of(self, sides: Sides) -> Sides:
        return replace(sides, canary=self._of(sides.canary), stable=self._of(sides.stable))

    def _of(self, version: Version) -> Version:
        self._served |= {pod.uid for pod in version.pods if pod.ready}
        return replace(version, pods=tuple(pod for pod in version.pods if pod.uid in self._served))


def _ready_or_all(version: Version) -> tuple[ProbedPod, ...]:
    return tuple(pod for pod in version.pods if pod.ready) or version.pods
