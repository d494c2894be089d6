# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worlds that are simulated: rates of both versions and the canary's share, piecewise constant over samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segment:
    """Until sample number `end` (of both versions together) each sample is a canary's with probability `share`."""

    end: float
    canary_rate: float
    stable_rate: float
    share: float

    @property
    def bad_rate(self) -> float:
        return self.share * self.canary_rate + (1 - self.share) * self.stable_rate

    @property
    def canary_among_bad(self) -> float:
        return self.share * self.canary_rate / self.bad_rate if self.bad_rate else 0.0

    @property
    def canary_among_good(self) -> float:
        return self.share * (1 - self.canary_rate) / (1 - self.bad_rate)


def steady(canary_rate: float, stable_rate: float, share: float, end: float) -> tuple[Segment, ...]:
    return (Segment(end, canary_rate, stable_rate, share),)


def rising(excess: float, end: float, segments: int = 200) -> tuple[Segment, ...]:
    """The share rises from 1/50 to 1/2 while the base rate rises from 0.5 to 5 % and waves; canary: `excess` times it."""
    at = (np.arange(segments) + 0.5) / segments
    base = (0.005 + 0.045 * at) * (1 + 0.5 * np.sin(2 * np.pi * 8 * at))
    share = 1 / 50 + (1 / 2 - 1 / 50) * at
    return tuple(
        Segment(end * (number + 1) / segments, excess * float(base[number]), float(base[number]), float(share[number]))
        for number in range(segments)
    )


def late(
    canary_rate: float, stable_rate: float, share: float, onset: float, starts: int, end: float
) -> tuple[Segment, ...]:
    """Both at the stable rate until `onset`, with a segment (a fresh start) `starts` times until then."""
    before = tuple(Segment(onset * (number + 1) / starts, stable_rate, stable_rate, share) for number in range(starts))
    return (*before, Segment(end, canary_rate, stable_rate, share))
