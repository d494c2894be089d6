# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the resources that pods use."""

from __future__ import annotations

import time

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes.resources import Resources, ResourcesAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    NoAnswer,
    ProbedPod,
    Value,
)
from tests.unit.probes.pods import FakeApi, sides, stamped
from tests.unit.probes.test_prometheus import OFFSETS


class TestResources:
    pods = sides((ProbedPod("c-1", "c1"),), (ProbedPod("s-1", "s1"), ProbedPod("s-2", "s2")))

    def ratio(self, **memory: str) -> float:
        items = [
            {"metadata": {"name": name.replace("_", "-")}, "containers": [{"usage": {"memory": used, "cpu": "1m"}}]}
            for name, used in memory.items()
        ]
        given = Resources(FakeApi(answer={"items": items}), ResourcesAsked()).look(self.pods, 5)[""]  # type: ignore[arg-type]
        assert isinstance(given, Value)
        return given.value

    @pytest.mark.parametrize(
        ("canary", "stable", "ratio"),
        [("150Mi", "100Mi", 1.5), ("1Gi", "1024Mi", 1), ("2000", "1k", 2), ("1e3", "1k", 1), ("500m", "1", 0.5)],
    )
    def test_the_mean_of_the_canary_against_that_of_stable(self, canary: str, stable: str, ratio: float) -> None:
        assert self.ratio(c_1=canary, s_1=stable, s_2=stable) == pytest.approx(ratio)

    @pytest.mark.parametrize(
        ("memory", "says"),
        [
            ({"s_1": "1Mi"}, "nothing yet of the canary"),
            ({"c_1": "1Mi"}, "nothing yet of stable"),
            ({"c_1": "1Mi", "s_1": "0"}, "uses no memory"),
            ({"c_1": "lots", "s_1": "1"}, "not a quantity"),
            ({"c_1": "NaN", "s_1": "1"}, "not a quantity"),
            ({"c_1": "inf", "s_1": "1"}, "not a quantity"),
            ({"c_1": "-5Mi", "s_1": "1"}, "not a quantity"),
        ],
    )
    def test_what_cannot_be_compared_is_told(self, memory: dict[str, str], says: str) -> None:
        with pytest.raises(NoAnswer, match=says):
            self.ratio(**memory)

    @pytest.mark.parametrize("ours", OFFSETS)
    @pytest.mark.parametrize(
        ("ago", "says"), [(0, ""), (60, ""), (-60, ""), (3600, "measured nothing"), (-3600, "measured nothing")]
    )
    def test_what_was_not_measured_now_is_no_data_whatever_our_clock_says(
        self, ago: float, says: str, ours: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0 + ours)
        written = stamped(1_000_000_000.0 - ago)
        items = [
            {"metadata": {"name": name}, "timestamp": written, "containers": [{"usage": {"memory": "1Mi"}}]}
            for name in ("c-1", "s-1", "s-2")
        ]
        source = Resources(FakeApi({"items": items}), ResourcesAsked())  # type: ignore[arg-type]
        if says:
            with pytest.raises(NoAnswer, match=says):
                source.look(self.pods, 5)
        else:
            assert source.look(self.pods, 5) == {"": Value(1.0)}

    def test_what_was_measured_counts_at_one_look(self) -> None:
        """metrics-server shows it until it measures again, each node at a moment of its own."""
        now = 1_000_000_000.0
        api = FakeApi({}, now)
        source = Resources(api, ResourcesAsked())  # type: ignore[arg-type]

        def measures(memory: str, **ago: float) -> None:
            api._answer = {
                "items": [
                    {
                        "metadata": {"name": name.replace("_", "-")},
                        "timestamp": stamped(now - seconds),
                        "window": "15s",
                        "containers": [{"usage": {"memory": memory if name == "c_1" else "1Mi"}}],
                    }
                    for name, seconds in ago.items()
                ]
            }

        measures("9Mi", c_1=60, s_1=61, s_2=62)
        source.begin(self.pods)
        assert source.look(self.pods, 5) == {}  # measured before the run
        assert "not measured all of these pods anew" in source.doubt()
        measures("2Mi", c_1=45, s_1=46, s_2=62)
        assert source.look(self.pods, 5) == {}  # s-2 not yet
        measures("2Mi", c_1=45, s_1=46, s_2=47)
        assert source.look(self.pods, 5) == {"": Value(2.0)}
        assert source.look(self.pods, 5) == {} and source.doubt() == ""
        measures("3Mi", c_1=50, s_1=51, s_2=52)
        assert source.look(self.pods, 5) == {}  # another replica, which is behind
        measures("3Mi", c_1=30, s_1=31, s_2=32)
        assert source.look(self.pods, 5) == {"": Value(3.0)}

    @pytest.mark.parametrize(
        "item",
        [
            {"containers": []},
            {"metadata": {"name": "c-1"}, "timestamp": "soon", "containers": []},
            {"metadata": {"name": "c-1"}, "timestamp": 10**400, "containers": []},
            {"metadata": {"name": "c-1"}, "containers": [{"usage": {}}]},
            {"metadata": {"name": "c-1"}, "containers": [{"usage": {"memory": 5}}]},
            {"metadata": {"name": "c-1"}, "containers": "none"},
            "c-1",
        ],
    )
    def test_items_that_metrics_server_would_not_write_are_told(self, item: object) -> None:
        source = Resources(FakeApi(answer={"items": [item]}), ResourcesAsked())  # type: ignore[arg-type]
        with pytest.raises(NoAnswer, match="would not write"):
            source.look(self.pods, 5)
