# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promise of the evidence, its guards, its fresh starts, and the figures that it has to reproduce."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.bets import FAIL_BETS, PASS_BETS, gains_at
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import Bucket
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.dispersion import NO_SCATTER, Scatter
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.evidence import Evidence, Promise
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError, Tolerance

BARE = Promise(guarded=False)
GUARDED = Promise()
STRICT = Tolerance(max_ratio=1.0)


def bucket(canary_bad: float, canary: float, stable_bad: float, stable: float, scatter: Scatter = NO_SCATTER) -> Bucket:
    return Bucket(0, 10, Count(canary_bad, canary), Count(stable_bad, stable), scatter)


def evidence_of(*buckets: Bucket, tolerance: Tolerance = STRICT, promise: Promise = BARE) -> Evidence:
    evidence = Evidence(tolerance, promise)
    for each in buckets:
        evidence.add(each)
    return evidence


class TestMixture:
    def test_weights_are_shares_of_one(self) -> None:
        assert sum(bet.weight for bet in FAIL_BETS) == pytest.approx(1)
        assert sum(bet.weight for bet in PASS_BETS) == pytest.approx(1)

    def test_nothing_bad_is_no_evidence_to_fail_or_for_a_ratio(self) -> None:
        evidence = evidence_of(bucket(0, 1000, 0, 1000))
        assert evidence.to_fail == pytest.approx(1)
        assert evidence.to_pass == pytest.approx(1)

    def test_nothing_bad_passes_an_increase(self) -> None:
        evidence = evidence_of(bucket(0, 500, 0, 500), tolerance=Tolerance(max_increase=0.01))
        assert evidence.to_pass >= BARE.limit

    # Bad canary events until FAIL beside so many in stable, by canary share: from the study behind the design.
    @pytest.mark.parametrize(
        ("stable", "canary", "stable_bad", "needed"),
        [
            *[(1, 1, bad, needed) for bad, needed in ((0, 6), (1, 9), (2, 12), (5, 19), (10, 28))],
            *[(10, 1, bad, needed) for bad, needed in ((0, 2), (1, 3), (2, 3), (5, 5), (10, 6))],
            *[(49, 1, bad, needed) for bad, needed in ((0, 2), (1, 2), (2, 2), (5, 3), (10, 3))],
        ],
    )
    def test_so_many_bad_canary_events_fail(self, stable: int, canary: int, stable_bad: int, needed: int) -> None:
        enough = evidence_of(bucket(needed, 1000 * canary, stable_bad, 1000 * stable))
        too_few = evidence_of(bucket(needed - 1, 1000 * canary, stable_bad, 1000 * stable))
        assert enough.to_fail >= BARE.limit > too_few.to_fail

    @given(
        ratio=st.floats(0.2, 5),
        increase=st.floats(0, 0.2),
        stable_rate=st.floats(0, 0.3),
        n_canary=st.floats(0.01, 500),
        n_stable=st.floats(0.01, 500),
        canary_per_tolerated=st.floats(0, 3),
    )
    def test_no_bet_is_expected_to_win_against_the_truth(
        self,
        ratio: float,
        increase: float,
        stable_rate: float,
        n_canary: float,
        n_stable: float,
        canary_per_tolerated: float,
    ) -> None:
        """The proof in numbers: for Poisson counts, log E[factor] = lambda_c g - lambda_s g rho - g d n_c, whatever
        the base rate and the shares: at most 0 to fail while tolerated, at most 0 to pass while not."""
        canary_rate = (ratio * stable_rate + increase) * canary_per_tolerated
        per_canary = gains_at(Count(1, n_canary), Count(0, n_stable), ratio, 0)
        per_stable = gains_at(Count(0, n_canary), Count(1, n_stable), ratio, 0)
        slack = gains_at(Count(0, n_canary), Count(0, n_stable), ratio, increase)
        for number, (canary, stable, still) in enumerate(zip(per_canary, per_stable, slack, strict=True)):
            expected = n_canary * canary_rate * math.expm1(canary) + n_stable * stable_rate * math.expm1(stable) + still
            to_fail = number < len(FAIL_BETS)
            truth_is_against = canary_per_tolerated <= 1 if to_fail else canary_per_tolerated >= 1
            if truth_is_against:
                assert expected <= 1e-9 * (1 + n_canary + n_stable)

    @given(parts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
    def test_batches_do_not_matter_while_the_share_stays(self, parts: list[tuple[int, int]]) -> None:
        apart = evidence_of(*(bucket(canary, 100, stable, 300) for canary, stable in parts))
        canary, stable = (sum(column) for column in zip(*parts, strict=True))
        together = evidence_of(bucket(canary, 100 * len(parts), stable, 300 * len(parts)))
        assert apart.to_fail == pytest.approx(together.to_fail)
        assert apart.to_pass == pytest.approx(together.to_pass)

    def test_a_changing_share_is_judged_look_by_look(self) -> None:
        """Both looks say "equal"; their totals say that the canary is twice as bad (Simpson)."""
        equal_each_time = (bucket(2, 200, 98, 9_800), bucket(500, 5_000, 500, 5_000))
        assert evidence_of(*equal_each_time).to_fail < 1
        assert evidence_of(bucket(502, 5_200, 598, 14_800)).to_fail > 1e6


class TestGuards:
    def test_an_outage_needs_three_buckets(self) -> None:
        outage = bucket(500, 500, 0, 500)
        assert evidence_of(outage, outage, promise=GUARDED).to_fail < GUARDED.limit
        assert evidence_of(outage, outage, outage, promise=GUARDED).to_fail >= GUARDED.limit

    def test_a_perfect_canary_needs_three_buckets(self) -> None:
        perfect = bucket(0, 5_000, 900, 5_000)
        assert evidence_of(perfect, perfect, promise=GUARDED).to_pass < GUARDED.limit
        assert evidence_of(perfect, perfect, perfect, promise=GUARDED).to_pass >= GUARDED.limit

    def test_bursts_in_stable_weaken_evidence(self) -> None:
        calm = [bucket(4, 100, 1, 100, Scatter(1, 2))] * 6
        bursty = [bucket(4, 100, 1, 100, Scatter(20, 2))] * 6
        assert evidence_of(*bursty, promise=GUARDED).to_fail < evidence_of(*calm, promise=GUARDED).to_fail

    def test_the_limit_pays_for_the_guard(self) -> None:
        assert GUARDED.limit == pytest.approx(BARE.limit + 1) == pytest.approx(21)

    @pytest.mark.parametrize("confidence", [0.0, 0.3, 1.0, 1.5, float("nan")])
    def test_a_confidence_must_make_sense(self, confidence: float) -> None:
        with pytest.raises(JudgementError, match="confidence"):
            Promise(confidence)


class TestFreshStarts:
    good = bucket(5, 1_000, 5, 1_000)
    bad = bucket(20, 1_000, 5, 1_000)

    def after(self, starts: int, begins: bool = True) -> Evidence:
        evidence = Evidence(STRICT, BARE, fresh_starts=starts)
        for _ in range(40):
            evidence.add(self.good)
        if begins:
            evidence.start_afresh()
        for _ in range(3):
            evidence.add(self.bad)
        return evidence

    def test_a_good_past_no_longer_hides_a_canary_that_turns_bad(self) -> None:
        assert self.after(starts=0).to_fail < BARE.limit <= self.after(starts=1).to_fail

    def test_starts_not_begun_keep_their_weight(self) -> None:
        assert Evidence(STRICT, BARE, fresh_starts=4).to_fail == pytest.approx(1)

    def test_starts_that_were_not_announced_have_no_weight(self) -> None:
        """Weights that depend on what was seen would break the promise."""
        assert self.after(starts=0).to_fail == pytest.approx(self.after(starts=0, begins=False).to_fail)

    def test_the_past_does_not_help_to_pass(self) -> None:
        evidence = Evidence(Tolerance(max_increase=0.01), BARE, fresh_starts=1)
        evidence.add(bucket(0, 5_000, 0, 5_000))
        assert evidence.to_pass >= BARE.limit
        evidence.start_afresh()
        assert evidence.to_pass == pytest.approx(1)


class TestFigures:
    """A slice of the study (docs/judgement-truth.md), through the shipped code, seeded."""

    def samples_until(
        self, chance: random.Random, rates: tuple[float, float], share: float, tolerance: Tolerance, most: float
    ) -> float:
        """A run from bad event to bad event: between them evidence to fail only falls."""
        evidence, at = Evidence(tolerance, BARE), 0
        canary, stable = share * rates[0], (1 - share) * rates[1]
        while at < most:
            gap = int(math.log(1 - chance.random()) / math.log1p(-(canary + stable))) + 1
            at += gap
            hits = float(chance.random() < canary / (canary + stable))
            evidence.add(bucket(hits, gap * share, 1 - hits, gap * (1 - share)))
            if at <= most and evidence.to_fail >= BARE.limit:
                return at
        return math.inf

    # canary, stable, share, tolerance, mean samples of the study
    @pytest.mark.parametrize(
        ("canary", "stable", "share", "tolerance", "mean"),
        [
            (0.05, 0.005, 1 / 2, STRICT, 337),
            (0.05, 0.005, 1 / 11, STRICT, 820),
            (0.03, 0.01, 1 / 2, STRICT, 1_372),
            (0.01, 0.0, 1 / 11, STRICT, 2_222),
            (0.01, 0.001, 1 / 2, STRICT, 1_669),
            (0.05, 0.005, 1 / 2, Tolerance(1.5, 0.005), 650),
        ],
    )
    def test_mean_samples_to_catch_a_bad_version(
        self, canary: float, stable: float, share: float, tolerance: Tolerance, mean: float
    ) -> None:
        chance = random.Random(4711)
        runs = [self.samples_until(chance, (canary, stable), share, tolerance, math.inf) for _ in range(400)]
        assert sum(runs) / len(runs) == pytest.approx(mean, rel=0.12)

    @pytest.mark.parametrize(("base", "share"), [(0.001, 1 / 2), (0.01, 1 / 2), (0.01, 1 / 11), (0.01, 1 / 50)])
    def test_false_alarms_keep_the_promise(self, base: float, share: float) -> None:
        chance = random.Random(4711)
        runs = 300
        alarms = sum(self.samples_until(chance, (base, base), share, STRICT, 10_000) < math.inf for _ in range(runs))
        # 5 % promised; three standard errors of 300 runs above it are 8.8 %.
        assert alarms / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
