# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases by the role, each with what there is before, what it is given, and how it has to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.integration.plays import REPLICAS, V1, V2
from tests.integration.releases import CONTAINER, Release, annotated, begin, image

IMAGES = {CONTAINER: V2}
STEPS = [{"pods": 1}, {"weight": 50}]
UNCHANGED = "This run changed nothing."
BACK = "The stable version is back."


def nothing(release: Release) -> None:
    del release


def holds(release: Release) -> None:
    release.start()


def holds_frozen(release: Release) -> None:
    release.start()
    release.pause()


def is_out(release: Release) -> None:
    release.start()
    release.promote()


def serves(release: Release) -> None:
    """Behind a Service."""
    spec = {"selector": {"app": release.name}, "ports": [{"port": 80, "targetPort": 8080}]}
    release.api.create(
        f"/api/v1/namespaces/{release.namespace}/services", {"metadata": {"name": release.name}, "spec": spec}
    )


def promotes(release: Release) -> None:
    release.start()
    assert begin(release, "promote") == "promoting"


def takes_back(release: Release) -> None:
    release.start()
    assert begin(release, "undo") == "undoing"


def samples(canary: int, stable: int = 5, rows: int = 5) -> dict[str, Any]:
    """Counts of the user's own: bad of 1000 in each row."""
    counts = [
        {"time": 10 * row, "canary": {"bad": canary, "total": 1000}, "stable": {"bad": stable, "total": 1000}}
        for row in range(1, rows + 1)
    ]
    return {"checks": [{"name": "own", "samples": counts, "max_ratio": 1.5, "max_increase": 0.01}]}


@dataclass(frozen=True)
class Case:
    """`says`: all that is told of why, a part of each line. `verify`: tasks of the user's own. `before`: what there is already.
    `runs`: the version in the end; `phase`: and how the release stands."""

    outcome: str
    says: tuple[str, ...]
    given: dict[str, Any] = field(default_factory=dict)
    verify: str = ""
    before: Callable[[Release], object] = nothing
    runs: str = V1
    phase: str = "none"


HOST_PORT = {"spec": {"containers": [{"name": CONTAINER, "ports": [{"containerPort": 80, "hostPort": 30080}]}]}}
RELEASED_AT = {"metadata": {"annotations": {"example.org/released-at": "{{ now(utc=true).isoformat() }}"}}}
DECIDED, UNDECIDED = samples(28), samples(5, rows=1) | {"check_duration": 3, "check_interval": 1}
SMALLER = [{"pods": 2}, {"weight": 20}, {"pods": 3}]
# A release of which the role knows nothing, in the place of its own.
OF_ANOTHER = """
- name: Keep what another run has begun
  ansible.builtin.set_fact:
    "{{ '_canary_' ~ 'told' }}":
      release: {run: another, stage: held, outcome: held, hash: 7db95c9fc5, reached: 2, to_verify: {step: 2, steps: 2}, waits_for: caller, verdicts: []}
      results: {}
      result: {outcome: released}
"""
FAIL = "- {name: No, ansible.builtin.fail: {msg: not good enough}}"
CASES: dict[str, Case] = {
    "good": Case(
        "released",
        ("All pods run the version",),
        # Another version at each call that asked what it amounts to.
        {"steps": STEPS, "bake": 1, "pod_template_patch": RELEASED_AT},
        """
- name: Look at what there is to look at
  ansible.builtin.assert:
    that:
      - canary_release.steps == 2
      - canary_release.canary.pods | map(attribute='ip') | select | length == canary_release.step
      - canary_release.canary.hash != canary_release.stable.hash
""",
        runs=V2,
    ),
    "switched": Case(
        "released",
        ("All pods run the version",),
        {"traffic": {"kind": "service_selector"}, "steps": [{"bake": 1}], "keep": 1},
        """
- name: Look at what users get
  coalmine.canary.canary_info: {name: "{{ canary_name }}", namespace: "{{ canary_namespace }}"}
  register: seen
- name: Nobody gets it yet
  ansible.builtin.assert:
    that:
      - canary_release.canary.pods | length == 4
      - seen.canary.traffic.kind == 'service_selector'
      - seen.exposure.weight == 0
""",
        before=serves,
        runs=V2,
    ),
    "out-already": Case("already released", ("All pods run this version",), before=is_out, runs=V2),
    "begun-already": Case("released", ("All pods run the version",), {"steps": STEPS}, before=holds, runs=V2),
    "promoted-already": Case("already released", ("All pods run this version",), before=promotes, runs=V2),
    "taken-back-already": Case(
        "refused",
        ("An earlier run was taking a canary back, and that is finished now", "This run began nothing of its own."),
        before=takes_back,
    ),
    "frozen-already": Case(
        "refused", ("canary_resume", UNCHANGED), before=holds_frozen, runs=V2, phase="frozen",
    ),
    "fails-at-step-2": Case(
        "undone",
        (
            'Verification failed at step 2 of 2, in the task "Compare error rates" - the canary fails 12 % of its requests.',
            BACK,
        ),
        {"steps": STEPS},
        """
- name: Compare error rates
  ansible.builtin.assert:
    that: canary_release.step < 2
    fail_msg: the canary fails 12 % of its requests
""",
    ),
    "fails-in-a-loop": Case(
        "undone",
        ('Verification failed at step 1 of 1, in the task "Ask each path" - /cart answers 500; /pay answers 500.', BACK),
        # As a workflow hands it on from the job before.
        {"result": {"name": "web", "namespace": "elsewhere", "outcome": "released", "why": [], "canary": None}},
        """
- name: Ask each path
  ansible.builtin.assert:
    that: item == '/healthz'
    fail_msg: "{{ item }} answers 500"
  loop: [/healthz, /cart, /pay]
""",
    ),
    "fails-hidden": Case(
        "undone",
        ("its output is hidden (no_log)", BACK),
        {},
        """
- name: Ask with a password
  ansible.builtin.fail:
    msg: "refused with the password {{ lookup('ansible.builtin.file', 'SECRET') }}"
  no_log: true
""",
    ),
    "fails-and-is-left": Case(
        "failed", ("not good enough", "because on_failure is hold"), {"on_failure": "hold"}, FAIL, runs=V2, phase="held"
    ),
    "frozen-meanwhile": Case(
        "failed",
        ("not good enough", "The canary is frozen, so it stays as it is"),
        {},
        """
- name: Freeze it, as a person would
  coalmine.canary.canary_pause: {name: "{{ canary_name }}", namespace: "{{ canary_namespace }}", takeover: true}
"""
        + FAIL,
        runs=V2,
        phase="frozen",
    ),
    "taken-over-meanwhile": Case(
        "failed",
        ("was left alone: canary", "What is live now is not what this run began, so it was left as it is."),
        {"steps": [{"pods": 1}, {"pods": 2}, {"pods": 3}]},
        """
- name: Take the canary over and let it grow, as a person would
  coalmine.canary.canary_start:
    name: "{{ canary_name }}"
    namespace: "{{ canary_namespace }}"
    images: "{{ canary_images }}"
    pods: 3
    takeover: true
  when: canary_release.step == 1
""",
        runs=V2,
        phase="held",
    ),
    # As a file that this one includes might, of which nothing is known before: what decides is no variable.
    "takes-a-name": Case(
        "undone",
        ("A task that ran in between has set _canary_told", BACK),
        {"steps": STEPS},
        OF_ANOTHER,
    ),
    "takes-a-name-and-fails": Case("undone", ("not good enough", BACK), {"steps": STEPS}, OF_ANOTHER + FAIL),
    "no-image": Case("undone", ("ImagePullBackOff", BACK), {"images": {CONTAINER: image("missing")}}),
    "not-ready": Case(
        "undone",
        ("timed out: 0 of 1 canary pods are Ready", BACK),
        {"pod_template_patch": annotated(never_ready="true"), "wait_timeout": 3},
    ),
    "no-room": Case("undone", ("cannot be scheduled", BACK), {"pod_template_patch": HOST_PORT}),
    "judged-bad": Case("undone", ("own: the canary is worse than tolerated", BACK), DECIDED),
    "undecided": Case("held", ("inconclusive", ""), UNDECIDED, runs=V2, phase="frozen"),
    "gated": Case("held", ("without a terminal nobody can",), {"gate": "prompt"}, runs=V2, phase="held"),
    "gated-too": Case("held", ("without a terminal nobody can",), {"gate": "prompt"}, runs=V2, phase="held"),
    "too-large": Case("refused", ("canary pods", UNCHANGED), {"steps": [{"pods": 1}, {"pods": REPLICAS + 3}]}),
    "shrinks": Case(
        "refused",
        (
            "Step 2 of steps is smaller than a step before it, and a canary can only grow. "
            "Put the steps in order, the smallest first.",
            UNCHANGED,
        ),
        {"steps": SMALLER},
    ),
    "no-file": Case("refused", ("There is no file nowhere.yml", UNCHANGED), {"verify_tasks": "nowhere.yml"}),
    "no-container": Case("refused", ("ap", UNCHANGED), {"images": {"ap": "x"}}),
    "no-version": Case("refused", ("images", UNCHANGED), {"images": {}}),
    "no-guard": Case("refused", ("checks is empty, so nothing would be guarded", UNCHANGED), {"guard": 60}),
    # Refused before a canary is held; all that may be wrong with such a file: tests/unit/frontdoor/test_verification.py.
    "no-yaml": Case("refused", ("no-yaml.yml cannot verify a canary: ", UNCHANGED), {}, "- name: x\n  debug: {msg: [}\n"),
    "ends-role": Case(
        "refused", ("a meta task in it ends the host", UNCHANGED), {}, "- block: [{meta: end_role}]\n"
    ),
    # What only Ansible reads, and names that are there once there is a canary.
    "read-by-ansible": Case(
        "released",
        ("All pods run the version",),
        {},
        """
# It comes back, without any meta: end_host
- name: Ask {{ canary_release.canary.hash }}
  ansible.builtin.debug: {msg: "{{ item.ip }}"}
  loop: "{{ canary_release.canary.pods }}"
  run_once: no
  delegate_to: "{{ canary_release.canary.pods[0].name and 'localhost' }}"
  tags: [always]
- block:
    - ansible.builtin.fail: {msg: !unsafe "{{ harmless"}
  rescue:
    - ansible.builtin.meta: noop
""",
        runs=V2,
    ),
    # No task has failed then that Ansible tells of, but one that was rescued at the step before.
    "includes-nothing": Case(
        "undone",
        (
            # It may as well have been what failed on another host.
            "or a file that its verification includes could not be loaded, as an error above says.",
            BACK,
        ),
        {"steps": STEPS},
        """
- name: Rescue
  when: canary_release.step == 1
  block:
    - ansible.builtin.fail: {msg: harmless}
  rescue:
    - ansible.builtin.meta: noop
- name: Include
  ansible.builtin.include_tasks: nowhere.yml
  when: canary_release.step == 2
""",
    ),
}  # fmt: skip
# What canary_release decides in these is shown in tests/sim/test_release.py as well, so that they are played by `make slow`.
LONG = (
    "begun-already",
    "promoted-already",
    "taken-back-already",
    "frozen-already",
    "frozen-meanwhile",
    "taken-over-meanwhile",
    "takes-a-name-and-fails",
    "no-image",
    "not-ready",
    "no-room",
    "undecided",
    "gated-too",
    "too-large",
    "shrinks",
    "no-container",
    "no-version",
    "no-guard",
)
SHORT = {name: case for name, case in CASES.items() if name not in LONG}
