# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wait looks again, tries a step again, tells something and gives up. Values: what happened makes the next one.

All times are seconds on one monotonic clock. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...values import dataclass

# A hint may be ahead of what the other objects say by a moment: how long until the next look then, doubled each time.
SOONEST_LOOK = 0.05
# Streams do not tell everything (a quota that refuses pods makes no event): how long they may be silent, doubled with each such
# look of a wait. What they tell in between makes no look come sooner, or a slow rollout would cost one for each of its pods.
SILENCE, LONGEST_SILENCE = 2.0, 16.0
# Those that wait for one cluster at the same time share so many of these looks a second, as far as the longest silence allows: it needs its
# time for what they wait for.
LOOKS_A_SECOND = 25
# Room on a node that a pod has given up is found at the scheduler's next attempt, which backs off as long as this at most
# (DefaultPodMaxBackoffDuration in pkg/scheduler/backend/queue/scheduling_queue.go: 10 s), with time to bind and to tell.
SCHEDULER_TRIES_AGAIN = 12.0
# A person who waits wants a line a second at most, and a sign of life where nothing changes.
REPORT_SECONDS, REPEAT_REPORT_SECONDS = 1.0, 15.0


@dataclass(frozen=True)
class Patience:
    """`timeout` in seconds: for the whole wait, or (`per_progress`) since the last progress.

    `nodes`: for how many seconds a pod may find no node before that counts as stuck, because one may be on its way.
    """

    timeout: float
    per_progress: bool = False
    nodes: float = 0.0


@dataclass(frozen=True)
class Roomless:
    """How long it is that a pod finds no room, on a node or in a quota. `since`: None where each has found some. `freed_at`: when the last of
    the pods that end were still there, whose room it may get."""

    since: float | None = None
    freed_at: float = float("-inf")

    def seen(self, now: float, *, roomless: bool, ending: bool) -> Roomless:
        since = (now if self.since is None else self.since) if roomless else None
        return Roomless(since, now if ending else self.freed_at)

    def may_find_node(self, now: float, patience: Patience) -> bool:
        """One may still come, or the scheduler has not looked again at those that are there."""
        waited = 0.0 if self.since is None else now - self.since
        return waited < patience.nodes or now - self.freed_at < SCHEDULER_TRIES_AGAIN

    def may_find_quota(self, now: float) -> bool:
        """The ReplicaSet controller has not tried again yet. Its pauses grow twice as long each time (client-go,
        util/workqueue/default_rate_limiters.go), so that none is longer than all before it together."""
        refused = 0.0 if self.since is None else self.freed_at - self.since
        return now - self.freed_at < max(SCHEDULER_TRIES_AGAIN, refused)


@dataclass(frozen=True)
class Looks:
    """When the next look is due unless something hints at an end before. `premature` is the pause after a look that a hint
    asked for and that found no end, `silence` the one after any other."""

    at: float
    premature: float = SOONEST_LOOK
    silence: float = SILENCE

    @classmethod
    def begin(cls, now: float, waiting: int = 1) -> Looks:
        """`waiting`: how many wait at the same time, this one counted."""
        silence = min(max(SILENCE, waiting / LOOKS_A_SECOND), LONGEST_SILENCE)
        return cls(now + silence, silence=silence)

    def looked(self, now: float, hinted: bool) -> Looks:
        if hinted:
            return replace(self, at=now + min(self.premature, LONGEST_SILENCE), premature=2 * self.premature)
        return Looks(now + self.silence, SOONEST_LOOK, min(2 * self.silence, LONGEST_SILENCE))

    def heard(self, now: float, hinted: bool) -> Looks:
        """The streams told something: they are alive, and what they tell is looked at when it hints at an end."""
        return self if hinted else replace(self, at=now + self.silence)


@dataclass(frozen=True)
class Steps:
    """When the next step may be tried. `refused` says why the last one did not go through, and is empty when it did."""

    at: float = float("-inf")
    refused: str = ""
    pause: float = SOONEST_LOOK

    def failed(self, now: float, why: str) -> Steps:
        return Steps(now + self.pause, why, min(2 * self.pause, LONGEST_SILENCE))


@dataclass(frozen=True)
class Deadline:
    """When patience ends. `furthest` is the largest progress seen so far, None before any."""

    at: float
    patience: Patience
    furthest: int | None = None

    @classmethod
    def begin(cls, now: float, patience: Patience) -> Deadline:
        return cls(now + patience.timeout, patience)

    def progressed(self, now: float, progress: int) -> Deadline:
        if self.furthest is not None and progress <= self.furthest:
            return self
        again = self.patience.per_progress and self.furthest is not None
        return replace(self, at=now + self.patience.timeout if again else self.at, furthest=progress)


@dataclass(frozen=True)
class Told:
    """What was told last, and when."""

    at: float
    text: str = ""

    def due(self, now: float, text: str) -> bool:
        return now - self.at >= (REPORT_SECONDS if text != self.text else REPEAT_REPORT_SECONDS)
