# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many pods `maxSurge` and `maxUnavailable` mean for a given number of replicas.

Both fields hold a count or a percentage, are rounded in opposite directions, and correct each other when both come
to nothing. Everything that predicts the Deployment controller starts from these two counts.

This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Union

from ..values import dataclass

# IntOrString of the API: a number of pods, or a percentage of spec.replicas such as "25%".
IntOrPercent = Union[int, str]

_PERCENTAGE = re.compile(r"([0-9]+)%", re.ASCII)


@dataclass(frozen=True)
class Fenceposts:
    """The two counts (pods) between which a rolling update moves.

    At most `replicas + surge` pods exist, and the controller keeps at least `replicas - unavailable` of them available.
    """

    surge: int
    unavailable: int


def scaled(value: IntOrPercent, total: int, *, round_up: bool) -> int:
    """The number of pods that `value` means when 100 % are `total` pods.

        count            ->  count
        percentage, up   ->  ceil(percentage * total / 100)
        percentage, down ->  floor(percentage * total / 100)

    Examples, of 10 pods: 3 -> 3; "25%" up -> 3; "25%" down -> 2; "200%" -> 20.

    Raises ValueError for what the API server would refuse too: a negative count, or text that is not a percentage.
    Source: GetScaledValueFromIntOrPercent in k8s.io/apimachinery/pkg/util/intstr/intstr.go.
    """
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"{value} is not a number of pods: give 0 or more, or a percentage such as '25%'")
        return value
    percentage = _PERCENTAGE.fullmatch(value)
    if percentage is None:
        raise ValueError(f"{value!r} is neither a number of pods nor a percentage: give one such as 2 or '25%'")
    hundredths = int(percentage[1]) * total
    return -(-hundredths // 100) if round_up else hundredths // 100


def resolve_fenceposts(max_surge: IntOrPercent, max_unavailable: IntOrPercent, replicas: int) -> Fenceposts:
    """What the controller makes of `maxSurge` and `maxUnavailable` for `replicas` pods.

        surge       = maxSurge, rounded up
        unavailable = maxUnavailable, rounded down
        unavailable = 1           when both come to 0: a rollout that may neither add nor remove would never move
        unavailable = replicas    at most

    Examples (maxSurge, maxUnavailable, replicas -> surge, unavailable):

        25%, 25%, 10  ->  3, 2
        25%, 25%,  1  ->  1, 0
          0,  1%,  2  ->  0, 1    both came to 0
          1,   8,  5  ->  1, 5    more than there are
          1,   1,  0  ->  1, 0    nothing to take away

    Raises ValueError as `scaled` does.
    Source: ResolveFenceposts, MaxSurge and MaxUnavailable in pkg/controller/deployment/util/deployment_util.go.
    """
    surge = scaled(max_surge, replicas, round_up=True)
    unavailable = scaled(max_unavailable, replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Fenceposts(surge=surge, unavailable=min(unavailable, replicas))
