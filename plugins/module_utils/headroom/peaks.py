# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At which moments of a release most pods exist at once.

The Deployment controller bounds pods without those that are terminating (KEP 3973), so old pods that take long to end are counted
beside the new ones. Worked example, 10 replicas, 3 canary pods, surge 1, own strategy 25 % / 25 % (3 up, 2 down):

| peak      | new pods | old pods that have left |                                                            |
|-----------|----------|-------------------------|------------------------------------------------------------|
| start     | 1        | 0                       | surge 1, all old pods there                                |
| steps     | 3        | 1                       | the third canary pod while the old pod of that step ends    |
| promotion | 8        | 2                       | 3 + surge 3 + 2 replaced ones, whose old pods are ending    |
| steady    | 10       | 10                      | the new version alone                                       |

Between promotion and steady a wave may get stuck that none of these shows, because old pods leave room on the wrong nodes: waves.py
plays them, and where one gets stuck it is a moment, too.
This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum

from ..values import dataclass
from ..wording import count_of


class Moment(Enum):
    START = "start"
    STEPS = "steps"
    PROMOTION = "promotion"
    BETWEEN = "between"
    STEADY = "steady"


@dataclass(frozen=True)
class Rollout:
    """Counts of pods. `surge` and `max_unavailable` are the hold's; `own_...` the Deployment's own, resolved to counts.

    `existing_canary`: pods of the new version that are there already.
    """

    replicas: int
    canary: int
    surge: int
    max_unavailable: int
    own_surge: int
    own_max_unavailable: int
    existing_canary: int = 0


@dataclass(frozen=True)
class Peak:
    """`new` pods of the new version exist while all old ones but `old_gone` are there; `more` of them are still to be created.

    `settled_gone`: how many old pods are gone once those that are ending have ended. New pods that fit only then just wait.
    `waiting`: new pods that exist and have no node yet; they need a place as well, but nothing of a quota.
    """

    moment: Moment
    new: int
    more: int
    old_gone: int
    settled_gone: int
    why: str
    waiting: int = 0

    @property
    def to_place(self) -> int:
        """How many pods have to find a node."""
        return self.more + self.waiting


def peaks(rollout: Rollout) -> tuple[Peak, ...]:
    """The moments that have to fit, in their order. None for a Deployment without replicas."""
    total, canary = rollout.replicas, min(rollout.canary, rollout.replicas)
    if total <= 0:
        return ()
    step = max(1, rollout.surge + rollout.max_unavailable)
    replaced = max(0, canary - rollout.surge)
    first = min(canary, step)
    found = [
        _peak(
            Moment.START,
            rollout,
            first,
            0,
            rollout.surge,
            f"{count_of(first, 'canary pod')} beside all {total} stable ones",
        )
    ]
    if canary > step:
        why = f"{count_of(canary, 'canary pod')}, the stable pods of the last step still ending"
        found.append(_peak(Moment.STEPS, rollout, canary, max(0, replaced - step), rollout.surge, why))
    new = min(total, canary + max(1, rollout.own_surge + rollout.own_max_unavailable))
    why = f"maxSurge {rollout.own_surge}, maxUnavailable {rollout.own_max_unavailable}, replaced pods still ending"
    found.append(_peak(Moment.PROMOTION, rollout, new, min(replaced, total), rollout.own_surge, why))
    found.append(
        _peak(Moment.STEADY, rollout, total, total, 0, f"all {total} pods of the new version, none of the old")
    )
    return tuple(found)


def _peak(moment: Moment, rollout: Rollout, new: int, old_gone: int, surge: int, why: str) -> Peak:
    settled = min(rollout.replicas, max(old_gone, new - surge))
    return Peak(moment, new, max(0, new - rollout.existing_canary), old_gone, settled, why)
