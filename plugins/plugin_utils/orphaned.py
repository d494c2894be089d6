# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker ends with its ansible-playbook, however that has ended.

Each worker has a session of its own, and hears of SIGINT and SIGTERM because ansible-playbook hands them on
(ansible/executor/process/worker.py, ansible/executor/task_queue_manager.py). Of what ends ansible-playbook without a word, such as SIGKILL,
the want of memory, or a terminal or connection that is closed (SIGHUP), it hears nothing: it would watch on, and promote, for a job that
somebody has ended, and with nobody who sees it.

This module is private to the collection.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from ansible_collections.coalmine.canary.plugins.module_utils import threads

# forked.py knows it by that.
NAME = "ansible-playbook is there"
# As long as somebody may go on for a job that is over. Neither a signal nor a pipe tells of that everywhere: PR_SET_PDEATHSIG is Linux'
# own, and the pipe of multiprocessing is held open by the other workers.
EVERY_SECONDS = 0.5


class _Forked:
    """By which process this one was, or 0."""

    by = 0

    def remember(self) -> None:
        self.by = os.getppid()


_FORKED = _Forked()


def watch() -> None:
    """From now on, at each fork of this process."""
    os.register_at_fork(after_in_child=_FORKED.remember)


def end_with_the_parent() -> None:
    """From now on this process ends as by SIGTERM once the one that has forked it has ended. For the main thread."""
    if _FORKED.by and all(thread.name != NAME for thread in threading.enumerate()):
        threads.begin(_look_for, _FORKED.by, name=NAME)


def _look_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
