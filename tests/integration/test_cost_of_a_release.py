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
from tests.integration.playbooks import Playbooks, ansible_playbook
from tests.integration.situations import webs

# The most lines of one task on the default callback, and the most requests, of which a few depend on how soon pods get Ready.
FIRST = {"pods": 1}
ROLE = 40
MOST: dict[str, tuple[list[dict[str, Any]], int, int]] = {
    "one step": ([FIRST], 10, 46),
    "two steps": ([FIRST, {"pods": 2}], 14, 66),
}


@pytest.mark.parametrize("case", MOST)
def test_a_release_stays_as_small_as_it_is(case: str, lab: Lab, tmp_path: Path) -> None:
    steps, most_lines, most_requests = MOST[case]
    with webs(lab) as new:
        web = new("web").make(4)
        given = {"name": "web", "namespace": web.namespace, "images": {"app": "lab.local/app:v2"}, "steps": steps}
        first = printed(tmp_path, lab, given)
        again = printed(tmp_path, lab, given)
    print(case, first, again)
    assert first[0] <= most_lines and first[1] <= most_requests, first
    assert again[0] <= 6 and again[1] <= 5, again


def test_a_release_by_the_role_prints_no_more_than_it_does(lab: Lab) -> None:
    with webs(lab) as new:
        web = new("web").make(4)
        playbooks = Playbooks(lab.kubeconfig, web.namespace)
        lines = []
        for _time in ("first", "again"):
            done = playbooks.run("canary", images={"app": "lab.local/app:v2"}, steps=[FIRST, {"pods": 2}])
            assert done.code == 0, done.output
            # ansible-playbook shows the stats that a job hands on only where that is asked for, as here.
            lines.append(len(done.output.split("CUSTOM STATS")[0].splitlines()))
    print("role", lines)
    assert lines[0] <= ROLE and lines[1] <= ROLE, lines


def printed(directory: Path, lab: Lab, given: dict[str, Any]) -> tuple[int, int]:
    """How many lines the play printed up to the end of the task, and how many requests the task sent."""
    tasks = [
        {"coalmine.canary.canary_release": {**given, "kubeconfig": str(lab.kubeconfig)}, "register": "released"},
        {"ansible.builtin.debug": {"msg": "requests={{ released.requests }}"}},
    ]
    play = directory / "play.yml"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = ansible_playbook(play)
    requests = re.search(r"requests=(\d+)", done.output)
    assert done.code == 0 and requests, done.output
    return len(done.output.split("TASK [ansible.builtin.debug]")[0].splitlines()), int(requests[1])
