# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Done, going on, or stuck: what a wait makes of what it sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.describe import still_terminating
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.progress import (
    HOPELESS,
    Done,
    Going,
    Progress,
    Stuck,
    in_its_words,
    refused_pods,
    restarted,
    tells_of_canary,
    towards_hold,
    towards_rollout,
    towards_stable,
    trouble,
    with_terminated,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, Intent
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import Hold
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest

from .objects import deployment, held, ordinary, pod, record, replica_set, situation, template

V1, V2 = replica_set("v1", 4, 1), replica_set("v2", 1, 2)
GOAL = Hold(1, 0)


def waiting(reason: str, message: str = "", restarts: int = 0) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "app", "restartCount": restarts, "state": state}]}


def ended(code: int) -> dict[str, Any]:
    last = {"terminated": {"reason": "Error", "exitCode": code}}
    return {"containerStatuses": [{"name": "app", "restartCount": 2, "state": {"running": {}}, "lastState": last}]}


def unschedulable(message: str = "0/3 nodes are available", **more: Any) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"conditions": [condition], **more}


@pytest.mark.parametrize("reason", sorted(HOPELESS))
def test_what_a_container_cannot_leave_by_itself_is_trouble(reason: str) -> None:
    found = trouble((pod("c", "v2", ready=False, **waiting(reason, "so it is")),), room_comes=False)
    assert found == Stuck(f"container app of pod c is in {reason}: so it is", "c", "app")


def test_what_ended_a_container_is_named_while_it_is_not_started_again() -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    seen = pod("c", "v2", ready=False, containerStatuses=[{"name": "app", "state": state, "lastState": last}])
    found = trouble((seen,), room_comes=False)
    assert found is not None
    assert (
        found.why == "container app of pod c is in CrashLoopBackOff, last with OOMKilled (exit code 137): back-off 10s"
    )


NO_TROUBLE: dict[str, Any] = {
    "creating": pod("c", "v2", ready=False, **waiting("ContainerCreating")),
    "a first failed pull": pod("c", "v2", ready=False, **waiting("ErrImagePull")),
    "Ready": pod("c", "v2", **unschedulable()),
    "terminating": pod("c", "v2", ready=False, terminating=True, **waiting("CrashLoopBackOff")),
    "room is being made for it": pod("c", "v2", ready=False, **unschedulable(nominatedNodeName="a")),
}


@pytest.mark.parametrize("seen", [*NO_TROUBLE.values()], ids=[*NO_TROUBLE])
def test_what_may_still_pass_is_no_trouble(seen: Any) -> None:
    assert trouble((seen,), room_comes=False) is None


@pytest.mark.parametrize("room_comes", [False, True])
def test_no_node_is_trouble_unless_pods_are_about_to_go(room_comes: bool) -> None:
    found = trouble((pod("c", "v2", ready=False, **unschedulable()),), room_comes=room_comes)
    assert (found is None) is room_comes
    assert found is None or found.why == "pod c cannot be scheduled: 0/3 nodes are available"


def test_a_restart_counts_also_when_the_pod_is_ready_again() -> None:
    found = restarted((pod("a", "v2"), pod("c", "v2", **ended(3))))
    assert found == Stuck("container app of pod c restarted 2 times, last with Error (exit code 3)", "c", "app")


def test_pods_that_are_refused_are_told_in_the_words_of_the_refusal() -> None:
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: two"}
    refused = replica_set("v2", 1, 2, status={"replicas": 0, "conditions": [failed]})
    assert refused_pods(refused) == Stuck("pods of ReplicaSet web-v2 are refused: exceeded quota: two", of_quota=True)
    denied = {**failed, "message": 'admission webhook "images" denied the request'}
    by_webhook = refused_pods(replica_set("v2", 1, 2, status={"replicas": 0, "conditions": [denied]}))
    assert by_webhook == Stuck('pods of ReplicaSet web-v2 are refused: admission webhook "images" denied the request')
    assert refused_pods(replica_set("v2", 1, 2, status={"conditions": [failed]})) is None
    assert refused_pods(None) is None


GONE = tuple(pod(name, "gone") for name in "cd")
TELLS: dict[str, tuple[Any, int, bool]] = {
    "as many of the canary's as were wanted": (
        situation(deployment(), V1, V2, pods=(pod("a", "v1"), pod("b", "v2"))),
        1,
        True,
    ),
    "too few of the canary's": (
        situation(deployment(), V1, V2, pods=(pod("a", "v1"), pod("b", "v2", ready=False))),
        1,
        False,
    ),
    "one that is being taken away": (
        situation(deployment(), V1, V2, pods=(pod("b", "v2", terminating=True),)),
        1,
        False,
    ),
    "pods of a Deployment that was deleted": (situation(deployment(), V1, V2, pods=(pod("a", "v1"), *GONE)), 1, False),
    "pods of nobody knows whom, before the canary's ReplicaSet was read": (
        situation(deployment(), V1, pods=GONE),
        2,
        True,
    ),
    "too few of them": (situation(deployment(), V1, pods=GONE), 3, False),
    "one of them in trouble": (situation(deployment(), V1, pods=(pod("c", "gone", **ended(3)),)), 3, True),
    "the stable version's only": (situation(deployment(), V1, pods=(pod("a", "v1"), pod("b", "v1"))), 1, False),
}


@pytest.mark.parametrize(("seen", "wanted", "tells"), TELLS.values(), ids=TELLS)
def test_what_tells_of_the_canary(seen: Any, wanted: int, tells: bool) -> None:
    assert tells_of_canary(seen, wanted) is tells


def test_no_pod_of_a_deployment_that_was_deleted_fails_a_start() -> None:
    seen = situation(deployment(), V1, V2, pods=(pod("a", "v2"), pod("c", "gone", **ended(3))))
    assert isinstance(towards_hold(seen, GOAL, record(), 4), Done)


MARKED: dict[str, Any] = {"labels": {LIVE: "true"}}
HOLDS: dict[str, tuple[Any, Progress]] = {
    "all Ready": (held(), Done("1 canary beside 4 stable pods")),
    "not yet": (
        situation(deployment(), V1, replica_set("v2", 1, 2, status={"readyReplicas": 0})), Going("0 of 1 canary pods are Ready"),
    ),
    "stable pods not taken yet": (
        situation(deployment(), replica_set("v1", 5, 1), V2), Going("1 of 1 canary pods are Ready", 1),
    ),
    "made again": (
        held(record=record(uid="x")), Stuck("somebody changed the fields of the hold (its record is of another Deployment, from "
                                            "which it was copied or restored)"),
    ),
    "scaled to 0": (
        held(replicas=0), Stuck("somebody scaled the Deployment to 0 replicas; scaling up again would make all pods canary pods"),
    ),
    "scaled down": (
        held(replicas=3),
        Stuck("somebody scaled the Deployment from 4 down to 3 replicas, which leaves the canary a larger share than was asked for"),
    ),
    "paused": (held(paused=True), Stuck("somebody paused the Deployment")),
    "another template": (
        situation(deployment("v3"), V1, V2),
        Stuck("somebody replaced the pod template of the canary (somebody replaced the pod template)"),
    ),
    "promoted": (
        situation(ordinary("v2", record=record(intent=Intent.PROMOTE), **MARKED), V1, V2), Stuck("somebody promoted the canary"),
    ),
    "undone": (
        situation(ordinary(record=record(intent=Intent.UNDO), **MARKED), V1, V2), Stuck("somebody undid the canary"),
    ),
    "ended": (situation(ordinary(), V1), Stuck("somebody ended the release")),
    "scaled up, seen by the controller": (
        situation(deployment(replicas=9, status={"observedGeneration": 3}), replica_set("v1", 8, 1), V2),
        Done("1 canary beside 8 stable pods"),
    ),
    "scaled up, not seen yet": (
        situation(deployment(replicas=9, status={"observedGeneration": 2}), V1, V2), Going("1 of 1 canary pods are Ready", 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "progress"), [*HOLDS.values()], ids=[*HOLDS])
def test_towards_a_hold(seen: Any, progress: Progress) -> None:
    assert towards_hold(seen, GOAL, record(), record().replicas) == progress


NEW = digest(template("v2"))
ROLLOUTS: dict[str, tuple[Any, Progress]] = {
    "complete": (situation(ordinary("v2"), replica_set("v1", 0, 1), replica_set("v2", 4, 2)), Done("all 4 pods run the new version")),
    "old pods are left": (situation(ordinary("v2"), V1, V2), Going("1 of 4 new pods are Ready, 4 old pods are left", 996)),
    "not seen yet": (
        situation(ordinary("v2", status={"observedGeneration": 2}), replica_set("v2", 4, 2)),
        Going("4 of 4 new pods are Ready, 0 old pods are left", 4000),
    ),
    "another template": (situation(ordinary("v3"), V1), Stuck("somebody replaced the pod template meanwhile")),
    "paused": (situation(ordinary("v2", paused=True), V1, V2), Stuck("somebody paused the Deployment")),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "progress"), [*ROLLOUTS.values()], ids=[*ROLLOUTS])
def test_towards_a_rollout(seen: Any, progress: Progress) -> None:
    assert towards_rollout(seen, NEW) == progress


OLD = digest(template("v1"))
UNDOS: dict[str, tuple[Any, Progress]] = {
    "complete": (
        situation(ordinary(), V1, replica_set("v2", 0, 2)), Done("no canary pod is left; 4 of 4 stable pods are Ready"),
    ),
    "nobody has counted the canary since": (
        situation(ordinary(), V1, replace(replica_set("v2", 0, 2), observed=False)),
        Going("0 canary pods are left, 4 of 4 stable pods are Ready", 4000),
    ),
    "a canary is left": (situation(ordinary(), V1, V2), Going("1 canary pod is left, 4 of 4 stable pods are Ready", 3999)),
    "a list from before the canary": (
        situation(ordinary(status={"observedGeneration": 3, "replicas": 6, "updatedReplicas": 4}), V1),
        Going("2 canary pods are left, 4 of 4 stable pods are Ready", 3998),
    ),
    "stable pods are coming": (
        situation(ordinary(), replica_set("v1", 4, 1, status={"readyReplicas": 3})),
        Going("0 canary pods are left, 3 of 4 stable pods are Ready", 3000),
    ),
    "scaled to 0": (
        situation(ordinary(replicas=0), replica_set("v1", 0, 1)), Done("no canary pod is left; 0 of 0 stable pods are Ready"),
    ),
    "another template": (situation(ordinary("v3"), V1), Stuck("somebody replaced the pod template meanwhile")),
    "paused": (situation(ordinary(paused=True), V1), Stuck("somebody paused the Deployment")),
    "held again by somebody": (
        situation(ordinary(minReadySeconds=NEVER_AVAILABLE_SECONDS), V1),
        Stuck("somebody gave the Deployment the fields of a hold meanwhile, under which no pod becomes available"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "progress"), [*UNDOS.values()], ids=[*UNDOS])
def test_towards_the_stable_version(seen: Any, progress: Progress) -> None:
    assert towards_stable(seen, OLD) == progress


def test_a_stable_pod_in_trouble_is_told_and_keeps_nobody_waiting() -> None:
    pods = tuple(pod(f"s{n}", "v1", ready=n > 0, **(waiting("ImagePullBackOff") if n == 0 else {})) for n in range(4))
    found = towards_stable(situation(ordinary(), V1, pods=pods), OLD)
    assert found == Done(
        "no canary pod is left; 3 of 4 stable pods are Ready; container app of pod s0 is in ImagePullBackOff"
    )


@pytest.mark.parametrize(
    ("wanted", "progress"), [(False, Done("so")), (True, Going("so; 1 pod is still terminating", -1))]
)
def test_terminating_pods_hold_an_end_back_only_when_asked(wanted: bool, progress: Progress) -> None:
    seen = situation(ordinary(), V1, pods=(pod("a", "v1", terminating=True), pod("b", "v1")))
    assert with_terminated(Done("so"), seen, wanted) == progress


LONG = "a" * 70
# The Deployment, and a terminating pod that its selector finds, too.
WHOSE: dict[str, tuple[str, str, str, bool]] = {
    "of a ReplicaSet that is there": ("web", "any-name", "v1", True),
    "of one that is gone": ("web", "web-v2-x7k2p", "v2", True),
    "of one that is gone, by a name that was cut": (LONG, f"{LONG[:58]}x7k2p", "v2", True),
    "of another Deployment": ("web", "shop-v2-x7k2p", "v2", False),
    "of another Deployment whose name begins as this one's": ("web", "web-admin-v2-x7k2p", "v2", False),
    "of a StatefulSet": ("web", "web-0", "", False),
}


@pytest.mark.parametrize(("name", "of", "version", "ours"), [*WHOSE.values()], ids=[*WHOSE])
def test_only_pods_of_the_deployment_are_waited_for(name: str, of: str, version: str, ours: bool) -> None:
    found = replace(ordinary(), name=name)
    seen = situation(found, V1, pods=(pod(of, version, terminating=True), pod("b", "v1")))
    assert isinstance(with_terminated(Done("so"), seen, True), Going) is ours
    assert still_terminating(seen.picture) == ("; 1 pod is still terminating" if ours else "")


def test_a_canary_that_somebody_let_grow_is_not_waited_for() -> None:
    grown = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}}
    of = deployment(record=record(pods=3, surge=3), **grown)
    seen = situation(of, V1, replica_set("v2", 3, 2), pods=tuple(pod(f"c{n}", "v2") for n in range(3)))
    found = towards_hold(seen, GOAL, record(), 4)
    assert found == Stuck("somebody let the canary grow to 3 pods meanwhile, more than the 1 asked for")


IN_ITS_WORDS: dict[str, tuple[Any, str]] = {
    "evicted": (
        pod("c", "v2", ready=False, phase="Failed", reason="Evicted", message="low on memory"),
        "pod c is Failed (Evicted: low on memory)",
    ),
    "no node": (
        pod("c", "v2", ready=False, phase="Pending", **unschedulable()),
        "pod c is Pending (Unschedulable: 0/3 nodes are available)",
    ),
    "ended": (
        pod(
            "c",
            "v2",
            ready=False,
            containerStatuses=[{"name": "app", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}],
        ),
        "pod c is Running (container app: ended with OOMKilled (exit code 137))",
    ),
    "init": (
        pod(
            "c",
            "v2",
            ready=False,
            phase="Pending",
            initContainerStatuses=[{"name": "init", "state": {"waiting": {"reason": "ErrImagePull"}}}],
        ),
        "pod c is Pending (container init: ErrImagePull)",
    ),
    "a readiness gate": (
        pod(
            "c",
            "v2",
            ready=False,
            conditions=[{"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "gate x"}],
        ),
        "pod c is Running (ReadinessGatesNotReady: gate x)",
    ),
    "terminating": (pod("c", "v2", ready=False, terminating=True), "pod c is terminating (Running)"),
    "on a node that is lost": (
        pod(
            "c",
            "v2",
            ready=False,
            terminating=True,
            conditions=[
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByTaintManager",
                    "message": "NoExecute",
                }
            ],
        ),
        "pod c is terminating (Running) (DeletionByTaintManager: NoExecute)",
    ),
    "nothing yet": (pod("c", "v2", ready=False, phase=""), "pod c is of no phase yet"),
}


@pytest.mark.parametrize(("seen", "words"), [*IN_ITS_WORDS.values()], ids=[*IN_ITS_WORDS])
def test_a_pod_says_where_it_stands(seen: Any, words: str) -> None:
    assert in_its_words(seen) == words
