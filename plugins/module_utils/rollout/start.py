# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_start does in each situation: begin a hold, let it grow, leave it alone, or refuse.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ..values import dataclass
from ..wording import count_of
from . import patches
from .autoscaler import must_be_smaller
from .intstr import scaled
from .kept import Tried
from .patches import Plan
from .phase import HOLDING, Phase, Situation
from .record import Companion, Intent, Originals, Record, StableIdentity, Traffic
from .refusal import Code, Refusal
from .size import Hold, ImpossibleSize, Room, check_size, first, following, percent_for, pods_for_weight, target
from .template import RESTARTED_AT, changed_paths, digest, same_version
from .views import Deployment, Picture, ReplicaSet
from .words import WORDS, because

_DIFFERENCES_TOLD = 5


@dataclass(frozen=True)
class Wanted:
    """The canary asked for: its template, as the server would store it, and its size (`pods` or `weight` per cent). `grows`: it is a share
    of a Deployment that may be scaled up meanwhile, and is to stay one. `at_least`: a canary that is there and larger stays as it is."""

    template: Mapping[str, Any]
    pods: int | None
    weight: int | None
    room: Room
    grows: bool = False
    at_least: bool = False


@dataclass(frozen=True)
class Asker:
    """Who asks and when (RFC 3339, UTC), and the other objects that were changed for it.

    `run` names a release that this begins, `traffic` its routes, and `step` which of how many of its steps this is. Where a canary is
    there already, `takes_over` says whether it becomes that run's.
    """

    name: str
    now: str
    companions: tuple[Companion, ...] = ()
    run: str = ""
    takes_over: bool = False
    traffic: Traffic | None = None
    step: tuple[int, int] | None = None


@dataclass(frozen=True)
class Start:
    """`plan` is the first write, or None where nothing is left to write. `goal` is the hold to reach, in `room`;
    `record` is what the Deployment then says of it."""

    plan: Plan | None
    goal: Hold
    room: Room
    record: Record


def unsettled(picture: Picture) -> str:
    """What a start has to wait for, in words; empty when nothing: a rollout must stand still before it is split."""
    deployment = picture.deployment
    if not deployment.observed:
        return "the Deployment controller has not seen the latest change yet"
    ending = next((rs for rs in picture.replica_sets if not rs.active and not rs.empty), None)
    if ending is not None:
        # Begun again before that, a hold would find its pods and hold more of them than was asked for.
        left = (
            f"still has {count_of(ending.current, 'pod')}"
            if ending.current
            else "may still have pods that nobody has counted yet"
        )
        return f"ReplicaSet {ending.name} of an earlier version {left}"
    uncounted = next((rs for rs in picture.active if not rs.counted), None)
    if uncounted is not None:
        return f"the pods of ReplicaSet {uncounted.name} have not been counted since it was scaled"
    # The Deployment's own count is one of its ReplicaSets' of a moment ago.
    ready = min(deployment.status.ready, sum(rs.ready for rs in picture.active))
    if ready < deployment.replicas:
        return f"{ready} of {deployment.replicas} stable pods are Ready"
    return ""


def decide(situation: Situation, wanted: Wanted, asker: Asker) -> Start:
    """Raises Refusal."""
    if situation.phase is Phase.NONE:
        return _scalable(_begin(situation, wanted, asker), situation)
    if situation.phase in HOLDING:
        return _scalable(_go_on(situation, wanted, asker), situation)
    raise _not_now(situation)


def _scalable(start: Start, situation: Situation) -> Start:
    """Where it may be scaled up meanwhile, the hold is one that stands that. Raises Refusal."""
    if start.record.may_scale_up and start.record != situation.record:
        replicas = situation.deployment.replicas
        stable, canary = start.goal.stable(replicas), start.goal.canary(replicas)
        must_be_smaller(canary, stable, start.goal.unavailable, situation.deployment)
    return start


def stable_to_change(situation: Situation) -> ReplicaSet:
    """The ReplicaSet whose template a new version starts from. Raises Refusal in phases that no start goes on from."""
    if situation.phase is Phase.NONE:
        return _current(situation)
    if situation.phase in HOLDING and situation.stable is not None:
        return situation.stable
    raise _not_now(situation)


def first_hold(start: Start, situation: Situation) -> Hold:
    """The hold right after the plan of this start was written."""
    return first(start.goal, start.room, situation.hold)


def stable_of(situation: Situation) -> ReplicaSet:
    """The ReplicaSet that a canary stands beside. Raises Refusal where that is not exactly one with pods."""
    _check_ordinary(situation)
    return _current(situation)


def _current(situation: Situation) -> ReplicaSet:
    """The ReplicaSet of the version that is out. Raises Refusal where another one has pods, or it has none and is to have some."""
    _check_one_version(situation)
    stable = situation.stable
    if stable is None or not (stable.active or situation.deployment.replicas == 0):
        raise Refusal(
            Code.ROLLOUT_IN_PROGRESS,
            f"{_name(situation)} has no ReplicaSet with pods for its current pod template",
            "Wait until the Deployment controller has made one, and try again",
        )
    return stable


def _name(situation: Situation) -> str:
    return f'Deployment "{situation.deployment.name}" in namespace "{situation.deployment.namespace}"'


def _check_one_version(situation: Situation) -> None:
    active = situation.picture.active
    if len(active) > 1:
        sizes = ", ".join(f"{rs.name} ({count_of(rs.replicas, 'pod')})" for rs in active)
        raise Refusal(
            Code.ROLLOUT_IN_PROGRESS,
            f"{_name(situation)} is in the middle of a rollout: {sizes}",
            "canary_info shows whether that is somebody's release. Try again when it is over",
        )


def _check_ordinary(situation: Situation) -> None:
    deployment, name = situation.deployment, _name(situation)
    if deployment.replicas == 0:
        raise Refusal(Code.SCALED_TO_ZERO, f"{name} has 0 replicas", "Scale it up first: a canary needs stable pods")
    if deployment.strategy.type == "Recreate":
        raise Refusal(
            Code.RECREATE,
            f"{name} has the strategy Recreate, which says that two versions must not run at once",
            "If they may, set the strategy to RollingUpdate; a canary stands beside the stable version",
        )
    if deployment.paused:
        raise Refusal(
            Code.PAUSED,
            f"{name} is paused, and not by a release of ours",
            "Find out who paused it and why, then resume it with canary_resume or kubectl rollout resume",
        )


def _begin(situation: Situation, wanted: Wanted, asker: Asker) -> Start:
    stable, deployment = _current(situation), situation.deployment
    # First: what stands in the way of a canary is nothing to a version that needs none.
    if same_version(stable.template, wanted.template):
        raise same(situation, stable.name)
    _check_ordinary(situation)
    pods = _size(wanted, deployment)
    goal = _goal(wanted, pods, deployment.replicas, None)
    record = Record(
        uid=deployment.uid,
        intent=Intent.HOLD,
        originals=Originals.of(deployment),
        stable=StableIdentity(stable.name, stable.uid, stable.hash, digest(stable.template)),
        asked=digest(wanted.template),
        canary=digest(wanted.template),
        pods=pods,
        surge=wanted.room.surge,
        max_unavailable=wanted.room.max_unavailable,
        replicas=deployment.replicas,
        started_at=asker.now,
        started_by=asker.name,
        generation=deployment.generation,
        companions=asker.companions,
        run=asker.run,
        traffic=asker.traffic,
        step=asker.step,
    )
    step = first(goal, wanted.room)
    return Start(patches.hold(deployment, wanted.template, step, record), goal, wanted.room, record)


def to_try(situation: Situation, wanted: Wanted) -> Tried | None:
    """What a start here would write, its pod template apart; None where none could be of that size, which `decide` refuses."""
    deployment = situation.deployment
    try:
        goal = _goal(wanted, _size(wanted, deployment), deployment.replicas, None)
    except Refusal:
        return None
    return Tried.of(deployment, patches.tried(deployment, first(goal, wanted.room)))


def same(situation: Situation, replica_set: str) -> Refusal:
    return Refusal(
        Code.SAME_TEMPLATE,
        f"{_name(situation)} already runs this pod template ({replica_set})",
        f"Give another image or another template; to restart its pods by a canary, give the annotation {RESTARTED_AT} another value",
    )


def _goal(wanted: Wanted, pods: int, replicas: int, hold: Hold | None) -> Hold:
    goal = target(pods, wanted.room.surge, hold)
    return goal if goal.unavailable else replace(goal, percent=_percent(wanted, pods, replicas))


def _percent(wanted: Wanted, pods: int, replicas: int) -> int:
    return percent_for(pods, replicas) if wanted.grows and replicas else 0


def _pods(wanted: Wanted, replicas: int) -> int:
    """Raises ImpossibleSize."""
    pods = wanted.pods
    if pods is None:
        pods = pods_for_weight(wanted.weight or 0, replicas, wanted.room.surge)
    percent = _percent(wanted, pods, replicas)
    return scaled(f"{percent}%", replicas, round_up=True) if percent else pods


def _size(wanted: Wanted, deployment: Deployment) -> int:
    try:
        pods = _pods(wanted, deployment.replicas)
        check_size(pods, deployment.replicas, wanted.room.surge)
    except ImpossibleSize as error:
        raise Refusal(Code.IMPOSSIBLE_SIZE, str(error)) from error
    return pods


def _go_on(situation: Situation, wanted: Wanted, asker: Asker) -> Start:
    """The same call again changes nothing; a larger size goes on from what is held; anything else is refused."""
    record, hold, deployment = situation.record, situation.hold, situation.deployment
    if record is None or hold is None:
        raise AssertionError("every holding phase has a record and a hold")
    if digest(wanted.template) not in (record.asked, record.canary):
        raise _another(situation, record, wanted)
    if deployment.replicas == 0:
        raise Refusal(
            Code.SCALED_TO_ZERO,
            f"{_name(situation)} was scaled to 0 replicas, and scaled up again all its pods would be canary pods",
            "Take the canary back with canary_undo, scale it up and start again",
        )
    same = wanted.pods is None and _same_weight(wanted, record)
    kept = record.pods if same else _least(record, hold)
    pods = record.pods if same else _size(wanted, deployment)
    if pods < kept and wanted.at_least:
        pods = kept
    if pods < kept:
        raise Refusal(
            Code.SMALLER,
            f"{_name(situation)} holds {count_of(kept, 'canary pod')}, and {pods} were asked for: a hold can only grow",
            "Undo it with canary_undo and start a smaller one",
        )
    if asker.takes_over:
        record = replace(record, run=asker.run)
    if asker.companions and (record.pinned is None or not _same_object(record.pinned, asker.companions[0])):
        # It came while the canary is held; what was pinned before it, its owner has deleted.
        others = (one for one in record.companions if one is not record.pinned)
        record = replace(record, companions=(*others, *asker.companions))
    # What nobody calls a step is none any more once it has grown.
    record = replace(record, step=asker.step or (record.step if pods == kept else None))
    if pods == kept:
        goal = hold if hold.percent else target(max(pods, hold.pods), record.surge, hold)
        plan = (
            None
            if record == situation.record
            else patches.corrected(deployment, record, "take the canary over, name its step, or its autoscaler")
        )
        return Start(plan, goal, Room(record.surge, record.max_unavailable), record)
    # Somebody may have let it grow beyond that meanwhile, and a hold only grows.
    goal = _goal(wanted, max(pods, hold.pods), deployment.replicas, hold)
    grown = record.with_size(pods, wanted.room.surge, wanted.room.max_unavailable, deployment.replicas)
    # Only the wish is written here, where it is no percentage; the pods move by steps, each when the one before is Ready.
    return Start(patches.grow(deployment, first(goal, wanted.room, hold), grown), goal, wanted.room, grown)


def _another(situation: Situation, record: Record, wanted: Wanted) -> Refusal:
    differing = changed_paths(situation.deployment.template, wanted.template)
    told = ", ".join(differing[:_DIFFERENCES_TOLD]) + (" and more" if len(differing) > _DIFFERENCES_TOLD else "")
    return Refusal(
        Code.ANOTHER_TEMPLATE,
        f"{_name(situation)} already holds a canary of another pod template, started {record.started_at} "
        f"by {record.started_by}, which differs in {told}",
        "Wait until whoever started it has ended it. If that is for you to do, promote it with canary_promote or take it back "
        "with canary_undo: what asks for another value each time, as a time does, cannot go on with a canary of its own",
    )


def _same_object(one: Companion, other: Companion) -> bool:
    return (one.kind.is_of_keda, one.name, one.uid) == (other.kind.is_of_keda, other.name, other.uid)


def _least(record: Record, hold: Hold) -> int:
    """The canary pods that a hold may not go below: those that were asked for, or what a share of them has come to since by a scale-down."""
    return min(record.pods, hold.pods) if hold.percent else record.pods


def _same_weight(wanted: Wanted, record: Record) -> bool:
    """The weight still means the pods that it meant when they were asked for, even if the Deployment was scaled meanwhile."""
    try:
        return _pods(wanted, record.replicas) == record.pods
    except ImpossibleSize:  # in the room that is asked for now no pod could have been held
        return False


def step(situation: Situation, start: Start, ready: int) -> Plan | None:
    """The next step of a start that is not at its goal, or None while too few pods are Ready for one.

    A step writes the record again: where somebody has asked for another size, or taken the canary over, that record stands, and
    the steps are for whoever wrote it.
    """
    replicas = situation.deployment.replicas
    goal = start.goal.at(replicas)
    if situation.hold is None or situation.hold == goal or situation.record != start.record:
        return None
    following_hold = following(situation.hold, goal, ready, replicas, start.room)
    return None if following_hold is None else patches.grow(situation.deployment, following_hold, start.record)


def _not_now(situation: Situation) -> Refusal:
    refused = WORDS[situation.phase].refuses_start
    if refused is None:
        raise AssertionError(f"canary_start has no word against phase {situation.phase.value}")
    return Refusal(refused.code, because(f"{_name(situation)} {refused.what}", situation.why), refused.remedy)
