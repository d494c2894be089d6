# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log evidence as a walk from bad event to bad event, for thousands of runs at once, looked at after every sample.

Between bad events a walk is a straight line, so nothing is lost by jumping from one to the next.
The bets are the collection's own tables; their increments are written down here a second time, from the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.bets import FAIL_BETS, LOG_OF_ZERO, PASS_BETS

from .world import Segment


@dataclass(frozen=True)
class Steps:
    """Increments of each bet (columns) in each segment (rows) for one sample of a kind; `weights` of the bets."""

    bad_canary: np.ndarray
    bad_stable: np.ndarray
    good_canary: np.ndarray
    good_stable: np.ndarray
    weights: np.ndarray


def mixture_steps(world: Sequence[Segment], ratio: float, increase: float, to_pass: bool = False) -> Steps:
    """The mixture of bets, each sample adding its expected exposure to both versions."""
    bets = PASS_BETS if to_pass else FAIL_BETS
    excess = np.array([bet.excess for bet in bets])
    log_excess = np.array([np.log(bet.excess) if bet.excess else LOG_OF_ZERO for bet in bets])
    share = np.array([segment.share for segment in world])[:, None]
    rho = ratio * share / (1 - share)
    stake = (excess - 1) / (1 + rho * excess)
    exposure = -stake * increase * share
    stable = np.log1p(-np.minimum(stake * rho, 1 - 1e-15))
    canary = stable + log_excess
    return Steps(canary + exposure, stable + exposure, exposure, exposure, np.array([bet.weight for bet in bets]))


def nearest_boundary(canary: float, stable: float, share: float, ratio: float, increase: float) -> tuple[float, float]:
    """The pair on the boundary of what is tolerated that is hardest to tell from this one."""

    def divergence(p: float, q: float) -> float:
        if q <= 0 or q >= 1:
            return 0.0 if p == q else np.inf
        bad = p * np.log(p / q) if p else 0.0
        return bad + (1 - p) * np.log((1 - p) / (1 - q))

    def distance(q: float) -> float:
        return share * divergence(canary, ratio * q + increase) + (1 - share) * divergence(stable, q)

    low, high = 0.0, (1 - increase) / ratio
    for _ in range(200):
        third = (high - low) / 3
        low, high = (low, high - third) if distance(low + third) < distance(high - third) else (low + third, high)
    q = (low + high) / 2
    return ratio * q + increase, q


def wald_steps(world: Sequence[Segment], ratio: float, increase: float) -> Steps:
    """Wald's likelihood ratio, which knows both true rates, against the nearest pair on the boundary (W*)."""
    segment = world[-1]
    p, q = segment.canary_rate, segment.stable_rate
    a, b = nearest_boundary(p, q, segment.share, ratio, increase)

    def log(x: float, y: float) -> np.ndarray:
        return np.array([[np.log(x / y) if x > 0 else LOG_OF_ZERO]])

    return Steps(log(p, a), log(q, b), log(1 - p, 1 - a), log(1 - q, 1 - b), np.ones(1))


def walk(
    rng: np.random.Generator, runs: int, world: Sequence[Segment], steps: Steps, limit: float, starts: int = 0
) -> np.ndarray:
    """For each run the sample number at which the evidence reached the limit; inf when it never did.

    `starts`: so many segment ends are fresh starts, sharing half of the weight; one not begun counts 1.
    """
    end = np.array([segment.end for segment in world])
    bad_rate = np.array([segment.bad_rate for segment in world])
    among_bad = np.array([segment.canary_among_bad for segment in world])
    among_good = np.array([segment.canary_among_good for segment in world])
    rises = max(steps.good_canary.max(), steps.good_stable.max()) > 0
    same_good = bool(np.all(steps.good_canary == steps.good_stable))
    stopped = np.full(runs, np.inf)
    who = np.arange(runs)
    at = np.zeros(runs)
    part = np.zeros(runs, dtype=int)
    sums = np.zeros((runs, len(steps.weights)))
    begun = np.full((runs, starts, len(steps.weights)), np.nan)

    while len(who):
        rate = bad_rate[part]
        gap = np.where(rate > 0, rng.geometric(np.maximum(rate, 1e-300)), np.inf)
        room = end[part] - at
        happens = gap <= room
        step = np.minimum(gap, room)
        good = step - happens
        if same_good:
            line = good[:, None] * steps.good_canary[part]
        else:
            canary_good = rng.binomial(good.astype(np.int64), among_good[part])[:, None]
            line = canary_good * steps.good_canary[part] + (good[:, None] - canary_good) * steps.good_stable[part]
        if rises:
            crossed = _evidence(steps, sums + line, begun) >= limit
            if crossed.any():
                low, high = np.zeros(crossed.sum()), np.ones(crossed.sum())
                for _ in range(60):
                    middle = (low + high) / 2
                    reached = _evidence(steps, sums[crossed] + line[crossed] * middle[:, None], begun[crossed]) >= limit
                    low, high = np.where(reached, low, middle), np.where(reached, middle, high)
                stopped[who[crossed]] = np.ceil(at[crossed] + high * good[crossed])
        else:
            crossed = np.zeros(len(who), dtype=bool)
        canary = rng.random(len(who)) < among_bad[part]
        jump = np.where(canary[:, None], steps.bad_canary[part], steps.bad_stable[part])
        sums = sums + line + np.where(happens[:, None], jump, 0.0)
        at = at + step
        reached = ~crossed & (_evidence(steps, sums, begun) >= limit)
        stopped[who[reached]] = at[reached]
        fresh = ~happens & (part < starts)
        begun[fresh, part[fresh]] = sums[fresh]
        part = part + ~happens
        keep = ~crossed & ~reached & (part < len(world))
        who, at, part, sums, begun = who[keep], at[keep], part[keep], sums[keep], begun[keep]
    return stopped


def _evidence(steps: Steps, log_sums: np.ndarray, begun: np.ndarray) -> np.ndarray:
    """Of each run, from the sums of its bets and, for each fresh start, the sums that it began with."""
    whole = np.exp(np.minimum(log_sums, 700)) @ steps.weights
    if not begun.shape[1]:
        return whole
    since = np.exp(np.minimum(log_sums[:, None, :] - begun, 700)) @ steps.weights
    return 0.5 * whole + 0.5 * np.where(np.isnan(since), 1.0, since).mean(axis=1)
