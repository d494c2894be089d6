# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted of the pods' own states."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes.podstates import PodStates
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    NoAnswer,
    ProbedPod,
)
from tests.unit.probes.pods import sides


class TestPodStates:
    stable = (ProbedPod("s-1", "s1"), ProbedPod("s-2", "s2"))
    good = ProbedPod("c-1", "c1")

    @pytest.mark.parametrize(
        ("case", "now", "bad"),
        [
            ("nothing happened", good, 0),
            ("restarts count each", ProbedPod("c-1", "c1", restarts=2), 2),
            ("readiness lost", ProbedPod("c-1", "c1", ready=False), 1),
            ("readiness lost and regained between two looks", ProbedPod("c-1", "c1", ready_since="later"), 1),
            ("a crash is one event, not two", ProbedPod("c-1", "c1", ready=False, restarts=1), 1),
            ("another pod in its place is new", ProbedPod("c-2", "c2"), 0),
            ("a new pod answers for its own restarts", ProbedPod("c-2", "c2", restarts=1), 1),
        ],
    )
    def test_what_is_bad(self, case: str, now: ProbedPod, bad: int) -> None:
        source = PodStates()
        source.begin(sides((self.good,), self.stable))
        counted = source.look(sides((now,), self.stable), 5)[""]
        assert isinstance(counted, Counted)
        assert counted.canary.bad == bad, case
        assert (counted.canary.total, counted.stable.total, counted.stable.bad) == (5, 10, 0)

    def test_a_pod_that_serves_nobody_is_no_better_for_it(self) -> None:
        source, hangs = PodStates(), ProbedPod("c-2", "c2", ready=False)
        source.begin(sides((self.good, hangs), self.stable))
        counted = source.look(sides((self.good, hangs), self.stable), 5)[""]
        assert isinstance(counted, Counted) and (counted.canary.bad, counted.canary.total) == (0, 5)
        with pytest.raises(NoAnswer, match=r"no pod of the version .* is Ready, so that nobody is served by it"):
            source.look(sides((hangs,), self.stable), 5)

    def test_an_eviction_counts_once(self) -> None:
        source, gone = PodStates(), (ProbedPod("c-1", "c1"),)
        source.begin(sides((self.good,), self.stable))
        for expected in (1, 0):
            counted = source.look(sides((), self.stable, evicted=gone), 5)[""]
            assert isinstance(counted, Counted) and counted.canary.bad == expected
