# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verbs would see if they looked now and nothing was in the way."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation, diagnose
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import (
    Deployment,
    Picture,
    owned_replica_sets,
)

from .objects import NAME
from .store import Store


def situation(store: Store) -> Situation | None:
    """None where there is no Deployment. Pods are left out: ReplicaSets tell enough of them for a phase, but for the difference
    between a canary that is held and one that is about to be."""
    found = store.get("deployments", NAME)
    if found is None:
        return None
    deployment = Deployment.parse(found)
    return diagnose(Picture(deployment, owned_replica_sets(store.of("replicasets").values(), deployment.uid)))
