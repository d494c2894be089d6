# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this worker of ansible-playbook is a whole copy of it.

A worker is forked. A lock that another thread of ansible-playbook held at that moment is shut in the worker for ever, and with OpenSSL's the
whole worker stands still: it waits for it with Python's own lock in its hands. A callback plugin that tells a server of what happens, from
threads of its own, is enough for that. A module is a program of its own, which has no such locks.

This module is private to the collection.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from ansible_collections.coalmine.canary.plugins.plugin_utils import orphaned

# Threads that ansible-playbook always has (ansible/plugins/strategy/__init__.py), the one of callback/live.py, and that of a worker which
# holds nothing: what they hold is looked after, by ansible-core round each fork and by ours.
_LOOKED_AFTER = ("(results_thread_main)", "live view", orphaned.NAME)
_TASKS = "/proc/self/task"
# A copy that is whole needs a fraction of one, and more on a machine or for a server that is busy.
SECONDS = 15.0
_PAUSE = 0.005


class _Beside:
    """Of the process that forks: whether it had threads that nobody looks after."""

    there = False

    def look(self) -> None:
        known = threading.enumerate()
        ours = [one for one in known if one is threading.current_thread() or one.name.endswith(_LOOKED_AFTER)]
        self.there = _count(len(known)) > len(ours)


def _count(known: int) -> int:
    """Also those that Python does not know, or no longer, because they are about to end. `known`: where nobody can tell."""
    try:
        return len(os.listdir(_TASKS))
    except OSError:
        return known


_BESIDE = _Beside()


def watch() -> None:
    """From now on, at each fork of this process."""
    os.register_at_fork(before=_BESIDE.look)


def is_whole(does: Callable[[], object]) -> bool:
    """Of this process, by what a verb begins with; asked in a process that has one thread. `does` is done in a copy, if anywhere."""
    _BESIDE.there = _BESIDE.there and not ends(does, SECONDS)
    return not _BESIDE.there


def ends(does: Callable[[], object], seconds: float) -> bool:
    """In a copy of this process it ends, well or badly. What is shut here is shut there as well."""
    copy = os.fork()
    if not copy:
        _do(does)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(copy, os.WNOHANG)[0]:
            return True
        time.sleep(_PAUSE)
    os.kill(copy, signal.SIGKILL)
    os.waitpid(copy, 0)
    return False


def _do(does: Callable[[], object]) -> NoReturn:
    """Ends the process, whatever happens: nothing of what stands above may go on in it."""
    try:
        does()
    finally:
        os._exit(0)
