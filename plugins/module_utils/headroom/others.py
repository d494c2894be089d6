# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases at the same time: a hundred canaries that each fit alone may jam a cluster that is full.

Each is counted with the pods that it has more than today at the moment when these are most, of the new version's size, on the
emptiest nodes that take them. When and where they come is not certain, so an answer beside them is an approximation.
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..values import dataclass
from . import quota as quotas
from .finding import Question
from .growth import Newcomers, joined
from .peaks import Moment, Rollout, peaks
from .scene import Scene
from .views import pod_view


def most_more(rollout: Rollout) -> int:
    """How many pods more than today there are at the moment when these are most, once old ones that are ending have ended: new pods
    that find room only then wait for it.

    10 replicas, 3 canary pods, surge 1, own strategy 3 up and 2 down: at the promotion 8 new ones beside 5 old ones -> 3.
    """
    gone_already = max(0, rollout.existing_canary - rollout.surge)
    moments = [peak for peak in peaks(rollout) if peak.moment is not Moment.STEADY]
    return max((peak.more - max(0, peak.settled_gone - gone_already) for peak in moments), default=0)


def _pods_more(question: Question) -> int:
    """At the peak, or in the end where the new version's pods are larger: ten pods of 2 CPUs in the place of ten of 1 take the room of
    five more."""
    if question.old_pod is None:
        return most_more(question.rollout)
    new, old = (pod_view(one, question.minor).request for one in (question.pod, question.old_pod))
    grown = [
        -(-(amount - old.get(name, 0)) * question.rollout.replicas // amount)
        for name, amount in new.items()
        if amount > old.get(name, 0)
    ]
    return max(most_more(question.rollout), *grown, 0)


@dataclass(frozen=True)
class Beside:
    """The releases that are counted, each with how many pods it has more. `scene`: with their pods, None as long as there are none.

    `homeless`: names of those whose pods find no node themselves, so that nobody knows who gets what comes free.
    """

    counted: tuple[tuple[Question, int], ...] = ()
    scene: Scene | None = None
    homeless: tuple[str, ...] = ()

    def counting(self, other: Question, name: str) -> Beside:
        """`other`: the question about it for the largest of its sizes, as it was read."""
        more = _pods_more(other)
        counted = (*self.counted, (other, more))
        if not other.cluster_known:
            return replace(self, counted=counted)
        come = Newcomers(other.pod, other.minor, more, other.canary_owner, other.storage)
        scene, homeless = joined(self.scene or other.scene, come)
        return Beside(counted, scene, (*self.homeless, name) if homeless else self.homeless)

    def asked(self, question: Question) -> Question:
        """The question with them in it."""
        if not self.counted:
            return question
        used = question.quotas
        for other, more in self.counted if used else ():
            if other.pod["metadata"].get("namespace") == question.pod["metadata"].get("namespace"):
                used = quotas.charged(used, other.pod, other.minor, more, new_replica_set=other.new_replica_set)
        unknown = tuple(f"others_do_not_fit: {name}" for name in self.homeless)
        return replace(
            question,
            scene=self.scene or question.scene,
            quotas=used,
            others=len(self.counted),
            unknown=(*question.unknown, *unknown),
        )
