# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two good and two bad releases at once on a real node, under load, judged with Prometheus and with requests of our own.

`make judgement-e2e` has twenty of each at the tolerance and the looks that are recommended. Here the tolerance is wider and
looks are shorter, so that the verdict comes within seconds: what is tested is the whole chain.
"""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import BucketRule, Tolerance
from tests.cluster.lab import Lab
from tests.truth.releases.lane import Setting
from tests.truth.releases.run import release_all, wrong

# Its links, each of them, are in test_verify.py, test_verify_prometheus.py and test_verify_logs.py.
pytestmark = [pytest.mark.real, pytest.mark.slow]

QUICK = Setting(
    replicas=2,
    users=60,
    own=150.0,
    tolerance=Tolerance(max_ratio=1.5, max_increase=0.015),
    buckets=BucketRule(2.0, 2.0),
    interval=1.0,
    duration=120.0,
    to_the_end=False,
)


def test_bad_releases_are_undone_and_good_ones_promoted(real_lab: Lab) -> None:
    judged = release_all(real_lab, [True, False, True, False], 4, QUICK, tell=print)
    assert len(judged) == 4
    assert not wrong(judged)
    assert sum(one.unanswered for one in judged) == 0
