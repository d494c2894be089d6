# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look at the evidence costs: a verdict of hours is a look for every bucket of every stream."""

from __future__ import annotations

import time
import timeit

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import Bucket
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.dispersion import Scatter
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.evidence import Evidence, Promise
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance

LOOKS, TIMES = 100, 30


def measure_look() -> float:
    """CPU time in microseconds, of this process alone; the best of several."""
    evidence = Evidence(Tolerance(1.5, 0.005), Promise(), fresh_starts=5)
    for _ in range(5):
        evidence.start_afresh()
    each = Bucket(0, 10, Count(3, 100), Count(2, 100), Scatter(2, 3))

    def look() -> None:
        evidence.add(each)
        if evidence.to_fail + evidence.to_pass <= 0:
            raise AssertionError("evidence is positive")

    return min(timeit.repeat(look, timer=time.process_time, number=LOOKS, repeat=TIMES)) / LOOKS * 1e6
