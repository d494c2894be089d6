# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bets whose winnings are the evidence: a fixed mixture on how much worse (or better) than tolerated the canary is.

A bet on the excess `k` over the tolerated rate stakes, in each look, `g = (k - 1) / (1 + rho k)` with
`rho = max_ratio * n_canary / n_stable` of that very look, and multiplies its evidence by

    (1 + g) ** x_canary  *  (1 - g rho) ** x_stable  *  exp(-g max_increase n_canary)

whose expectation is at most `exp(g n_canary (p_canary - max_ratio p_stable - max_increase))` for Poisson and for
Bernoulli events alike. So a bet with `k > 1` cannot be expected to win while the canary is tolerated, nor one with
`k < 1` while the canary is at or above tolerated, whatever the base rate, its drift, the shares and the batches.
By Ville's inequality such evidence ever reaches `1 / alpha` with a probability of at most `alpha`.

This module is private to the collection.
"""

from __future__ import annotations

import math

from ..values import dataclass
from .samples import Count
from .tolerance import Tolerance

# Stands for log 0: finite, so that differences of sums stay numbers, and hopeless for ever.
LOG_OF_ZERO = -1e9


@dataclass(frozen=True)
class Bet:
    """`excess`: the rate betted on, in units of the tolerated one. `weight`: its share of the mixture."""

    excess: float
    weight: float

    @property
    def log_excess(self) -> float:
        return math.log(self.excess) if self.excess > 0 else LOG_OF_ZERO


FAIL_BETS = (Bet(1.1, 0.05), Bet(1.3, 0.10), Bet(1.8, 0.20), Bet(3.0, 0.20), Bet(6.0, 0.15), Bet(20.0, 0.30))
PASS_BETS = (Bet(0.93, 0.10), Bet(0.75, 0.20), Bet(0.45, 0.25), Bet(0.10, 0.25), Bet(0.0, 0.20))

ALL_BETS = FAIL_BETS + PASS_BETS
_EXCESS_AND_LOG = tuple((bet.excess, bet.log_excess) for bet in ALL_BETS)


def log_gains(canary: Count, stable: Count, tolerance: Tolerance) -> list[float]:
    """What one look adds to the log evidence of each of ALL_BETS, in that order. Both exposures must be above 0.

    A look in which no canary could be worse than tolerated speaks for none: who fails every request would pass by it.
    """
    gains = gains_at(canary, stable, tolerance.ratio, tolerance.increase)
    if tolerance.takes_any(stable.bad / stable.total):
        gains[len(FAIL_BETS) :] = [min(gain, 0.0) for gain in gains[len(FAIL_BETS) :]]
    return gains


def gains_at(canary: Count, stable: Count, ratio: float, increase: float) -> list[float]:
    """As `log_gains`, for any ratio above 0 and any increase (an interval asks about negative ones, too), of any events."""
    log = math.log
    rho = ratio * canary.total / stable.total
    every = 1.0 + rho
    bad_canary, bad = canary.bad, canary.bad + stable.bad
    slack = increase * canary.total
    gains = []
    for excess, log_excess in _EXCESS_AND_LOG:
        share = 1.0 + rho * excess
        gains.append(bad_canary * log_excess + bad * log(every / share) - (excess - 1.0) / share * slack)
    return gains
