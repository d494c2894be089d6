# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker whose ansible-playbook was killed ends, and no other one does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A process that forks another one, as ansible-playbook does, and waits for it. The worker's end closes stdout.
PROGRAM = """
import os, signal, sys, threading
from ansible_collections.coalmine.canary.plugins.plugin_utils import orphaned
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs tests by nohup ignores it, and so would this process
orphaned.EVERY_SECONDS = 0.05
orphaned.watch()
orphaned.end_with_the_parent()
worker = os.fork()
if worker:
    os.close(1)
    os.waitpid(worker, 0)
    sys.exit()
for _item in "ab":
    orphaned.end_with_the_parent()
print([thread.name for thread in threading.enumerate()].count(orphaned.NAME), flush=True)
threading.Event().wait(float(sys.argv[1]))
print("went on", flush=True)
"""


@pytest.mark.parametrize(
    ("by", "waits", "then"),
    [(signal.SIGKILL, 30.0, ""), (signal.SIGHUP, 30.0, ""), (None, 0.5, "went on\n")],
    ids=["killed", "its terminal is closed", "it is there"],
)
def test_a_worker_ends_with_its_parent_however_that_has_ended(
    by: signal.Signals | None, waits: float, then: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(waits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "1\n"
        if by is not None:
            parent.send_signal(by)
        assert parent.stdout.read() == then
