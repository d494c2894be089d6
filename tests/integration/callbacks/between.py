# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback of ansible-playbook that stands for somebody else: right before a task starts, it acts on the Deployments of some
hosts. What it did, and every task, it notes."""

from __future__ import annotations

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.integration.interference import ACTS
from tests.integration.releases import Release

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

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        del is_conditional
        name = task.name or task.get_name()
        self._starts[name] += 1
        now = [name, self._starts[name]]
        due = [(host, cell[2]) for host, cell in self._asked["cells"].items() if cell[:2] == now]
        with Path(self._asked["seen"]).open("a", encoding="utf-8") as seen:
            seen.write(json.dumps({"task": now, "due": due}) + "\n")
        if due:
            with ThreadPoolExecutor(len(due)) as threads:
                list(threads.map(self._act, due))

    def _act(self, cell: tuple[str, str]) -> None:
        host, act = cell
        with connect(Connection(kubeconfig=self._asked["kubeconfig"])) as api:
            ACTS[act](Release(api, self._asked["namespace"], name=host))
