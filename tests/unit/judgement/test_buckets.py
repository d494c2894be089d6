# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How samples become looks, and how bursts are measured."""

from __future__ import annotations

import random

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import Bucketer, BucketRule
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.dispersion import Scatter, StableScatter
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError

RULE = BucketRule(at_least=5, at_most=15, requests_a_pod=20)


def sample(at: float, canary: float = 10, stable: float = 10, pods: int = 2, **by_pod: float) -> Sample:
    return Sample(at, Count(0, canary), Count(sum(by_pod.values()), stable), by_pod, pods)


class TestClosing:
    @pytest.mark.parametrize(
        ("case", "samples", "closes"),
        [
            ("enough time and requests", [sample(5, 20, 20)], True),
            ("too early", [sample(4.9, 500, 500)], False),
            ("too few requests a pod, but more time may come", [sample(5, 19, 20)], False),
            ("few requests, and the time is up", [sample(15, 1, 1)], True),
            ("many pods need many requests", [sample(5, 20, 20, pods=10)], False),
            ("no canary traffic keeps it open", [sample(60, 0, 500)], False),
            ("no stable traffic keeps it open", [sample(60, 500, 0)], False),
            ("samples add up", [sample(3, 10, 10), sample(6, 10, 10)], True),
        ],
    )
    def test_a_bucket_closes_by_time_and_exposure(self, case: str, samples: list[Sample], closes: bool) -> None:
        bucketer = Bucketer(RULE)
        closed = [bucketer.add(each) for each in samples]
        assert (closed[-1] is not None) is closes, case

    def test_a_bucket_holds_what_came_since_the_one_before(self) -> None:
        bucketer = Bucketer(RULE)
        bucketer.add(sample(6, 20, 20))
        second = bucketer.add(sample(12, 30, 20))
        assert second is not None
        assert (second.begin, second.end, second.canary.total) == (6, 12, 30)

    def test_a_step_closes_the_bucket(self) -> None:
        bucketer = Bucketer(RULE)
        bucketer.add(sample(1))
        closed = bucketer.begin_step(2)
        assert closed is not None and closed.step == 0
        after = bucketer.add(sample(20))
        assert after is not None and (after.begin, after.step) == (2, 1)

    def test_a_step_drops_what_only_one_version_saw(self) -> None:
        bucketer = Bucketer(RULE)
        bucketer.add(sample(1, canary=0))
        assert bucketer.begin_step(2) is None

    def test_a_rule_must_be_possible(self) -> None:
        with pytest.raises(JudgementError, match="bucket"):
            BucketRule(at_least=20, at_most=15)


class TestScatter:
    def test_nothing_known_divides_by_one(self) -> None:
        assert Scatter().factor == 1

    def test_neighbouring_buckets_of_a_pod_are_compared(self) -> None:
        scatter = StableScatter()
        assert scatter.add({"a": 0, "b": 3}) == Scatter()
        assert scatter.add({"a": 4, "b": 3}) == Scatter(squares=16, sums=10)

    def test_a_new_pod_has_no_neighbour_and_a_gone_one_is_forgotten(self) -> None:
        scatter = StableScatter()
        scatter.add({"a": 9})
        assert scatter.add({"b": 9}) == Scatter()
        assert scatter.add({"a": 1, "b": 9}) == Scatter(squares=0, sums=18)

    def test_independent_errors_give_about_one(self) -> None:
        chance, scatter, total = random.Random(1), StableScatter(), Scatter()
        for _ in range(2_000):
            total += scatter.add({pod: sum(chance.random() < 0.05 for _ in range(50)) for pod in "abc"})
        assert total.factor == pytest.approx(0.95, abs=0.06) or total.factor == 1

    def test_bursts_of_ten_give_about_ten(self) -> None:
        chance, scatter, total = random.Random(1), StableScatter(), Scatter()
        for _ in range(4_000):
            total += scatter.add({"a": 10.0 * (chance.random() < 0.1)})
        assert 7 < total.factor < 11
