# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker in which a lock is shut for ever is known before a verb begins in it."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import threading
import time
from collections.abc import Callable

import pytest

from ansible_collections.coalmine.canary.plugins.plugin_utils import forked
from tests.unit.frontdoor.apart import apart


def stands_still() -> None:
    """As who waits for a lock of OpenSSL: with Python's own in its hands, so that nothing else of the process goes on."""
    ctypes.PyDLL(None).pause()


def fails() -> None:
    raise OSError


def tried(greets: Callable[[], None] | None, seconds: float) -> bool:
    if greets is not None:
        forked._greet = greets
    return forked.ends_well(seconds)


@pytest.mark.parametrize(
    ("greets", "seconds", "whole"),
    [
        pytest.param(None, 30.0, True, id="it speaks TLS"),
        pytest.param(stands_still, 0.5, False, id="it stands still"),
        # That is no lock: the verb will tell what is wrong.
        pytest.param(fails, 30.0, True, id="it fails"),
    ],
)
def test_a_copy_tells_whether_a_process_can_go_on(
    greets: Callable[[], None] | None, seconds: float, whole: bool
) -> None:
    assert apart(tried, greets, seconds) is whole


def asked_in_a_fork(names: tuple[str, ...]) -> bool:
    """Whether a worker would be tried: forked from a process that has such threads."""
    faulthandler.cancel_dump_traceback_later()  # it is a thread, too, and may take a moment to end
    while forked._count(1) > 1:
        time.sleep(0.01)
    over = threading.Event()
    for name in names:
        threading.Thread(target=over.wait, name=name, daemon=True).start()
    forked.watch()
    forked.ends_well = lambda seconds: False
    worker = os.fork()
    if not worker:
        os._exit(0 if forked.is_whole() else 3)
    return os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 3


@pytest.mark.parametrize(
    ("names", "tries"),
    [
        ((), False),
        (("Thread-1 (results_thread_main)", "live view"), False),
        (("Thread-1 (results_thread_main)", "sends to a server"), True),
        (("Thread-7 (work)",), True),
    ],
)
def test_a_worker_is_tried_where_its_maker_had_threads_that_nobody_looks_after(
    names: tuple[str, ...], tries: bool
) -> None:
    assert apart(asked_in_a_fork, names) is tries
