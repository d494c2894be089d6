# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Works that go on side by side, each with its own way to its cluster, over connections that they share.

This module is private to the collection.
"""

from __future__ import annotations

import queue
import threading
from typing import Callable, Iterable, Protocol, Sequence

from .. import threads
from ..values import dataclass
from .api import Api
from .clock import SYSTEM, Clock

Work = Callable[[], None]


@dataclass(frozen=True)
class Meanwhile:
    """What whoever waits for works does `every` so many seconds, as long as they go on. No work begins in the middle of it."""

    does: Work
    every: float


class Crew(Protocol):
    """Given like the clock (clock.py): tests bring their own."""

    @property
    def clock(self) -> Clock: ...

    def api(self, cluster: int) -> Api:
        """To the cluster of that number, for the work that asks. It counts and warns for itself."""

    def all(self, works: Iterable[Work], at_once: int, meanwhile: Meanwhile | None = None) -> None:
        """Returns when all are done, of which at most `at_once` go on at the same time. Each is taken when it begins."""


class Threads:
    """A crew of this process. `apis`: one for each cluster, whose connections are shared by all who work there."""

    clock: Clock = SYSTEM

    def __init__(self, apis: Sequence[Api]) -> None:
        self._apis = apis
        for api in apis:
            api.serve_many()
        self._lock = threading.Lock()
        self._given: list[Api] = list(apis)

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *exc: object) -> None:
        for api in self._apis:
            api.close()

    @property
    def requests(self) -> int:
        return sum(api.requests for api in self._given)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for api in self._given for text in api.warnings))

    def api(self, cluster: int) -> Api:
        api = self._apis[cluster].sibling()
        with self._lock:
            self._given.append(api)
        return api

    def all(self, works: Iterable[Work], at_once: int, meanwhile: Meanwhile | None = None) -> None:
        """Raises the first error of a work once all have ended. Whoever is interrupted ends at once, and the works with the process:
        its threads are nobody's to wait for."""
        waiting, ended = iter(works), queue.Queue[BaseException | None]()
        under_way, errors, beside = 0, [], _Beside(meanwhile, self.clock)
        while True:
            while under_way < at_once and (work := next(waiting, None)) is not None:
                threads.begin(_worked, work, ended)
                under_way += 1
            if not under_way:
                break
            error = beside.until_the_next(ended)
            under_way -= 1
            errors += [error] if error is not None else []
        if errors:
            raise errors[0]


class _Beside:
    """What is done while works are waited for."""

    def __init__(self, meanwhile: Meanwhile | None, clock: Clock) -> None:
        self._meanwhile, self._clock = meanwhile, clock
        self._due = clock.monotonic() + meanwhile.every if meanwhile else 0.0

    def until_the_next(self, ended: queue.Queue[BaseException | None]) -> BaseException | None:
        while self._meanwhile is not None:
            try:
                return ended.get(timeout=max(0.0, self._due - self._clock.monotonic()))
            except queue.Empty:
                self._meanwhile.does()
                self._due = self._clock.monotonic() + self._meanwhile.every
        return ended.get()


def _worked(work: Work, ended: queue.Queue[BaseException | None]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - it is raised where the works are waited for
        ended.put(error)
    else:
        ended.put(None)
