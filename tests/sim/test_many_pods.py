# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Deployment of many pods costs: a canary that grows in ten steps, its promotion, and its undo."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.stage import Stage
from tests.situations import Web

STEPS = 10


def requests_of(replicas: int, ends: Callable[[Web], object]) -> tuple[int, int]:
    """Of the steps to half of all pods, and of the end."""
    web = Stage().web().make(replicas, strategy={"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}})
    begun = web.api.requests
    for step in range(1, STEPS + 1):
        web.start(pods=replicas * step // (2 * STEPS), surge=max(1, replicas // 10))
    held = web.api.requests
    assert web.split() == {"v1": replicas - replicas // 2 + max(1, replicas // 10), "v2": replicas // 2}
    ended = web.api.requests
    ends(web)
    assert sum(web.split().values()) == replicas
    return held - begun, web.api.requests - ended


@pytest.mark.parametrize("ends", [Web.promote, Web.undo], ids=["promote", "undo"])
def test_ten_times_as_many_pods_need_hardly_more_requests(ends: Callable[[Web], object]) -> None:
    few, many = requests_of(20, ends), requests_of(200, ends)
    for of_few, of_many in zip(few, many, strict=True):
        # A step is tried, and then taken.
        assert of_many < of_few + 2 * STEPS
