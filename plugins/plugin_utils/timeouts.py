# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keyword `timeout` of a task: an exception that an alarm raises in the main thread, wherever that is.

This module is private to the collection.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ansible_collections.coalmine.canary.plugins.module_utils import threads

# ansible/_internal/_errors/_task_timeout.py; before ansible-core 2.19 in ansible/executor/task_executor.py.
_NAME = "TaskTimeoutError"
_Result = TypeVar("_Result")


def is_timeout(error: BaseException) -> bool:
    return type(error).__name__ == _NAME


def timed_out(seconds: int) -> str:
    """As the reason why a release is taken back."""
    return f"Timed out after {seconds} seconds, which is the task's own timeout"


class TimedOut:
    """Whether the time of a task is over, for a work that ends itself then."""

    def __init__(self) -> None:
        self.is_over = False

    def heeded(self, work: Callable[[], _Result]) -> _Result:
        """What `work` returns or raises, from a thread of its own, so that the alarm finds this one waiting and not in the middle of
        something. Any other interruption ends it at once: the thread is nobody's to wait for."""
        ended: Future[_Result] = Future()
        is_done = threading.Event()
        ended.add_done_callback(lambda _ended: is_done.set())
        context = contextvars.copy_context()
        threads.begin(context.run, _worked, work, ended)
        while True:
            try:
                is_done.wait()
                return ended.result()
            except BaseException as error:
                if not is_timeout(error):
                    raise
                self.is_over = True


def _worked(work: Callable[[], _Result], ended: Future[_Result]) -> None:
    try:
        ended.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
        ended.set_exception(error)
