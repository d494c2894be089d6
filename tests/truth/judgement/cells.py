# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All cells of the study: a name, how many runs, and what one chunk of runs gives (one number a run, inf for never)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, Iterator

import numpy as np

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance

from .baselines import FLAGGER_FAILURES, fisher_with_peeking, threshold_rule
from .buckets import FAIL, ManyEvidences, bursts, independent, stops
from .walk import mixture_steps, wald_steps, walk
from .world import Segment, late, rising, steady

LIMIT = 20.0
WINDOW = 20_000
UNBOUNDED = 1e12
BUCKET = 100
RUNS = 10_000

SHARES = {"1/2": 1 / 2, "1/11": 1 / 11, "1/50": 1 / 50}
BASES = (0.0, 0.001, 0.01, 0.05, 0.2)
# Stable's rate and the bad canary's.
PAIRS = ((0.005, 0.05), (0.01, 0.03), (0.0, 0.01), (0.001, 0.01), (0.05, 0.10))
TOLERANCES = {"r 1.5": (1.5, 0.0), "d 0.5 %": (1.0, 0.005), "r 1.5 + d 0.5 %": (1.5, 0.005)}
PASS_TOLERANCES = {"r 2": (2.0, 0.0), "d 1 %": (1.0, 0.01), "r 1.5 + d 0.5 %": (1.5, 0.005)}
# Requests a pod and bucket, stable pods beside one canary pod.
BURST_LAYOUTS = {
    "1:1, 50 a pod": (1, 50),
    "1:1, 25 a pod": (1, 25),
    "1:10, 90 a pod": (10, 90),
    "1:10, 9 a pod": (10, 9),
}
BURSTS = (3, 10, 30)
GUARDS = {"bare": (False, False), "cap": (True, False), "cap + phi": (True, True)}

Chunk = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Cell:
    """`table`, `row` and `column` place the figure in the report."""

    table: str
    row: str
    column: str
    run: Chunk
    runs: int = RUNS

    @property
    def name(self) -> str:
        return f"{self.table} | {self.row} | {self.column}"


def percent(rate: float) -> str:
    return f"{100 * rate:g}"


def pair_name(pair: tuple[float, float]) -> str:
    return f"{percent(pair[0])} → {percent(pair[1])} %"


def _walk(world: tuple[Segment, ...], ratio: float, increase: float, to_pass: bool = False, starts: int = 0) -> Chunk:
    steps = mixture_steps(world, ratio, increase, to_pass)
    return lambda rng, runs: walk(rng, runs, world, steps, LIMIT, starts)


def _wald(world: tuple[Segment, ...], ratio: float, increase: float) -> Chunk:
    steps = wald_steps(world, ratio, increase)
    return lambda rng, runs: walk(rng, runs, world, steps, LIMIT)


def _shipped(rates: tuple[float, float], share: float, looks: int, tolerance: Tolerance, side: slice = FAIL) -> Chunk:
    def run(rng: np.random.Generator, runs: int) -> np.ndarray:
        return BUCKET * stops(independent(rng, runs, rates, share, BUCKET, looks), runs, tolerance, True, True, side)

    return run


def _baselines(segment: Segment) -> dict[str, Chunk]:
    return {
        "Fisher": lambda rng, runs: fisher_with_peeking(rng, runs, segment),
        "Flagger": lambda rng, runs: threshold_rule(rng, runs, segment, FLAGGER_FAILURES),
        "Argo": lambda rng, runs: threshold_rule(rng, runs, segment, 1),
    }


def false_alarms() -> Iterator[Cell]:
    for share_name, share in SHARES.items():
        for base in BASES:
            row = f"w = {share_name}, {percent(base)} %"
            world = steady(base, base, share, WINDOW)
            yield Cell("false alarms", row, "bare", _walk(world, 1, 0))
            looks = WINDOW // BUCKET
            yield Cell("false alarms", row, "shipped", _shipped((base, base), share, looks, Tolerance(1.0)))
            for name, chunk in _baselines(world[0]).items():
                yield Cell("false alarms", row, name, chunk)


def boundary() -> Iterator[Cell]:
    for name, (ratio, increase) in (PASS_TOLERANCES | {"r 1.5 + d 0.5 %": (1.5, 0.005)}).items():
        for share_name, share in SHARES.items():
            for base in BASES:
                world = steady(ratio * base + increase, base, share, WINDOW)
                row = f"{name}, w = {share_name}, {percent(base)} %"
                yield Cell("on the boundary", row, "false FAIL", _walk(world, ratio, increase))
                yield Cell("on the boundary", row, "false PASS", _walk(world, ratio, increase, to_pass=True))


def detection() -> Iterator[Cell]:
    for pair in PAIRS:
        for share_name, share in SHARES.items():
            row = f"{pair_name(pair)}, w = {share_name}"
            world = steady(pair[1], pair[0], share, UNBOUNDED)
            yield Cell("samples to FAIL", row, "W*", _wald(world, 1, 0))
            yield Cell("samples to FAIL", row, "bare", _walk(world, 1, 0))
            yield Cell("samples to FAIL", row, "shipped", _shipped((pair[1], pair[0]), share, 5_000, Tolerance(1.0)))
            for name, chunk in _baselines(steady(pair[1], pair[0], share, WINDOW)[0]).items():
                yield Cell("samples to FAIL", row, name, chunk)


def tolerances() -> Iterator[Cell]:
    for name, (ratio, increase) in TOLERANCES.items():
        for pair in PAIRS:
            for share_name in ("1/2", "1/11"):
                world = steady(pair[1], pair[0], SHARES[share_name], UNBOUNDED)
                row = f"{name}, {pair_name(pair)}, w = {share_name}"
                yield Cell("samples to FAIL with a tolerance", row, "W*", _wald(world, ratio, increase))
                yield Cell("samples to FAIL with a tolerance", row, "bare", _walk(world, ratio, increase))
    for name, (ratio, increase) in PASS_TOLERANCES.items():
        for base in BASES:
            for share_name in ("1/2", "1/11"):
                if base == 0 and increase == 0:
                    continue
                share = SHARES[share_name]
                world = steady(base, base, share, UNBOUNDED)
                row = f"{name}, {percent(base)} %, w = {share_name}"
                runs = RUNS if base < 0.2 else 1_000
                yield Cell("samples to PASS", row, "W*", _wald(world, ratio, increase), runs)
                yield Cell("samples to PASS", row, "bare", _walk(world, ratio, increase, to_pass=True), runs)


def clusters() -> Iterator[Cell]:
    for layout, (pods, requests) in BURST_LAYOUTS.items():
        looks = WINDOW // (requests * (1 + pods))
        for burst in BURSTS:
            for guard, (cap, scatter) in GUARDS.items():
                run = partial(_bursts, burst=burst, pods=pods, requests=requests, looks=looks, cap=cap, scatter=scatter)
                yield Cell("bursts", f"{layout}, bursts of {burst}", guard, run)


def _bursts(
    rng: np.random.Generator, runs: int, burst: int, pods: int, requests: int, looks: int, cap: bool, scatter: bool
) -> np.ndarray:
    traffic = bursts(rng, runs, 0.02, burst, pods, requests, looks)
    return stops(traffic, runs, Tolerance(1.0), cap, scatter, FAIL)


def drift_and_onset() -> Iterator[Cell]:
    yield Cell(
        "drift", "share 1/50 to 1/2, base rising and waving, equal", "each look's share", _walk(rising(1, WINDOW), 1, 0)
    )
    yield Cell("drift", "share 1/50 to 1/2, base rising and waving, equal", "totals pooled", _pooled)
    yield Cell("drift", "the same, canary three times worse", "each look's share", _walk(rising(3, WINDOW), 1, 0))
    for pair in ((0.005, 0.05), (0.005, 1.0), (0.05, 0.10)):
        for starts in (0, 5):
            column = f"{starts} fresh starts"
            world = late(pair[1], pair[0], 1 / 2, WINDOW, 5, UNBOUNDED)
            yield Cell("late onset", f"{pair_name(pair)} from sample 20,000 on", column, _after(world, starts))
            outset = late(pair[1], pair[1], 1 / 2, WINDOW, 5, UNBOUNDED)
            outset = tuple(Segment(part.end, pair[1], pair[0], part.share) for part in outset)
            yield Cell("late onset", f"{pair_name(pair)} from the outset", column, _walk(outset, 1, 0, starts=starts))


def _after(world: tuple[Segment, ...], starts: int) -> Chunk:
    """Samples after the onset; a run that failed before counts as never, so that a false alarm is no early success."""
    inner = _walk(world, 1, 0, starts=starts)

    def run(rng: np.random.Generator, runs: int) -> np.ndarray:
        stopped = inner(rng, runs)
        return np.where(stopped > WINDOW, stopped - WINDOW, np.inf)

    return run


def _pooled(rng: np.random.Generator, runs: int) -> np.ndarray:
    """The mistake, for comparison: the same bets on totals, with the share of the totals."""
    world = rising(1, WINDOW)
    totals = [np.zeros(runs) for _ in range(4)]
    stopped = np.full(runs, np.inf)
    for number, part in enumerate(world, 1):
        size = WINDOW / len(world)
        canary, stable = size * part.share, size * (1 - part.share)
        seen = (
            canary,
            rng.poisson(canary * part.canary_rate, runs),
            stable,
            rng.poisson(stable * part.stable_rate, runs),
        )
        totals = [total + more for total, more in zip(totals, seen, strict=True)]
        many = ManyEvidences(runs, Tolerance(1.0), cap=False, scatter=False)
        many.add((totals[0], totals[1], totals[2], totals[3][:, None]))
        now = (many.evidence(FAIL) >= many.limit) & np.isinf(stopped)
        stopped[now] = number * size
    return stopped


def several_checks() -> Iterator[Cell]:
    rows = {"four checks, one 1 → 3 %, the others 1 %": (0.03, 0.01, 0.01, 0.01), "four checks, all 1 %": (0.01,) * 4}
    for row, rates in rows.items():
        window = UNBOUNDED if 0.03 in rates else WINDOW
        for rule in ("mean of evidences", "error split in four", "alone"):
            yield Cell("several checks", row, rule, partial(_several, rates=rates, rule=rule, window=window))


def _several(rng: np.random.Generator, runs: int, rates: tuple[float, ...], rule: str, window: float) -> np.ndarray:
    """Counts of 20 requests a look and check, w = 1/11, independent between checks; bare evidence."""
    share, size = 1 / 11, 20
    checks = rates[:1] if rule == "alone" else rates
    many = [ManyEvidences(runs, Tolerance(1.0), cap=False, scatter=False) for _ in checks]
    stopped = np.full(runs, np.inf)
    looks = int(min(window, 100_000) // size)
    for number in range(1, looks + 1):
        for evidence, rate in zip(many, checks, strict=True):
            x_canary = rng.binomial(size, share * rate, runs).astype(float)
            x_stable = rng.binomial(size, (1 - share) * 0.01, (runs, 1)).astype(float)
            evidence.add((np.full(runs, size * share), x_canary, np.full(runs, size * (1 - share)), x_stable))
        values = np.array([evidence.evidence(FAIL) for evidence in many])
        reached = values.max(axis=0) >= 4 * LIMIT if rule.startswith("error") else values.mean(axis=0) >= LIMIT
        stopped[reached & np.isinf(stopped)] = number * size
        if not np.isinf(stopped).any():
            break
    return stopped


ALL_CELLS: tuple[Cell, ...] = tuple(
    cell
    for group in (false_alarms, detection, tolerances, boundary, clusters, drift_and_onset, several_checks)
    for cell in group()
)
