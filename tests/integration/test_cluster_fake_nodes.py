# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake level of the test cluster: its pods behave as their template's annotations ask."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.__main__ import main
from tests.cluster.fakes import LOG_LINE, Capacity
from tests.cluster.kubectl import KubectlFailed, kubectl
from tests.cluster.lab import Lab, start_lab

TIMEOUT_SECONDS = 20


def deployment(annotations: dict[str, str], image: str = "lab.local/app:v1", cpu: str = "10m") -> str:
    labels = {"app": "web"}
    container = {"name": "web", "image": image, "resources": {"requests": {"cpu": cpu}}}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})


def pods(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    return list(lab.api.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"])


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def container(pod: dict[str, Any]) -> dict[str, Any]:
    return dict((pod["status"].get("containerStatuses") or [{}])[0])


def when(lab: Lab, namespace: str, holds: Any, since: dict[str, Any] | None = None) -> dict[str, Any]:
    """The only pod of the namespace, as it was when it was first what the test waits for: since it was `since`, or was made.

    All that it has been is told, and nothing is missed between two looks, however long a busy machine takes for one.
    """
    before = since or lab.api.request("GET", f"/api/v1/namespaces/{namespace}")
    path, begins = f"/api/v1/namespaces/{namespace}/pods", {"resourceVersion": before["metadata"]["resourceVersion"]}
    with (
        connect(Connection(kubeconfig=str(lab.kubeconfig))) as api,
        api.watch(path, begins, seconds=TIMEOUT_SECONDS) as events,
    ):
        for event in events:
            if event.type != "DELETED" and holds(event.object):
                return event.object
    raise AssertionError(f"no such pod within {TIMEOUT_SECONDS} s: {pods(lab, namespace)}")


def apply(lab: Lab, namespace: str, *arguments: Any, **options: Any) -> None:
    lab.kubectl("apply", "--namespace", namespace, "-f", "-", input=deployment(*arguments, **options))


def test_a_pod_that_asks_for_nothing_is_ready_at_once(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {})
    pod = when(lab, namespace, is_ready)
    assert pod["status"]["podIP"].startswith("10.202.")


def test_ready_after_keeps_a_running_pod_from_being_ready(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/ready-after": "2500"})
    when(lab, namespace, lambda pod: pod["status"]["phase"] == "Running" and not is_ready(pod))
    pod = when(lab, namespace, is_ready)
    (became_ready,) = [one["lastTransitionTime"] for one in pod["status"]["conditions"] if one["type"] == "Ready"]
    started = container(pod)["state"]["running"]["startedAt"]
    waited = datetime.fromisoformat(became_ready) - datetime.fromisoformat(started)
    assert waited >= timedelta(seconds=2), "by the cluster's clock, of whole seconds"


def test_never_ready_stays_running_and_unready(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/never-ready": "true"})
    running = when(lab, namespace, lambda pod: pod["status"]["phase"] == "Running")
    assert not is_ready(running) and container(running)["state"].keys() == {"running"}
    with pytest.raises(KubectlFailed, match="timed out"):
        lab.kubectl("wait", "--namespace", namespace, "--for=condition=Ready", "pod", "--all", "--timeout=1s")


@pytest.mark.parametrize(
    "reason",
    ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"],
)
def test_a_container_that_cannot_start_says_why(lab: Lab, namespace: str, reason: str) -> None:
    apply(lab, namespace, {"lab.coalmine/waiting": reason})
    pod = when(lab, namespace, lambda pod: container(pod).get("state", {}).get("waiting", {}).get("reason") == reason)
    assert pod["status"]["phase"] == "Pending" and container(pod)["state"]["waiting"]["message"]


@pytest.mark.parametrize(
    ("image", "reason"), [("lab.local/missing:v1", "ImagePullBackOff"), ("lab.local/app:crash", "CrashLoopBackOff")]
)
def test_an_image_can_stand_for_the_misfortune(lab: Lab, namespace: str, image: str, reason: str) -> None:
    apply(lab, namespace, {}, image=image)
    when(lab, namespace, lambda pod: container(pod).get("state", {}).get("waiting", {}).get("reason") == reason)


def test_a_crash_loop_counts_restarts_and_keeps_the_exit_code(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/waiting": "CrashLoopBackOff"})
    pod = when(lab, namespace, lambda pod: container(pod).get("restartCount"))
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 3
    assert container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff" and not is_ready(pod)


def test_fake_containers_have_a_log(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/waiting": "CrashLoopBackOff"})
    when(lab, namespace, lambda pod: container(pod).get("restartCount"))
    assert lab.kubectl("logs", "--namespace", namespace, "deployment/web", "--tail=1").strip() == LOG_LINE


def test_unready_after_takes_readiness_away_for_good(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/unready-after": "500"})
    ready = when(lab, namespace, is_ready)
    pod = when(lab, namespace, lambda pod: not is_ready(pod), since=ready)
    assert "running" in container(pod)["state"]


def test_restart_after_restarts_once(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/restart-after": "300"})
    pod = when(lab, namespace, lambda pod: container(pod).get("restartCount"))
    assert is_ready(pod) and container(pod)["restartCount"] == 1


def test_end_after_keeps_a_deleted_pod_for_a_while(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {"lab.coalmine/end-after": "1000"})
    when(lab, namespace, is_ready)
    began = time.monotonic()
    lab.kubectl("delete", "deployment", "web", "--namespace", namespace)
    when(lab, namespace, lambda pod: "deletionTimestamp" in pod["metadata"] and is_ready(pod))
    while pods(lab, namespace):
        assert time.monotonic() - began < TIMEOUT_SECONDS
        time.sleep(0.02)
    assert time.monotonic() - began > 0.8


def test_a_pod_that_fits_no_node_is_unschedulable(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, {}, cpu="33")

    def refused(pod: dict[str, Any]) -> bool:
        return any(c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", []))

    assert "Insufficient cpu" in json.dumps(when(lab, namespace, refused)["status"])


def test_a_node_can_be_added_with_a_capacity_of_its_own(lab: Lab) -> None:
    name = lab.add_fake_node(
        90, Capacity(cpu="250m", memory="64Mi", pods=2), taints=[{"key": "small", "effect": "NoSchedule"}]
    )
    try:
        lab.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=10s")
        assert json.loads(lab.kubectl("get", "node", name, "-o", "json"))["status"]["allocatable"]["cpu"] == "250m"
    finally:
        lab.kubectl("delete", "node", name)


def test_a_new_client_has_no_rights_until_rbac_gives_them(lab: Lab, namespace: str) -> None:
    anna = lab.client_for("anna", ["team/payments"])
    with pytest.raises(KubectlFailed, match='User "anna" cannot list'):
        kubectl(lab.binaries, anna, "get", "pods", "--namespace", namespace)
    lab.kubectl("create", "rolebinding", "a", "--clusterrole=view", "--group=team/payments", "--namespace", namespace)
    assert kubectl(lab.binaries, anna, "get", "pods", "--namespace", namespace) == ""


def test_a_service_account_acts_by_its_own_token(lab: Lab, namespace: str) -> None:
    kubeconfig = lab.service_account_kubeconfig(namespace, "default")
    with pytest.raises(KubectlFailed, match=f"system:serviceaccount:{namespace}:default"):
        kubectl(lab.binaries, kubeconfig, "get", "pods", "--namespace", namespace)
    assert kubeconfig.stat().st_mode & 0o077 == 0


def test_metrics_without_real_nodes_are_refused_before_anything_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="a fake one has no kubelet to ask"):
        start_lab(fake_nodes=1, metrics=True)
    with pytest.raises(SystemExit):
        main(["up", "--metrics"])
    assert "needs real nodes" in capsys.readouterr().err
