# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in one whole release on a real cluster, drawn from a number."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from enum import Enum

from tests.faults.proxy import Fault, answer, cut_after, hang_up_after, hang_up_before

BUSY = answer(429, Retry_After="1")
# What befalls a request of a verb, by a proxy before the API server.
FAULTS: dict[str, Fault] = {
    "busy": BUSY,
    "unavailable": answer(503),
    "an error in the server": answer(
        500, '{"kind": "Status", "code": 500, "message": "etcdserver: request timed out"}'
    ),
    "lost before": hang_up_before,
    "lost after": hang_up_after,
    "cut short": cut_after(b'"metadata"'),
    "unauthorized": answer(401, '{"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}'),
}
REQUESTS = (r"^PATCH /apis/apps/", r"^GET .*/deployments/", r"^GET .*/replicasets", r"[?&]watch=", r"/leases")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
# One in so many releases is a play of its own; the others are processes that call the verbs.
A_PLAY_IN = 10
# A play of one release takes so long on a machine that does nothing else.
LONGEST_PLAY = 8.0


class Foreign(Enum):
    """What somebody else does while a canary is held."""

    NOTHING = "nothing"
    ANNOTATES = "annotates the Deployment"
    DELETES = "deletes a canary pod"
    PAUSES = "kubectl rollout pause and resume"
    APPLIES = "applies the manifest of the stable version"


@dataclass(frozen=True)
class Trouble:
    """Of one call: its process gets the signal `by` once its request of this number is answered, or the next `faults` that match
    `where` go wrong. Neither, if it is spared."""

    by: signal.Signals | None = None
    after_request: int = 0
    fault: str = ""
    where: str = ""
    times: int = 1

    @property
    def told(self) -> str:
        if self.by is not None:
            return f"{self.by.name} after request {self.after_request}"
        return f"{self.times} x {self.fault} at {self.where}" if self.fault else "nothing"


@dataclass(frozen=True)
class Course:
    """One release: a canary of `pods` pods, what goes wrong when it starts and when it ends, and how it ends. A play does it all in one
    task; it, or its worker, gets the signal after so many seconds."""

    number: int
    pods: int
    start: Trouble
    foreign: Foreign
    promoted: bool
    end: Trouble
    play: bool = False
    worker: bool = False
    after_seconds: float = 0.0

    @property
    def told(self) -> str:
        if self.play:
            by = self.start.by.name if self.start.by else "nothing"
            return f"a play, {by} {'of its worker ' if self.worker else ''}after {self.after_seconds:.1f} s"
        ends = "promote" if self.promoted else "undo"
        return f"start: {self.start.told}; meanwhile: {self.foreign.value}; {ends}: {self.end.told}"


def draw(number: int, replicas: int) -> Course:
    """The same course for the same number, in a Deployment of so many replicas."""
    chance = random.Random(number)
    return Course(
        number=number,
        pods=chance.randint(1, max(1, replicas - 1)),
        start=_trouble(chance),
        foreign=chance.choice((Foreign.NOTHING, Foreign.NOTHING, *Foreign)),
        promoted=chance.random() < 0.5,
        end=_trouble(chance),
        play=number % A_PLAY_IN == 0,
        worker=chance.random() < 0.3,
        after_seconds=chance.uniform(0.5, LONGEST_PLAY),
    )


def _trouble(chance: random.Random) -> Trouble:
    if chance.random() < 0.6:
        return Trouble(by=chance.choice(SIGNALS), after_request=chance.randint(1, 16))
    return Trouble(
        fault=chance.choice(list(FAULTS)),
        where=chance.choice(REQUESTS),
        times=chance.choice((1, 1, 2, 5)),
    )
