# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a hold comes to rest: how many pods of each version the Deployment controller leaves, known before a patch is sent.

tests/sim/model.py is that controller, pass by pass; it shows these counts.
This module is private to the collection.
"""

from __future__ import annotations

from ..values import dataclass
from .intstr import resolve_fenceposts


@dataclass(frozen=True)
class Split:
    """How many pods run each version."""

    stable: int
    canary: int


def predict_hold(replicas: int, surge: int, unavailable: int) -> Split:
    """Where a hold of a finished Deployment comes to rest.

    The new template gets a `minReadySeconds` that never ends, so its pods become Ready but never available, and the
    controller gives up old pods only against available ones:

        stable = replicas - unavailable
        canary = min(replicas, surge + unavailable)

    with `unavailable` at most `replicas`, and 1 when both are 0. Examples (replicas, surge, unavailable):

        10, 1, 0  ->  10 stable,  1 canary
        10, 1, 4  ->   6 stable,  5 canary
         3, 3, 0  ->   3 stable,  3 canary    blue/green
         1, 0, 0  ->   0 stable,  1 canary    nothing left to hold

    Neither a canary that never becomes Ready nor unready stable pods change these counts.
    Source: NewRSNewReplicas in deployment_util.go and reconcileOldReplicaSets in rolling.go, where the canary's
    availableReplicas is 0 for ever.
    """
    return predict_step(Split(stable=replicas, canary=0), replicas, surge, unavailable)


def predict_step(now: Split, replicas: int, surge: int, unavailable: int) -> Split:
    """Where a held canary comes to rest when its strategy becomes (`surge`, `unavailable`).

        stable' = min(stable, replicas - unavailable)
        canary' = max(canary, min(replicas, replicas + surge - stable'))

    Examples for 10 replicas, from 10 stable and 1 canary, that is from (1, 0):

        1, 1  ->  9 stable, 2 canary
        3, 0  ->  10 stable, 3 canary
        0, 0  ->  9 stable, 1 canary     0/0 means 0/1

    A hold only grows: a lower number takes nothing back. On the way Ready pods may drop by `unavailable` minus its
    value before, so a step costs nothing while as many Ready pods exist beyond `replicas`.
    """
    fenceposts = resolve_fenceposts(surge, unavailable, replicas)
    stable = min(now.stable, replicas - fenceposts.unavailable)
    return Split(stable=stable, canary=max(now.canary, min(replicas, replicas + fenceposts.surge - stable)))
