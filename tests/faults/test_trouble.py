# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane in trouble in the middle of a release: restarted, with another certificate, without its etcd or its controllers, and
credentials that are replaced while a verb waits."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster import processes
from tests.cluster.certificates import Authority
from tests.cluster.controlplane import LOOPBACK
from tests.cluster.lab import Lab, start_lab
from tests.cluster.locks import shared
from tests.faults.doors import Door
from tests.integration.access import read_access, service_account_token
from tests.integration.situations import webs
from tests.release_calls import asked, released
from tests.situations import Web, until

pytestmark = pytest.mark.slow

# The server believes in a token that it has seen for ten seconds more.
BELIEVED = 14.0
# How long etcd is gone, in seconds.
GONE = 20.0


@pytest.fixture(scope="module")
def own() -> Iterator[Lab]:
    """A cluster that nobody else uses."""
    with start_lab() as lab:
        yield lab


@pytest.fixture
def new(own: Lab) -> Iterator[Callable[..., Web]]:
    with webs(own) as make:
        yield make


@dataclass(frozen=True)
class Daemon:
    lab: Lab
    name: str

    @property
    def process(self) -> processes.Recorded:
        found = processes.Recorded.read(self.lab.layout.record(self.name))
        assert found is not None
        return found

    def stands_still(self, seconds: float) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def is_restarted(self, after: float = 1.0) -> None:
        """After so many seconds without any, as it was started before."""
        layout, process = self.lab.layout, self.process
        command = [part.decode() for part in Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0") if part]
        os.kill(process.pid, signal.SIGKILL)
        processes.wait_gone(process, what=self.name)
        time.sleep(after)
        with shared(layout.alive) as alive:
            processes.start(layout.record(self.name), command, log=layout.log(self.name), inherited=[alive])


def with_another_certificate(lab: Lab) -> None:
    names = ["DNS:localhost", "DNS:kubernetes.default.svc", f"IP:{LOOPBACK}"]
    Authority(lab.layout.pki).server("kube-apiserver", names)
    Daemon(lab, "kube-apiserver").is_restarted()


# What happens to the control plane while a verb waits for pods.
TROUBLE: dict[str, Callable[[Lab], None]] = {
    "the server is restarted": lambda lab: Daemon(lab, "kube-apiserver").is_restarted(),
    "the server comes back with another certificate": with_another_certificate,
    "etcd stands still": lambda lab: Daemon(lab, "etcd").stands_still(12.0),
    "the controllers stand still": lambda lab: Daemon(lab, "kube-controller-manager").stands_still(20.0),
    "the scheduler stands still": lambda lab: Daemon(lab, "kube-scheduler").stands_still(20.0),
}


@contextmanager
def after(seconds: float, happens: Callable[[], object]) -> Iterator[None]:
    """Beside the block, which lasts longer."""
    failed: list[BaseException] = []

    def later() -> None:
        time.sleep(seconds)
        try:
            happens()
        except BaseException as error:  # noqa: BLE001 - it is raised where the block ends
            failed.append(error)

    beside = threading.Thread(target=later)
    beside.start()
    yield
    beside.join()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("what", TROUBLE)
def test_a_release_goes_on_where_the_trouble_is_over(what: str, own: Lab, new: Callable[..., Web]) -> None:
    web = new().make(3)
    before = web.spec
    with after(1.0, lambda: TROUBLE[what](own)):
        web.start(pods=1, annotations={"lab.coalmine/ready-after": "6000"})
    assert (web.phase, web.split()) == ("held", {"v1": 3, "v2": 1})
    web.promote()
    web.assert_clean(before, "v2")


# What a release tells last before etcd is gone.
MOMENTS = {
    "while the canary starts": "0 of 1 canary pods are Ready",
    "while it is looked at": "1 canary pod Ready, none restarted",
    "while it is promoted": "of 3 new pods are Ready",
}


@dataclass
class Once:
    """A report of a verb that, at the first line with these words, lets something happen beside it."""

    words: str
    happens: Callable[[], object]
    pool: ThreadPoolExecutor
    under_way: Future[object] | None = None

    def __call__(self, line: str) -> None:
        if self.under_way is None and self.words in line:
            self.under_way = self.pool.submit(self.happens)


@pytest.mark.parametrize("words", MOMENTS.values(), ids=MOMENTS)
def test_a_whole_release_ends_whole_although_etcd_is_gone_for_a_while(
    words: str, own: Lab, new: Callable[..., Web]
) -> None:
    web = new().make(3, annotations={"lab.coalmine/ready-after": "3000"})
    before = web.spec
    with ThreadPoolExecutor() as pool:
        once = Once(words, lambda: Daemon(own, "etcd").is_restarted(after=GONE), pool)
        web.report = once
        request = asked(web)
        request = replace(request, steps=tuple(replace(step, bake=5.0) for step in request.steps))
        outcome, told = released(web, request)
        # Whoever had promoted by what it knew before would be through by now.
        assert once.under_way is not None and once.under_way.done()
    once.under_way.result()
    assert (outcome.changed, told.outcome.value) == (True, "released")
    web.assert_clean(before, "v2")


def test_a_promotion_that_is_asked_for_while_etcd_is_gone_waits_for_it(own: Lab, new: Callable[..., Web]) -> None:
    web = new().make(3)
    before = web.spec
    web.start()
    with ThreadPoolExecutor() as pool:
        back = pool.submit(Daemon(own, "etcd").is_restarted, GONE)
        until(lambda: not Daemon(own, "etcd").process.is_alive(), "etcd is gone")
        web.promote()
        assert back.done()
    back.result()
    web.assert_clean(before, "v2")


def by_a_file(path: Path) -> dict[str, Any]:
    return {"tokenFile": str(path)}


def by_a_plugin(path: Path) -> dict[str, Any]:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s"}}
    script = f"printf '{json.dumps(credential)}' \"$(cat {path})\""
    version = credential["apiVersion"]
    return {"exec": {"apiVersion": version, "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}}


@pytest.mark.parametrize("user", [by_a_file, by_a_plugin], ids=["a token's file", "a credential plugin"])
def test_a_token_that_is_replaced_while_a_verb_waits(
    user: Callable[[Path], dict[str, Any]], own: Lab, new: Callable[..., Web], tmp_path: Path
) -> None:
    web = new().make(2)
    accounts = f"/api/v1/namespaces/{web.namespace}/serviceaccounts"
    name, file = "release", tmp_path / "token"
    file.write_text(service_account_token(web.admin, web.namespace, name))
    content = read_access(own.kubeconfig, tmp_path).with_user(user(file))
    (tmp_path / "config").write_text(yaml.safe_dump(content))

    def is_replaced() -> None:
        """A ServiceAccount that is made again has nothing to do with the tokens of the one before."""
        web.admin.raw("DELETE", f"{accounts}/{name}")
        web.admin.create(accounts, {"metadata": {"name": name}})
        file.write_text(own.token(web.namespace, name))

    with connect(Connection(kubeconfig=str(tmp_path / "config"))) as api:
        waiting = replace(web)
        waiting.api = api
        with after(1.0, is_replaced):
            waiting.start(pods=1, annotations={"lab.coalmine/ready-after": str(int(BELIEVED * 1000))})
        assert waiting.promote().changed
    assert web.split() == {"v2": 2}


MOVED = (
    r"cannot be reached: .* Check host \(or the kubeconfig's server\).* was already changed by this call; run it again"
)


def test_a_server_at_another_address_is_found_by_the_next_verb(
    own: Lab, new: Callable[..., Web], tmp_path: Path
) -> None:
    web, content, config = new().make(3), read_access(own.kubeconfig, tmp_path).content, tmp_path / "config"
    before, here = web.spec, Connection(kubeconfig=str(config))
    first, second = Door(own.server), Door(own.server)

    def leads_to(door: Door) -> None:
        content["clusters"][0]["cluster"]["server"] = door.address
        config.write_text(yaml.safe_dump(content))

    def moves() -> None:
        leads_to(second)
        first.close()

    leads_to(first)
    late = {"lab.coalmine/ready-after": "4000"}
    with connect(here) as api:
        waiting = replace(web, wait=Wait(timeout=15.0))
        waiting.api = api
        with after(1.0, moves), pytest.raises(VerbFailure, match=MOVED) as lost:
            waiting.start(pods=1, annotations=late)
    assert lost.value.changed
    with connect(here) as api:
        # Whoever could not give its Lease back is not known to have ended: this process still lives.
        web.api, web.takeover = api, True
        web.start(pods=1, annotations=late)
        assert (web.phase, web.split()) == ("held", {"v1": 3, "v2": 1})
        web.promote()
    web.assert_clean(before, "v2")
    second.close()


def test_a_namespace_that_is_deleted_while_a_verb_waits(own: Lab) -> None:
    with webs(own) as new:
        web = new().make(3)
        with after(1.0, lambda: own.delete_namespace(web.namespace)), pytest.raises(VerbFailure) as gone:
            web.start(pods=1, annotations={"lab.coalmine/ready-after": "60000"})
        found = [gone.value]
        for verb in (web.bake, web.promote, web.undo, web.start):
            with pytest.raises(VerbFailure) as raised:
                verb()
            found.append(raised.value)
        assert {one.code for one in found} == {"not_found"}, found
