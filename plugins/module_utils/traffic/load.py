# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the traffic a pod gets. 1 is what each of the Deployment's replicas gets without a canary.

    load of a canary pod = weight * replicas / canary        load of a stable pod = (1 - weight) * replicas / stable

Where the canary stands beside all stable pods, the second is never above 1. This module is private to the collection.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exposure import Exposure


def canary_load(weight: Fraction, replicas: int, canary: int) -> Fraction:
    return weight * replicas / canary


def relative_load(weight: Fraction, canary: int, stable: int) -> Fraction | None:
    """What a canary pod gets, as a multiple of what a stable pod gets; None where one of the two gets nothing."""
    if not 0 < weight < 1 or not canary or not stable:
        return None
    return weight * stable / ((1 - weight) * canary)


def copied_load(mirror: Fraction, canary: int, stable: int) -> Fraction | None:
    """The same, where the canary gets copies, and the stable version all requests."""
    return mirror * stable / canary if mirror and canary and stable else None


def pods_for(weight: Fraction, replicas: int) -> int:
    """The fewest canary pods none of which gets more than an ordinary pod."""
    return max(1, ceil(weight * replicas))


def largest_weight(replicas: int, canary: int) -> Fraction:
    """The largest share under which no canary pod gets more than an ordinary pod."""
    return min(Fraction(1), Fraction(canary, replicas)) if replicas else Fraction(0)


def per_cent(weight: Fraction) -> str:
    """For people: 12.5, and cut after three decimals, never rounded up."""
    return f"{floor(weight * 100_000) / 1000:g}"


def in_words(exposure: Exposure) -> str:
    """What the canary gets: 10 % of the requests and those with the header x-canary."""
    testers = f" and those with the header {exposure.header.name}" if exposure.header else ""
    copies = f", and copies of {per_cent(exposure.mirror)} % whose answers nobody gets" if exposure.mirror else ""
    return f"{per_cent(exposure.weight)} % of the requests{testers}{copies}"
