# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The garbage collector (pkg/controller/garbagecollector): what belongs to a Deployment that is gone goes a moment later, and so does what is
made for it after that.

Of one that is deleted in the foreground first what belongs to it goes, then the Deployment. Pods are ended by their ReplicaSet's
controller here (pods.py).
"""

from __future__ import annotations

from .controllers import Controller
from .objects import Json, is_being_deleted, marked_deleted, owned, owner_of
from .store import Change

DEPENDENTS = ("replicasets", "leases", "services")


class GarbageCollector(Controller):
    name = "garbage-collector"

    def concerns(self, change: Change) -> bool:
        gone = change.after is None or (change.kind != "pods" and is_being_deleted(change.after))
        if change.kind == "deployments":
            return gone
        if change.kind in DEPENDENTS and change.after is not None and self._is_orphan(change.after):
            return True  # an owner that it does not know is asked for, and is not there
        return gone and change.kind in ("pods", "replicasets") and any(map(is_being_deleted, self._deployments))

    @property
    def _deployments(self) -> list[Json]:
        return list(self.store.of("deployments").values())

    def _is_orphan(self, obj: Json) -> bool:
        by = owner_of(obj)
        live = {deployment["metadata"]["uid"] for deployment in self._deployments}
        return bool(by["kind"] == "Deployment" and by["uid"] not in live)

    def work(self) -> None:
        for deployment in self._deployments:
            if is_being_deleted(deployment):
                self._collects_first(deployment)
        for kind in DEPENDENTS:
            for name, obj in list(self.store.of(kind).items()):
                if self._is_orphan(obj):
                    self.store.remove(kind, name, self.name)

    def _collects_first(self, deployment: Json) -> None:
        """Those with blockOwnerDeletion: its ReplicaSets, and of each its pods."""
        for rs in list(owned(self.store.of("replicasets"), deployment)):
            if not is_being_deleted(rs):
                self.store.put("replicasets", marked_deleted(rs, self.timeline.now), self.name)
            elif not any(owned(self.store.of("pods"), rs)):
                self.store.remove("replicasets", rs["metadata"]["name"], self.name)
        if not any(owned(self.store.of("replicasets"), deployment)):
            self.store.remove("deployments", deployment["metadata"]["name"], self.name)
