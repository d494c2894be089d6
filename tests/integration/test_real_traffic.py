# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of an application that drains, on a real node, under real requests through its Service."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.lab import Lab
from tests.cluster.services import wait_for_answer
from tests.exactness.recorder import Recorder

from .releases import CONTAINER, Release, image

REPLICAS, PORT = 10, 8080
REQUESTS_PER_SECOND = 200
# 4000 requests: the standard error of a share of 1/11 is 0.45 points, so chance alone misses by 2 once in 100,000 runs.
HOLD_SECONDS = 20
SHARE_POINTS = 2.0
OVERHEAD_SECONDS = 1.0
# Long enough for kube-proxy to have dropped a pod that is ending before it stops answering.
DRAIN_MS = 5000
# One pod after the other: what is tested is the release, not how many containers this machine can start at once.
STRATEGY = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
PHASE_SECONDS = 60
# A pod that is gone never answers; a machine that is busy answers late.
PATIENCE = "10s"

pytestmark = [pytest.mark.real, pytest.mark.slow]


@dataclass
class Traffic:
    """What the load generator told of each phase: its total, and the seconds in which requests failed or were late."""

    url: str
    program: str
    told: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def during(self, phase: str, *limits: str) -> Iterator[None]:
        """Without a limit such as `-duration 20s` until the end of the with statement."""
        command = [
            self.program,
            "-url",
            self.url,
            "-rate",
            str(REQUESTS_PER_SECOND),
            "-live",
            "-timeout",
            PATIENCE,
            *limits,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            try:
                yield
            finally:
                if not limits:
                    load.terminate()
                *seconds, total = map(json.loads, load.communicate(timeout=PHASE_SECONDS)[0].splitlines())
                self.told[phase] = {**total, "bad seconds": [second for second in seconds if second["failed"]]}

    @property
    def failed(self) -> dict[str, Any]:
        return {
            phase: (told["errors"], told["codes"], told["late"], told["bad seconds"])
            for phase, told in self.told.items()
            if told["failed"]
        }


def template(name: str) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": image("v1"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "DRAIN_MS", "value": str(DRAIN_MS)}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 15, "containers": [container]}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


@pytest.fixture
def release(real_lab: Lab, real_namespace: str) -> Iterator[Release]:
    with connect(Connection(kubeconfig=str(real_lab.kubeconfig))) as api:
        release = Release(api, real_namespace, terminated=True)
        yield release.make(REPLICAS, template=template(release.name), strategy=STRATEGY)


@pytest.fixture
def traffic(real_lab: Lab, release: Release) -> Traffic:
    service = {
        "metadata": {"name": release.name},
        "spec": {"selector": {"app": release.name}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    made = release.api.create(f"/api/v1/namespaces/{release.namespace}/services", service)
    url = f"http://{made['spec']['clusterIP']}/"
    wait_for_answer(url)
    return Traffic(url, str(real_lab.programs / "load"))


@pytest.fixture
def recorder(real_lab: Lab) -> Iterator[Recorder]:
    recorder = Recorder(real_lab)
    yield recorder
    recorder.close()


@dataclass
class Timed:
    """Starts one canary pod, and says how many seconds went by that were not the container's own start-up."""

    release: Release
    recorder: Recorder

    def start(self, version: str) -> float:
        self.recorder.mark(self.release.namespace)
        began = time.monotonic()
        self.release.start(version)
        took = time.monotonic() - began
        seen = self.recorder.since_mark(self.release.namespace)
        assert seen.versions[version] == 1 and seen.fewest == REPLICAS
        return took - (seen.latest - seen.appeared)


def test_no_request_fails_and_the_canary_gets_its_share(
    release: Release, traffic: Traffic, recorder: Recorder, record_property: Callable[[str, object], None]
) -> None:
    timed = Timed(release, recorder)
    with traffic.during("start"):
        first = timed.start("v2")
    with traffic.during("hold", "-duration", f"{HOLD_SECONDS}s"):
        pass
    with traffic.during("promote"):
        release.promote()
    with traffic.during("second start"):
        second = timed.start("v3")
    with traffic.during("undo"):
        release.undo()

    versions = traffic.told["hold"]["versions"]
    share = 100 * versions["v2"] / sum(versions.values())
    figures = {"share": share, "first start": first, "second start": second}
    for name, value in figures.items():
        record_property(name, round(value, 2))
    print(figures, {phase: told["sent"] for phase, told in traffic.told.items()})
    assert not traffic.failed, json.dumps(traffic.failed, indent=1)
    assert abs(share - 100 / (REPLICAS + 1)) <= SHARE_POINTS
    # The better of two: whatever else runs on this machine may delay one.
    assert min(first, second) <= OVERHEAD_SECONDS
