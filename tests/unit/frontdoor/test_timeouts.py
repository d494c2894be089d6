# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A work that hears of the alarm of its task, and ends itself."""

from __future__ import annotations

import contextvars
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.coalmine.canary.plugins.plugin_utils.timeouts import TimedOut

WHO = contextvars.ContextVar("WHO", default="nobody")


class TaskTimeoutError(BaseException):
    """Of the name that ansible-core's has, which each of its versions has somewhere else."""


@contextmanager
def alarm(error: type[BaseException], after: float = 0.05) -> Iterator[None]:
    """It rings after so many seconds."""

    def ring(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_work_is_told_and_its_result_counts() -> None:
    timed_out = TimedOut()

    def works() -> str:
        while not timed_out.is_over:
            time.sleep(0.01)
        return "in good order"

    with alarm(TaskTimeoutError):
        assert timed_out.heeded(works) == "in good order"


def test_any_other_interruption_ends_it_at_once() -> None:
    timed_out = TimedOut()
    with alarm(KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        timed_out.heeded(lambda: time.sleep(60))
    assert not timed_out.is_over


def test_what_the_work_raises_is_raised_and_it_knows_what_its_caller_knows() -> None:
    WHO.set("the task")
    assert TimedOut().heeded(WHO.get) == "the task"
    with pytest.raises(ZeroDivisionError):
        TimedOut().heeded(lambda: 1 // 0)
