# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty runs at once on one Deployment of a real cluster: one wins, and the others write nothing."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import release
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import PLAYBOOK, ROOT
from tests.integration.situations import webs
from tests.release_calls import asked
from tests.situations import Web, image

RUNS = 20
SLOW = {"lab.coalmine/ready-after": "5000"}
Act = Callable[[Web], Any]


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


def at_once(web: Web, acts: Sequence[Act]) -> list[Outcome | VerbFailure | ApiError]:
    """How each of them ended. They share connections, and nothing else."""
    barrier, ended = threading.Barrier(len(acts)), list[Any](acts)

    def does(number: int) -> None:
        own = replace(web, admin=web.admin.sibling())
        barrier.wait()
        try:
            ended[number] = acts[number](own)
        except (VerbFailure, ApiError) as error:
            ended[number] = error

    threads = [threading.Thread(target=does, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def started(version: str) -> Act:
    """As a run of its own, which would go on with it."""
    return lambda web: web.start(version, annotations=SLOW, run=f"run-{threading.get_ident()}")


def released(version: str) -> Act:
    """A whole release, as the role does one."""

    def does(web: Web) -> Outcome:
        asks = asked(web)
        template = NewTemplate(images={"app": image(version)}, patch={"metadata": {"annotations": SLOW}})
        return release(web.api, replace(asks, start=replace(asks.start, template=template)), web.report)

    return does


@dataclass(frozen=True)
class Case:
    """`held`: whether a canary is before. `acts` are done at once, by turns. `splits`: one of them is there afterwards. `most`: how many
    may change something, where one may come after another has ended."""

    acts: tuple[Act, ...]
    splits: tuple[dict[str, int], ...]
    held: bool = False
    most: int = 1

    @property
    def runs(self) -> list[Act]:
        return [self.acts[number % len(self.acts)] for number in range(RUNS)]


BEFORE, AFTER, HELD, OTHER = {"v1": 4}, {"v2": 4}, {"v1": 4, "v2": 1}, {"v1": 4, "v3": 1}
CASES = {
    "one version": Case((started("v2"),), (HELD,)),
    "two versions": Case((started("v2"), started("v3")), (HELD, OTHER)),
    "promote against undo": Case((Web.promote, Web.undo), (BEFORE, AFTER), held=True),
    "promote against undo against a start": Case(
        (Web.promote, Web.undo, started("v3"), Web.promote), (BEFORE, AFTER, OTHER), held=True, most=2
    ),
    "promote against undo against a pause": Case(
        (Web.promote, Web.undo, Web.pause, Web.undo), (BEFORE, AFTER, HELD), held=True, most=2
    ),
    "whole releases": Case((released("v2"),), (AFTER,)),
    "whole releases of two versions": Case((released("v2"), released("v3")), (AFTER, {"v3": 4}), most=2),
}
# So often in `make slow`, beside once: 200 times in all.
ROUNDS = range(29)


# The others are for `make slow`; whole releases at once are played in tests/sim/test_leases.py.
QUICK = ("two versions", "promote against undo")


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_of_twenty_runs_at_once_one_wins(case: str, new: Callable[..., Web]) -> None:
    plays(case, new)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_of_twenty_runs_at_once_one_wins_each_time(case: str, new: Callable[..., Web]) -> None:
    won = Counter(told for _round in ROUNDS for told in plays(case, new).elements())
    print(f"{case}: {len(ROUNDS)} times {RUNS} runs, {dict(won)}")


def plays(case: str, new: Callable[..., Web]) -> Counter[str]:
    """How many ended how."""
    one, web = CASES[case], new().make(4)
    if one.held:
        web.start("v2")
    ended = at_once(web, one.runs)
    told = Counter(end.code if isinstance(end, VerbFailure) else str(getattr(end, "changed", end)) for end in ended)
    assert not [end for end in ended if isinstance(end, ApiError)], told
    winners = [end for end in ended if isinstance(end, Outcome) and end.changed]
    assert 1 <= len(winners) <= one.most, told
    assert not any(end.changed for end in ended if isinstance(end, VerbFailure)), told
    assert told["locked"] >= 1, told
    assert web.split() in one.splits
    return told


def test_the_lease_is_as_it_is_said_and_goes_with_the_deployment(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start(run="ours")
    path = f"/apis/coordination.k8s.io/v1/namespaces/{web.namespace}/leases/coalmine-canary-{web.name}"
    lease = web.admin.get(path)
    assert lease["spec"]["holderIdentity"] == "ours" and lease["spec"]["leaseDurationSeconds"] == 300
    assert lease["metadata"]["ownerReferences"][0]["uid"] == web.get()["metadata"]["uid"]
    message = web.refused(web.undo, "locked")
    assert "held by another run: run ours of tests" in message
    taken = replace(web, takeover=True).undo()
    assert taken.changed and "taken over" in " ".join(taken.warnings)
    leases = web.admin.list(path.rpartition("/")[0])["items"]
    assert not [one for one in leases if one["metadata"]["name"].endswith(web.name)]


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.include_role: {name: coalmine.canary.canary}
      vars:
        canary_name: NAME
        canary_namespace: NAMESPACE
        canary_images: {app: IMAGE}
        canary_headroom: skip
        canary_verify_tasks: VERIFY
"""


@pytest.mark.slow
def test_a_role_that_dies_between_two_tasks_locks_nobody_out_of_its_machine(
    lab: Lab | ForeignCluster, new: Callable[..., Web], tmp_path: Path
) -> None:
    """While your own tasks verify the canary it is held for that run, and over with its ansible-playbook."""
    web = new().make(2)
    play, verify = tmp_path / "play.yml", tmp_path / "verify.yml"
    given = {"NAMESPACE": web.namespace, "NAME": web.name, "IMAGE": image("v2"), "VERIFY": str(verify)}
    text = PLAY
    for word, value in given.items():
        text = text.replace(word, value)
    play.write_text(text)
    verify.write_text(f"- ansible.builtin.wait_for: {{path: {tmp_path / 'done'}, timeout: 120}}\n")
    command = [str(PLAYBOOK), str(play), "-i", "localhost,"]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "K8S_AUTH_KUBECONFIG": str(lab.kubeconfig)}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{web.namespace}/leases/coalmine-canary-{web.name}"

    def is_between() -> bool:
        return web.phase == "held" and web.admin.get(path)["spec"]["leaseDurationSeconds"] == 300

    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as playing:
        try:
            web.until(is_between, "its tasks verify the canary")
            assert "will be back by" in web.refused(web.undo, "locked")
        finally:
            playing.kill()
            (tmp_path / "done").touch()  # its worker goes on without it
    verify.write_text("- ansible.builtin.debug: {msg: good}\n")
    played = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
    assert web.split() == {"v2": 2}
