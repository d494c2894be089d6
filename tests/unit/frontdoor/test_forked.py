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
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import (
    Surroundings,
    only_connects,
    run_in_process,
)
from ansible_collections.coalmine.canary.plugins.plugin_utils import forked
from tests.unit.frontdoor.apart import apart
from tests.unit.frontdoor.every_verb import VERBS
from tests.unit.probes.serving import send, serving

RELEASE = {"name": "web", "images": {"app": "app:2"}}


def stands_still() -> None:
    """As who waits for a lock of OpenSSL: with Python's own in its hands, so that nothing else of the process goes on."""
    ctypes.PyDLL(None).pause()


def fails() -> None:
    raise OSError


@pytest.mark.parametrize(
    ("does", "seconds", "whole"),
    [
        pytest.param(int, 30.0, True, id="it ends"),
        pytest.param(stands_still, 0.5, False, id="it stands still"),
        # That is no lock: the verb will tell what is wrong.
        pytest.param(fails, 30.0, True, id="it fails"),
    ],
)
def test_a_copy_tells_whether_a_process_can_go_on(does: Callable[[], object], seconds: float, whole: bool) -> None:
    assert apart(forked.ends, does, seconds) is whole


def asked_in_a_fork(names: tuple[str, ...]) -> bool:
    """Whether a worker would be tried: forked from a process that has such threads."""
    faulthandler.cancel_dump_traceback_later()  # it is a thread, too, and may take a moment to end
    while forked._count(1) > 1:
        time.sleep(0.01)
    over = threading.Event()
    for name in names:
        threading.Thread(target=over.wait, name=name, daemon=True).start()
    forked.watch()
    forked.SECONDS = 0.2
    worker = os.fork()
    if not worker:
        os._exit(0 if forked.is_whole(stands_still) else 3)
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


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("canary_info", {}),
        ("canary_promote", {"name": "web"}),
        ("canary_release", RELEASE),
        ("canary_fleet", {"releases": [RELEASE], "waves": ["100%"]}),
    ],
)
def test_what_is_tried_is_the_connection_of_the_task_and_nothing_of_its_verb(name: str, given: dict[str, Any]) -> None:
    asked: list[str] = []

    def answers(request: BaseHTTPRequestHandler) -> None:
        asked.append(f"{request.command} {request.path}")
        send(request, b'{"major": "1"}')

    quiet = Surroundings("coalmine.canary.x", True, False, None, lambda *_: None, lambda *_, **__: None)
    with serving(answers) as server:
        told = run_in_process(only_connects(VERBS[name]), {**given, "host": server}, quiet)
    assert (asked, told["msg"]) == (["GET /version"], "connected"), told
