# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot succeed ends the wait at once: with the pod, the container, the reason and the next command; the canary stays."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.fakes import Capacity
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.situations import Web, until

# Far below the timeout that the wait was given: it ended because of what it saw. Generous for a machine with much to do.
AT_ONCE_SECONDS = 45.0
LONG = Wait(timeout=600.0)
NEVER_READY = {"lab.coalmine/never-ready": "true"}
NEXT = r"The canary stays held for you to look at: canary_info shows it, canary_undo brings the stable version back\.$"


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


def fails_at_once(call: Callable[[], Any], code: str = "stuck") -> VerbFailure:
    begun = time.monotonic()
    with pytest.raises(VerbFailure) as raised:
        call()
    assert raised.value.code == code, raised.value.message
    assert time.monotonic() - begun < AT_ONCE_SECONDS
    return raised.value


def patient(web: Web) -> Web:
    return replace(web, wait=LONG)


REASONS = {
    "ImagePullBackOff": r"is in ImagePullBackOff: Back-off pulling image",
    "ErrImageNeverPull": r"is in ErrImageNeverPull: Container image \S+ is not present with pull policy of Never",
    "InvalidImageName": r"is in InvalidImageName: Failed to apply default image tag",
    "CreateContainerConfigError": r"is in CreateContainerConfigError: configmap \S+ not found",
    "CrashLoopBackOff": r"restarted 1 time\(s\), last with Error \(exit code 3\)",
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_container_that_cannot_run_is_named_with_its_reason(reason: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    failure = fails_at_once(lambda: patient(web).start(annotations={"lab.coalmine/waiting": reason}))
    said = rf'^Deployment "{web.name}" in namespace "{web.namespace}": container app of pod {web.name}\S+ {REASONS[reason]}'
    assert re.search(said, failure.message), failure.message
    assert re.search(NEXT, failure.message) and failure.changed
    assert web.split() == {"v1": 3, "v2": 1} and web.phase == "starting"
    assert web.undo().changed and web.split() == {"v1": 3}


def test_a_canary_that_restarts_fails_even_when_it_is_ready_again(new: Callable[..., Web]) -> None:
    web = new().make(3)
    with pytest.raises(VerbFailure, match=r"restarted 1 time\(s\), last with Error \(exit code 1\)"):
        patient(web).start(pods=2, annotations={"lab.coalmine/restart-after": "0"})
        patient(web).start(pods=3, annotations={"lab.coalmine/restart-after": "0"})


def test_a_pod_that_no_node_takes_is_told_in_the_schedulers_words(new: Callable[..., Web]) -> None:
    web = new().make(2)
    failure = fails_at_once(lambda: patient(web).start(patch={"spec": {"nodeSelector": {"disk": "diamond"}}}))
    assert re.search(
        r"pod \S+ cannot be scheduled: 0/\d+ nodes are available: .*didn't match Pod's node affinity/selector",
        failure.message,
    )
    assert re.search(NEXT, failure.message) and web.split() == {"v1": 2, "v2": 1}


def test_a_pod_that_no_node_takes_is_waited_for_where_a_node_may_come(
    lab: Lab | ForeignCluster, new: Callable[..., Web]
) -> None:
    web = new().make(2)
    here = {"node-of": web.name}

    def add_node(told: str) -> None:
        if isinstance(lab, ForeignCluster):
            pytest.skip("nodes are added to a test cluster only")
        if "waiting for a node" in told and not added:
            taint = {"key": "node-of", "value": web.name, "effect": "NoSchedule"}
            added.append(lab.add_fake_node(int(web.name[-4:], 16), Capacity(), labels=here, taints=[taint]))

    added: list[str] = []
    web = replace(web, report=add_node, wait=Wait(timeout=60.0, for_nodes=60.0))
    try:
        web.start(patch={"spec": {"nodeSelector": here, "tolerations": [{"key": "node-of", "operator": "Exists"}]}})
        assert web.phase == "held"
    finally:  # other tests count on the nodes that they know
        for name in added:
            web.world.kubectl("delete", "node", name)


def test_a_quota_that_refuses_the_pods_is_told_in_its_words(lab: Lab | ForeignCluster) -> None:
    with webs(lab) as new:
        web = new().make(2)
        quota = {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}}
        path = f"/api/v1/namespaces/{web.namespace}/resourcequotas"
        web.admin.create(path, quota)
        until(lambda: web.admin.get(f"{path}/two").get("status", {}).get("used", {}).get("pods") == "2", "counted")
        failure = fails_at_once(patient(web).start)
        assert re.search(
            r"pods of ReplicaSet \S+ are refused: .*exceeded quota: two, .*limited: pods=2", failure.message
        )
        assert re.search(NEXT, failure.message)
        assert web.undo().changed and web.split() == {"v1": 2}


def test_a_quota_that_refuses_the_replica_set_is_told_in_its_words(lab: Lab | ForeignCluster) -> None:
    counted = "count/replicasets.apps"
    with webs(lab) as new:
        web = new().make(2)
        path = f"/api/v1/namespaces/{web.namespace}/resourcequotas"
        web.admin.create(path, {"metadata": {"name": "one"}, "spec": {"hard": {counted: "1"}}})
        until(lambda: web.admin.get(f"{path}/one").get("status", {}).get("used", {}).get(counted) == "1", "counted")
        failure = fails_at_once(patient(web).start)
        assert re.search(
            r"no ReplicaSet can be made .*exceeded quota: one, .*limited: count/replicasets", failure.message
        )
        assert re.search(NEXT, failure.message)
        assert web.undo().changed and web.split() == {"v1": 2}


@contextmanager
def meanwhile(web: Web, does: Callable[[Web], Any]) -> Iterator[Web]:
    """`does` runs once the canary's ReplicaSet is there, while the verb waits."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            until(lambda: len(web.split()) == 2 and web.get()["status"].get("updatedReplicas"), "the canary begins")
            does(web)
        except BaseException as error:  # noqa: BLE001  # told to the test below, whatever it is
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield patient(web)
    finally:
        thread.join()
    assert not failed, failed


INTERFERENCES: dict[str, tuple[Callable[[Web], Any], str]] = {
    "another image": (
        lambda web: web.kubectl("set", "image", f"deployment/{web.name}", "app=lab.local/app:v3"),
        r"somebody replaced the pod template of the canary \(somebody replaced the pod template\)\.",
    ),
    "the old image": (
        lambda web: web.patch(
            {"spec": {"template": {"metadata": {"annotations": dict.fromkeys(NEVER_READY)},
                                   "spec": {"containers": [{"name": "app", "image": "lab.local/app:v1"}]}}}}
        ),
        r"somebody changed the fields of the hold \(its pod template was put back to the stable one",
    ),
    "a restart": (
        lambda web: web.kubectl("rollout", "restart", f"deployment/{web.name}"),
        r"somebody replaced the pod template of the canary",
    ),
    "a pause": (
        lambda web: web.kubectl("rollout", "pause", f"deployment/{web.name}"),
        r"somebody paused the Deployment\.",
    ),
    "scaled to 0": (
        lambda web: web.scale(0),
        r"somebody scaled the Deployment to 0 replicas; scaling up again would make all pods canary pods\.",
    ),
    "minReadySeconds": (
        lambda web: web.patch({"spec": {"minReadySeconds": 0}}),
        r"somebody changed the fields of the hold \(somebody put minReadySeconds back",
    ),
    "the strategy": (
        lambda web: web.patch({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}}}),
        r"somebody changed the fields of the hold \(somebody changed the strategy of the hold\)",
    ),
    "an undo": (lambda web: replace(web, wait=Wait(enabled=False)).undo(), r"somebody (undid the canary|ended the release)"),
    "deleted": (
        lambda web: web.kubectl("delete", f"deployment/{web.name}", "--wait=true"), r"there is no Deployment"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INTERFERENCES)
def test_somebody_who_interferes_ends_the_wait(what: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    does, message = INTERFERENCES[what]
    with meanwhile(web, does) as waiting:
        failure = fails_at_once(
            lambda: waiting.start(annotations=NEVER_READY), "not_found" if what == "deleted" else "stuck"
        )
    assert re.search(message, failure.message), failure.message


def test_scaling_while_a_start_waits_is_told_with_the_true_counts(new: Callable[..., Web]) -> None:
    web = new().make(4)
    with meanwhile(web, lambda web: web.scale(8)) as waiting:
        outcome = waiting.start(annotations={"lab.coalmine/ready-after": "6000"})
    counts = web.split()
    assert (
        f"somebody scaled the Deployment from 4 to 8 replicas since the start, which spread over both versions: "
        f"{counts['v1']} stable and {counts['v2']} canary pods now"
    ) in outcome.warnings
    again = web.start(annotations={"lab.coalmine/ready-after": "6000"})
    assert not again.changed and any("from 4 to 8 replicas" in warning for warning in again.warnings)


def test_scaling_down_while_a_start_waits_ends_it(new: Callable[..., Web]) -> None:
    web = new().make(5)
    with meanwhile(web, lambda web: web.scale(3)) as waiting:
        failure = fails_at_once(lambda: waiting.start(annotations=NEVER_READY))
    assert "somebody scaled the Deployment from 5 down to 3 replicas" in failure.message
    web.undo()
    assert web.split() == {"v1": 3}


def test_scaled_down_until_no_stable_pod_is_left_is_no_hold(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.start(pods=2)  # 3 stable and 2 canary pods
    web.scale(1)
    until(lambda: web.split() == {"v2": 1}, "only the canary is left")
    found = web.info()
    assert (found["phase"], found["why"]) == ("damaged", "no stable pod is left beside the canary")
    assert "Repair it with canary_undo" in web.refused(lambda: web.start(pods=2), "damaged")
    web.undo()
    assert web.split() == {"v1": 1}


def test_a_timeout_says_how_far_it_came_and_the_canary_stays(new: Callable[..., Web]) -> None:
    web = new().make(2)
    with pytest.raises(VerbFailure) as raised:
        replace(web, wait=Wait(timeout=2.0)).start(annotations=NEVER_READY)
    assert raised.value.code == "timeout"
    assert re.search(r"timed out: 0 of 1 canary pods are Ready\. Pod \S+ is Running.* " + NEXT, raised.value.message)
    assert web.split() == {"v1": 2, "v2": 1}


def test_a_promotion_that_fails_says_why_and_how_to_go_on(new: Callable[..., Web]) -> None:
    web = new().make(3)
    # Not done before somebody interferes, however late that is: then there would be nothing to undo any more.
    web.start(patch={"metadata": {"annotations": {"lab.coalmine/ready-after": "2000"}}})
    with meanwhile_moving(web):
        failure = fails_at_once(patient(web).promote)
    assert re.search(
        r"somebody replaced the pod template meanwhile\. It was left as it is: canary_info shows it, canary_undo brings the stable "
        r"version back\.$",
        failure.message,
    ), failure.message
    assert web.phase == "foreign"
    web.undo()
    assert web.split() == {"v1": 3}


@contextmanager
def meanwhile_moving(web: Web) -> Iterator[None]:
    """Once the promotion has begun, no pod gets Ready any more, and then somebody sets another image."""
    nobody = {"spec": {"template": {"metadata": {"annotations": NEVER_READY}}}}
    before = web.generation

    def run() -> None:
        until(lambda: web.generation > before, "the promotion begins")
        web.patch(nobody)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def test_a_deployment_that_was_made_again_meanwhile_is_another_one(new: Callable[..., Web]) -> None:
    web = new().make(2, annotations={"lab.coalmine/ready-after": "3000"})
    web.start()

    def make_again(told: str) -> None:
        if "if this is interrupted" in told:  # the wait has yet to begin
            manifest = web.manifest(2)
            manifest["spec"]["template"] = web.spec["template"]
            web.kubectl("delete", f"deployment/{web.name}", "--wait=false")
            web.admin.create(f"{web.apps}/deployments", manifest)

    failure = fails_at_once(replace(patient(web), report=make_again).promote)
    assert "the Deployment was deleted and made again" in failure.message
    assert web.phase == "none"


def test_a_promotion_has_as_long_for_each_pod_as_it_was_given(new: Callable[..., Web]) -> None:
    web = new().make(3, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    web.start(annotations={"lab.coalmine/ready-after": "6000"})
    begun = time.monotonic()
    web.wait = Wait(timeout=11.0)
    web.promote()
    assert time.monotonic() - begun > 11.0 and web.split() == {"v2": 3}


def test_the_time_that_pods_need_to_become_available_is_no_standstill(new: Callable[..., Web]) -> None:
    web = new().make(2, minReadySeconds=4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    web.start()
    replace(web, wait=Wait(timeout=3.5)).promote()
    assert web.split() == {"v2": 2}


def test_terminated_pods_are_waited_for_only_when_asked(new: Callable[..., Web]) -> None:
    web = new().make(2, annotations={"lab.coalmine/end-after": "8000"})
    web.start()
    promoted = web.promote()
    assert [pod for pod in web.pods() if pod["metadata"].get("deletionTimestamp")]
    assert re.search(r"; [12] pod\(s\) are still terminating$", promoted.message)
    assert promoted.canary["terminating"] > 0
    told: list[str] = []
    started = replace(web, report=told.append).start("v3", annotations={"lab.coalmine/end-after": "3000"})
    warned = [text for text in started.warnings if "of an earlier rollout are still terminating" in text]
    assert warned and told[0] == warned[0]
    replace(web, wait=Wait(timeout=60.0, terminated=True)).promote()
    assert not [pod for pod in web.pods() if pod["metadata"].get("deletionTimestamp")]


# On a real node: real containers, real log lines.


@dataclass(frozen=True)
class Broken:
    patch: Mapping[str, Any]
    message: str


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", **fields}]}}


REAL = {
    "crash": Broken(
        # Without a probe a container counts as Ready as soon as it runs, however shortly.
        container(image="lab.local/app:crash", readinessProbe={"httpGet": {"path": "/healthz", "port": 8080}}),
        r"container app of pod \S+ (restarted \d+ time\(s\), last with Error \(exit code 3\)|is in CrashLoopBackOff).*"
        r"Its last log lines: fatal: cannot start: CRASH is set\. ",
    ),
    "never pull": Broken(
        container(image="lab.local/app:missing", imagePullPolicy="Never"), r"is in ErrImageNeverPull: .*lab\.local/app:missing"
    ),
    "no such image": Broken(container(image="lab.local/app:missing"), r"is in ImagePullBackOff: .*lab\.local/app:missing"),
    "no image name": Broken(container(image="lab.local/app:NOT A TAG"), r"is in InvalidImageName: "),
    "no such config": Broken(
        container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nothing", "key": "a"}}}]),
        r'is in CreateContainerConfigError: configmap "nothing" not found',
    ),
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_a_real_container_that_fails_is_told_with_its_reason_and_last_lines(name: str, real_lab: Lab) -> None:
    with webs(real_lab) as new:
        web, broken = new().make(2), REAL[name]
        with pytest.raises(VerbFailure) as raised:
            patient(web).start(template=NewTemplate(patch=broken.patch))
        assert re.search(broken.message, raised.value.message), raised.value.message
        assert re.search(NEXT, raised.value.message)
        assert raised.value.message.isprintable() and web.phase == "starting"
        web.undo()
        assert web.split() == {"v1": 2}
