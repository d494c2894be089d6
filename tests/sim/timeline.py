# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual time. What is due happens in order; of all actors exactly one runs at a time, and time passes only when it waits.

Verbs are ordinary blocking code, so each actor is a thread. They hand one baton to each other: whoever waits does what is due
until somebody's wait is over, and wakes that one. There is no other concurrency, so that a run can be repeated exactly.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count

# 2026-01-01T00:00:00Z, where every run begins.
EPOCH = 1767225600.0


# Whoever waits this often without that any time passes would wait for ever.
MOST_WAITS_AT_ONCE = 2000


class Spins(Exception):
    """An actor waits again and again, and time does not pass: on a real machine it would keep a core busy."""


class Killed(BaseException):
    """The process that this actor stands for is gone: nothing of it runs any more."""


class Timeline:
    """`now` is in virtual seconds since the run began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._woken: Actor | None = None

    def at(self, moment: float, happens: Callable[[], object]) -> None:
        heapq.heappush(self._due, (max(moment, self.now), next(self._order), happens))

    def after(self, seconds: float, happens: Callable[[], object]) -> None:
        self.at(self.now + seconds, happens)

    def passed_to(self, moment: float) -> bool:
        """It is that moment now, because nothing was due until then: whoever waits for it just goes on."""
        if self._due and self._due[0][0] <= moment:
            return False
        self.now = max(moment, self.now)
        return True

    def woken(self, actor: Actor) -> None:
        self._woken = actor

    def pass_on(self, waiting: Actor | None) -> None:
        """Lets everything happen that is due until `waiting` (None: an actor that has ended) runs again."""
        while self._woken is None:
            self.now, _order, happens = heapq.heappop(self._due)
            happens()
        woken, self._woken = self._woken, None
        if woken is waiting:
            return
        woken.baton.release()
        if waiting is not None:
            waiting.baton.acquire()


class Actor:
    """Whoever waits in this timeline. Its clock is virtual (cluster/clock.py)."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.name = name
        self.timeline = timeline
        self.killed = False
        # Seconds by which its wall clock is ahead of everybody else's.
        self.skew = 0.0
        # Seconds for which its machine was suspended so far.
        self.suspended = 0.0
        self.baton = threading.Lock()
        self.baton.acquire()
        self._wait = 0
        self._waiting = False
        self._since, self._waits = 0.0, 0

    def wait(self, until: float) -> None:
        """Until that moment, or until somebody wakes it before."""
        now = self.timeline.now
        self._since, self._waits = now, self._waits + 1 if self._since == now else 0
        if self._waits > MOST_WAITS_AT_ONCE:
            raise Spins(f"{self.name} has waited {self._waits} times at {now:.3f} s")
        if not self.timeline.passed_to(until):
            self._wait += 1
            this, self._waiting = self._wait, True
            self.timeline.at(until, lambda: self._ring(this))
            self.timeline.pass_on(self)
        if self.killed:
            raise Killed

    def wake(self) -> None:
        if self._waiting:
            this = self._wait
            self.timeline.at(self.timeline.now, lambda: self._ring(this))

    def _ring(self, wait: int) -> None:
        if self._waiting and wait == self._wait:
            self._waiting = False
            self.timeline.woken(self)

    # The clock.

    def monotonic(self) -> float:
        return self.timeline.now - self.suspended

    def boottime(self) -> float:
        return self.timeline.now

    def wall(self) -> float:
        return EPOCH + self.timeline.now + self.skew

    def sleep(self, seconds: float) -> None:
        self.wait(self.timeline.now + max(0.0, seconds))


class Process(Actor):
    """An actor with a life of its own: `lives` runs in it from `begins` on, and `ended` is called when it is over."""

    def __init__(
        self, timeline: Timeline, name: str, begins: float, lives: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        super().__init__(timeline, name)
        self.failed: BaseException | None = None
        self.is_over = False
        self._lives, self._ended = lives, ended
        self._waiting = True
        timeline.at(begins, lambda: self._ring(0))
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        self.baton.acquire()
        try:
            if not self.killed:
                self._lives()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - whoever made this actor raises it in the main thread
            self.failed = error
        self.is_over = True
        self._ended()
        self.timeline.pass_on(None)
