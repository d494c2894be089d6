# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verbs would see if they looked now and nothing was in the way."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation, diagnose
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import (
    Deployment,
    Picture,
    ReplicaSet,
    newest_first,
)

from .objects import NAME, Looked, owned
from .store import Store


class Pictures:
    """Each object is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deployment, self._replica_set = Looked(Deployment.parse).at, Looked(ReplicaSet.parse).at

    def situation(self) -> Situation | None:
        """None where there is no Deployment. Pods are left out: ReplicaSets tell enough of them for a phase, but for the
        difference between a canary that is held and one that is about to be."""
        found = self._store.get("deployments", NAME)
        if found is None:
            return None
        mine = map(self._replica_set, owned(self._store.of("replicasets"), found))
        return diagnose(Picture(self._deployment(found), newest_first(mine)))
