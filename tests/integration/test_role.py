# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and the playbooks, run as the service account that the collection ships: how a release ends, and what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import termios
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.faults.proxy import FaultProxy, answer, fault_proxy, pass_on
from tests.integration.access import read_access
from tests.integration.playbooks import FAILED, ROOT, Playbooks
from tests.integration.releases import CONTAINER, REPLICAS, Release, annotated, begin, image

V2 = {CONTAINER: image("v2")}
STEPS = [{"pods": 1}, {"weight": 50}]
PATIENCE_SECONDS = 120
# Nothing waits for its end.
LONG_BAKE = 200


def spec(release: Release) -> dict[str, Any]:
    return dict(release.deployment()["spec"])


def tasks(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


def test_a_good_release_is_promoted_and_its_second_run_changes_nothing(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    verify = tasks(
        tmp_path / "verify.yml",
        f"""
        - name: Note what there is to look at
          ansible.builtin.lineinfile:
            path: {seen}
            line: >-
              {{{{ canary_release.step }}}}/{{{{ canary_release.steps }}}}
              {{{{ canary_release.canary.pods | map(attribute='ip') | select | length }}}} addresses,
              {{{{ canary_release.canary.hash != canary_release.stable.hash }}}}
            create: true
            mode: "0600"
        """,
    )
    first = playbooks.run("canary", images=V2, steps=STEPS, bake=1, verify_tasks=verify)
    assert (first.code, first.outcome) == (0, "released")
    assert seen.read_text(encoding="utf-8").splitlines() == ["1/2 1 addresses, True", "2/2 2 addresses, True"]
    second = playbooks.run("canary", images=V2, steps=STEPS, bake=1, verify_tasks=verify)
    assert (second.code, second.outcome, second.changed) == (0, "already released", 0)
    assert "All pods run this version" in second.output


NUMBERS = {
    "surge": 1,
    "max_unavailable": 0,
    "bake": 1,
    "check_duration": 2,
    "check_interval": 1,
    "check_warmup": 0,
    "confidence": 0.9,
    "guard": 1,
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
    run = playbooks.run("canary", "--extra-vars", text, images=V2, steps=steps, **told)
    assert (run.code, run.outcome) == (0, "released")
    assert [verdict["of"] for verdict in run.result["verdicts"]][:2] == ["step 1", "step 2"]


def test_the_numbers_of_the_role_are_all_of_these() -> None:
    specs = yaml.safe_load((ROOT / "roles" / "canary" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    numbers = {name for name, option in options.items() if option["type"] in ("int", "float")}
    assert numbers <= {f"canary_{name}" for name in NUMBERS}


def test_check_mode_shows_the_plan_and_changes_nothing(playbooks: Playbooks, release: Release) -> None:
    before = release.deployment()["metadata"]["resourceVersion"]
    run = playbooks.run("canary", "--check", "--diff", images=V2, steps=STEPS)
    assert (run.code, run.outcome) == (0, "planned")
    assert "would hold 1 canary beside 4 stable pods" in run.output
    assert "would hold 2 canary beside 3 stable pods" in run.output
    assert "Bake, verification, gate and promotion do not run in check mode" in run.output
    assert release.deployment()["metadata"]["resourceVersion"] == before


def test_a_release_that_fails_its_verification_is_undone_with_the_reason_first(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    before = spec(release)
    verify = tasks(
        tmp_path / "verify.yml",
        """
        - name: Compare error rates
          ansible.builtin.assert:
            that: canary_release.step < 2
            fail_msg: the canary fails 12 % of its requests
        """,
    )
    run = playbooks.run("canary", images=V2, steps=STEPS, verify_tasks=verify)
    reason = (
        'Verification failed at step 2 of 2, in the task "Compare error rates" - the canary fails 12 % of its requests.'
    )
    assert (run.code, run.outcome) == (FAILED, "undone")
    assert run.result["why"] == [reason, "The stable version is back."]
    assert spec(release) == before
    assert reason == f"{release.last['reason']}."


def test_a_verification_in_a_loop_tells_why_each_of_its_items_failed(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    verify = tasks(
        tmp_path / "verify.yml",
        """
        - name: Ask each path
          ansible.builtin.assert:
            that: item == '/healthz'
            fail_msg: "{{ item }} answers 500"
          loop: [/healthz, /cart, /pay]
        """,
    )
    # As a workflow hands it on from the job before.
    before = {
        "canary_result": {"name": "web", "namespace": "elsewhere", "outcome": "released", "why": [], "canary": None}
    }
    run = playbooks.run("canary", "--extra-vars", json.dumps(before), images=V2, verify_tasks=verify)
    assert (run.code, run.outcome, run.result["namespace"]) == (FAILED, "undone", release.namespace)
    reason = 'Verification failed at step 1 of 1, in the task "Ask each path" - /cart answers 500; /pay answers 500.'
    assert run.result["why"][0] == reason
    shown = run.output[run.output.index("Show the result") :]
    assert f"web in namespace {release.namespace}: undone" in shown
    assert "elsewhere" not in shown


def test_what_no_log_hides_stays_hidden(playbooks: Playbooks, release: Release, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2", encoding="utf-8")
    verify = tasks(
        tmp_path / "verify.yml",
        f"""
        - name: Ask with a password
          ansible.builtin.fail:
            msg: "refused with the password {{{{ lookup('ansible.builtin.file', '{secret}') }}}}"
          no_log: true
        """,
    )
    run = playbooks.run("canary", images=V2, verify_tasks=verify)
    assert run.outcome == "undone"
    assert "its output is hidden (no_log)" in run.output
    # What ansible-core itself prints of the failed task comes before this.
    ours = run.output[run.output.index("Take back what failed") :]
    assert "hunter2" not in ours + json.dumps(release.deployment())


def test_on_failure_hold_leaves_the_canary_for_a_person(playbooks: Playbooks, release: Release, tmp_path: Path) -> None:
    verify = tasks(tmp_path / "verify.yml", "- {name: No, ansible.builtin.fail: {msg: not good enough}}")
    run = playbooks.run("canary", images=V2, verify_tasks=verify, on_failure="hold")
    assert (run.code, run.outcome, run.result["canary"]["phase"]) == (FAILED, "failed", "held")


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "its image is missing": ({"images": {CONTAINER: image("missing")}}, "ImagePullBackOff"),
    "it does not get ready in time": (
        {"pod_template_patch": annotated(never_ready="true"), "wait_timeout": 3},
        "timed out: 0 of 1 canary pods are Ready",
    ),
    "the promotion finds no room for the other pods": (
        {
            "pod_template_patch": {
                "spec": {"containers": [{"name": CONTAINER, "ports": [{"containerPort": 80, "hostPort": 30080}]}]}
            }
        },
        "cannot be scheduled",
    ),
}


@pytest.mark.parametrize(("variables", "reason"), FAILURES.values(), ids=FAILURES.keys())
def test_a_canary_is_undone_when(
    playbooks: Playbooks, release: Release, variables: dict[str, Any], reason: str
) -> None:
    before = spec(release)
    run = playbooks.run("canary", **variables)
    assert (run.code, run.outcome) == (FAILED, "undone")
    assert reason in run.result["why"][0]
    assert spec(release) == before


TROUBLES: dict[str, tuple[dict[str, str], str]] = {
    "restarts": ({"restart_after": "0"}, "restarted 1 time"),
    "loses its readiness": ({"unready_after": "0"}, "is not Ready any more"),
}


@pytest.mark.parametrize(("behaviour", "reason"), TROUBLES.values(), ids=TROUBLES.keys())
def test_a_canary_is_undone_when_while_it_is_watched_it(
    playbooks: Playbooks, release: Release, behaviour: dict[str, str], reason: str
) -> None:
    before = spec(release)
    run = playbooks.interrupted(
        "watching the canary", lambda: release.misbehave("v2", **behaviour), "canary", images=V2, bake=LONG_BAKE
    )
    assert (run.code, run.outcome) == (FAILED, "undone")
    assert reason in run.result["why"][0]
    assert spec(release) == before


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a later step is impossible": ({"images": V2, "steps": [{"pods": 1}, {"pods": REPLICAS + 3}]}, "canary pods"),
    "a later step is smaller": (
        {"images": V2, "steps": [{"pods": 2}, {"weight": 20}, {"pods": 3}]},
        "Step 2 of steps is smaller than a step before it, and a canary can only grow. "
        "Put the steps in order, the smallest first.",
    ),
    "its verification tasks are not there": (
        {"images": V2, "verify_tasks": "nowhere.yml"},
        "There is no file nowhere.yml",
    ),
    "a container is unknown": ({"images": {"ap": "x"}}, "ap"),
    "nothing says what to release": ({}, "images"),
    "nothing says what to guard by": (
        {"images": V2, "guard": 60},
        "checks is empty, so nothing would be guarded",
    ),
}


@pytest.mark.parametrize(("variables", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_nothing_is_changed_when(
    playbooks: Playbooks, release: Release, variables: dict[str, Any], message: str
) -> None:
    before = release.deployment()["metadata"]["resourceVersion"]
    run = playbooks.run("canary", **variables)
    assert (run.code, run.outcome, run.changed) == (FAILED, "refused", 0)
    assert message in run.result["why"][0]
    assert release.deployment()["metadata"]["resourceVersion"] == before


def test_a_gate_without_a_terminal_holds_the_canary_until_another_job_promotes_it(
    playbooks: Playbooks, release: Release
) -> None:
    gated = playbooks.run("canary", images=V2, gate="prompt")
    assert (gated.code, gated.outcome, gated.result["canary"]["phase"]) == (0, "held", "held")
    assert "Nobody answered; without a terminal nobody can" in gated.output
    status = playbooks.run("status")
    assert f"{release.namespace:20} web                      held            4      1  20.0 %" in status.output
    promoted = playbooks.run("promote")
    assert (promoted.code, promoted.outcome, promoted.changed) == (0, "released", 1)
    again = playbooks.run("promote")
    assert (again.code, again.outcome, again.changed) == (0, "nothing to promote", 0)
    assert again.result["why"] == ["No canary is held, and no rollout is under way any more."]


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


@pytest.mark.parametrize(("answer", "outcome"), [("yes", "released"), ("y", "held")])
def test_a_gate_asks_for_an_explicit_yes(playbooks: Playbooks, release: Release, answer: str, outcome: str) -> None:
    ours, terminal = os.openpty()
    bounded = ["timeout", str(PATIENCE_SECONDS), "setsid", "--ctty", "--wait"]
    command = [*bounded, *playbooks.command("canary", images=V2, gate="prompt")]
    with subprocess.Popen(
        command, env=playbooks.environment, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as asked:
        os.close(terminal)
        assert asked.stdout is not None
        output = ""
        while "leaves the canary held" not in output:
            output += asked.stdout.read(1) or pytest.fail(output)
        typist = threading.Thread(target=type_until_taken, args=(ours, answer, asked))
        typist.start()
        output += asked.stdout.read()
    typist.join()
    os.close(ours)
    assert f"web in namespace {release.namespace}: {outcome}" in output


def test_an_undo_by_command(playbooks: Playbooks, release: Release) -> None:
    before = spec(release)
    release.start()
    undone = playbooks.run("undo", reason="seen enough")
    assert (undone.code, undone.changed) == (0, 1)
    assert spec(release) == before
    assert playbooks.run("undo").changed == 0


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


def test_a_frozen_canary_stops_the_role(playbooks: Playbooks, release: Release) -> None:
    release.start()
    release.pause()
    run = playbooks.run("canary", images=V2)
    assert (run.code, run.outcome, run.result["canary"]["phase"]) == (FAILED, "refused", "frozen")
    assert "canary_resume" in run.result["why"][0]


def test_a_canary_that_somebody_freezes_meanwhile_is_not_undone(
    lab: Lab | ForeignCluster, playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    verify = tasks(
        tmp_path / "verify.yml",
        f"""
        - name: Freeze it, as a person would
          coalmine.canary.canary_pause:
            name: web
            namespace: {release.namespace}
        - name: Fail
          ansible.builtin.fail:
            msg: not good enough
        """,
    )
    run = playbooks.run("canary", images=V2, verify_tasks=verify)
    assert (run.code, run.outcome, run.result["canary"]["phase"]) == (FAILED, "failed", "frozen")
    assert "The canary is frozen, so it stays as it is" in run.result["why"][1]


def test_a_run_that_was_killed_is_taken_up_by_the_next_one(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    verify = tasks(
        tmp_path / "verify.yml",
        f"""
        - name: Be killed at the second step of the first run
          ansible.builtin.shell: "echo {{{{ canary_release.step }}}} >> {mark}; test -e {mark}.go || sleep {PATIENCE_SECONDS}"
          changed_when: false
          when: canary_release.step == 2
        """,
    )
    variables = {"images": V2, "steps": STEPS, "verify_tasks": verify}
    with subprocess.Popen(
        playbooks.command("canary", **variables),
        env=playbooks.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as killed:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not mark.exists():
            assert time.monotonic() < give_up
            time.sleep(0.1)
        os.killpg(killed.pid, signal.SIGKILL)
    Path(f"{mark}.go").touch()
    second = playbooks.run("canary", **variables)
    assert (second.code, second.outcome, second.changed) == (0, "released", 2), "taken over, and promoted"
    assert mark.read_text(encoding="utf-8").split() == ["2", "2"]


@pytest.mark.slow
def test_a_step_that_somebody_outgrows_meanwhile_is_not_left_out(
    playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    verify = tasks(
        tmp_path / "verify.yml",
        f"""
        - name: Let the canary grow, as a person would
          coalmine.canary.canary_start:
            name: web
            namespace: {release.namespace}
            images: {{app: "{image("v2")}"}}
            pods: 3
          when: canary_release.step == 1
        """,
    )
    run = playbooks.run("canary", images=V2, steps=[{"pods": 1}, {"pods": 2}, {"pods": 3}], verify_tasks=verify)
    assert (run.code, run.outcome) == (FAILED, "undone")
    assert "holds 3 canary pods, and 2 were asked for" in run.result["why"][0]


def test_a_promotion_that_was_broken_off_is_finished(playbooks: Playbooks, release: Release) -> None:
    release.start()
    assert begin(release, "promote") == "promoting"
    run = playbooks.run("canary", images=V2)
    assert (run.code, run.outcome) == (0, "already released")
    assert playbooks.run("canary", images=V2).changed == 0


def test_a_promotion_whose_clean_up_is_refused_is_not_undone(
    lab: Lab | ForeignCluster, playbooks: Playbooks, release: Release, tmp_path: Path
) -> None:
    access = read_access(lab.kubeconfig, tmp_path)
    with fault_proxy(access.server, access.ca, tmp_path) as proxy:
        refused = answer(403, '{"kind": "Status", "code": 403, "reason": "Forbidden", "message": "not now"}')
        # Of a start, of a promotion, and of the end of that.
        proxy.go_wrong(r"^PATCH .*/deployments/web\?(?!.*dryRun)", pass_on, pass_on, refused)
        run = replace(playbooks, kubeconfig=through(proxy, playbooks.kubeconfig)).run("canary", images=V2)
    assert (run.code, run.outcome, run.result["canary"]["phase"]) == (FAILED, "failed", "promoting")
    assert "not now" in run.result["why"][0]
    assert "The promotion goes on in the cluster: run this again to see it to its end" in run.result["why"][1]
    assert playbooks.run("canary", images=V2).outcome == "already released"


def through(proxy: FaultProxy, kubeconfig: Path) -> Path:
    """The same account, asked by way of the proxy."""
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    content["clusters"][0]["cluster"] = {"server": proxy.host, "certificate-authority": str(proxy.authority)}
    path = proxy.authority.with_name("kubeconfig")
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    path.chmod(0o600)
    return path


def test_an_undo_that_was_broken_off_is_finished_and_nothing_is_started(playbooks: Playbooks, release: Release) -> None:
    before = spec(release)
    release.start()
    assert begin(release, "undo") == "undoing"
    run = playbooks.run("canary", images=V2)
    assert (run.code, run.outcome) == (FAILED, "refused")
    assert "An earlier run was taking a canary back, and that is finished now" in run.result["why"][0]
    assert spec(release) == before
