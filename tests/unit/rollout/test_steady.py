# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary may and may not do while it is watched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.notices import several_builds
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.progress import Going, Stuck
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.steady import FirstLook, steady
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Deployment, Picture, Pod, ReplicaSet

READY_SINCE, LATER = "2026-01-01T10:00:00Z", "2026-01-01T10:05:00Z"


def pod(
    name: str = "web-b-1",
    *,
    ready: bool = True,
    since: str = READY_SINCE,
    restarts: int = 0,
    disruption: str = "",
    homeless: bool = False,
) -> Pod:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
    disrupted = {
        "type": "DisruptionTarget",
        "status": str(bool(disruption)),
        "reason": disruption,
        "message": "said so",
    }
    scheduled = {"type": "PodScheduled", "status": str(not homeless), "reason": "Unschedulable" if homeless else ""}
    return Pod.parse(
        {
            "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": "rs-b", "controller": True}]},
            "status": {
                "phase": "Running",
                "conditions": [condition, disrupted, scheduled],
                "containerStatuses": [{"name": "app", "restartCount": restarts}],
            },
        }
    )


def situation(*pods: Pod, phase: Phase = Phase.HELD, replicas: int = 3) -> Situation:
    template: dict[str, Any] = {"spec": {"containers": [{"name": "app", "image": "app:v2"}]}}
    deployment = Deployment.parse(
        {"metadata": {"name": "web", "uid": "d", "generation": 7}, "spec": {"replicas": replicas, "template": template}}
    )
    metadata = {"name": "web-b", "uid": "rs-b"}
    canary = ReplicaSet.parse(
        {"metadata": metadata, "spec": {"replicas": 1, "template": template}, "status": {"replicas": 1}}
    )
    return Situation(phase, Picture(deployment, (canary,), pods), stable=None, canary=canary)


FIRST = FirstLook.of(situation(pod()))


def test_a_canary_that_stays_as_it_was_goes_on() -> None:
    assert steady(situation(pod()), FIRST) == Going("1 canary pod Ready, none restarted")


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (situation(pod(restarts=1)), "container app of pod web-b-1 restarted 1 time"),
        (situation(pod(ready=False, since=LATER)), "canary pod web-b-1 is not Ready any more"),
        (situation(pod(since=LATER)), "canary pod web-b-1 was not Ready until 2026-01-01T10:05:00Z"),
        (
            situation(replace(pod(), rewritten_by="kubectl-set")),
            '"kubectl-set" gave a container of pod web-b-1 another image since it was made, so that it does not run what its version says '
            "(delete the pod, and another one is made of that)",
        ),
        (situation(pod("web-b-2")), "canary pod web-b-1 is gone"),
        (situation(replace(pod(), terminating=True)), "canary pod web-b-1 is gone"),
        (situation(replace(pod(), phase="Failed")), "canary pod web-b-1 is gone"),
        (
            situation(
                replace(pod(), phase="Failed", reason="Evicted", message="The node was low on resource: memory. ")
            ),
            "canary pod web-b-1 is gone (Evicted: The node was low on resource: memory. )",
        ),
        (
            situation(replace(pod(disruption="DeletionByTaintManager"), terminating=True)),
            "canary pod web-b-1 is gone (DeletionByTaintManager: said so)",
        ),
        (situation(pod(), pod("web-b-2", ready=False)), "canary pod web-b-2 is not Ready"),
        (
            situation(pod(), replicas=5),
            "somebody scaled the Deployment from 3 to 5 replicas, so the split is no longer what was asked for",
        ),
        (situation(pod(), phase=Phase.FROZEN), "somebody froze the canary"),
        (situation(pod(), phase=Phase.PROMOTING), "the canary is being promoted"),
        (situation(pod(), phase=Phase.UNDOING), "the canary is being taken back"),
        (situation(pod(), phase=Phase.FOREIGN), "somebody else changed the Deployment"),
        (situation(pod(), phase=Phase.DAMAGED), "the hold is damaged"),
        (situation(pod(), phase=Phase.NONE), "no canary is held"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_it_is_stuck_at_the_first_thing_that_is_not_as_it_was(now: Situation, why: str) -> None:
    progress = steady(now, FIRST)
    assert isinstance(progress, Stuck)
    assert progress.why == why


def test_a_first_look_without_pods_has_nothing_to_watch() -> None:
    empty = situation()
    assert steady(empty, FirstLook.of(empty)) == Stuck("there is no canary pod")


MAY_SCALE_UP = replace(FIRST, may_scale_up=True)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (situation(pod(), replicas=5), ""),
        # A pod that came with that takes its time.
        (situation(pod(), pod("web-b-2", ready=False), replicas=5), ""),
        # Or waits for a node, which is nothing of what is watched.
        (situation(pod(), pod("web-b-2", ready=False, homeless=True), replicas=5), ""),
        (situation(pod(), pod("web-b-2", ready=False, restarts=1), replicas=5), "restarted 1 time"),
        (situation(pod(ready=False, since=LATER), replicas=5), "canary pod web-b-1 is not Ready any more"),
        (situation(pod("web-b-2"), replicas=5), "canary pod web-b-1 is gone"),
        (situation(pod(), replicas=2), "somebody scaled the Deployment from 3 to 2 replicas"),
    ],
)
def test_a_deployment_that_may_be_scaled_up_is_held_to_the_rest(now: Situation, why: str) -> None:
    found = steady(now, MAY_SCALE_UP)
    assert isinstance(found, Stuck if why else Going) and why in found.why


def running(name: str, **image_ids: str) -> Pod:
    states = [{"name": container, "imageID": image_id} for container, image_id in image_ids.items()]
    meta = {"name": name, "uid": name, "ownerReferences": [{"uid": "rs-b", "controller": True}]}
    return Pod.parse({"metadata": meta, "status": {"phase": "Running", "containerStatuses": states}})


ONE, OTHER = "registry.example/app@sha256:1", "registry.example/app@sha256:2"
MIRRORED = "mirror.example/app@sha256:1"


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ((running("a", app=ONE), running("b", app=ONE)), False),
        ((running("a", app=ONE), running("b", app=OTHER)), True),
        ((running("a", app=ONE), running("b", app=MIRRORED)), False),
        ((running("a", app=ONE), running("b", app="")), False),
        # From no registry: the same image has another ID on a node of another architecture.
        ((running("a", app="sha256:1"), running("b", app="sha256:2")), False),
        ((running("a", app=ONE, proxy=OTHER), running("b", app=ONE, proxy=OTHER)), False),
        ((running("a", app=ONE), replace(running("b", app=OTHER), terminating=True)), False),
    ],
)
def test_pods_that_run_different_images_by_one_name_are_told(pods: tuple[Pod, ...], told: bool) -> None:
    said = several_builds(situation(*pods))
    assert bool(said) is told
    assert not told or f"run 2 different images in container app ({ONE}, {OTHER})" in said


@pytest.mark.parametrize(
    ("default", "unready", "explains"),
    [("", "app", "app"), ("", "proxy", "proxy"), ("", "", "app"), ("proxy", "", "proxy"), ("proxy", "app", "app")],
)
def test_the_log_of_a_container_that_runs_explains_a_pod_that_is_not_ready(
    default: str, unready: str, explains: str
) -> None:
    """Not of one that has only initialised it."""
    done = {"name": "migrate", "ready": True, "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}
    annotations = {"kubectl.kubernetes.io/default-container": default} if default else {}

    def seen(ready: bool) -> Pod:
        return Pod.parse(
            {
                "metadata": {
                    "name": "web-b-1",
                    "uid": "web-b-1",
                    "annotations": annotations,
                    "ownerReferences": [{"uid": "rs-b", "controller": True}],
                },
                "spec": {
                    "initContainers": [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}],
                    "containers": [{"name": "app"}],
                },
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": READY_SINCE}],
                    "initContainerStatuses": [done, {"name": "proxy", "ready": unready != "proxy"}],
                    "containerStatuses": [{"name": "app", "ready": unready != "app"}],
                },
            }
        )

    stuck = steady(situation(seen(False)), FirstLook.of(situation(seen(True))))
    assert isinstance(stuck, Stuck)
    assert (stuck.pod, stuck.container) == ("web-b-1", explains)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wait-for-db", ""),
        ("proxy", "container proxy of pod web-b-1 restarted 1 time"),
        ("app", "container app of pod"),
    ],
)
def test_what_only_initialises_a_pod_may_be_tried_again(name: str, why: str) -> None:
    statuses = [{"name": one, "restartCount": int(one == name)} for one in ("wait-for-db", "proxy", "app")]
    meta = {"name": "web-b-1", "uid": "web-b-1", "ownerReferences": [{"uid": "rs-b", "controller": True}]}
    seen = Pod.parse(
        {
            "metadata": meta,
            "spec": {
                "initContainers": [{"name": "wait-for-db"}, {"name": "proxy", "restartPolicy": "Always"}],
                "containers": [{"name": "app"}],
            },
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": READY_SINCE}],
                "initContainerStatuses": statuses[:2],
                "containerStatuses": statuses[2:],
            },
        }
    )
    found = steady(situation(seen), FirstLook.of(situation(seen)))
    assert isinstance(found, Stuck if why else Going) and why in found.why
