# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was decided has come true: done, going on, or stuck for a reason that waiting does not cure.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Union

from ..values import dataclass
from ..wording import count_of
from .phase import Phase, Situation, current_pods, has_pods, holds, ready_pods
from .record import Record
from .size import Hold
from .template import digest, replica_set_of
from .views import ContainerState, Pod, ReplicaSet
from .words import WORDS, because


@dataclass(frozen=True)
class Done:
    why: str


@dataclass(frozen=True)
class Going:
    """`progress` grows while pods get Ready: a deadline per progress starts anew whenever it does."""

    why: str
    progress: int = 0


@dataclass(frozen=True)
class Stuck:
    """`pod` and `container` name whose last log lines explain it; empty when it is about no container.

    `needs_node`: the scheduler finds no place for the pod, which a new node would cure. `of_quota`: no more pods are allowed than there are,
    those that are about to end counted.
    """

    why: str
    pod: str = ""
    container: str = ""
    needs_node: bool = False
    of_quota: bool = False


Progress = Union[Done, Going, Stuck]

# Reasons of kubelet for a waiting container that do not pass by themselves
# (pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime/kuberuntime_container.go, and the CRI's pkg/errors/errors.go). ErrImagePull
# is not among them: kubelet tries once more, and then says ImagePullBackOff.
HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)


def trouble(pods: tuple[Pod, ...], *, room_comes: bool) -> Stuck | None:
    """The first reason why these pods cannot become Ready. `room_comes`: other pods are about to free room on nodes. A restart is none: one may
    be an accident, and a container that is restarted again and again is in CrashLoopBackOff."""
    for pod in pods:
        if pod.terminating or pod.ready:
            continue
        found = next((stuck for state in pod.containers if (stuck := _container_trouble(pod, state))), None)
        if found:
            return found
        if pod.unschedulable and not pod.nominated_node and not room_comes:
            return Stuck(f"pod {pod.name} cannot be scheduled: {pod.unschedulable}", pod.name, needs_node=True)
    return None


def _container_trouble(pod: Pod, state: ContainerState) -> Stuck | None:
    whose = f"container {state.name} of pod {pod.name}"
    if state.waiting in HOPELESS:
        detail = f": {state.waiting_message}" if state.waiting_message else ""
        return Stuck(f"{whose} is in {state.waiting}{_ending(state)}{detail}", pod.name, state.name)
    return None


def _ending(state: ContainerState) -> str:
    reason = state.last_terminated or state.terminated
    code = state.last_exit_code if state.last_terminated else state.exit_code
    return f", last with {reason} (exit code {code})" if reason else ""


def in_its_words(pod: Pod) -> str:
    """Where a pod stands that is not Ready: its phase, and what it says of the reason."""
    unmet = [c for c in pod.lacks if c.type in _BEFORE_CONTAINERS]
    said = [why_taken(pod), *(_with_message(c.reason, c.message) for c in unmet)]
    said += [f"container {state.name}: {words}" for state in pod.containers if (words := _state(state))]
    # That containers are not Ready is the least that it says, and readiness gates are told nowhere else.
    said = [words for words in said if words] or [_with_message(c.reason, c.message) for c in pod.lacks]
    reasons = "; ".join(dict.fromkeys(words for words in said if words))
    state = f"terminating ({pod.phase})" if pod.terminating else pod.phase or "of no phase yet"
    return f"pod {pod.name} is {state}" + (f" ({reasons})" if reasons else "")


_BEFORE_CONTAINERS = ("PodScheduled", "PodReadyToStartContainers")


def why_taken(pod: Pod) -> str:
    """Of a pod that is not as it should be: what its kubelet or the cluster says of the reason, if anything."""
    by_cluster = _with_message(pod.disrupted.reason, pod.disrupted.message) if pod.disrupted else ""
    return _with_message(pod.reason, pod.message) or by_cluster


def _with_message(reason: str, message: str) -> str:
    return ": ".join(part for part in (reason, message) if part)


def _state(state: ContainerState) -> str:
    if state.waiting:
        return _with_message(state.waiting, state.waiting_message)
    completed = state.terminated and state.exit_code != 0
    return f"ended with {state.terminated} (exit code {state.exit_code})" if completed else ""


# As many as a message takes before nobody reads it any more.
MOST_EXPLAINED = 3


def unready(situation: Situation) -> tuple[Pod, ...]:
    """The pods that explain why a wait goes on, the new ones first; of those that have failed for good the newest one."""
    picture = situation.picture
    current = replica_set_of(situation.deployment.template, picture.replica_sets)
    owners = {rs.uid for rs in picture.replica_sets}
    waiting = [pod for pod in picture.pods or () if pod.owner_uid in owners and not (pod.serving or pod.finished)]
    mine = current.uid if current else ""
    waiting.sort(key=lambda pod: (pod.owner_uid != mine, pod.terminating, pod.name))
    failed = [pod for pod in picture.pods or () if pod.owner_uid == mine and pod.phase == "Failed"]
    newest = sorted(failed, key=lambda pod: pod.created)[-1:]
    return (*waiting[: MOST_EXPLAINED - len(newest)], *newest)


def restarted(pods: tuple[Pod, ...]) -> Stuck | None:
    """The first container that has restarted, Ready again or not: a canary's restart is evidence against it."""
    for pod in pods:
        for state in pod.containers:
            if state.restarts > 0 and not pod.terminating:
                why = f"container {state.name} of pod {pod.name} restarted {count_of(state.restarts, 'time')}{_ending(state)}"
                return Stuck(why, pod.name, state.name)
    return None


def rewritten(pods: tuple[Pod, ...]) -> Stuck | None:
    """The first pod that runs another image than it was made with: what it shows is no evidence about its version's template."""
    for pod in pods:
        if pod.rewritten_by and not pod.terminating:
            return Stuck(
                f'"{pod.rewritten_by}" gave a container of pod {pod.name} another image since it was made, so that it does not run what '
                "its version says (delete the pod, and another one is made of that)",
                pod.name,
            )
    return None


def refused_pods(replica_set: ReplicaSet | None) -> Stuck | None:
    """The ReplicaSet controller is not allowed to make the pods: a quota, a webhook, a missing ServiceAccount."""
    if replica_set is None or replica_set.current >= replica_set.replicas:
        return None
    failed = next((c for c in replica_set.conditions if c.type == "ReplicaFailure" and c.status == "True"), None)
    if failed is None:
        return None
    # k8s.io/apiserver, pkg/admission/plugin/resourcequota/controller.go
    of_quota = "exceeded quota" in failed.message
    return Stuck(f"pods of ReplicaSet {replica_set.name} are refused: {failed.message}", of_quota=of_quota)


def tells_of_canary(situation: Situation, wanted: int) -> bool:
    """So many pods that may be the canary's are Ready, or one of them is in trouble.

    Where its ReplicaSet has not been read yet, any pod of one that was not may be: a look at the ReplicaSets tells. It may as well be of a
    Deployment of this name that was deleted, or of another one whose selector overlaps, and so it proves nothing.
    """
    picture, canary = situation.picture, situation.canary
    owners = {rs.uid for rs in picture.replica_sets}
    unknown = tuple(pod for pod in picture.pods or () if pod.owner_uid not in owners and not pod.finished)
    pods = unknown if canary is None else picture.pods_of(canary)
    return sum(pod.serving for pod in pods) >= wanted or bool(_pods_in_trouble(situation, pods))


def _pods_in_trouble(situation: Situation, pods: tuple[Pod, ...]) -> Stuck | None:
    return rewritten(pods) or restarted(pods) or trouble(pods, room_comes=_room_comes(situation))


def _room_comes(situation: Situation) -> bool:
    return bool(situation.picture.terminating)


def towards_hold(situation: Situation, goal: Hold, started: Record, begun_at: int) -> Progress:
    """canary_start: all pods of the goal Ready, the stable pods that it leaves standing. `begun_at`: replicas at its start."""
    taken = _taken_away(situation, begun_at)
    if taken:
        return taken
    canary_pods = situation.picture.pods_of(situation.canary)
    stuck = _pods_in_trouble(situation, canary_pods) or refused_pods(situation.canary)
    if stuck:
        return stuck
    replicas = situation.deployment.replicas
    goal = goal.at(replicas)
    wanted = goal.canary(replicas)
    if situation.hold is not None and situation.hold.canary(replicas) > wanted:
        larger = situation.hold.canary(replicas)
        return Stuck(
            f"somebody let the canary grow to {count_of(larger, 'pod')} meanwhile, more than the {wanted} asked for"
        )
    if situation.record is not None and situation.record.pods > started.pods:
        return Stuck(
            f"somebody asked for {count_of(situation.record.pods, 'canary pod')} meanwhile, more than the {started.pods} asked for"
        )
    ready = ready_pods(situation.picture, situation.canary) if situation.canary else 0
    kept = situation.stable.replicas if situation.stable else 0
    # Scaled up meanwhile, the stable version may stay below its share for good: the caller tells, nobody waits for it.
    at_goal = situation.phase is Phase.HELD and situation.hold == goal and kept <= goal.stable(replicas)
    settled = replicas == started.replicas or situation.deployment.observed
    if at_goal and settled and ready >= wanted:
        return Done(f"{ready} canary beside {count_of(kept, 'stable pod')}")
    return Going(f"{ready} of {wanted} canary pods are Ready", ready)


def _taken_away(situation: Situation, begun_at: int) -> Stuck | None:
    replicas = situation.deployment.replicas
    if replicas == 0:
        return Stuck("somebody scaled the Deployment to 0 replicas; scaling up again would make all pods canary pods")
    what = WORDS[situation.phase].ends_start
    if what:
        return Stuck(because(what, situation.why))
    if replicas < begun_at:
        # The controller takes the difference from the stable pods, and the canary keeps its own.
        return Stuck(
            f"somebody scaled the Deployment from {begun_at} down to {count_of(replicas, 'replica')}, which leaves the canary a larger "
            "share than was asked for"
        )
    return None


def _stopped(situation: Situation, template_digest: str) -> Stuck | None:
    """What others did, under which pods of this template do not become what they were to be."""
    deployment = situation.deployment
    if digest(deployment.template) != template_digest:
        return Stuck(because("somebody replaced the pod template meanwhile", situation.why))
    if deployment.paused:
        return Stuck("somebody paused the Deployment")
    if holds(deployment):
        return Stuck(
            "somebody gave the Deployment the fields of a hold meanwhile, under which no pod becomes available"
        )
    return None


def towards_rollout(situation: Situation, template_digest: str) -> Progress:
    """canary_promote and canary_rollback: every pod of this template, Ready and Available, the old ReplicaSets at 0."""
    deployment, picture = situation.deployment, situation.picture
    stopped = _stopped(situation, template_digest)
    if stopped:
        return stopped
    new = next((rs for rs in picture.replica_sets if digest(rs.template) == template_digest), None)
    old = [rs for rs in picture.replica_sets if rs is not new and has_pods(picture, rs)]
    if deployment.rolled_out and not old:
        return Done(
            f"all {deployment.replicas} pods run the new version"
            if deployment.replicas != 1
            else "the one pod runs the new version"
        )
    pods = picture.pods_of(new)
    stuck = rewritten(pods) or trouble(pods, room_comes=_room_comes(situation)) or refused_pods(new)
    if stuck:
        return stuck
    ready = ready_pods(picture, new) if new else 0
    left = sum(current_pods(picture, rs) for rs in old)
    return Going(
        f"{ready} of {deployment.replicas} new pods are Ready, {count_of(left, 'old pod', 'is', 'are')} left",
        ready * 1000 - left,
    )


def towards_stable(situation: Situation, stable_digest: str) -> Progress:
    """canary_undo: no canary pod is left (terminating ones aside), and the stable pods that it replaced are Ready again.

    A stable pod in trouble is told, and keeps nobody waiting once the canary is gone.
    """
    deployment, picture = situation.deployment, situation.picture
    stopped = _stopped(situation, stable_digest)
    if stopped:
        return stopped
    stable = next((rs for rs in picture.replica_sets if digest(rs.template) == stable_digest), None)
    others = [rs for rs in picture.replica_sets if rs is not stable and has_pods(picture, rs)]
    ready = ready_pods(picture, stable) if stable else 0
    frees_room = bool(others or picture.terminating)
    stuck = trouble(picture.pods_of(stable), room_comes=frees_room) or refused_pods(stable)
    of = f"{ready} of {deployment.replicas} stable pods are Ready" + (f"; {stuck.why}" if stuck else "")
    if not ready and any(ready_pods(picture, rs) for rs in others) and deployment.strategy.max_unavailable == 0:
        of = f"{of}; the canary's stay until one is, as they alone serve"
    # A list of ReplicaSets from before the canary shows none of its pods; the Deployment's own count does.
    counted = deployment.status.replicas - deployment.status.updated
    gone = deployment.observed and stable is not None and stable.replicas == deployment.replicas and not others
    if gone and not counted and (stuck or ready >= deployment.replicas):
        return Done(f"no canary pod is left; {of}")
    left = sum(current_pods(picture, rs) for rs in others) or counted
    was_stable = situation.record is not None and any(rs.uid == situation.record.stable.uid for rs in others)
    which = "old pod" if was_stable else "canary pod"
    return Going(f"{count_of(left, which, 'is', 'are')} left, {of}", ready * 1000 - left)


def keeps_canary(situation: Situation, stable: ReplicaSet) -> Stuck | None:
    """What is wrong with a stable pod for which a canary pod is kept, so that an undo comes no further: the controller takes one only where
    more are available than the strategy says."""
    deployment, picture, kept = situation.deployment, situation.picture, situation.deployment.strategy.max_unavailable
    if not isinstance(kept, int) or not (deployment.observed and picture.counted) or picture.terminating:
        return None
    if deployment.status.available > deployment.replicas - kept:
        return None
    return trouble(picture.pods_of(stable), room_comes=False)


def with_terminated(progress: Progress, situation: Situation, wanted: bool) -> Progress:
    """`progress`, held back (when `wanted`) until the pods that are terminating are gone."""
    terminating = len(situation.picture.terminating)
    if wanted and isinstance(progress, Done) and terminating:
        return Going(f"{progress.why}; {count_of(terminating, 'pod', 'is', 'are')} still terminating", -terminating)
    return progress
