# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_pause and canary_resume do in each situation. This module is private to the collection."""

from __future__ import annotations

from . import patches
from .patches import Plan
from .phase import Phase, Situation
from .refusal import Code, Refusal


def decide(situation: Situation, paused: bool) -> Plan | None:
    """`paused` as it is asked for; None where it is so already. Raises Refusal.

    An undo is not paused: Kubernetes keeps a paused Deployment at replicas plus maxSurge and spreads what is missing over
    both versions (pkg/controller/deployment/sync.go, scale), so that the version which is taken back would grow.
    """
    deployment = situation.deployment
    if situation.phase is Phase.DAMAGED:
        raise Refusal(
            Code.DAMAGED,
            f'Deployment "{deployment.name}" is left with parts of a hold ({situation.why}): '
            "pausing or resuming it could take pods away",
            "Repair it with canary_undo",
        )
    if situation.phase is Phase.UNDOING and deployment.paused:
        raise Refusal(
            Code.BUSY,
            f'the canary of Deployment "{deployment.name}" is being taken back, which is paused until its routes send nobody to pods that go',
            "Finish that with canary_undo",
        )
    if situation.record is not None and situation.record.isolating and deployment.paused:
        raise Refusal(
            Code.BUSY,
            f'the canary of Deployment "{deployment.name}" has no pods yet: it is paused until its routes send nobody to them',
            "Finish that with canary_start, or take it back with canary_undo",
        )
    if paused and situation.phase is Phase.UNDOING:
        raise Refusal(
            Code.BUSY,
            f'the canary of Deployment "{deployment.name}" is being taken back, and paused it would get more pods',
            "Finish that with canary_undo",
        )
    if situation.phase is Phase.FOREIGN and deployment.paused and not paused:
        raise Refusal(
            Code.FOREIGN,
            f'the pod template of Deployment "{deployment.name}" is not the one of its release ({situation.why}), so pods would come that '
            "nobody has looked at",
            "Bring the stable version back with canary_undo",
        )
    if deployment.paused is paused:
        return None
    return patches.freeze(deployment, paused)
