# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real process that runs a verb dies, and real connections break. Witnesses of what tests/sim/test_every_moment.py takes for
granted there, which tries every moment of every verb.
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

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
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
    pass_on,
    retell,
)
from tests.integration.access import read_access, service_account_token
from tests.integration.situations import webs
from tests.integration.victims import End, ended, run
from tests.situations import Web, image


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


class Mortal:
    """A Deployment whose verbs run in processes that die."""

    def __init__(self, web: Web, kubeconfig: str) -> None:
        self.web, self.kubeconfig = web.make(4), kubeconfig
        self.spec = web.spec
        template = NewTemplate(images={"app": image("v2")})
        self.requests: dict[str, StartRequest | UndoRequest] = {
            "start": StartRequest(web.call, template, Size(2), surge=1),
            "undo": UndoRequest(web.call, reason="bad"),
        }

    def dies(self, verb: str, end: End) -> None:
        """Unless the verb came to its end before."""
        code = ended(run(self.kubeconfig, verb, self.requests[verb], end))
        assert code in (0, -signal.SIGKILL, 1), code

    def start(self) -> None:
        self.web.start("v2", pods=2)

    def undo(self) -> None:
        self.web.undo()

    def assert_held(self) -> None:
        assert self.web.phase == "held" and self.web.split() == {"v1": 3, "v2": 2}

    def assert_as_before(self) -> None:
        self.web.assert_clean(self.spec, "v1")


@pytest.fixture
def mortal(new: Callable[..., Web], lab: Lab | ForeignCluster) -> Mortal:
    return Mortal(new(), str(lab.kubeconfig))


# Who presses Ctrl-C during a whole run of ansible-playbook: test_frontdoor.py, test_fleet.py.
@pytest.mark.parametrize(
    "by", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)], ids=["killed", "Ctrl-C"]
)
def test_a_process_that_dies_is_followed_by_one_that_finishes(by: signal.Signals, mortal: Mortal) -> None:
    for moment in (4, 6):
        mortal.dies("start", End(moment, by))
        mortal.start()
        mortal.assert_held()
        mortal.dies("undo", End(moment, by))
        mortal.undo()
        mortal.assert_as_before()


@pytest.mark.slow
def test_death_at_random_moments(mortal: Mortal) -> None:
    """Between any two instructions, where the tests above die at requests. The clock decides, so no run is like another."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _time in range(6):
        for verb, again in (("start", mortal.start), ("undo", mortal.undo)):
            process = run(mortal.kubeconfig, verb, mortal.requests[verb])
            time.sleep(chance.uniform(0.0, 0.4))
            if process.pid and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            ended(process)
            again()
            if verb == "start":
                mortal.assert_held()
        mortal.assert_as_before()


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
    "a conflict": CONFLICT,
    "a test that does not hold": BARE,
}


# An answer of the server that it never gave is the same in the simulation; a connection that breaks is not.
@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=() if FAULTS[fault] is hang_up_after else pytest.mark.slow) for fault in FAULTS]
)
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


# In tests/sim a status comes after its pods all the time.
@pytest.mark.slow
def test_a_status_that_comes_after_its_pods_does_not_refuse_a_promotion(
    behind: Callable[[], Web], proxy: FaultProxy
) -> None:
    web = behind().make(3)
    web.start()
    proxy.go_wrong("^GET .*/replicasets", retell(b'"readyReplicas":1', b'"readyReplicas":0'))
    web.promote()
    assert web.split() == {"v2": 3}


REFUSED_STEP = answer(500, '{"kind": "Status", "code": 500, "message": "failed calling webhook \\"policy\\""}')


# By tests/sim/test_waiting.py as well.
@pytest.mark.slow
def test_a_step_that_does_not_go_through_is_tried_again(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(4)

    def report(line: str) -> None:
        if "if this is interrupted" in line:
            proxy.go_wrong(DEPLOYMENT_PATCH, *[REFUSED_STEP] * 2)

    web.report = report
    web.start(pods=2)
    assert web.split() == {"v1": 3, "v2": 2} and web.phase == "held"
    assert patches(proxy) == 4


def test_a_gateway_that_cuts_every_stream_off_is_not_flooded(behind: Callable[[], Web], proxy: FaultProxy) -> None:
    web = behind().make(2)
    proxy.go_wrong("^GET .*[?&]watch=", *[answer(200)] * 10_000)
    web.wait = replace(web.wait, timeout=3.0)
    with pytest.raises(VerbFailure) as raised:
        web.start(annotations={"lab.coalmine/never-ready": "true"})
    assert raised.value.code == "timeout"
    assert len(proxy.seen) < 60
    web.undo()


# By tests/unit/rollout/test_start.py as well.
@pytest.mark.slow
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
    assert f"cannot begin a canary: ReplicaSet {earlier} of an earlier version still has 1 pod. " in message


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


# tests/faults/test_faults.py has one write of which nobody learns that, and tests/sim/answering.py what each verb may say then.
@pytest.mark.slow
def test_who_never_learns_whether_it_was_written_says_so(
    behind: Callable[[], Web], proxy: FaultProxy, tmp_path: Path
) -> None:
    web = behind().make(2)
    proxy.go_wrong(DEPLOYMENT_PATCH, *[BROKEN_GATEWAY] * 20)
    with web.unchanged(), pytest.raises(Exception, match="Whether the change was made is not known") as raised:
        web.start()
    assert "secret" not in str(raised.value)
