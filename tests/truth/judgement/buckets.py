# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence as it is shipped: a look a bucket, each gain capped, log evidence divided by the scatter of stable pods.

Written a second time for thousands of runs at once; `same_as_shipped` compares it with the collection's own code.
"""

from __future__ import annotations

from typing import Callable, Iterator

import numpy as np

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.bets import FAIL_BETS, LOG_OF_ZERO, PASS_BETS
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import Bucket
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.dispersion import StableScatter
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.evidence import Evidence, Promise
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance

ALL = FAIL_BETS + PASS_BETS
EXCESS = np.array([bet.excess for bet in ALL])
LOG_EXCESS = np.array([np.log(bet.excess) if bet.excess else LOG_OF_ZERO for bet in ALL])
FAIL = slice(0, len(FAIL_BETS))
PASS = slice(len(FAIL_BETS), None)
WEIGHTS = np.array([bet.weight for bet in ALL])

# A bucket of many runs: canary's exposure and bad events (runs), stable's exposure (runs), bad events a stable pod
# (runs x pods).
Look = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class ManyEvidences:
    """One row a run. Guards apart, to see what each of them does: `cap`, `scatter`."""

    def __init__(self, runs: int, tolerance: Tolerance, cap: bool, scatter: bool) -> None:
        self.limit = Promise(guarded=scatter).limit
        self._cap = np.log(self.limit) / 3 + 1e-9 if cap else np.inf
        self._scatter = scatter
        self._tolerance = tolerance
        self._sums = np.zeros((runs, len(ALL)))
        self._before: np.ndarray | None = None
        self._squares = np.zeros(runs)
        self._both = np.zeros(runs)

    def add(self, look: Look) -> None:
        n_canary, x_canary, n_stable, by_pod = look
        rho = (self._tolerance.ratio * n_canary / n_stable)[:, None]
        x_stable = by_pod.sum(axis=1)
        share = 1 + rho * EXCESS
        gains = x_canary[:, None] * LOG_EXCESS + (x_canary + x_stable)[:, None] * np.log((1 + rho) / share)
        gains -= (EXCESS - 1) / share * self._tolerance.increase * n_canary[:, None]
        self._sums += np.minimum(gains, self._cap)
        if self._before is not None:
            self._squares += ((by_pod - self._before) ** 2).sum(axis=1)
            self._both += (by_pod + self._before).sum(axis=1)
        self._before = by_pod

    @property
    def factor(self) -> np.ndarray:
        if not self._scatter:
            return np.ones(len(self._sums))
        return np.maximum(1.0, self._squares / np.maximum(self._both, 1e-300))

    def evidence(self, side: slice) -> np.ndarray:
        log_sums = self._sums[:, side] / self.factor[:, None]
        return np.exp(np.minimum(log_sums, 700)) @ WEIGHTS[side]


def stops(looks: Iterator[Look], runs: int, tolerance: Tolerance, cap: bool, scatter: bool, side: slice) -> np.ndarray:
    """For each run the number of the look that decided, counted from 1; inf when none did."""
    many = ManyEvidences(runs, tolerance, cap, scatter)
    stopped = np.full(runs, np.inf)
    for number, look in enumerate(looks, 1):
        many.add(look)
        now = (many.evidence(side) >= many.limit) & np.isinf(stopped)
        stopped[now] = number
        if not np.isinf(stopped).any():
            break
    return stopped


def independent(
    rng: np.random.Generator, runs: int, rates: tuple[float, float], share: float, size: int, looks: int
) -> Iterator[Look]:
    """Buckets of `size` requests without bursts; one canary pod beside as many stable pods as its share says."""
    pods = round((1 - share) / share)
    n_canary, n_stable = np.full(runs, size * share), np.full(runs, size * (1 - share))
    for _ in range(looks):
        x_canary = rng.binomial(size, share * rates[0], runs).astype(float)
        yield n_canary, x_canary, n_stable, rng.binomial(size, share * rates[1], (runs, pods)).astype(float)


def bursts(
    rng: np.random.Generator, runs: int, rate: float, burst: float, pods: int, requests: int, looks: int
) -> Iterator[Look]:
    """One canary pod beside `pods` stable ones, `requests` a pod and bucket; bad requests of a pod follow each other
    in bursts of geometric length with mean `burst`, which may outlast a bucket."""
    begins = rate / (burst * (1 - rate))
    bad = rng.random((runs, 1 + pods)) < rate
    n_canary, n_stable = np.full(runs, float(requests)), np.full(runs, float(requests * pods))
    for _ in range(looks):
        counted = np.zeros((runs, 1 + pods))
        for _ in range(requests):
            bad = rng.random(bad.shape) < np.where(bad, 1 - 1 / burst, begins)
            counted += bad
        yield n_canary, counted[:, 0], n_stable, counted[:, 1:]


def same_as_shipped(rng: np.random.Generator, check: Callable[[bool, str], None]) -> None:
    """The same counts through this file and through the collection: the same evidence, both ways, with all guards."""
    for ratio, increase in ((1.0, 0.0), (1.5, 0.005), (2.0, 0.0)):
        tolerance = Tolerance(ratio, increase)
        many = ManyEvidences(40, tolerance, cap=True, scatter=True)
        shipped = [Evidence(tolerance, Promise()) for _ in range(40)]
        scatters = [StableScatter() for _ in range(40)]
        for look in independent(rng, 40, (0.03, 0.02), 1 / 4, 100, 50):
            many.add(look)
            n_canary, x_canary, n_stable, by_pod = look
            for run, evidence in enumerate(shipped):
                scatter = scatters[run].add({str(pod): float(bad) for pod, bad in enumerate(by_pod[run])})
                stable = Count(float(by_pod[run].sum()), float(n_stable[run]))
                evidence.add(Bucket(0, 0, Count(float(x_canary[run]), float(n_canary[run])), stable, scatter))
        fail = np.array([evidence.to_fail for evidence in shipped])
        passed = np.array([evidence.to_pass for evidence in shipped])
        check(np.allclose(many.evidence(FAIL), fail, rtol=1e-9), f"evidence to fail at {tolerance}")
        check(np.allclose(many.evidence(PASS), passed, rtol=1e-9), f"evidence to pass at {tolerance}")
