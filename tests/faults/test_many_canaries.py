# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hundred canaries held at once in one namespace, and one of a thousand pods: what they cost. `-s` prints the figures."""

from __future__ import annotations

import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import InfoRequest, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from tests.cluster.fakes import Capacity
from tests.cluster.lab import Lab, start_lab
from tests.integration.situations import RealCluster
from tests.situations import Web, image, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CANARIES, AT_ONCE, REPLICAS = 200, 8, 2
# Between those that are alone and those beside all others.
A_GROUP = 20
PATIENCE_SECONDS = 300.0
MANY, STEPS = 1000, 10
# Half as many again as with pods that are Ready at once.
MOST_REQUESTS = 180


@dataclass(frozen=True)
class Cost:
    """Of one call, in the middle of the group. `mib`: the most that this process had until then."""

    requests: float
    seconds: float
    mib: float

    def __str__(self) -> str:
        return f"{self.requests:g} requests, {self.seconds:.2f} s, {self.mib:.0f} MiB"


@pytest.fixture(scope="module")
def large() -> Iterator[Lab]:
    with start_lab(capacity=Capacity(cpu="1000", pods=1000)) as lab:
        yield lab


@pytest.fixture
def new(large: Lab) -> Iterator[Callable[[str], Web]]:
    """Deployments of one namespace, which goes with the cluster."""
    namespace = large.create_namespace("many")
    with ExitStack() as held:
        admin = held.enter_context(connect(Connection(kubeconfig=str(large.kubeconfig))))
        world = RealCluster(large, held)
        yield lambda name: Web(admin, namespace, name, world)


def costs(lab: Lab, all_of_them: Sequence[Web], verb: Callable[[Web], object]) -> list[Cost]:
    """Of each group in turn."""

    def one(web: Web) -> tuple[int, float]:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            asking, begun = replace(web, wait=Wait(timeout=PATIENCE_SECONDS)), time.monotonic()
            asking.api = api
            verb(asking)
            return api.requests, time.monotonic() - begun

    groups = [all_of_them[first : first + A_GROUP] for first in range(0, len(all_of_them), A_GROUP)]
    found = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for group in groups:
            requests, seconds = map(statistics.median, zip(*pool.map(one, group), strict=True))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            found.append(Cost(requests, seconds, peak))
    return found


def test_the_last_of_two_hundred_canaries_costs_what_the_first_does(large: Lab, new: Callable[[str], Web]) -> None:
    every = [new(f"web-{number}") for number in range(CANARIES)]
    for web in every:
        web.make(REPLICAS, settled=False)
    for web in every:
        web.settle()
    told = {"start": costs(large, every, lambda web: web.start(pods=1))}
    with connect(Connection(kubeconfig=str(large.kubeconfig))) as api:
        begun = time.monotonic()
        seen = info(api, InfoRequest(None, every[0].namespace)).extra["canaries"]
        print(f"one look at all: {api.requests} requests, {time.monotonic() - begun:.2f} s")
    assert [one["phase"] for one in seen] == ["held"] * CANARIES
    half = CANARIES // 2
    told["promote"] = costs(large, every[:half], Web.promote)
    told["undo"] = costs(large, every[half:], Web.undo)
    for verb, found in told.items():
        print(f"{verb}: the first {A_GROUP}: {found[0]}; the last: {found[-1]}", flush=True)
        assert found[-1].requests <= found[0].requests + 1
    with connect(Connection(kubeconfig=str(large.kubeconfig))) as api:
        ended = api.list(f"{every[0].apps}/deployments")["items"]
    versions = Counter(one["spec"]["template"]["spec"]["containers"][0]["image"] for one in ended)
    assert versions == {image("v2"): half, image("v1"): half}


@pytest.mark.parametrize("end", [Web.promote, Web.undo], ids=["promote", "undo"])
def test_a_thousand_pods_in_ten_steps(end: Callable[[Web], object], new: Callable[[str], Web]) -> None:
    """As tests/sim/test_many_pods.py counts them."""
    web = replace(new(f"web-{end.__name__}"), wait=Wait(timeout=PATIENCE_SECONDS))
    web.make(MANY, settled=False, strategy={"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}})
    until(lambda: web.get()["status"].get("availableReplicas") == MANY, "all are Ready", PATIENCE_SECONDS)
    asked, begun = web.api.requests, time.monotonic()
    for step in range(1, STEPS + 1):
        web.start(pods=MANY * step // (2 * STEPS), surge=MANY // 10)
    held, since = web.api.requests, time.monotonic()
    print(f"{STEPS} steps to half of {MANY} pods: {held - asked} requests, {since - begun:.0f} s", flush=True)
    assert held - asked < MOST_REQUESTS
    end(web)
    print(f"{end.__name__}: {web.api.requests - held} requests, {time.monotonic() - since:.0f} s", flush=True)
    assert web.split() == {"v2" if end is Web.promote else "v1": MANY}
