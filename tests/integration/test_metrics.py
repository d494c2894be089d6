# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real CPU and memory decide: the `resources` check, and an autoscaler that is refused, pinned, held and given back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import AutoscalerPolicy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BoundCheck,
    CheckAsked,
    Resource,
    ResourcesAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.cluster.metrics.server import add_metrics
from tests.cluster.services import wait_for_answer
from tests.integration.situations import webs
from tests.situations import Web, silent, until

pytestmark = [pytest.mark.real, pytest.mark.slow]

CPU_REQUEST = "50m"
# Of CPU time a request, and requests a second: half a core on two or three pods, far above 60 % of what they ask for.
WORK_MS, RATE = 20, 25
# Of it, what probes take at most, and of which two pods are enough.
IDLE = 20
# metrics-server looks every ten seconds, the autoscaler every five.
MEASURED_SECONDS = 90
HELD_SECONDS = 20


@pytest.fixture(scope="module")
def metered_lab(real_lab: Lab) -> Lab:
    add_metrics(real_lab)
    return real_lab


@pytest.fixture(scope="module")
def new(metered_lab: Lab) -> Iterator[Callable[..., Web]]:
    with webs(metered_lab) as make:
        yield make


def environment(**variables: object) -> dict[str, Any]:
    return {"env": [{"name": name, "value": str(value)} for name, value in variables.items()]}


def made(web: Web, replicas: int, **variables: object) -> Web:
    manifest = web.manifest(replicas)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container.update(
        imagePullPolicy="IfNotPresent",
        resources={"requests": {"cpu": CPU_REQUEST}},
        readinessProbe=probe,
        **environment(**variables),
    )
    web.admin.create(f"{web.apps}/deployments", manifest)
    web.settle()
    return web


def canary_with(**variables: object) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", **environment(**variables)}]}}


@contextmanager
def load(lab: Lab, web: Web) -> Iterator[None]:
    """Through a Service, to all pods that are Ready."""
    service = {
        "metadata": {"name": web.name},
        "spec": {
            "selector": web.manifest()["spec"]["selector"]["matchLabels"],
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    }
    address = web.admin.create(f"/api/v1/namespaces/{web.namespace}/services", service)["spec"]["clusterIP"]
    wait_for_answer(f"http://{address}/")
    command = [str(lab.programs / "load"), "-url", f"http://{address}/", "-rate", str(RATE), "-duration", "10m"]
    sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        sender.kill()
        sender.wait()


def utilization(web: Web) -> int:
    """Per cent of what the pods ask for, as the autoscaler sees it; 0 while it sees nothing."""
    status: Mapping[str, Any] = web.admin.get(f"{web.autoscalers}/{web.name}-hpa").get("status") or {}
    measured = [metric["resource"]["current"] for metric in status.get("currentMetrics") or () if "resource" in metric]
    return int(measured[0].get("averageUtilization") or 0) if measured else 0


def test_an_autoscaler_on_real_cpu_is_refused_or_pinned_under_load_and_given_back(
    metered_lab: Lab, new: Callable[..., Web]
) -> None:
    web = made(new(), 2, WORK_MS=WORK_MS)
    web.autoscaler(2, 5)
    refusal = web.refused(lambda: web.start(patch=canary_with(WORK_MS=WORK_MS)), "autoscaler")
    assert f"{web.name}-hpa" in refusal
    web.start(patch=canary_with(WORK_MS=WORK_MS), autoscaler=AutoscalerPolicy.PIN)
    with load(metered_lab, web):
        until(lambda: utilization(web) > 100, "the autoscaler sees far more than its target", MEASURED_SECONDS)
        # It wants more pods by now: each of several rounds of its controller would add some.
        deadline = time.monotonic() + HELD_SECONDS
        while time.monotonic() < deadline:
            assert (web.spec["replicas"], web.split()) == (2, {"v1": 2, "v2": 1})
            time.sleep(0.5)
        assert web.bounds() == (2, 2)
        web.promote()
        assert web.bounds() == (2, 5)
        until(lambda: web.spec["replicas"] > 2, "what it wanted all the time, once it may", MEASURED_SECONDS)


def test_an_autoscaler_that_is_held_adds_pods_for_real_cpu_and_takes_none_away_when_the_load_is_over(
    metered_lab: Lab, new: Callable[..., Web]
) -> None:
    web = made(new(), 2, WORK_MS=WORK_MS)
    web.autoscaler(2, 5)
    path = f"{web.autoscalers}/{web.name}-hpa"
    web.admin.patch(path, {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}, PatchKind.MERGE)
    before = web.admin.get(path)["spec"]
    web.start(patch=canary_with(WORK_MS=WORK_MS), autoscaler=AutoscalerPolicy.HOLD)
    with load(metered_lab, web):
        until(lambda: web.spec["replicas"] == 5, "as many as it may", MEASURED_SECONDS)
        # Of pods that are added at once a canary that is a number of pods may get one.
        until(lambda: sum(web.split().values()) == 6 and web.phase == "held", "all pods are there", MEASURED_SECONDS)
        split = web.split()
        assert split["v1"] > split["v2"] <= 2, split
        web.bake(1.0)
    until(lambda: utilization(web) < IDLE, "the autoscaler sees that the load is over", MEASURED_SECONDS)
    # It wants fewer pods by now: each of several rounds of its controller would take some away.
    deadline = time.monotonic() + HELD_SECONDS
    while time.monotonic() < deadline:
        assert (web.spec["replicas"], web.split()) == (5, split)
        time.sleep(0.5)
    web.promote()
    assert web.admin.get(path)["spec"] == before
    until(lambda: web.spec["replicas"] == 2, "what it wanted all the time, once it may", MEASURED_SECONDS)


def judged(web: Web, *checks: CheckAsked) -> dict[str, Any]:
    request = VerifyRequest(web.call, checks, duration=120.0, interval=5.0, inconclusive_ok=True)
    try:
        told = verify(web.admin, request, silent).extra["verify"]
    except VerbFailure as failure:
        told = failure.extra["verify"]
    return dict(told)


def test_a_canary_that_leaks_is_caught_by_its_memory_and_not_by_its_cpu(
    metered_lab: Lab, new: Callable[..., Web]
) -> None:
    web = made(new(), 2)
    web.start(patch=canary_with(MEMORY_MB_PER_S=4))
    names = {pod["metadata"]["name"] for pod in web.pods()}
    until(lambda: names <= measured(web), "metrics-server knows all pods", MEASURED_SECONDS)
    memory = CheckAsked(BoundCheck("memory", maximum=3, in_a_row=2), ResourcesAsked(Resource.MEMORY))
    cpu = CheckAsked(BoundCheck("cpu", maximum=1000, in_a_row=2), ResourcesAsked(Resource.CPU))
    told = judged(web, memory, cpu)
    assert told["verdict"] == "fail", told
    assert "memory" in told["reason"] and "cpu" not in told["reason"], told["reason"]
    web.undo()


def measured(web: Web) -> set[str]:
    """Names of the pods that `kubectl top` shows."""
    found = web.admin.list(f"/apis/metrics.k8s.io/v1beta1/namespaces/{web.namespace}/pods")["items"]
    if not found:
        return set()
    lines = web.kubectl("top", "pods", "--no-headers").splitlines()
    return {line.split()[0] for line in lines}
