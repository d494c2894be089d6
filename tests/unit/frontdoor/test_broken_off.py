# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call of canary_release that breaks off returns a release all the same, which does not say that nothing was changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_a_module_that_is_killed_each_time_leaves_a_release_that_says_what_to_do(tmp_path: Path) -> None:
    dying, play, told = (tmp_path / name for name in ("dying", "play.yml", "told.json"))
    dying.write_text("#!/bin/sh\necho hunter2 >&2\nkill -KILL $$\n")
    dying.chmod(0o755)
    play.write_text(PLAY)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "K8S", "KUBE"))}
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", play]
    done = subprocess.run(
        [*command, "-e", json.dumps({"dying": str(dying), "told": str(told)})],
        env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ended: dict[str, Any] = json.loads(told.read_text())
    assert (ended["failed"], ended["failure"], ended["release"]["outcome"]) == (True, "fault", "failed")
    first, last = ended["release"]["why"]
    assert first.startswith("The module ended without a result, with status") and "Nor could it be taken back" in first
    assert (
        last
        == "What it had begun by then is in the cluster: run this again to go on, or take it back with canary_undo."
    )
    assert "hunter2" not in json.dumps([ended["release"], ended["summary"], ended["msg"]])
