# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Deployment cannot tell by itself while a canary is held, kept in one annotation of that Deployment.

The record holds no pod template and so no environment value: the stable template is read from its ReplicaSet, which
always has pods, and digests say which template is meant. Kubernetes copies annotations of a Deployment to its current
ReplicaSet and `kubectl rollout undo` copies them back, so a record can outlive its release or come back from the dead:
`phase` decides which one counts. This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Iterable, Mapping

from .views import Deployment, ReplicaSet, Strategy

RECORD = "coalmine.canary/record"
LAST = "coalmine.canary/last"
AUTOSCALER = "coalmine.canary/autoscaler"
LIVE = "coalmine.canary/live"
LIVE_VALUE = "true"
CHANGE_CAUSE = "kubernetes.io/change-cause"

_VERSION = 1


class Intent(Enum):
    """What the last verb wanted: to hold the canary, to finish it, or to take it back."""

    HOLD = "hold"
    PROMOTE = "promote"
    UNDO = "undo"


class UnreadableRecord(ValueError):
    """The annotation is there but is no record that this version writes; the text says what is wrong with it."""


@dataclass(frozen=True)
class Originals:
    """The Deployment's own fields that a hold replaces. `change_cause` is None where the annotation was unset."""

    min_ready_seconds: int
    progress_deadline_seconds: int | None
    strategy: Strategy
    change_cause: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> Originals:
        return cls(
            min_ready_seconds=deployment.min_ready_seconds,
            progress_deadline_seconds=deployment.progress_deadline_seconds,
            strategy=deployment.strategy,
            change_cause=deployment.annotations.get(CHANGE_CAUSE),
        )


@dataclass(frozen=True)
class StableIdentity:
    """The ReplicaSet to come back to, and the digest of its template."""

    replica_set: str
    uid: str
    hash: str
    digest: str


@dataclass(frozen=True)
class Record:
    """`uid` is the Deployment's. `asked` is the digest of the template as it was asked for, `canary` as the server stored
    it (an admission webhook may have changed it). `pods`, `surge` and `max_unavailable` are the size asked for,
    `replicas` the Deployment's at the start. `autoscaler` names the HorizontalPodAutoscaler that was pinned.
    `started_at` is UTC in RFC 3339."""

    uid: str
    intent: Intent
    originals: Originals
    stable: StableIdentity
    asked: str
    canary: str
    pods: int
    surge: int
    max_unavailable: int
    replicas: int
    started_at: str
    started_by: str
    autoscaler: str | None = None
    reason: str = ""

    def with_intent(self, intent: Intent, reason: str = "") -> Record:
        return replace(self, intent=intent, reason=reason)

    def with_size(self, pods: int, surge: int, max_unavailable: int) -> Record:
        return replace(self, pods=pods, surge=surge, max_unavailable=max_unavailable)

    def encode(self) -> str:
        """One line of JSON with sorted keys: the same record is always the same text."""
        originals = self.originals
        return json.dumps(
            {
                "version": _VERSION,
                "uid": self.uid,
                "intent": self.intent.value,
                "originals": {
                    "minReadySeconds": originals.min_ready_seconds,
                    "progressDeadlineSeconds": originals.progress_deadline_seconds,
                    "strategy": originals.strategy.to_json(),
                    "changeCause": originals.change_cause,
                },
                "stable": {
                    "replicaSet": self.stable.replica_set,
                    "uid": self.stable.uid,
                    "hash": self.stable.hash,
                    "digest": self.stable.digest,
                },
                "asked": self.asked,
                "canary": self.canary,
                "size": {
                    "pods": self.pods,
                    "surge": self.surge,
                    "maxUnavailable": self.max_unavailable,
                    "replicas": self.replicas,
                },
                "startedAt": self.started_at,
                "startedBy": self.started_by,
                "autoscaler": self.autoscaler,
                "reason": self.reason,
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def decode(cls, text: str) -> Record:
        """Raises UnreadableRecord: a record is never guessed at."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise UnreadableRecord(f"it is not JSON ({error})") from error
        if not isinstance(data, dict):
            raise UnreadableRecord("it is not a JSON object")
        if data.get("version") != _VERSION:
            raise UnreadableRecord(
                f"it has version {data.get('version')!r}, and this release of coalmine.canary reads version {_VERSION}"
            )
        try:
            return cls._from_json(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableRecord(f"a part of it is missing or of the wrong kind ({error!r})") from error

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Record:
        originals, stable, size = data["originals"], data["stable"], data["size"]
        deadline = originals["progressDeadlineSeconds"]
        return cls(
            uid=_text(data["uid"]),
            intent=Intent(data["intent"]),
            originals=Originals(
                min_ready_seconds=_count(originals["minReadySeconds"]),
                progress_deadline_seconds=None if deadline is None else _count(deadline),
                strategy=Strategy.parse(originals["strategy"]),
                change_cause=originals["changeCause"],
            ),
            stable=StableIdentity(
                replica_set=_text(stable["replicaSet"]),
                uid=_text(stable["uid"]),
                hash=_text(stable["hash"]),
                digest=_text(stable["digest"]),
            ),
            asked=_text(data["asked"]),
            canary=_text(data["canary"]),
            pods=_count(size["pods"]),
            surge=_count(size["surge"]),
            max_unavailable=_count(size["maxUnavailable"]),
            replicas=_count(size["replicas"]),
            started_at=_text(data["startedAt"]),
            started_by=_text(data["startedBy"]),
            autoscaler=data["autoscaler"],
            reason=_text(data["reason"]),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def read(annotations: Mapping[str, str]) -> Record | None:
    """The record among these annotations; None where there is none. Raises UnreadableRecord."""
    text = annotations.get(RECORD)
    return None if text is None else Record.decode(text)


def newest(found: Iterable[Record]) -> Record | None:
    """The record of the latest start; among equals the first."""
    return max(found, key=lambda record: record.started_at, default=None)


def copies(replica_sets: tuple[ReplicaSet, ...]) -> tuple[Record, ...]:
    """The readable records that Kubernetes copied to ReplicaSets."""
    found = []
    for replica_set in replica_sets:
        try:
            record = read(replica_set.annotations)
        except UnreadableRecord:
            continue  # a copy is only a second chance: an unreadable one is as good as none
        if record is not None:
            found.append(record)
    return tuple(found)


@dataclass(frozen=True)
class LastRelease:
    """How the last release of this Deployment ended, for people who look at it afterwards."""

    outcome: str
    images: Mapping[str, str]
    at: str
    by: str
    reason: str

    def encode(self) -> str:
        return json.dumps(
            {"outcome": self.outcome, "images": dict(self.images), "at": self.at, "by": self.by, "reason": self.reason},
            sort_keys=True,
            separators=(",", ":"),
        )
