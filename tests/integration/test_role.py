# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and the playbooks, run as the service account that the collection ships: how a release ends, and what is left.

What canary_release decides, tests/sim/test_release.py shows. Here is what only ansible-playbook can: variables, tasks of the user's
own, what a failed task says, a terminal, and that the shipped rights are enough.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import InfoRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED, PLAYBOOK, ROOT, Playbooks
from tests.integration.plays import V1, Played, releases, run, side_by_side
from tests.integration.releases import Release
from tests.integration.role_cases import CASES, IMAGES, LONG, SHORT, Case, is_out

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def played(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    yield from play(SHORT, lab, tmp_path_factory.mktemp("role"))


@pytest.fixture(scope="module")
def played_too(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    yield from play({host: CASES[host] for host in LONG}, lab, tmp_path_factory.mktemp("role"))


def play(cases: Mapping[str, Case], lab: Lab | ForeignCluster, directory: Path) -> Iterator[Played]:
    """All of them in one play, none waiting for another."""
    (directory / "secret").write_text("hunter2", encoding="utf-8")
    hosts: dict[str, dict[str, Any]] = {}
    for host, case in cases.items():
        hosts[host] = {"images": IMAGES, "headroom": "skip"} | case.given
        if case.verify:
            path = directory / f"{host}.yml"
            path.write_text(case.verify.replace("SECRET", str(directory / "secret")), encoding="utf-8")
            hosts[host]["verify_tasks"] = str(path)
    with side_by_side(lab, directory, hosts, lambda host, release: cases[host].before(release)) as played:
        yield played


@pytest.mark.parametrize("host", SHORT)
def test_a_release(host: str, played: Played) -> None:
    check(host, played)


@pytest.mark.slow
@pytest.mark.parametrize("host", LONG)
def test_one_more_release(host: str, played_too: Played) -> None:
    check(host, played_too)


def check(host: str, played: Played) -> None:
    case, it, release = CASES[host], played.it, played.made[host]
    assert it.outcomes.get(host) == case.outcome, it.told
    result = it.results[host]
    assert (result["name"], result["namespace"]) == (host, release.namespace)
    told = [part in line for part, line in zip(case.says, result["why"], strict=False)]
    assert all(told) and len(told) == len(case.says), result["why"]
    assert (release.image, phase(release)) == (case.runs, case.phase)
    if case.outcome in ("undone", "refused") and case.phase == "none":
        assert release.deployment()["spec"] == played.before[host]
    if case.outcome == "refused" or case.before is is_out:
        assert it.recap(host, "changed") == 0
    assert (it.recap(host, "failed") > 0) is (case.outcome in ("undone", "refused", "failed"))


def phase(release: Release) -> str:
    found = info(release.api, InfoRequest(release.name, release.namespace)).extra["canaries"][0]
    return str(found["phase"])


def test_each_result_is_handed_on_and_shown(played: Played) -> None:
    it = played.it
    assert it.handed_on == {f"{played.made[host].namespace}/{host}": it.results[host] for host in SHORT}
    for host, case in SHORT.items():
        assert f"{host} in namespace {played.made[host].namespace}: {case.outcome}" in it.output
    assert "elsewhere" not in json.dumps(it.handed_on)


def test_the_reason_of_an_undo_is_kept_and_told_by_an_event(played: Played) -> None:
    for host in ("fails-at-step-2", "judged-bad"):
        release = played.made[host]
        assert played.why(host)[0] in f"{release.last['reason']}." and release.last["outcome"] == "undone"
        (event,) = events(release)
        assert event[0] == "CanaryUndone" and release.last["reason"] in event[1]


def events(release: Release) -> list[tuple[str, str]]:
    """Reasons and messages of those that are ours."""
    query = {"fieldSelector": f"involvedObject.name={release.name}"}
    found = release.api.list(f"/api/v1/namespaces/{release.namespace}/events", query)["items"]
    return [(event["reason"], event["message"]) for event in found if event["reason"].startswith("Canary")]


def test_a_service_is_switched_to_the_new_pods_and_given_back(played: Played) -> None:
    release = played.made["switched"]
    service = release.api.get(f"/api/v1/namespaces/{release.namespace}/services/{release.name}")
    assert service["spec"]["selector"] == {"app": "switched"}
    assert not service["metadata"].get("annotations")
    assert release.last["outcome"] == "promoted"


def test_what_no_log_hides_stays_hidden(played: Played) -> None:
    host = "fails-hidden"
    # ansible-core itself prints what the failed task said, right under the task's heading; nothing that is ours does.
    ours = re.split(r"^(?:TASK|RUNNING HANDLER) ", played.it.output, flags=re.MULTILINE)
    shown = [part.splitlines()[0] for part in ours if "hunter2" in part]
    assert not [heading for heading in shown if "Ask with a password" not in heading], shown
    assert "hunter2" not in json.dumps([played.it.results[host], played.made[host].deployment()])


def test_the_numbers_of_the_role_are_all_of_these() -> None:
    specs = yaml.safe_load((ROOT / "roles" / "canary" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    numbers = {name for name, option in options.items() if option["type"] in ("int", "float")}
    assert numbers <= {f"canary_{name}" for name in NUMBERS}


NUMBERS = {
    "surge": 1,
    "max_unavailable": 0,
    "bake": 1,
    "check_duration": 2,
    "check_interval": 1,
    "check_warmup": 0,
    "confidence": 0.9,
    "guard": 1,
    "keep": 0,
    "lease_seconds": 60,
    "wait_timeout": 120,
    "wait_for_nodes": 0,
    "max_hourly_cost": 1.5,
    "assume_replicas": 4,
}


@pytest.mark.slow
def test_every_number_may_be_given_as_text_as_on_a_command_line(playbooks: Playbooks, release: Release) -> None:
    text = " ".join(f"canary_{name}={value}" for name, value in NUMBERS.items())
    steps = [{"pods": "1", "bake": "0"}, {"weight": "50"}]
    told = {"headroom": "allow_new_nodes", "checks": [{"pods": {}}], "on_inconclusive": "promote"}
    run = playbooks.run("canary", "--extra-vars", text, images=IMAGES, steps=steps, **told)
    assert (run.code, run.outcome) == (0, "released")
    assert [verdict["of"] for verdict in run.result["verdicts"]][:2] == ["step 1", "step 2"]


def test_what_is_held_is_shown_by_one_playbook_and_taken_back_by_another(
    playbooks: Playbooks, release: Release
) -> None:
    before = release.deployment()["spec"]
    release.start()
    status = playbooks.run("status")
    assert f"{release.namespace:20} web                      held            4      1  20.0 %" in status.output
    undone = playbooks.run("undo", reason="seen enough")
    assert (undone.code, undone.changed) == (0, 1)
    assert release.deployment()["spec"] == before


def type_until_taken(terminal: int, answer: str, asked: subprocess.Popen[str]) -> None:
    """Ansible throws away what was typed before it listens. It listens where the terminal gives it every key at once, and
    ends that when it has its answer."""
    while asked.poll() is None:
        local_modes = termios.tcgetattr(terminal)[3]
        if local_modes & termios.ICANON:
            time.sleep(0.05)
            continue
        os.write(terminal, f"{answer}\r".encode())
        time.sleep(2)


def test_a_gate_asks_for_an_explicit_yes(playbooks: Playbooks, release: Release) -> None:
    ours, terminal = os.openpty()
    bounded = ["timeout", str(PATIENCE_SECONDS), "setsid", "--ctty", "--wait", str(PLAYBOOK)]
    with subprocess.Popen(
        [*bounded, *playbooks.arguments("canary", images=IMAGES, gate="prompt")],
        env=os.environ | playbooks.environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as asked:
        os.close(terminal)
        assert asked.stdout is not None
        output = ""
        while "leaves the canary held" not in output:
            output += asked.stdout.read(1) or pytest.fail(output)
        typist = threading.Thread(target=type_until_taken, args=(ours, "yes", asked))
        typist.start()
        output += asked.stdout.read()
    typist.join()
    os.close(ours)
    assert f"web in namespace {release.namespace}: released" in output


def test_a_release_by_verbs_leaves_alone_what_somebody_else_began(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    text = (ROOT / "examples" / "release_by_verbs.yml").read_text(encoding="utf-8")
    context = yaml.safe_load(playbooks.kubeconfig.read_text(encoding="utf-8"))["current-context"]
    here = text.replace("context: production", f"context: {context}").replace(
        "namespace: shop", f"namespace: {release.namespace}"
    )
    (tmp_path / "copy.yml").write_text(here, encoding="utf-8")
    release.start()
    run = playbooks.run(str(tmp_path / "copy"), "--extra-vars", "version=1.5")
    assert (run.code, run.changed) == (FAILED, 0)
    assert "It was left as it is: Deployment" in run.output
    assert "already holds a canary of another pod template" in run.output
    assert release.start().canary["phase"] == "held"


def test_a_module_that_is_not_there_is_found_before_anything_is_held(
    lab: Lab | ForeignCluster, namespace: str, tmp_path: Path
) -> None:
    """Ansible ends the run, for all hosts, where it cannot load a file."""
    verify = tmp_path / "verify.yml"
    verify.write_text("- {name: Ask, no.such.module: {}}\n")
    hosts = {"later": {"steps": [{"pods": 1}, {"pods": 2, "verify_tasks": str(verify)}], "headroom": "skip"}}
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, hosts)
        it = run(lab.kubeconfig, namespace, tmp_path, hosts)
        assert it.code != 0 and "no.such.module" in it.output
        assert made["later"].image == V1, it.told
