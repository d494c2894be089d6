# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that runs a verb dies after each of its requests; the same verb, or an undo, run again ends right.

Likewise Ctrl-C, death at a random moment, and answers that are lost on their way.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
    PromoteRequest,
    ResumeRequest,
    Size,
    StartRequest,
    UndoRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.faults.proxy import (
    Fault,
    FaultProxy,
    Passage,
    answer,
    fault_proxy,
    hang_up_after,
    hang_up_before,
    pass_on,
    retell,
)
from tests.integration.access import read_access, service_account_token
from tests.integration.situations import Web, image, until, webs
from tests.integration.victims import End, ended, run

MOST_REQUESTS = 40
POLICIES = [
    pytest.param(AutoscalerPolicy.IGNORE, id="no autoscaler"),
    pytest.param(AutoscalerPolicy.PIN, id="pinned autoscaler", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


class Mortal:
    """A Deployment whose verbs run in processes that die."""

    def __init__(self, web: Web, kubeconfig: str, policy: AutoscalerPolicy) -> None:
        self.web, self.kubeconfig, self.policy = web.make(4), kubeconfig, policy
        if policy is AutoscalerPolicy.PIN:
            web.autoscaler(2, 9)
        self.spec = web.spec
        self.version = "v1"

    @property
    def other(self) -> str:
        return "v2" if self.version == "v1" else "v1"

    def request(self, verb: str) -> Any:
        call = self.web.call
        template = NewTemplate(images={"app": image(self.other)})
        return {
            "start": StartRequest(call, template, Size(2), surge=1, autoscaler=self.policy),
            "promote": PromoteRequest(call),
            "undo": UndoRequest(call, reason="bad"),
            "resume": ResumeRequest(call),
        }[verb]

    def dies(self, verb: str, end: End) -> bool:
        """False when the verb came to its end before."""
        code = ended(run(self.kubeconfig, verb, self.request(verb), end))
        assert code in (0, -signal.SIGKILL, 1), code
        return code != 0

    def start(self) -> Any:
        return self.web.start(self.other, pods=2, autoscaler=self.policy)

    def assert_held(self) -> None:
        assert self.web.phase == "held" and self.web.split() == {self.version: 3, self.other: 2}
        if self.policy is AutoscalerPolicy.PIN:
            assert self.web.bounds() == (4, 4)

    def assert_as_before(self) -> None:
        self.web.assert_clean(self.spec, self.version)
        if self.policy is AutoscalerPolicy.PIN:
            assert self.web.bounds() == (2, 9)
            found = self.web.admin.get(f"{self.web.autoscalers}/{self.web.name}-hpa")["metadata"]
            assert AUTOSCALER not in (found.get("annotations") or {})


@pytest.fixture
def mortal(new: Callable[..., Web], lab: Lab | ForeignCluster) -> Callable[[AutoscalerPolicy], Mortal]:
    return lambda policy: Mortal(new(), str(lab.kubeconfig), policy)


def each_moment(dies: Callable[[int], bool]) -> int:
    """Lets it die after its first request, its second, and so on, until it lives to the end; returns how many deaths."""
    for moment in range(1, MOST_REQUESTS):
        if not dies(moment):
            return moment - 1
    raise AssertionError(f"it died of {MOST_REQUESTS} requests and never came to its end")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_start_that_died_goes_on_when_it_is_run_again_or_is_undone(
    policy: AutoscalerPolicy, mortal: Callable[[AutoscalerPolicy], Mortal]
) -> None:
    it = mortal(policy)

    def dies(moment: int) -> bool:
        died = it.dies("start", End(moment))
        if moment % 3:
            it.start()
            it.assert_held()
        it.web.undo()
        if it.web.annotations.get("coalmine.canary/last"):
            it.assert_as_before()
        return died

    assert each_moment(dies) >= 6


@pytest.mark.parametrize("policy", POLICIES)
def test_a_promotion_that_died_is_finished_by_the_next_or_is_undone(
    policy: AutoscalerPolicy, mortal: Callable[[AutoscalerPolicy], Mortal]
) -> None:
    it = mortal(policy)

    def dies(moment: int) -> bool:
        it.start()
        died = it.dies("promote", End(moment))
        if moment % 3 == 0 and it.web.phase == "promoting":
            it.web.undo()
        else:
            it.web.promote()
            it.version = it.other
        it.assert_as_before()
        return died

    assert each_moment(dies) >= 5


@pytest.mark.parametrize("policy", POLICIES)
def test_an_undo_that_died_is_finished_by_the_next_or_by_a_start(
    policy: AutoscalerPolicy, mortal: Callable[[AutoscalerPolicy], Mortal]
) -> None:
    it = mortal(policy)

    def dies(moment: int) -> bool:
        it.start()
        died = it.dies("undo", End(moment))
        it.web.undo()
        it.assert_as_before()
        return died

    assert each_moment(dies) >= 5


def test_a_resume_that_died_is_finished_by_the_next(mortal: Callable[[AutoscalerPolicy], Mortal]) -> None:
    it = mortal(AutoscalerPolicy.IGNORE)
    it.start()

    def dies(moment: int) -> bool:
        it.web.pause()
        died = it.dies("resume", End(moment))
        it.web.resume()
        it.assert_held()
        return died

    assert each_moment(dies) >= 3


def test_a_crash_between_completion_and_clean_up_is_cleaned_up_by_any_verb(
    mortal: Callable[[AutoscalerPolicy], Mortal],
) -> None:
    it = mortal(AutoscalerPolicy.PIN)
    for verb in ("start", "pause", "resume", "rollback", "promote"):
        it.start()
        replace(it.web, wait=replace(it.web.wait, enabled=False)).undo()
        until(lambda: it.web.split() == {"v1": 4}, "the canary is gone")
        it.web.settle()
        assert it.web.bounds() == (4, 4)
        if verb == "start":
            it.start()
            it.assert_held()
            it.web.undo()
        else:
            arguments = ("lab.local/app:v1",) if verb == "rollback" else ()
            getattr(it.web, verb)(*arguments)
        it.assert_as_before()


def test_ctrl_c_is_survived_like_a_crash(mortal: Callable[[AutoscalerPolicy], Mortal]) -> None:
    it = mortal(AutoscalerPolicy.IGNORE)
    for moment in (2, 4, 6, 8):
        it.dies("start", End(moment, signal.SIGINT))
        it.start()
        it.assert_held()
        it.dies("undo", End(moment, signal.SIGINT))
        it.web.undo()
        it.assert_as_before()


@pytest.mark.slow
def test_death_at_random_moments(mortal: Callable[[AutoscalerPolicy], Mortal]) -> None:
    """Between any two instructions, where the tests above die at requests. The clock decides, so no run is like another."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    it, chance = mortal(AutoscalerPolicy.IGNORE), random.Random(seed)
    for _time in range(6):
        for verb in ("start", "undo"):
            process = run(it.kubeconfig, verb, it.request(verb))
            time.sleep(chance.uniform(0.0, 0.4))
            if process.pid and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            ended(process)
            getattr(it, verb, it.web.undo)()
            if verb == "start":
                it.assert_held()
        it.assert_as_before()


# Answers that are lost, through a proxy before the real server.


@pytest.fixture(scope="module")
def proxy(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    access = read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))
    with fault_proxy(access.server, access.ca, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def behind(new: Callable[..., Web], proxy: FaultProxy) -> Callable[[], Web]:
    """Deployments whose verbs go through the proxy; whoever looks on does not."""
    token = ""

    def make() -> Web:
        nonlocal token
        web = new()
        token = token or service_account_token(web.admin, web.namespace, "release")
        web.api = connect(Connection(host=proxy.host, api_key=token, ca_cert=str(proxy.authority)))
        proxy.forget()
        return web

    return make


DEPLOYMENT_PATCH = r"^PATCH /apis/apps/v1/namespaces/[^/]+/deployments/(?!.*dryRun)"
AUTOSCALER_PATCH = r"^PATCH /apis/autoscaling/"
CONFLICT = answer(
    409, '{"kind": "Status", "code": 409, "reason": "Conflict", "message": "the object has been modified"}'
)
BARE = answer(422, '{"kind": "Status", "code": 422, "reason": "Invalid", "message": "the server rejected our request"}')
BROKEN_GATEWAY = answer(502, "<html>secret</html>")
FAULTS: dict[str, Fault] = {
    "the answer is lost": hang_up_after,
    "the connection breaks before": hang_up_before,
    "a conflict": CONFLICT,
    "a test that does not hold": BARE,
    "a gateway in trouble": BROKEN_GATEWAY,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_patch_of_a_release_may_go_wrong_once(fault: str, behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(4)
    web.autoscaler(2, 9)
    before = web.spec

    def wrong() -> None:
        proxy.forget()
        proxy.go_wrong(DEPLOYMENT_PATCH, FAULTS[fault])
        proxy.go_wrong(
            AUTOSCALER_PATCH, *([FAULTS[fault]] if fault in ("a conflict", "a test that does not hold") else ())
        )

    wrong()
    assert web.start(pods=2, autoscaler=AutoscalerPolicy.PIN).changed
    assert web.split() == {"v1": 3, "v2": 2} and web.phase == "held" and web.bounds() == (4, 4)
    for verb in ("pause", "resume", "undo"):
        wrong()
        assert getattr(web, verb)().changed, verb
    web.assert_clean(before, "v1")
    assert web.bounds() == (2, 9)
    web.start(autoscaler=AutoscalerPolicy.IGNORE)
    wrong()
    assert web.promote().changed
    web.assert_clean(before, "v2")


def patches(proxy: FaultProxy) -> int:
    """How many were sent that write."""
    return len([seen for seen in proxy.seen if seen.method == "PATCH" and "dryRun" not in seen.target])


def test_patches_whose_answers_are_lost_are_not_sent_twice(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(3)
    proxy.go_wrong(DEPLOYMENT_PATCH, hang_up_after)
    generation = web.generation
    web.start()
    assert web.generation == generation + 1
    assert patches(proxy) == 1


def test_a_status_that_comes_after_its_pods_does_not_refuse_a_promotion(
    behind: Callable[[], Web], proxy: FaultProxy
) -> None:
    web = behind().make(3)
    web.start()
    proxy.go_wrong("^GET .*/replicasets", retell(b'"readyReplicas":1', b'"readyReplicas":0'))
    web.promote()
    assert web.split() == {"v2": 3}


def test_a_server_that_is_away_for_a_while_ends_no_wait(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(2)
    told: list[str] = []

    def report(line: str) -> None:
        told.append(line)
        if "if this is interrupted" in line:
            proxy.go_wrong("^GET ", *[hang_up_before] * 12)

    web.report = report
    web.start(annotations={"lab.coalmine/ready-after": "1500"})
    assert web.phase == "held"
    assert any("the API server does not answer, still waiting" in line for line in told), told


REFUSED_STEP = answer(500, '{"kind": "Status", "code": 500, "message": "failed calling webhook \\"policy\\""}')


@pytest.mark.parametrize("times", [2, 1000], ids=["for a while", "for good"])
def test_a_step_that_does_not_go_through_is_tried_again_until_the_time_is_over(
    times: int, behind: Callable[[], Web], proxy: FaultProxy
) -> None:
    web = behind().make(4)

    def report(line: str) -> None:
        if "if this is interrupted" in line:
            proxy.go_wrong(DEPLOYMENT_PATCH, *[REFUSED_STEP] * times)

    web.report, web.wait = report, replace(web.wait, timeout=4.0 if times > 2 else 60.0)
    if times == 2:
        web.start(pods=2)
        assert web.split() == {"v1": 3, "v2": 2} and web.phase == "held"
        return
    with pytest.raises(
        VerbFailure, match=r'the next step did not go through \(.*failed calling webhook "policy"'
    ) as raised:
        web.start(pods=2)
    assert raised.value.code == "timeout"
    assert 2 < patches(proxy) < 15
    proxy.forget()
    web.report, web.wait = lambda line: None, replace(web.wait, timeout=60.0)
    web.start(pods=2)
    assert web.phase == "held"


def test_a_gateway_that_cuts_every_stream_off_is_not_flooded(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(2)
    proxy.go_wrong("^GET .*[?&]watch=", *[answer(200)] * 10_000)
    web.wait = replace(web.wait, timeout=5.0)
    with pytest.raises(VerbFailure) as raised:
        web.start(annotations={"lab.coalmine/never-ready": "true"})
    assert raised.value.code == "timeout"
    assert len(proxy.seen) < 60
    web.undo()


def test_pods_of_an_earlier_version_that_are_not_gone_are_named(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(3)
    web.start()
    web.undo()
    web.settle()
    earlier = next(rs["metadata"]["name"] for rs in web.replica_sets() if not rs["spec"]["replicas"])
    proxy.go_wrong("^GET .*/replicasets", *[retell(b'"status":{"replicas":0', b'"status":{"replicas":1')] * 5)
    hasty = replace(web, wait=replace(web.wait, enabled=False))
    hasty.api = web.api
    message = hasty.refused(lambda: hasty.start("v3"), "not_ready")
    proxy.forget()
    assert f"cannot begin a canary: ReplicaSet {earlier} of an earlier version still has 1 pod(s). " in message


def says(replicas: int) -> Fault:
    """As if somebody scaled the Deployment whenever it is read."""

    def fault(passage: Passage) -> None:
        got = b""
        with passage.forward() as server:
            while piece := server.recv(65536):
                got += piece
        passage.client.sendall(re.sub(rb'"spec":{"replicas":\d', b'"spec":{"replicas":%d' % replicas, got))

    return fault


# Each attempt waits until the autoscaler's controller has seen it.
@pytest.mark.slow
def test_a_load_that_never_rests_refuses_a_pin_and_the_autoscaler_is_as_before(
    behind: Callable[[], Web], proxy: FaultProxy
) -> None:
    web = behind().make(4)
    name = web.autoscaler()
    proxy.go_wrong("^GET .*/deployments/", pass_on, *[says(replicas) for replicas in range(5, 10)])
    with pytest.raises(VerbFailure) as raised:
        web.start(autoscaler=AutoscalerPolicy.PIN)
    assert (raised.value.code, raised.value.changed) == ("autoscaler", False)
    assert raised.value.message == (
        f'replicas of Deployment "{web.name}" kept changing while HorizontalPodAutoscaler "{name}" was being pinned. '
        "Try again when the load is steadier."
    )
    assert (web.bounds(), web.phase) == ((2, 9), "none")


def test_a_server_that_never_comes_back_is_told_with_what_was_done(
    behind: Callable[[], Web], proxy: FaultProxy
) -> None:
    web = behind().make(2)

    def report(line: str) -> None:
        if "if this is interrupted" in line:
            proxy.go_wrong("^GET ", *[hang_up_before] * 10_000)

    web.report = report
    web.wait = replace(web.wait, timeout=3.0)
    with pytest.raises(VerbFailure, match=r"already changed by this call; run it again to go on from there") as raised:
        web.start(annotations={"lab.coalmine/ready-after": "1500"})
    assert raised.value.changed
    proxy.forget()
    web.wait = replace(web.wait, timeout=60.0)
    web.report = lambda line: None
    assert not web.start(annotations={"lab.coalmine/ready-after": "1500"}).changed
    assert web.phase == "held"


def test_who_never_learns_whether_it_was_written_says_so(
    behind: Callable[[], Web], proxy: FaultProxy, tmp_path: Path
) -> None:
    web = behind().make(2)
    proxy.go_wrong(DEPLOYMENT_PATCH, *[BROKEN_GATEWAY] * 20)
    with web.unchanged(), pytest.raises(Exception, match="Whether the change was made is not known") as raised:
        web.start()
    assert "secret" not in str(raised.value)
