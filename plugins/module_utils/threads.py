# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads beside the main one, to which no signal is given.

Python runs the handlers of signals in the main thread (Doc/library/signal.rst). A signal that the kernel gives to another thread is acted
upon when the main one wakes, which may be at the end of a long wait. So Ctrl-C and the alarm of a task are left to the main thread alone.
Nobody waits for such a thread: it ends with the process.

This module is private to the collection.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator

# What asks a process to end, or tells it that its time is over. Processes that such a thread starts are not asked either.
OF_THE_MAIN_THREAD = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM})


def begin(work: Callable[..., Any], *given: Any, name: str | None = None) -> threading.Thread:
    """Runs `work` beside whoever asks."""
    thread = threading.Thread(target=work, args=given, name=name, daemon=True)
    start(thread)
    return thread


def start(thread: threading.Thread) -> None:
    """A thread has the signals blocked that its maker has, so there is no moment in which one could come to it."""
    with undisturbed():
        thread.start()


@contextmanager
def undisturbed() -> Iterator[None]:
    """What would interrupt this thread comes before it or after it."""
    # A signal that came just before is acted upon in the call that blocks it, and may raise there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_MAIN_THREAD)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
