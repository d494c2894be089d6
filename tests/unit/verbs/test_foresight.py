# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told before a run begins, check by check; the Prometheus here answers ranges as the real one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import BoundCheck, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import ProbedPod, Sides, Version
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    HttpAsked,
    LogsAsked,
    PodsAsked,
    PrometheusAsked,
    ResourcesAsked,
    SamplesAsked,
    VerifyRequest,
    Web,
    given_samples,
    streams_of,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.foresight import Foresight
from tests.unit.probes.serving import send, serving

BOTH = Tolerance(1.5, 0.005)
SIDES = Sides(
    "shop",
    canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)),
    stable=Version("5d5f", tuple(ProbedPod(f"web-5d5f-{number}", f"{number}") for number in range(4))),
)


@dataclass
class Told:
    foresight: Foresight = field(init=False)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def of(self) -> dict[str, Any]:
        (only,) = self.foresight.told.values()
        return dict(only)


def told(asked: CheckAsked, duration: float = 600.0, sides: Sides | None = SIDES, **options: Any) -> Told:
    request = VerifyRequest(Call(Target("web", "shop")), (asked,), duration=duration, **options)
    result = Told()
    result.foresight = Foresight(request, result.lines.append, result.warnings.append)
    result.foresight.before(asked, sides)
    return result


def http(tolerance: Tolerance = BOTH, **options: Any) -> CheckAsked:
    return CheckAsked(RateCheck("http", tolerance), HttpAsked(**options))


# Our own requests: half to each version. As many as are needed for a pass at rate 0: 1,647 bare, about twice guarded.
@pytest.mark.parametrize(
    ("case", "asked", "duration", "reach", "says"),
    [
        (
            "enough",
            http(rate=20),
            600,
            "likely",
            "expecting 10 a second in the canary and 10 in stable (for 250 seconds",
        ),
        ("too short", http(rate=20), 30, "unlikely", "is too short"),
        ("too slow", http(rate=1), 600, "unlikely", "is too short"),
        ("used up", http(rate=20, most=400), 600, "unlikely", "the window of 20 seconds is too short"),
        ("shorter than three looks", http(rate=20), 10, "never", "cannot decide"),
        ("a ratio alone", http(Tolerance(2), rate=20), 600, "never", "give max_increase besides max_ratio"),
    ],
)
def test_requests_of_our_own_are_known_beforehand(
    case: str, asked: CheckAsked, duration: float, reach: str, says: str
) -> None:
    it = told(asked, duration)
    assert it.of["reach"] == reach, it.lines
    assert says in it.of["text"]
    assert f"http: {it.of['text']}" in (*it.lines, *it.warnings)
    assert bool(it.warnings) is (reach != "likely")


@pytest.mark.parametrize(("most", "guard", "warned"), [(5000, True, 1), (12000, True, 0), (5000, False, 0)])
def test_a_guard_whose_requests_are_used_up_before_its_end_is_warned_of(most: int, guard: bool, warned: int) -> None:
    it = told(http(rate=20, most=most), 600, guard=guard)
    said = [warning for warning in it.warnings if "sent after 250 of the 600 seconds of the guard" in warning]
    assert len(said) == warned and all("make max_requests 12000" in warning for warning in said)


def test_the_warmup_is_no_part_of_the_window() -> None:
    assert "the window of 60 seconds" in told(http(rate=20), 600, warmup=540).of["text"]


@pytest.mark.parametrize(
    "asked",
    [
        CheckAsked(RateCheck("logs", Tolerance(2, 0.01)), LogsAsked(pattern="ERROR")),
        CheckAsked(RateCheck("pods", Tolerance(max_increase=0.01)), PodsAsked()),
    ],
)
def test_pod_seconds_are_known_beforehand(asked: CheckAsked) -> None:
    it = told(asked, duration=3600)
    assert (it.of["canary_a_second"], it.of["stable_a_second"], it.of["stable_rate"]) == (1, 4, None)


def test_a_guard_waits_for_no_pass_and_so_is_never_too_short() -> None:
    it = told(http(rate=20), duration=30, guard=True)
    assert "in 30 seconds a canary is likely to be caught from" in it.of["text"] and not it.warnings


def test_a_source_that_does_not_answer_is_not_asked_for_its_past() -> None:
    it = told(http(rate=20), duration=10, sides=None)
    assert not it.foresight.told
    assert len(it.warnings) == 1 and "three looks and the warmup take" in it.warnings[0]


def test_what_is_only_watched_says_what_it_would_catch_and_warns_of_nothing() -> None:
    it = told(CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked()), 120)
    assert "in 120 seconds a canary is likely to be caught from" in it.of["text"]
    assert not it.warnings


@pytest.mark.parametrize(
    ("check", "duration", "warns"),
    [
        (BoundCheck("memory", maximum=2), 300, False),
        (BoundCheck("memory", maximum=2), 10, True),
        (BoundCheck("memory", maximum=2, in_a_row=2), 10, False),
    ],
)
def test_a_bound_needs_as_many_looks_as_values_in_a_row(check: BoundCheck, duration: float, warns: bool) -> None:
    it = told(CheckAsked(check, ResourcesAsked()), duration)
    assert bool(it.warnings) is warns and not it.foresight.told


def test_samples_are_there_already() -> None:
    rows = [{"time": 1, "canary": {"bad": 0, "total": 1}, "stable": {"bad": 0, "total": 1}}]
    it = told(CheckAsked(RateCheck("own", BOTH), SamplesAsked(given_samples(rows))))
    assert not it.foresight.told and not it.lines


Series = dict[str, list[float]]


def prometheus(series: Callable[[str], Series], **options: Any) -> Told:
    """`series`: by query, the values of each series (by its labels as JSON) at moments 15 s apart."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(request.path).query)
        assert urlsplit(request.path).path == "/api/v1/query"
        # Of now, as the server sees it: nobody says when that is.
        assert set(asked) == {"query"} and asked["query"][0].endswith(")[300s:15s]")
        result = [
            {
                "metric": json.loads(labels),
                "values": [[1e9 + 15 * number, f"{value}"] for number, value in enumerate(values)],
            }
            for labels, values in series(asked["query"][0][1:]).items()
        ]
        data = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
        send(request, data)

    with serving(respond) as url:
        asked = PrometheusAsked(Web(url), **options)
        return told(CheckAsked(RateCheck("errors", BOTH, streams=streams_of(asked)), asked))


COUNTERS = {"bad": 'errors{pod=~"<pods>"}', "total": 'requests{pod=~"<pods>"}'}


def test_counters_of_the_last_minutes_tell_traffic_and_rate_and_a_young_canary_gets_its_share() -> None:
    def series(query: str) -> Series:
        assert "web-5d5f-0" in query and "web-7c6d" not in query
        per_step = 15.0 if query.startswith("errors") else 1500.0
        return {'{"pod": "web-5d5f-0"}': [1000 + per_step * number for number in range(21)]}

    it = prometheus(series, **COUNTERS)
    assert it.of["stable_a_second"] == pytest.approx(100)
    assert it.of["canary_a_second"] == pytest.approx(25), "one pod beside four"
    assert it.of["stable_rate"] == pytest.approx(0.01)
    assert "expecting, from the last minutes, 25 a second in the canary and 100 in stable, 1 % of" in it.of["text"]


def test_a_counter_that_began_again_is_no_fall() -> None:
    it = prometheus(lambda query: {"{}": [0.0, 150, 300, 0, 150] if "requests" in query else [0.0] * 5}, **COUNTERS)
    assert it.of["stable_a_second"] == pytest.approx(450 / 60)


def test_a_histogram_tells_how_many_are_slower_than_its_first_bound() -> None:
    def series(query: str) -> Series:
        assert query.startswith("seconds_bucket{")
        return {'{"le": "0.1"}': [0.0, 750.0], '{"le": "1"}': [0.0, 1500.0], '{"le": "+Inf"}': [0.0, 1500.0]}

    it = prometheus(series, histogram='seconds{pod=~"<pods>"}', slower_than=(0.1, 1.0))
    assert it.of["stable_rate"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("case", "series", "says"),
    [
        ("no traffic", {"{}": [5.0, 5.0]}, "stable had no traffic in the last 5 minutes"),
        ("no series", {}, "stable had no traffic"),
        ("scraped once", {"{}": [5.0]}, "stable had no traffic"),
    ],
)
def test_where_the_past_says_nothing_the_run_has_to_see_first(case: str, series: Series, says: str) -> None:
    it = prometheus(lambda query: series, **COUNTERS)
    assert not it.foresight.told and not it.warnings
    assert f"errors: no forecast yet, as the traffic is not known: {says}" in it.lines[0]


def test_a_forecast_that_had_to_assume_stables_rate_is_made_again_once_it_is_seen() -> None:
    asked = http(rate=20)
    it = told(asked)
    assert isinstance(asked.check, RateCheck)
    for second in range(5, 30, 5):
        it.foresight.saw(asked.check, Sample(float(second), Count(5, 50), Count(5, 50)))
    assert it.of["stable_rate"] == pytest.approx(0.1)
    assert "seeing 10 a second in the canary and 10 in stable, 10 % of stable's bad" in it.of["text"]
    assert len(it.lines) == 2, "told once more, and no more"
