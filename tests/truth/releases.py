# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.truth.releases --good 20 --bad 20`: whole releases, judged under a steady load, promoted or undone.

Stable errs in 0.5 % of requests; a good canary too, a bad one in 5 %. Pods are fake ones that answer HTTP for real.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.checks import (
    CheckAsked,
    HttpAsked,
    PodsAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
    Via,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab, start_lab
from tests.integration.releases import Release, silent

STABLE_RATE, BAD_RATE = 0.005, 0.05
REPLICAS = 10
USERS_A_POD = 10  # requests a second
FIXED_WAIT_SECONDS = 300
TOLERANCE = Tolerance(max_ratio=1.5, max_increase=0.005)


@dataclass(frozen=True)
class Judged:
    """`lost`: errors that the canary gave to users (our own requests left out) until the release was decided."""

    bad: bool
    verdict: str
    seconds: float
    samples: float
    lost: float
    reason: str

    @property
    def right(self) -> bool:
        return self.verdict == ("fail" if self.bad else "pass")


def environment(rate: float) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", "env": [{"name": "ERROR_RATE", "value": f"{rate:g}"}]}]}}


def release_once(lab: Lab, bad: bool) -> Judged:
    namespace = lab.create_namespace()
    try:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            release = Release(api, namespace)
            container = {
                "name": "app",
                "image": "lab.local/app:v1",
                **environment(STABLE_RATE)["spec"]["containers"][0],
            }
            labels = {"app": release.name}
            release.make(REPLICAS, template={"metadata": {"labels": labels}, "spec": {"containers": [container]}})
            release.start("v2", patch=environment(BAD_RATE if bad else STABLE_RATE))
            with users(lab, release):
                judged = judge(release, bad)
            (release.promote if judged.verdict == "pass" else release.undo)()
            return judged
    finally:
        lab.delete_namespace(namespace)


def judge(release: Release, bad: bool) -> Judged:
    http = CheckAsked(RateCheck("http", TOLERANCE), HttpAsked(via=Via.POD, rate=100.0, most=60_000))
    pods = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())
    request = VerifyRequest(release.call, (http, pods), duration=600.0, interval=2.0, inconclusive_ok=True)
    try:
        told = verify(release.api, request, silent).verify
    except VerbFailure as failure:
        told = failure.verify
    assert told is not None
    (stream,) = told["checks"][0]["streams"]
    lost = errors_of_the_canary(release) - stream["canary"]["bad"]
    samples = stream["canary"]["total"] + stream["stable"]["total"]
    return Judged(bad, told["verdict"], told["seconds"], samples, max(0.0, lost), told["reason"])


def pods(release: Release) -> list[dict[str, Any]]:
    return list(release.api.list(f"/api/v1/namespaces/{release.namespace}/pods")["items"])


@contextmanager
def users(lab: Lab, release: Release) -> Iterator[None]:
    """A steady load on every pod."""
    senders = [
        subprocess.Popen(
            [
                lab.programs / "load", "-url", f"http://{pod['status']['podIP']}:8080/",
                "-rate", str(USERS_A_POD), "-duration", "20m",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for pod in pods(release)
    ]  # fmt: skip
    try:
        yield
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()


def errors_of_the_canary(release: Release) -> float:
    """Answers 5xx of the canary's pods since they began, from their own counters."""
    total = 0.0
    for pod in pods(release):
        if pod["spec"]["containers"][0]["image"].endswith(":v2"):
            with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=5) as answer:
                text = answer.read().decode()
            total += sum(float(value) for value in re.findall(r'http_requests_total\{code="5\d\d".*\} (\S+)', text))
    return total


def summary(judged: list[Judged]) -> str:
    lines = []
    for bad in (True, False):
        of_kind = [one for one in judged if one.bad is bad]
        if not of_kind:
            continue
        right = sum(one.right for one in of_kind)
        kind, deed = ("bad", "undone") if bad else ("good", "promoted")
        lines.append(
            f"{len(of_kind)} {kind} releases: {right} {deed}; decided after {mean(one.seconds for one in of_kind):.0f} s "
            f"({max(one.seconds for one in of_kind):.0f} at most) on {mean(one.samples for one in of_kind):,.0f} requests; "
            f"{mean(one.lost for one in of_kind):.1f} users' requests lost to canary errors, where a fixed wait of "
            f"{FIXED_WAIT_SECONDS} s would have lost {USERS_A_POD * FIXED_WAIT_SECONDS * (BAD_RATE if bad else STABLE_RATE):.0f}"
        )
    lines += [f"wrong: {'bad' if one.bad else 'good'}, {one.verdict}: {one.reason}" for one in judged if not one.right]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.truth.releases", description=__doc__)
    parser.add_argument("--good", type=int, default=20)
    parser.add_argument("--bad", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=3)
    options = parser.parse_args()
    kinds = [True, False] * min(options.good, options.bad)
    kinds += [options.bad > options.good] * abs(options.bad - options.good)
    begun = time.monotonic()
    with start_lab(answering=True) as lab, ThreadPoolExecutor(options.at_once) as pool:
        judged = []
        for one in pool.map(lambda bad: release_once(lab, bad), kinds):
            judged.append(one)
            print(f"{time.monotonic() - begun:5.0f} s  {one}", flush=True)
    print(summary(judged))
    return 0 if all(one.right for one in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
