# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the Deployment controller: what it will do next with the pods of a rolling update.

`sync` is one pass of the real controller (kubernetes v1.37, pkg/controller/deployment), function by function: rolling
updates, scaling while a rollout is under way, and the rescaling of a paused Deployment. `run_pods` is the ReplicaSet
controller, `report` what ReplicaSets say about their pods, and whether a pod becomes Ready is up to the caller.
`settle` runs them all until nothing moves any more: that is where a patch leads, known before it is sent.

Left out, because no count depends on it: conditions, revisions, clean-up of empty ReplicaSets, terminating pods, and
`minReadySeconds` other than 0 and "for ever". The Recreate strategy is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import (
    Fenceposts,
    IntOrPercent,
    resolve_fenceposts,
)


@dataclass(frozen=True)
class Spec:
    """The fields of a Deployment that decide how many pods of which template run.

    `template` stands for the pod template: equal text, equal template. `min_ready_forever` is a minReadySeconds that
    no pod lives to see.
    """

    replicas: int
    max_surge: IntOrPercent
    max_unavailable: IntOrPercent
    template: str = "stable"
    min_ready_forever: bool = False
    paused: bool = False

    @cached_property
    def fenceposts(self) -> Fenceposts:
        return resolve_fenceposts(self.max_surge, self.max_unavailable, self.replicas)

    @property
    def max_replicas(self) -> int:
        """Pods that may exist in all ReplicaSets together; also what the annotation max-replicas records."""
        return self.replicas + self.fenceposts.surge

    @property
    def min_available(self) -> int:
        """Pods below which the controller does not take away available ones."""
        return self.replicas - self.fenceposts.unavailable


@dataclass(frozen=True)
class ReplicaSet:
    """One ReplicaSet: what it should have (`size`), what it has (`pods`, `ready`), what its status says (`available`).

    `desired` and `max_replicas` are the annotations desired-replicas and max-replicas, None where there is none.
    """

    template: str
    size: int
    pods: int = 0
    ready: int = 0
    available: int = 0
    min_ready_forever: bool = False
    desired: int | None = None
    max_replicas: int | None = None


@dataclass(frozen=True)
class State:
    """A Deployment and its ReplicaSets, oldest first, no two with the same template."""

    spec: Spec
    sets: tuple[ReplicaSet, ...] = ()

    @property
    def new(self) -> ReplicaSet | None:
        """The ReplicaSet of the Deployment's own template (FindNewReplicaSet)."""
        return self.of(self.spec.template)

    @property
    def old(self) -> tuple[ReplicaSet, ...]:
        return tuple(rs for rs in self.sets if rs.template != self.spec.template)

    @property
    def active(self) -> tuple[ReplicaSet, ...]:
        return tuple(rs for rs in self.sets if rs.size > 0)

    @property
    def size(self) -> int:
        return sum(rs.size for rs in self.sets)

    @property
    def pods(self) -> int:
        return sum(rs.pods for rs in self.sets)

    @property
    def ready(self) -> int:
        return sum(rs.ready for rs in self.sets)

    def of(self, template: str) -> ReplicaSet | None:
        return next((rs for rs in self.sets if rs.template == template), None)

    def counts(self) -> dict[str, int]:
        """The size of every ReplicaSet that should have pods, by template."""
        return {rs.template: rs.size for rs in self.active}

    def patched(self, **fields: Any) -> State:
        """The same pods under a Deployment with other fields: one write, not yet seen by the controller."""
        return replace(self, spec=replace(self.spec, **fields))

    def with_set(self, changed: ReplicaSet) -> State:
        return replace(self, sets=tuple(changed if rs.template == changed.template else rs for rs in self.sets))


def finished(spec: Spec) -> State:
    """A Deployment whose rollout is over: one ReplicaSet, all pods Ready and available."""
    n = spec.replicas
    return State(spec, (ReplicaSet(spec.template, n, n, n, n, desired=n, max_replicas=spec.max_replicas),))


# The controller.


def sync(state: State) -> State:
    """One pass of the controller over what the API server holds now (syncDeployment).

    The result differs in sizes, annotations and minReadySeconds of ReplicaSets only: pods follow in `run_pods`, and
    `available` stays what was last reported, which may be out of date, as it may be for the real controller. Where
    that decides (min_ready_forever set on a ReplicaSet whose pods are still reported available) the real one races.
    """
    state = _sync_min_ready(state)
    if state.spec.paused or _is_scaling_event(state):
        return _scale(state)
    return _rollout_rolling(state)


def _sync_min_ready(state: State) -> State:
    """getNewReplicaSet: minReadySeconds goes to the new ReplicaSet alone, also while paused."""
    new = state.new
    if new is None or new.min_ready_forever == state.spec.min_ready_forever:
        return state
    return state.with_set(replace(new, min_ready_forever=state.spec.min_ready_forever))


def _is_scaling_event(state: State) -> bool:
    return any(rs.desired not in (None, state.spec.replicas) for rs in state.active)


def _scale_replica_set(state: State, rs: ReplicaSet, size: int, *, force: bool = False) -> State:
    """scaleReplicaSet: annotations are written with a new size, without one only when forced."""
    if rs.size == size and not force:
        return state
    return state.with_set(replace(rs, size=size, desired=state.spec.replicas, max_replicas=state.spec.max_replicas))


def _rollout_rolling(state: State) -> State:
    """rolloutRolling: scale up if we can, else scale down if we can."""
    state = _create_new_replica_set(state)
    scaled_up = _reconcile_new_replica_set(state)
    return scaled_up if scaled_up != state else _reconcile_old_replica_sets(state)


def _create_new_replica_set(state: State) -> State:
    spec = state.spec
    if state.new is not None:
        return state
    created = ReplicaSet(
        template=spec.template,
        size=min(spec.replicas, max(0, spec.max_replicas - state.size)),
        min_ready_forever=spec.min_ready_forever,
        desired=spec.replicas,
        max_replicas=spec.max_replicas,
    )
    return replace(state, sets=(*state.sets, created))


def _reconcile_new_replica_set(state: State) -> State:
    """reconcileNewReplicaSet, NewRSNewReplicas: as far as max_replicas allows, never beyond replicas."""
    spec, new = state.spec, _required(state.new)
    room = max(0, spec.max_replicas - state.size)
    return _scale_replica_set(state, new, min(spec.replicas, new.size + room))


def _reconcile_old_replica_sets(state: State) -> State:
    """reconcileOldReplicaSets: pods that are not available go first, then those that new available pods replace."""
    new = _required(state.new)
    budget = state.size - state.spec.min_available - (new.size - new.available)
    if budget <= 0:
        return state
    state, done = _cleanup_unhealthy_replicas(state, budget)
    return _scale_down_old_replica_sets(state) if done else state


def _cleanup_unhealthy_replicas(state: State, budget: int) -> tuple[State, bool]:
    """cleanupUnhealthyReplicas: takes up to `budget` unavailable pods from the old ReplicaSets, oldest first.

    False: a status that still counts pods which are gone; the real controller gives up this pass with an error.
    """
    for rs in state.old:
        if budget <= 0:
            break
        if rs.size in (0, rs.available):
            continue
        if rs.size < rs.available:
            return state, False
        removed = min(budget, rs.size - rs.available)
        state = _scale_replica_set(state, rs, rs.size - removed)
        budget -= removed
    return state, True


def _scale_down_old_replica_sets(state: State) -> State:
    """scaleDownOldReplicaSetsForRollingUpdate: takes what is available beyond min_available, oldest first."""
    new = _required(state.new)
    available = new.available + sum(rs.available for rs in state.old if rs.size > 0)
    budget = available - state.spec.min_available
    for rs in state.old:
        if budget <= 0:
            break
        removed = min(rs.size, budget)
        state = _scale_replica_set(state, rs, rs.size - removed)
        budget -= removed
    return state


def _scale(state: State) -> State:
    """scale: what every pass does while paused, and a pass after spec.replicas changed does otherwise."""
    if not state.sets:
        return state
    active = state.active
    if len(active) <= 1:
        only = active[0] if active else state.new or state.old[-1]
        return _scale_replica_set(state, only, state.spec.replicas)
    if _is_saturated(state.spec, state.new):
        for rs in state.old:
            state = _scale_replica_set(state, rs, 0)
        return state
    return _scale_proportionally(state, active)


def _is_saturated(spec: Spec, new: ReplicaSet | None) -> bool:
    return new is not None and new.size == new.desired == new.available == spec.replicas


def _scale_proportionally(state: State, active: tuple[ReplicaSet, ...]) -> State:
    """Spreads the change over the active ReplicaSets, largest first, what is left over to the largest.

    Of equal sizes the newer comes first on the way up, the older on the way down.
    """
    spec = state.spec
    to_add = (spec.max_replicas if spec.replicas else 0) - sum(rs.size for rs in active)
    newer_first = to_add > 0
    largest_first = sorted(reversed(active) if newer_first else active, key=lambda rs: -rs.size)

    added = 0
    sizes = []
    for rs in largest_first:
        share = _proportion(state, rs, to_add, added)
        sizes.append(rs.size + share)
        added += share
    sizes[0] = max(0, sizes[0] + to_add - added)

    for rs, size in zip(largest_first, sizes, strict=True):
        state = _scale_replica_set(state, rs, size, force=True)
    return state


def _proportion(state: State, rs: ReplicaSet, to_add: int, added: int) -> int:
    """GetReplicaSetProportion: the share of `to_add` (negative: to remove) for one ReplicaSet.

        share = round(size * max_replicas now / max_replicas when it was last scaled) - size

    but never more than is left of `to_add`. Example: 19 of max 21 pods, and 11 is the maximum now:
    round(19 * 11 / 21) - 19 = -9.
    """
    left = to_add - added
    share = _fraction(state, rs)
    if to_add > 0:
        return min(share, left)
    return max(share, left) if to_add < 0 else 0


def _fraction(state: State, rs: ReplicaSet) -> int:
    """getReplicaSetFraction; a ReplicaSet without the annotation is measured by the pods that exist."""
    if state.spec.replicas == 0:
        return -rs.size
    before = rs.max_replicas or state.pods
    if before == 0:
        return 0
    rounded_half_up = (2 * rs.size * state.spec.max_replicas + before) // (2 * before)
    return rounded_half_up - rs.size


def _required(new: ReplicaSet | None) -> ReplicaSet:
    if new is None:
        raise ValueError("a rollout needs the new ReplicaSet: create it first")
    return new


# The pods.


def run_pods(state: State, quota: int | None = None) -> State:
    """The ReplicaSet controller: pods follow sizes at once, those that are not Ready are deleted first.

    `quota` bounds the pods of all ReplicaSets together (None: no bound); deletions make room before pods are created.
    """
    state = replace(
        state, sets=tuple(replace(rs, pods=min(rs.pods, rs.size), ready=min(rs.ready, rs.size)) for rs in state.sets)
    )
    room = state.size if quota is None else quota - state.pods
    for rs in state.sets:
        created = max(0, min(room, rs.size - rs.pods))
        state = state.with_set(replace(rs, pods=rs.pods + created))
        room -= created
    return state


def report(state: State) -> State:
    """Every ReplicaSet's status catches up with its pods: those that are Ready are available, unless they never are."""
    return replace(
        state, sets=tuple(replace(rs, available=0 if rs.min_ready_forever else rs.ready) for rs in state.sets)
    )


# How many pods of a ReplicaSet are Ready the next time somebody looks.
Readiness = Callable[[ReplicaSet], int]


def all_become_ready(rs: ReplicaSet) -> int:
    return rs.pods


def one_becomes_ready(rs: ReplicaSet) -> int:
    return min(rs.pods, rs.ready + 1)


def never_ready(*templates: str) -> Readiness:
    """No further pod of these templates becomes Ready; those of others do."""
    return lambda rs: rs.ready if rs.template in templates else rs.pods


def turn_ready(state: State, readiness: Readiness) -> State:
    return replace(state, sets=tuple(replace(rs, ready=min(rs.pods, readiness(rs))) for rs in state.sets))


@dataclass(frozen=True)
class Settled:
    """Where it ended, and on the way there: the fewest Ready pods and the most pods (terminating ones not counted)."""

    state: State
    min_ready: int
    peak_pods: int


class NeverSettles(Exception):
    """The controller would go round in a circle; no Deployment is known that makes it."""


def settle(state: State, readiness: Readiness = all_become_ready, quota: int | None = None) -> Settled:
    """Runs the controller until neither it nor any pod moves.

    Pods become Ready only when the controller has nothing left to do without them: slow pods are what costs most Ready
    ones. Raises NeverSettles when a state comes back, and ValueError for a strategy that the API server would refuse.
    """
    min_ready, peak_pods = state.ready, state.pods
    seen: set[State] = set()
    while True:
        moved = run_pods(sync(state), quota)
        min_ready, peak_pods = min(min_ready, moved.ready), max(peak_pods, moved.pods)
        moved = report(moved)
        if moved == state:
            moved = report(turn_ready(state, readiness))
        if moved == state:
            return Settled(state, min_ready, peak_pods)
        if moved in seen:
            raise NeverSettles(f"the controller comes back to {moved}")
        seen.add(moved)
        state = moved
