# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last release of a Deployment ended, kept in an annotation that stays.

It is told to people, shows that a record which came back is over, and names the way back. What stands there is foreign text: anybody who
may write to the Deployment can change it. This module is private to the collection.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from ..foreign import printable, told
from ..values import dataclass
from .fields import is_integer
from .record import ANNOTATIONS_BYTES, whole
from .template import digest
from .views import Deployment, ReplicaSet

LAST = "coalmine.canary/last"
# overtaken: somebody had rolled out another version before its end was cleaned up, and that one stays.
PROMOTED, UNDONE, OVERTAKEN = "promoted", "undone", "overtaken"


@dataclass(frozen=True)
class LastRelease:
    """How the last release of this Deployment ended, for people who look at it afterwards.

    `generation` is that of its record: a record that comes back from a ReplicaSet is seen to be over by it. `version` and `before`:
    pod-template-hashes of what came and what went, the other way round with a rollback, and with an undo those of the version that
    stays; empty where nobody can go back by it. `digest`: of the template of `before` as it was then, for whoever may write to a ReplicaSet
    can change its template; empty where it is not known. `run`: whose release it was, if that has ended it, too.
    """

    outcome: str
    images: Mapping[str, str]
    at: str
    by: str
    reason: str
    generation: int = 0
    version: str = ""
    before: str = ""
    digest: str = ""
    run: str = ""

    def encode(self) -> str:
        ended = {"outcome": self.outcome, "images": self.images, "at": self.at, "by": whole(self.by)}
        more = {"reason": whole(self.reason), "generation": self.generation}
        way_back = {"version": self.version, "before": self.before, "digest": self.digest} if self.before else {}
        of_run = {"run": whole(self.run)} if self.run else {}
        return json.dumps(told({**ended, **more, **way_back, **of_run}), sort_keys=True, separators=(",", ":"))


def last_ended(deployment: Deployment) -> int:
    """The generation of the release that ended last, as `LastRelease` tells it; 0 where nothing readable does."""
    generation = _last(deployment).get("generation")
    return generation if is_integer(generation) and generation <= deployment.generation else 0


def last_outcome(deployment: Deployment) -> str:
    """How the release that ended last did so, for people; empty where nothing readable tells."""
    last = _last(deployment)
    outcome, by, at, reason = (printable(str(last.get(name) or "")) for name in ("outcome", "by", "at", "reason"))
    when = f" at {at}" if at else ""
    return f"{outcome} by {by}{when}{f': {reason}' if reason else ''}" if outcome else ""


def ended_by(deployment: Deployment, run: str) -> tuple[str, str]:
    """How the release that ended last did so, and the pod-template-hash that it left, if it was of this run; else two empty texts. Nothing
    is written on that word: whoever would end it finds it done."""
    last = _last(deployment)
    if not run or last.get("run") != run or not last_ended(deployment):
        return "", ""
    return str(last.get("outcome", "")), str(last.get("version", ""))


def _last(deployment: Deployment) -> Mapping[str, Any]:
    text = deployment.annotations.get(LAST, "")
    if not text:
        return {}
    try:
        last = json.loads(text) if len(text) <= ANNOTATIONS_BYTES else None
    except (ValueError, RecursionError):
        return {}
    return last if isinstance(last, dict) else {}


@dataclass(frozen=True)
class Before:
    """The version to go back to: its pod-template-hash, and the digest that its template had, as far as they are known."""

    hash: str = ""
    digest: str = ""

    def is_no_longer(self, goal: ReplicaSet) -> bool:
        """`goal` bears the hash of this version, and another template by now."""
        return goal.hash == self.hash and bool(self.digest) and digest(goal.template) != self.digest


def version_before(deployment: Deployment, current: str) -> Before:
    """What the last release says to go back to from the `current` pod-template-hash; nothing where it is about another version.
    What it says is foreign text: it only picks among the Deployment's own ReplicaSets."""
    way_back = before_that(deployment)
    return way_back if current and current in (str(_last(deployment).get("version", "")), way_back.hash) else Before()


def before_that(deployment: Deployment) -> Before:
    """As `version_before`, from whatever runs by now."""
    last = _last(deployment)
    return Before(str(last.get("before", "")), str(last.get("digest", "")))
