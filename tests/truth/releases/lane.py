# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Deployment on a real node under a steady load through its Service, released again and again, each time judged."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BucketRule,
    CheckAsked,
    HttpAsked,
    PodsAsked,
    PrometheusAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
    Via,
    Web,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.cluster.services import wait_for_answer
from tests.integration.releases import CONTAINER, Release, silent

STABLE_RATE, BAD_RATE = 0.005, 0.05
TOLERANCE, BUCKETS = Tolerance(max_ratio=1.5, max_increase=0.005), BucketRule()
PORT = 8080
# Pods of all lanes carry it, so that one Prometheus finds them.
LABEL = "judged"
# Long enough for kube-proxy to have dropped a pod that is ending before it stops answering.
DRAIN_MS = 5000
# The load generator tells once a second.
TELLING_SECONDS = 1.5


@dataclass(frozen=True)
class Setting:
    """How a lane is judged. `users`: requests a second through the Service; `own`: those of the `http` check. `to_the_end`:
    a release ends when pods that are ending have ended, too."""

    replicas: int = 6
    users: int = 60
    own: float = 80.0
    tolerance: Tolerance = TOLERANCE
    buckets: BucketRule = BUCKETS
    interval: float = 2.0
    duration: float = 600.0
    to_the_end: bool = True

    @property
    def canary_share(self) -> float:
        return 1 / (self.replicas + 1)


@dataclass(frozen=True)
class Judged:
    """`lost`: errors that the canary gave to users, until it was promoted or its last pod was gone. `samples`: requests
    that were counted by the check of our own requests and by Prometheus. `unanswered`: users' requests without any answer
    since the release began."""

    bad: bool
    verdict: str
    ended: str
    seconds: float
    samples: tuple[float, float]
    lost: int
    unanswered: int
    reason: str

    @property
    def right(self) -> bool:
        return (self.verdict, self.ended) == (("fail", "undone") if self.bad else ("pass", "promoted"))


class Users:
    """A steady load on one URL. What it was told so far: failures of each version, and requests without any answer."""

    def __init__(self, lab: Lab, url: str, rate: int) -> None:
        wait_for_answer(url)
        command = [str(lab.programs / "load"), "-url", url, "-rate", str(rate), "-timeout", "10s", "-live"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.failures: Counter[str] = Counter()
        self.unanswered = 0
        self.sent = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "second" in told:
                self.failures.update(told["failed_by_version"])
                self.unanswered += told["failed"] - sum(told["failed_by_version"].values())
                self.sent += told["sent"]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


class Lane:
    """Releases one Deployment; a promoted version is the stable one of the next release."""

    def __init__(self, release: Release, users: Users, setting: Setting, prometheus: str) -> None:
        self._release = release
        self._users = users
        self._setting = setting
        self._prometheus = prometheus

    def release(self, bad: bool) -> Judged:
        version = f"v-{uuid.uuid4().hex[:6]}"
        unanswered = self._users.unanswered
        self._release.start(
            "v2", patch={"spec": {"containers": [_container(version, BAD_RATE if bad else STABLE_RATE)]}}
        )
        told = self._judged()
        samples = tuple(_samples(check) for check in told["checks"][:2])
        if told["verdict"] == "pass":
            time.sleep(TELLING_SECONDS)
            lost = self._users.failures[version]
            self._release.promote()
        else:
            self._release.undo(told["reason"])
            time.sleep(TELLING_SECONDS)
            lost = self._users.failures[version]
        return Judged(
            bad=bad,
            verdict=told["verdict"],
            ended=self._ended(version),
            seconds=told["seconds"],
            samples=(samples[0], samples[1]),
            lost=lost,
            unanswered=self._users.unanswered - unanswered,
            reason=told["reason"],
        )

    def _judged(self) -> dict[str, Any]:
        request = VerifyRequest(
            self._release.call,
            self._checks(),
            duration=self._setting.duration,
            interval=self._setting.interval,
            inconclusive_ok=True,
        )
        try:
            told = verify(self._release.api, request, silent).extra["verify"]
        except VerbFailure as failure:
            told = failure.extra.get("verify")
            if told is None:
                raise
        return dict(told)

    def _checks(self) -> tuple[CheckAsked, ...]:
        """Requests of our own, what users and we see by Prometheus, and the pods, which are only watched."""
        setting = self._setting
        http = HttpAsked(via=Via.POD, rate=setting.own, most=100_000)
        counter = 'http_requests_total{namespace="<namespace>",pod=~"<pods>"%s}'
        counted = PrometheusAsked(Web(self._prometheus), bad=counter % ',code=~"5.."', total=counter % "")
        restarts = RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False)
        return (
            CheckAsked(RateCheck("http", setting.tolerance, buckets=setting.buckets), http),
            CheckAsked(RateCheck("errors", setting.tolerance, buckets=setting.buckets), counted),
            CheckAsked(restarts, PodsAsked()),
        )

    def _ended(self, version: str) -> str:
        """What became of it, by the pods that are there."""
        path = f"/api/v1/namespaces/{self._release.namespace}/pods"
        pods = [pod for pod in self._release.api.list(path)["items"] if "deletionTimestamp" not in pod["metadata"]]
        of_it = [pod for pod in pods if _version(pod) == version]
        if len(pods) != self._setting.replicas:
            return f"{len(pods)} pods are left"
        return {0: "undone", len(pods): "promoted"}.get(len(of_it), f"{len(of_it)} of {len(pods)} pods have it")


def _samples(check: dict[str, Any]) -> float:
    (stream,) = check["streams"]
    return float(stream["canary"]["total"] + stream["stable"]["total"])


def _container(version: str, rate: float) -> dict[str, Any]:
    variables = {"VERSION": version, "ERROR_RATE": f"{rate:g}", "DRAIN_MS": str(DRAIN_MS)}
    return {"name": CONTAINER, "env": [{"name": name, "value": value} for name, value in variables.items()]}


def _version(pod: dict[str, Any]) -> str:
    (container,) = pod["spec"]["containers"]
    return next(str(each["value"]) for each in container["env"] if each["name"] == "VERSION")


def _template(name: str) -> dict[str, Any]:
    container = {
        "image": "lab.local/app:v1",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        **_container("v-first", STABLE_RATE),
    }
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 15, "containers": [container]}
    return {"metadata": {"labels": {"app": name, LABEL: "yes"}}, "spec": spec}


@contextmanager
def lane(lab: Lab, setting: Setting, prometheus: str) -> Iterator[Lane]:
    """A Deployment of its own, in a namespace of its own, with its users."""
    namespace = lab.create_namespace()
    try:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            release = Release(api, namespace, terminated=setting.to_the_end)
            release.make(setting.replicas, template=_template(release.name))
            service = {
                "metadata": {"name": release.name},
                "spec": {"selector": {"app": release.name}, "ports": [{"port": 80, "targetPort": "http"}]},
            }
            made = api.create(f"/api/v1/namespaces/{namespace}/services", service)
            users = Users(lab, f"http://{made['spec']['clusterIP']}/", setting.users)
            try:
                yield Lane(release, users, setting, prometheus)
            finally:
                users.stop()
    finally:
        lab.delete_namespace(namespace)
