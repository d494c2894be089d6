# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a window can decide, told before the run."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import BucketRule
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.evidence import Promise
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.forecast import (
    Reach,
    Traffic,
    bucket_seconds,
    forecast,
)
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError, Tolerance

BARE = Promise(guarded=False)
RULE = BucketRule()
A_SAMPLE_A_SECOND = Traffic(0.5, 0.5)


# Mean samples to PASS of equal versions at w = 1/2, simulated (docs/judgement-truth.md).
@pytest.mark.parametrize(
    ("tolerance", "base", "simulated"),
    [
        (Tolerance(max_ratio=2), 0.001, 67_312),
        (Tolerance(max_ratio=2), 0.01, 6_854),
        (Tolerance(max_increase=0.01), 0.0, 811),
        (Tolerance(max_increase=0.01), 0.01, 3_463),
        (Tolerance(1.5, 0.005), 0.01, 4_845),
        (Tolerance(1.5, 0.005), 0.05, 2_707),
    ],
)
def test_the_forecast_is_near_the_simulated_mean(tolerance: Tolerance, base: float, simulated: float) -> None:
    told = forecast(tolerance, A_SAMPLE_A_SECOND, base, 3600, BARE, RULE)
    assert told.samples_to_pass == pytest.approx(simulated, rel=0.3)


def test_a_ratio_alone_never_passes_a_stable_without_errors() -> None:
    told = forecast(Tolerance(max_ratio=2), Traffic(100, 100), 0.0, 3600, Promise(), RULE)
    assert (told.reach, told.seconds_to_pass) == (Reach.NEVER, None)
    assert "give max_increase besides max_ratio" in told.message


def test_beside_a_stable_that_fails_itself_nothing_can_be_decided() -> None:
    told = forecast(Tolerance(1.5, 0.005, of_requests=True), Traffic(100, 100), 0.7, 3600, Promise(), RULE)
    assert (told.reach, told.seconds_to_pass) == (Reach.NEVER, None)
    assert "stable is so bad itself" in told.message and "no canary is likely to be caught" in told.message


@pytest.mark.parametrize(
    ("window", "reach", "says"),
    [
        (10, Reach.NEVER, "cannot decide"),
        (60, Reach.UNLIKELY, "too short"),
        (350, Reach.UNCERTAIN, "may be too short"),
        (1200, Reach.LIKELY, "suffices"),
    ],
)
def test_the_window_is_judged(window: float, reach: Reach, says: str) -> None:
    told = forecast(Tolerance(1.5, 0.005), Traffic(10, 10), 0.005, window, Promise(), RULE)
    assert told.reach is reach
    assert says in told.message


def test_no_traffic_never_decides() -> None:
    told = forecast(Tolerance(1.5, 0.005), Traffic(0, 10), 0.005, 600, Promise(), RULE)
    assert told.reach is Reach.NEVER
    assert "no traffic" in told.message


def test_longer_windows_see_smaller_excesses() -> None:
    seen = [
        forecast(Tolerance(1.5, 0.005), Traffic(10, 10), 0.005, window, Promise(), RULE).excess_seen
        for window in (20, 120, 600, 6000)
    ]
    assert seen[0] is None
    later = [excess for excess in seen[1:] if excess is not None]
    assert len(later) == 3 and later == sorted(later, reverse=True) and later[0] > later[-1]


@pytest.mark.parametrize(
    ("traffic", "seconds"), [(Traffic(100, 100), 5), (Traffic(1, 1, pods=4), 15), (Traffic(5, 5, pods=4), 8)]
)
def test_buckets_last_as_long_as_the_traffic_asks(traffic: Traffic, seconds: float) -> None:
    assert bucket_seconds(traffic, RULE) == seconds


def test_traffic_is_not_negative() -> None:
    with pytest.raises(JudgementError, match="traffic"):
        Traffic(-1, 5)
