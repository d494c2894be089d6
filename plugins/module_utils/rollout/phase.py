# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a release stands, read off the Deployment and its ReplicaSets.

The record only names what these cannot tell; it counts while the object is in the state that it describes, and
otherwise says nothing. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from ..values import dataclass
from . import record as records
from .last import last_ended
from .record import Intent, Record, UnreadableRecord
from .template import digest, replica_set_of
from .views import Deployment, Picture, ReplicaSet

if TYPE_CHECKING:
    from .size import Hold

# No pod lives this long, so a Ready pod under it never becomes Available. The largest value that still leaves room for
# a progress deadline above it, as validation asks (pkg/apis/apps/validation, ValidateDeploymentSpec).
NEVER_AVAILABLE_SECONDS = 2**31 - 2
# The one value that switches the progress deadline off (pkg/controller/deployment/util, HasProgressDeadline).
NO_PROGRESS_DEADLINE = 2**31 - 1


class Phase(Enum):
    """none: no release is live (an ordinary rollout may be going on).
    starting, stepping: the pods of the first patch, or of a further step, are not all Ready yet.
    held: the canary stands beside the stable version. frozen: the same, paused by somebody.
    promoting, undoing: the canary is becoming the stable version, or is going (or will, once the routes send nobody to pods that go).
    foreign: somebody else replaced the pod template meanwhile.
    damaged: hold fields, label and template contradict each other, or the record is gone or unreadable.
    """

    NONE = "none"
    STARTING = "starting"
    STEPPING = "stepping"
    HELD = "held"
    FROZEN = "frozen"
    PROMOTING = "promoting"
    UNDOING = "undoing"
    FOREIGN = "foreign"
    DAMAGED = "damaged"


_SOMEBODY = "somebody "
_OF_ANOTHER = "its record is of another Deployment, from which it was copied or restored"
HOLDING = frozenset({Phase.STARTING, Phase.STEPPING, Phase.HELD})


@dataclass(frozen=True)
class Situation:
    """`stable` and `canary` are the two ReplicaSets; `stable` is the current one where no release is live.

    `hold` is what the Deployment's strategy says while a release holds. `why` says what is wrong in `damaged` and
    `foreign`. `record` is None where none counts.
    """

    phase: Phase
    picture: Picture
    stable: ReplicaSet | None
    canary: ReplicaSet | None
    record: Record | None = None
    hold: Hold | None = None
    why: str = ""

    @property
    def deployment(self) -> Deployment:
        return self.picture.deployment

    @property
    def canary_hash(self) -> str:
        """Its pod-template-hash; empty where there is none."""
        return self.canary.hash if self.canary else ""


def holds(deployment: Deployment) -> bool:
    """The Deployment carries the fields of a hold."""
    return deployment.min_ready_seconds == NEVER_AVAILABLE_SECONDS


def diagnose(picture: Picture) -> Situation:
    """Where the release of this Deployment stands. Total: every state of the objects has an answer."""
    found = _diagnosed(picture)
    return found if not found.why else replace(found, why=_with_writer(found))


def _with_writer(situation: Situation) -> str:
    """What is wrong, with whoever wrote it, where the Deployment names somebody."""
    from .owners import last_writer  # of use to nobody while nothing is wrong

    record = situation.record
    who, at = last_writer(situation.deployment, record.started_at if record else "")
    if not who:
        return situation.why
    if situation.why.startswith(_SOMEBODY):
        return f"{who} {situation.why.removeprefix(_SOMEBODY)} at {at}"
    return f"{situation.why}; {who} wrote to it at {at}"


def _diagnosed(picture: Picture) -> Situation:
    deployment = picture.deployment
    marked = records.LIVE in deployment.labels
    try:
        own, unreadable = records.read(deployment.annotations), ""
    except UnreadableRecord as error:
        own, unreadable = None, str(error)
    if holds(deployment):
        return _holding(picture, own, unreadable)
    if marked or (own is not None and _moves_on(own, deployment)):
        return _moving(picture, own, unreadable)
    return _ordinary(picture)


def _moves_on(own: Record, deployment: Deployment) -> bool:
    """A promotion or an undo is under way, whose label or record may be lost. What a ReplicaSet has kept of one that has ended
    is told by its generation."""
    goal = {Intent.PROMOTE: own.canary, Intent.UNDO: own.stable.digest}.get(own.intent)
    ended = own.generation <= last_ended(deployment)
    return own.uid == deployment.uid and not ended and goal == digest(deployment.template)


def _ordinary(picture: Picture) -> Situation:
    current = replica_set_of(picture.deployment.template, picture.replica_sets)
    return Situation(Phase.NONE, picture, stable=current, canary=None)


def _moving(picture: Picture, own: Record | None, unreadable: str) -> Situation:
    """The label is there and the hold is not: promote or undo has written its first patch, or somebody broke the hold."""
    deployment = picture.deployment
    gone = _OF_ANOTHER if own and own.uid != deployment.uid else "its label says so but its record is gone"
    # A record that `kubectl rollout undo` brought back is of an earlier release than the one that it replaced.
    copies = [r for r in _copies(picture) if r.generation > last_ended(deployment)]
    found = [own, *copies] if own else [r for r in copies if _moves_on(r, deployment)]
    found = [] if unreadable else [r for r in found if r.uid == deployment.uid]
    own = records.newest(r for r in found if not _names_a_stranger(picture, r))
    if own is None:
        why = f"its record cannot be read: {unreadable}" if unreadable else gone
        stranger = "its record names another stable ReplicaSet than the one that has pods"
        return without_record(picture, stranger if found else why)
    current = digest(deployment.template)
    stable = _stable(picture, own)
    canary = _canary(picture, own, stable)
    if own.intent is Intent.PROMOTE and current == own.canary:
        phase, why = Phase.PROMOTING, ""
    elif own.intent is Intent.UNDO and current == own.stable.digest:
        phase, why = Phase.UNDOING, ""
    elif own.intent is Intent.HOLD and current in (own.canary, own.stable.digest):
        phase, why = Phase.DAMAGED, "somebody ended the hold by putting minReadySeconds back"
    else:
        phase, why = Phase.FOREIGN, "somebody replaced the pod template"
    if deployment.paused and (phase is Phase.PROMOTING or (phase is Phase.UNDOING and not own.isolating)):
        phase = Phase.FROZEN
    return Situation(phase, picture, stable, canary, record=own, why=why)


def _holding(picture: Picture, own: Record | None, unreadable: str) -> Situation:
    deployment = picture.deployment
    if unreadable:
        return without_record(picture, f"its record cannot be read: {unreadable}")
    # The canary's copy is most often the Deployment's own record, which is looked at once.
    copies = (copy for copy in _copies(picture) if copy is not own and _stable(picture, copy))
    record = records.newest(r for r in (own, *copies) if r is not None and _describes(r, picture))
    if record is None:
        return without_record(picture, _why_not(own, picture))
    if 0 < record.generation <= last_ended(deployment):
        # It still names the Deployment's own fields. What stood beside that was given back when its release ended.
        record = replace(record, traffic=None, companions=())
    stable = _stable(picture, record)
    hold = _hold(deployment, grows=record.may_scale_up)
    current = digest(deployment.template)
    if current == record.stable.digest:
        if _names_the_canary_as_stable(picture):
            return without_record(picture, "its record names the canary as the stable version")
        why = "its pod template was put back to the stable one without the fields of the hold"
        canary = _canary(picture, record, stable)
        return Situation(Phase.DAMAGED, picture, stable, canary, record, hold, why)
    canary = replica_set_of(deployment.template, picture.replica_sets)
    if current != record.canary:
        return Situation(Phase.FOREIGN, picture, stable, canary, record, hold, "somebody replaced the pod template")
    if hold is None or stable is None or not stable.active:
        why = "no stable pod is left beside the canary" if hold else "somebody changed the strategy of the hold"
        return Situation(Phase.DAMAGED, picture, stable, canary, record, hold, why)
    return Situation(_hold_phase(picture, record, hold, canary), picture, stable, canary, record, hold)


def _why_not(own: Record | None, picture: Picture) -> str:
    """Why the record of a hold, if there is one, does not count."""
    named = picture.by_uid(own.stable.uid) if own and own.uid == picture.deployment.uid else None
    if own and named and digest(named.template) != own.stable.digest:
        return f"its record calls ReplicaSet {named.name} stable, and means another pod template than that has"
    if own and own.uid != picture.deployment.uid:
        return _OF_ANOTHER
    return "it has the fields of a hold but no record of its own fields is left"


def _hold_phase(picture: Picture, record: Record, hold: Hold, canary: ReplicaSet | None) -> Phase:
    if picture.deployment.paused:
        return Phase.STARTING if record.isolating else Phase.FROZEN
    # A percentage is written together with the size that it is for, and means another number once the Deployment was scaled.
    if hold.pods < record.pods and not hold.percent:
        return Phase.STEPPING
    # Pods rather than the ReplicaSet's status where they were read: its counts come a moment later.
    asked = canary.replicas if canary else 0
    if (
        canary is not None
        and asked > 0
        and ready_pods(picture, canary) >= asked >= min(hold.pods, picture.deployment.replicas)
    ):
        return Phase.HELD
    return Phase.STEPPING if hold.unavailable and hold.surge else Phase.STARTING


def ready_pods(picture: Picture, replica_set: ReplicaSet) -> int:
    if picture.pods is None:
        return replica_set.ready
    return sum(pod.serving for pod in picture.pods_of(replica_set))


def has_pods(picture: Picture, replica_set: ReplicaSet) -> bool:
    """Or may have: a status that counts none may be older than the pods that were read."""
    return not replica_set.empty or current_pods(picture, replica_set) > 0


def current_pods(picture: Picture, replica_set: ReplicaSet) -> int:
    """Pods that are there and not terminating."""
    if picture.pods is None:
        return replica_set.current
    return sum(not pod.terminating for pod in picture.pods_of(replica_set))


def _describes(record: Record, picture: Picture) -> bool:
    """The record is of this very Deployment and of a hold, and its stable ReplicaSet is the one beside the canary, or gone.

    Scaled to zero and back a Deployment has no stable pod any more; it is still known by its revision, the last before
    that of the current template. Any other ReplicaSet without pods is of an earlier release.
    """
    if record.uid != picture.deployment.uid or record.intent is not Intent.HOLD:
        return False
    stable = _stable(picture, record)
    if stable is None:
        return picture.by_uid(record.stable.uid) is None
    current = replica_set_of(picture.deployment.template, picture.replica_sets)
    beside = next((rs for rs in picture.replica_sets if current is None or rs.uid != current.uid), None)
    return stable.active or stable is beside


def _copies(picture: Picture) -> tuple[Record, ...]:
    return records.copies(picture.deployment, picture.replica_sets)


def _stable(picture: Picture, record: Record) -> ReplicaSet | None:
    """By uid, with the template that the record names; made again from the same template it is as good."""
    same = [rs for rs in picture.replica_sets if digest(rs.template) == record.stable.digest]
    return next((rs for rs in same if rs.uid == record.stable.uid), same[0] if same else None)


def _canary(picture: Picture, record: Record, stable: ReplicaSet | None) -> ReplicaSet | None:
    others = (rs for rs in picture.replica_sets if stable is None or rs.uid != stable.uid)
    return next((rs for rs in others if digest(rs.template) == record.canary), None)


def _names_the_canary_as_stable(picture: Picture) -> bool:
    """Only the ReplicaSet of the current template gets the minReadySeconds of a hold. One that never got it is the stable one."""
    current = replica_set_of(picture.deployment.template, picture.replica_sets)
    if current is None or current.min_ready_seconds != NEVER_AVAILABLE_SECONDS:
        return False
    return any(rs.min_ready_seconds != NEVER_AVAILABLE_SECONDS for rs in picture.active)


def _names_a_stranger(picture: Picture, record: Record) -> bool:
    """Pods stand beside the canary that is kept, and they are not of the ReplicaSet that the record calls stable. Pods of a canary whose release
    has ended tell nothing: a Deployment that is scaled to zero and back while it is paused gives all to the latest ReplicaSet."""
    if record.intent is Intent.UNDO or digest(picture.deployment.template) != record.canary:
        return False
    stable = _stable(picture, record)
    if stable is not None and stable.active:
        return False
    over = {one.canary for one in _copies(picture) if one.generation <= last_ended(picture.deployment)}
    return any(digest(rs.template) not in {record.canary, *over} for rs in picture.active)


def _hold(deployment: Deployment, *, grows: bool = False) -> Hold | None:
    """`grows`: the release is one whose surge may be a percentage."""
    from .size import Hold  # of use to nobody where no release is live

    surge, unavailable = deployment.strategy.max_surge, deployment.strategy.max_unavailable
    if deployment.strategy.type != "RollingUpdate" or surge is None or not isinstance(unavailable, int):
        return None
    return Hold.of(surge, unavailable, deployment.replicas) if grows or isinstance(surge, int) else None


def without_record(picture: Picture, why: str) -> Situation:
    """What the objects alone say of a release. Only the current ReplicaSet gets the hold's minReadySeconds: the other one that has pods is the stable one."""
    deployment = picture.deployment
    current = replica_set_of(deployment.template, picture.replica_sets)
    others = [rs for rs in picture.active if current is None or rs.uid != current.uid]
    untouched = [rs for rs in others if rs.min_ready_seconds != NEVER_AVAILABLE_SECONDS]
    if len(untouched) == 1:
        return Situation(Phase.DAMAGED, picture, untouched[0], current, hold=_hold(deployment), why=why)
    if not others:
        return Situation(Phase.DAMAGED, picture, current, None, hold=_hold(deployment), why=why)
    return Situation(Phase.DAMAGED, picture, None, current, hold=_hold(deployment), why=why)
