# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release does not print more, nor ask the API server more often, than it did. What it costs in seconds: `make bench`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import Lab
from tests.integration.playbooks import ansible_playbook
from tests.integration.situations import webs
from tests.situations import Web

# The most lines of one task on the default callback, and the most requests, of which a few depend on how soon pods get Ready. Two are
# the Lease, taken and given back, one gives fields back to their owners, and two ask what admission would make of the promotion.
FIRST = {"pods": 1}
IMAGES = {"app": "lab.local/app:v2"}
ROLE, REFUSED = 36, 100
MOST: dict[str, tuple[list[dict[str, Any]], int, int]] = {
    "one step": ([FIRST], 10, 35),
    "two steps": ([FIRST, {"pods": 2}], 12, 50),
}


PLAY, AFTERWARDS, RECAP = "\nPLAY [", "TASK [ansible.builtin.debug]", "PLAY RECAP"
AGAIN_LINES, AGAIN_REQUESTS = 6, 3
# Told of a wait that lasts longer than a second, as on a busy machine.
WAITING = re.compile(r"\d+ of \d+ (canary|new|stable) pods are Ready")
TIMES = ("first", "again")


def module(web: Web, kubeconfig: Path, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    given = {"name": web.name, "namespace": web.namespace, "images": IMAGES, "steps": steps}
    return [
        {"coalmine.canary.canary_release": {**given, "kubeconfig": str(kubeconfig)}, "register": "released"},
        {"ansible.builtin.debug": {"msg": "requests={{ released.requests }}"}},
    ]


def role(web: Web, images: dict[str, str]) -> list[dict[str, Any]]:
    given = {"canary_name": web.name, "canary_namespace": web.namespace, "canary_images": images}
    given |= {"canary_steps": [FIRST, {"pods": 2}]}
    return [{"ansible.builtin.include_role": {"name": "coalmine.canary.canary"}, "vars": given}]


@pytest.fixture(scope="module")
def printed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[str]]:
    """What one run of ansible-playbook prints of each case, the first time and the second, each a play."""
    with webs(lab) as new:
        tasks = {case: module(new().make(4), lab.kubeconfig, steps) for case, (steps, *_most) in MOST.items()}
        tasks["role"] = role(new().make(4), IMAGES)
        rescued = {"ansible.builtin.debug": {"msg": "{{ canary_result.outcome }}"}}
        tasks["refused"] = [{"block": role(new().make(4), {"apps": "lab.local/app:v2"}), "rescue": [rescued]}]
        cases = [(case, time) for case in tasks for time in TIMES]
        plays = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks[case]} for case, _time in cases]
        path = tmp_path_factory.mktemp("cost") / "play.yml"
        path.write_text(json.dumps(plays))
        done = ansible_playbook(path, environment={"K8S_AUTH_KUBECONFIG": str(lab.kubeconfig)})
    assert done.code == 0, done.output
    shown, recap = done.output.split(RECAP)
    return {
        case: [line for line in (*(PLAY + part).splitlines(), *recap.splitlines()) if not WAITING.search(line)]
        for case, part in zip(cases, shown.split(PLAY)[1:], strict=True)
    }


def cost(lines: list[str]) -> tuple[int, int]:
    """How many lines up to the end of the task, and how many requests it sent."""
    end = next(number for number, line in enumerate(lines) if line.startswith(AFTERWARDS))
    found = re.search(r"requests=(\d+)", "\n".join(lines))
    assert found, lines
    return end, int(found[1])


@pytest.mark.parametrize("case", MOST)
def test_a_release_stays_as_small_as_it_is(case: str, printed: dict[tuple[str, str], list[str]]) -> None:
    _steps, most_lines, most_requests = MOST[case]
    first, again = (cost(printed[case, time]) for time in TIMES)
    print(case, first, again)
    assert first[0] <= most_lines and first[1] <= most_requests, "\n".join([str(first), *printed[case, "first"]])
    assert again[0] <= AGAIN_LINES and again[1] <= AGAIN_REQUESTS, again


def test_a_release_by_the_role_prints_no_more_than_it_does(printed: dict[tuple[str, str], list[str]]) -> None:
    lines = [len(printed["role", time]) for time in TIMES]
    print("role", lines)
    assert lines[0] <= ROLE and lines[1] <= ROLE, lines


def test_a_release_that_the_role_refuses_prints_no_more_than_it_does(printed: dict[tuple[str, str], list[str]]) -> None:
    lines = printed["refused", "first"]
    print("refused", len(lines))
    assert len(lines) <= REFUSED, "\n".join(lines)
    assert sum("- name: web" in line or "replica_set:" in line for line in lines) == 0, "a row for each pod"
