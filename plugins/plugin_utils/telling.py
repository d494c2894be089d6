# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker tells ansible-playbook meanwhile, always as a whole.

All workers write to one queue, under one lock (ansible/executor/task_queue_manager.py, FinalQueue). One that is ended in the middle of it by
Ctrl-C keeps that lock for ever, and so ansible-playbook waits for ever; one that the alarm of its task interrupts there leaves half a message.

This module is private to the collection.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils import threads

# What ends a worker (ansible/executor/process/worker.py).
_ENDS = (signal.SIGINT, signal.SIGTERM)
# ansible-playbook takes what it is told at once; where it does not any more, nobody waits for it.
_LONGEST_SECONDS = 5.0
_telling = threading.Lock()


@contextmanager
def as_a_whole() -> Iterator[None]:
    """Where the main thread tells something, signals wait; where another one does, those of which `let_end` was told."""
    with threads.undisturbed(), _telling:
        yield


def let_end() -> None:
    """From now on, whatever ends this process lets a thread that tells something end that first. For the main thread."""
    for number in _ENDS:
        ends = signal.getsignal(number)
        if callable(ends) and not isinstance(ends, _After):
            signal.signal(number, _After(ends))


class _After:
    def __init__(self, ends: Callable[[int, Any], Any]) -> None:
        self._ends = ends

    def __call__(self, number: int, frame: Any) -> None:
        is_ours = _telling.acquire(timeout=_LONGEST_SECONDS)
        try:
            self._ends(number, frame)
        finally:
            if is_ours:
                _telling.release()
