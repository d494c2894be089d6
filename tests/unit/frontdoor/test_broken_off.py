# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call of canary_release that breaks off returns a release all the same, which does not say that nothing was changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage

COLLECTIONS = Path(__file__).resolve().parents[3] / ".collections"
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ dying }}"
  tasks:
    - coalmine.canary.canary_release: {name: web, namespace: shop, images: {app: app:v2}}
      register: ended
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ ended }}"
        dest: "{{ told }}"
      vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
"""
LATER = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - coalmine.canary.canary_release: {name: web, namespace: shop, definition: gone.yml, previous: "{{ begun.release }}"}
      register: of_a_task
      ignore_errors: true
    - ansible.builtin.set_fact:
        _canary_told: "{{ begun }}"
    - block:
        - ansible.builtin.include_role: {name: coalmine.canary.canary, tasks_from: step}
          vars:
            canary_name: web
            canary_images: "{{ no_fact_any_more }}"
            canary_steps: "{{ no_fact_any_more }}"
      rescue:
        - ansible.builtin.copy:
            content: "{{ [of_a_task, _canary_told] }}"
            dest: "{{ told }}"
"""
BEGUN = Release("mine", Stage.HELD, Ending.HELD, hash="c1", stable="s1", waits_for=WaitsFor.CALLER)


def played(play: Path, home: Path, variables: dict[str, Any]) -> Any:
    """What the play wrote into the file `told`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "K8S", "KUBE"))}
    told = home / "told.json"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", "localhost,", play, "-e", json.dumps({**variables, "told": str(told)})),
        ],
        env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(told.read_text())


def test_a_later_call_whose_arguments_cannot_be_read_any_more_hands_on_what_is_to_be_taken_back(tmp_path: Path) -> None:
    play, verifies = tmp_path / "play.yml", tmp_path / "verify.yml"
    play.write_text(LATER)
    verifies.write_text("[]")
    asked = {"step": 1, "steps": 1, "tasks": str(verifies)}
    begun = {"canary": {}, "release": replace(BEGUN, to_verify=asked).to_json()}
    of_a_task, of_the_role = played(play, tmp_path, {"begun": begun})
    for told in (of_a_task, of_the_role):
        release = Release.from_json(told["release"])
        assert (told["failed"], told["failure"], release.run, release.unruled) == (True, "invalid", "mine", True)
        assert release.why[0] == f"{told['cause']}." and "could not be read" in told["cause"]
        assert release.why[1] == "It was left as it is."
    assert "gone.yml" in of_a_task["msg"] and "no_fact_any_more" in of_the_role["msg"]


def test_a_module_that_is_killed_each_time_leaves_a_release_that_says_what_to_do(tmp_path: Path) -> None:
    dying, play = (tmp_path / name for name in ("dying", "play.yml"))
    dying.write_text("#!/bin/sh\necho hunter2 >&2\nkill -KILL $$\n")
    dying.chmod(0o755)
    play.write_text(PLAY)
    ended = played(play, tmp_path, {"dying": str(dying)})
    assert (ended["failed"], ended["failure"], ended["release"]["outcome"]) == (True, "fault", "failed")
    first, last = ended["release"]["why"]
    assert first.startswith("The module ended without a result, with status") and "Nor could it be taken back" in first
    assert (
        last
        == "What it had begun by then is in the cluster: run this again to go on, or take it back with canary_undo."
    )
    assert "hunter2" not in json.dumps([ended["release"], ended["summary"], ended["msg"]])
