# SPDX-License-Identifier: GPL-3.0-or-later
"""The real level of the test cluster: containers, probes, Services, logs and image errors of a real node."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.cluster.lab import Lab
from tests.cluster.services import wait_for_answer

TIMEOUT_SECONDS = 60
# At 100 requests a second, of which the new pods get a quarter at least as soon as one of them gets any.
SECONDS_OF_THE_NEW_VERSION = 1


def manifests(image: str, replicas: int, policy: str = "IfNotPresent", **environment: str) -> str:
    labels = {"app": "web"}
    container = {
        "name": "web",
        "image": image,
        "imagePullPolicy": policy,
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 10, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [deployment, service]})


@pytest.fixture
def kubectl(real_lab: Lab, real_namespace: str) -> Callable[..., str]:
    def call(*arguments: str, **options: Any) -> str:
        return real_lab.kubectl("--namespace", real_namespace, *arguments, **options)

    return call


def waiting_reason(kubectl: Callable[..., str], wanted: str) -> dict[str, Any]:
    """The container's status as soon as it waits for this reason."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        for pod in json.loads(kubectl("get", "pods", "-o", "json"))["items"]:
            for status in pod["status"].get("containerStatuses", []):
                if status["state"].get("waiting", {}).get("reason") == wanted:
                    return dict(status)
        time.sleep(0.1)
    raise AssertionError(f"no container waited for {wanted} within {TIMEOUT_SECONDS} s")


def test_a_service_spreads_over_real_pods_and_a_rollout_loses_no_request(
    real_lab: Lab, kubectl: Callable[..., str]
) -> None:
    kubectl("apply", "-f", "-", input=manifests("lab.local/app:v1", 4, DRAIN_MS="3000"))
    kubectl("rollout", "status", "deployment/web", f"--timeout={TIMEOUT_SECONDS}s")
    url = f"http://{kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')}/"
    wait_for_answer(url)
    load = subprocess.Popen(
        [real_lab.programs / "load", "-url", url, "-rate", "100"], stdout=subprocess.PIPE, text=True
    )
    kubectl("set", "image", "deployment/web", "web=lab.local/app:v2")
    kubectl("rollout", "status", "deployment/web", f"--timeout={TIMEOUT_SECONDS}s")
    wait_for_answer(url, "v2")
    time.sleep(SECONDS_OF_THE_NEW_VERSION)
    load.terminate()
    report = json.loads(load.communicate(timeout=TIMEOUT_SECONDS)[0])
    assert report["failed"] == 0, report
    assert set(report["versions"]) == {"v1", "v2"} and len(report["pods"]) >= 5


def test_logs_and_exec_reach_the_container(kubectl: Callable[..., str]) -> None:
    kubectl("apply", "-f", "-", input=manifests("lab.local/app:v3", 1, LOG_ERRORS_PER_S="20"))
    kubectl("rollout", "status", "deployment/web", f"--timeout={TIMEOUT_SECONDS}s")
    assert kubectl("exec", "deployment/web", "--", "/app", "version") == "v3\n"
    line = json.loads(kubectl("logs", "deployment/web", "--tail=1"))
    assert line["version"] == "v3" and line["level"] == "error"


def test_a_crashing_image_ends_in_a_crash_loop_with_its_exit_code(kubectl: Callable[..., str]) -> None:
    kubectl("apply", "-f", "-", input=manifests("lab.local/app:crash", 1))
    status = waiting_reason(kubectl, "CrashLoopBackOff")
    assert status["restartCount"] >= 1 and status["lastState"]["terminated"]["exitCode"] == 3


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [
        ("lab.local/app:missing", "IfNotPresent", "ErrImagePull"),
        ("lab.local/app:missing", "Never", "ErrImageNeverPull"),
        ("lab.local/app:NOT A TAG", "IfNotPresent", "InvalidImageName"),
    ],
)
def test_an_image_that_is_not_there_is_reported_at_once(
    kubectl: Callable[..., str], image: str, policy: str, reason: str
) -> None:
    kubectl("apply", "-f", "-", input=manifests(image, 1, policy))
    waiting_reason(kubectl, reason)


def test_readiness_is_what_the_application_says(kubectl: Callable[..., str]) -> None:
    kubectl("apply", "-f", "-", input=manifests("lab.local/app:v1", 1, STARTUP_MS="2500"))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    (pod,) = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    (became_ready,) = [one["lastTransitionTime"] for one in pod["status"]["conditions"] if one["type"] == "Ready"]
    started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    waited = datetime.fromisoformat(became_ready) - datetime.fromisoformat(started)
    assert waited >= timedelta(seconds=2), "by the node's clock, of whole seconds"
