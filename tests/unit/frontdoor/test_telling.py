# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever ends a worker never ends it in the middle of what it tells: the lock under which it does that is everybody's."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils import threads
from ansible_collections.coalmine.canary.plugins.plugin_utils import telling
from tests.unit.frontdoor.apart import apart


class Ended(BaseException):
    """As a worker ends, or a task that has used up its time."""


def ends(number: int, frame: object) -> None:
    raise Ended


def main_thread_tells(number: int) -> list[str]:
    signal.signal(number, ends)
    happened = []
    try:
        with telling.as_a_whole():
            os.kill(os.getpid(), number)
            happened.append("told")
        happened.append("went on")
    except Ended:
        happened.append("ended")
    return happened


def another_thread_tells(number: int) -> list[str]:
    signal.signal(number, ends)
    telling.let_end()
    telling.let_end()  # for the next call of the same task
    begun, happened = threading.Event(), list[str]()

    def tells() -> None:
        with telling.as_a_whole():
            begun.set()
            time.sleep(0.3)
            happened.append("told")

    threads.begin(tells)
    begun.wait()
    try:
        os.kill(os.getpid(), number)
        threading.Event().wait(30)
        happened.append("went on")
    except Ended:
        happened.append("ended")
    with telling.as_a_whole():
        return happened


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
def test_the_main_thread_ends_after_what_it_tells(number: int) -> None:
    assert apart(main_thread_tells, number) == ["told", "ended"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_ends_after_what_another_thread_tells(number: int) -> None:
    assert apart(another_thread_tells, number) == ["told", "ended"]
