# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback of ansible-playbook that stands for somebody else: right before a task starts, it lets another process act on the
Deployments of some hosts. What was done, and every task, it notes.

Another process, because this one forks its workers: a thread that ends here at that moment may hold a lock of OpenSSL (which it takes
without Python's own, for what it kept of the thread), and the worker's copy of it is never opened again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: between
type: notification
short_description: acts on Deployments between two tasks
description: [For tests.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "between"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # {kubeconfig, namespace, cells: {host: [name of a task, which time it starts, act]}, seen: path}
        self._asked = json.loads(Path(os.environ["BETWEEN"]).read_text(encoding="utf-8"))
        self._starts: Counter[str] = Counter()
        # It ends when nobody asks any more.
        self._somebody = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.interference",
                self._asked["kubeconfig"],
                self._asked["namespace"],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        del is_conditional
        name = task.name or task.get_name()
        self._starts[name] += 1
        now = [name, self._starts[name]]
        due = [(host, cell[2]) for host, cell in self._asked["cells"].items() if cell[:2] == now]
        with Path(self._asked["seen"]).open("a", encoding="utf-8") as seen:
            seen.write(json.dumps({"task": now, "due": due}) + "\n")
        if due:
            self._act(due)

    def _act(self, due: list[tuple[str, str]]) -> None:
        asks, answers = self._somebody.stdin, self._somebody.stdout
        assert asks and answers
        print(json.dumps(due), file=asks, flush=True)
        for refused in json.loads(answers.readline()):
            self._display.warning(f"somebody was refused: {refused}")
