# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every source is asked, and what it may answer: counts of both versions, one value, or why it cannot say.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Mapping, Protocol

from ..values import dataclass


class NoAnswer(Exception):
    """The source was dead, slow, refused or made no sense. The text says which, and holds no secret."""


class Misasked(ValueError):
    """What a source was set up with cannot be. The text says what, why and what to do, and begins with the option that it is about."""


@dataclass(frozen=True)
class ProbedPod:
    """`restarts`: of all its containers, since the pod began. `containers`: names, without those that only initialise it;
    `default_container`: the one that its annotation kubectl.kubernetes.io/default-container names. `ready_since`: when it last
    changed whether it is Ready."""

    name: str
    uid: str
    ip: str = ""
    ready: bool = True
    restarts: int = 0
    containers: tuple[str, ...] = ()
    default_container: str = ""
    ready_since: str = ""


@dataclass(frozen=True)
class Version:
    """Pods of one ReplicaSet that are not terminating, and its pod-template-hash. `evicted`: those that were ended by
    their node, which is the only way for a Deployment's pod to fail."""

    hash: str
    pods: tuple[ProbedPod, ...]
    evicted: tuple[ProbedPod, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pod.name for pod in self.pods)

    def exposed(self, bad: Mapping[str, float]) -> int:
        """How many pods there is anything to count of: those that are Ready, and those with `bad` events, by name. A pod that serves
        nobody does nothing wrong, and is no better for it. Raises NoAnswer where there are pods, and none is exposed."""
        ready = {pod.name for pod in self.pods if pod.ready}
        count = len(ready | {name for name, events in bad.items() if events})
        if self.pods and not count:
            raise NoAnswer(f"no pod of the version {self.hash} is Ready, so that nobody is served by it")
        return count


@dataclass(frozen=True)
class Sides:
    """The two versions as they stand at one moment."""

    namespace: str
    canary: Version
    stable: Version


@dataclass(frozen=True)
class Tally:
    """`bad` of `total` since the look before; `by_pod`: bad of every pod (empty where the source cannot tell)."""

    bad: float = 0.0
    total: float = 0.0
    by_pod: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """`ago`: seconds since the moment up to which was counted."""

    canary: Tally
    stable: Tally
    ago: float = 0.0


@dataclass(frozen=True)
class Value:
    """One number, for a plain bound."""

    value: float


# By stream; a source with one stream calls it "".
Answers = Mapping[str, "Counted | Value"]


class Source(Protocol):
    """One source of one check. Every method raises NoAnswer, within the source's own time limit."""

    def begin(self, sides: Sides) -> None:
        """Reaches the source once; what it says is where counting starts from."""

    def look(self, sides: Sides, seconds: float) -> Answers:
        """What came since the look before, `seconds` ago; empty while there is nothing to compare with yet."""

    def close(self) -> None:
        """Ends what goes on in the background."""

    def doubt(self) -> str:
        """Why what was counted may be less than what happened, as one clause for people; nothing where all looks well."""

    def costs(self) -> Mapping[str, Any]:
        """What was spent, and on which way: requests, bytes_in, bytes_out, price, via; empty where nobody pays."""
