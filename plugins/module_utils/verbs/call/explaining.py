# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a wait does not end: what the pods say of themselves, and what the cluster told of them last.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...cluster.errors import ApiError
from ...rollout.phase import Situation
from ...rollout.progress import Progress, Stuck, in_its_words, unready
from ...rollout.template import replica_set_of
from ...wording import ended
from .site import Site

# The Deployment controller's Event when it is not allowed to make a ReplicaSet, such as by a quota of them
# (pkg/controller/deployment/sync.go, getNewReplicaSet). A condition says so too, but not while a canary is held: that has no
# progress deadline.
REPLICA_SET_REFUSED = "ReplicaSetCreateError"


def explained(site: Site, situation: Situation) -> str:
    """Sentences for a wait whose time is over: each with a pod that is not Ready and its newest Warning Event; where there is no
    pod, that of the ReplicaSet or Deployment. Costs a request each, four at most, and one more where no pods were read."""
    try:
        if situation.picture.pods is None or not situation.picture.pods:
            pods = site.pods(situation.deployment)
            situation = replace(situation, picture=replace(situation.picture, pods=pods))
    except ApiError as error:
        return f"Its pods cannot be read ({error.why}). "
    current = replica_set_of(situation.deployment.template, situation.picture.replica_sets)
    told = [(in_its_words(pod), pod.uid) for pod in unready(situation)]
    if not told:
        whose = [(f"ReplicaSet {current.name}", current.uid)] if current else []
        told = [*whose, (f"Deployment {situation.deployment.name}", situation.deployment.uid)]
        return _with_events(site, told, only_with_events=True)
    return _with_events(site, told)


def _with_events(site: Site, told: list[tuple[str, str]], *, only_with_events: bool = False) -> str:
    sentences, cannot = [], ""
    for subject, uid in told:
        newest = None
        try:
            events = () if cannot else site.warnings_about(uid)
            newest = events[-1] if events else None
        except ApiError as error:
            cannot = f"Events would tell more: {error}"
        if newest:
            sentences.append(ended(f"{_capital(subject)}; {newest.reason}: {newest.message}"))
        elif not only_with_events:
            sentences.append(ended(_capital(subject)))
    return "".join(f"{sentence} " for sentence in (*sentences, cannot) if sentence)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


class Unmade:
    """Tells that the Deployment controller is refused the ReplicaSet of the new pod template.

    An Event of an earlier try may be left, and no clocks are compared: what changes while we look is of now. The controller tries
    again for a minute and a half, with growing pauses.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: dict[str, str] | None = None

    def __call__(self, situation: Situation) -> Progress | None:
        """For a fresh look. A request, where that ReplicaSet is not there."""
        if replica_set_of(situation.deployment.template, situation.picture.replica_sets) is not None:
            return None
        try:
            events = self._site.warnings_about(situation.deployment.uid, REPLICA_SET_REFUSED)
        except ApiError:
            return None  # what the end of the time tells says so
        before, self._seen = self._seen, {event.name: event.resource_version for event in events}
        anew = [event for event in events if before is not None and before.get(event.name) != event.resource_version]
        return Stuck(f"no ReplicaSet can be made for the new pods: {anew[-1].message}") if anew else None
