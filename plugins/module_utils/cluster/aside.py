# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that goes on beside the main thread.

This module is private to the collection.
"""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Callable, TypeVar

from .. import threads

_Answer = TypeVar("_Answer")


class Aside:
    """A thread that does one thing after another. Nobody has to wait for it: whoever is interrupted ends at once.

    The same thread all the time, because each new one may get memory of its own for what it unpacks.
    """

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        threads.begin(self._work, name=name)

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *exc: object) -> None:
        """The thread ends after what it is doing."""
        self._asked.put(None)

    def ask(self, work: Callable[[], _Answer]) -> Future[_Answer]:
        """What `work` returns or raises is the future's."""
        answer: Future[_Answer] = Future()
        self._asked.put((work, answer))
        return answer

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            work, answer = asked
            try:
                answer.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is asked for
                answer.set_exception(error)
            # While it waits it holds on to nothing.
            del asked, work, answer
