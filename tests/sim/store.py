# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server keeps: objects by kind and name, a revision for every change, and everybody who wants to know of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from .objects import Json, moment
from .timeline import Timeline

KINDS = (
    "deployments",
    "replicasets",
    "pods",
    "horizontalpodautoscalers",
    "scaledobjects",
    "verticalpodautoscalers",
    "events",
    "leases",
    "resourcequotas",
    "services",
    "endpointslices",
    "gateways",
    "gatewayclasses",
    "httproutes",
    "ingresses",
    "grpcroutes",
    "virtualservices",
    "destinationrules",
    "backendtlspolicies",
    # Asked for where there is no Deployment of that name.
    "statefulsets",
    "daemonsets",
    # Read by whoever counts room.
    "nodes",
    "namespaces",
    "limitranges",
    "persistentvolumeclaims",
    "persistentvolumes",
    "csinodes",
    "configmaps",
    "priorityclasses",
    "runtimeclasses",
    "deviceclasses",
)


@dataclass(frozen=True)
class Change:
    """`before` is None for what was made, `after` for what is gone. `by`: who wrote it. `revision`: which change it is."""

    at: float
    kind: str
    name: str
    before: Json | None
    after: Json | None
    by: str
    revision: int = 0

    @property
    def type(self) -> str:
        return "ADDED" if self.before is None else "MODIFIED" if self.after is not None else "DELETED"

    @property
    def object(self) -> Json:
        found = self.after if self.after is not None else self.before
        assert found is not None
        return found


class Store:
    def __init__(self, timeline: Timeline) -> None:
        self.revision = 0
        self.log: list[Change] = []
        self.timeline = timeline
        self._objects: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        self._listeners: dict[int, Callable[[Change], None]] = {}
        self._numbers = count()

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Tells it every change from now on, until what is returned is called."""
        number = next(self._numbers)
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None

    def serves(self, kind: str) -> bool:
        """What is put there for the first time is an API that is installed."""
        return kind in self._objects

    def of(self, kind: str) -> dict[str, Json]:
        """By name. Not to be changed by whoever reads it."""
        return self._objects[kind]

    def get(self, kind: str, name: str) -> Json | None:
        return self._objects[kind].get(name)

    def put(self, kind: str, obj: Json, by: str) -> Json:
        """Keeps it under the next revision; what is new gets a uid and the time."""
        name = obj["metadata"]["name"]
        before = self._objects.setdefault(kind, {}).get(name)
        self.revision += 1
        meta = {**obj["metadata"], "resourceVersion": str(self.revision)}
        if before is None:
            meta.setdefault("uid", f"{kind[:-1]}-{self.revision}")
            meta["creationTimestamp"] = moment(self.timeline.now)
        kept = {**obj, "metadata": meta}
        self._objects[kind][name] = kept
        self._tell(Change(self.timeline.now, kind, name, before, kept, by, self.revision))
        return kept

    def remove(self, kind: str, name: str, by: str) -> None:
        before = self._objects[kind].pop(name, None)
        if before is not None:
            self.revision += 1
            self._tell(Change(self.timeline.now, kind, name, before, None, by, self.revision))

    def _tell(self, change: Change) -> None:
        self.log.append(change)
        for listener in list(self._listeners.values()):
            listener(change)

    def revision_at(self, then: float) -> int:
        """The last one at a moment in the past."""
        before = bisect_right(self.log, then, key=lambda change: change.at)
        return self.log[before - 1].revision if before else 1  # etcd counts from there

    def as_of(self, kind: str, then: float) -> dict[str, Json]:
        """The objects of a kind as they were at a moment in the past."""
        objects = dict(self._objects[kind])
        since = bisect_right(self.log, then, key=lambda change: change.at)
        for change in reversed(self.log[since:]):
            if change.kind != kind:
                continue
            if change.before is None:
                objects.pop(change.name, None)
            else:
                objects[change.name] = change.before
        return objects
