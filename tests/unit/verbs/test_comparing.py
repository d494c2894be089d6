# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run whose API server is away after the first look, and one that has nothing to wait for.

The server that is away is a fault put in its place; what a real one answers is tested where a real one runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import asked as asked_of
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM, SystemClock
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError, ServerError, Timeout
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import BucketRule
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import RunVerdict, Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.probes.prometheus import PrometheusAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.resources import ResourcesAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    ProbedPod,
    Sides,
    Tally,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    HttpAsked,
    LogsAsked,
    OnNoData,
    PodsAsked,
    SamplesAsked,
    SourceAsked,
    VerifyRequest,
    Via,
    Web,
    given_samples,
    needs_pods,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.comparing import Comparison
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.guard import _Lone
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.loads import Loads
from tests.clocks import Leaps
from tests.unit.probes.serving import send, serving

WEB = Web("http://host")
LISTING = asked_of("GET", "/api/v1/namespaces/shop/pods")
# Wide enough for a pass within three looks of a tenth of a second.
LENIENT = RateCheck("pods", Tolerance(max_increase=1000), buckets=BucketRule(0.1, 0.1))
SIDES = Sides(
    "shop",
    canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)),
    stable=Version("5d5f", (ProbedPod("web-5d5f-a", "2"), ProbedPod("web-5d5f-b", "3"))),
)


class Away:
    """In place of a Site: every look meets what a server that is away does."""

    api: Any = SimpleNamespace(clock=SYSTEM)
    clock: SystemClock = SYSTEM

    def __init__(self, error: ApiError) -> None:
        self._error = error

    def look(self, pods: bool) -> None:
        raise self._error


def request(check: CheckAsked, **options: Any) -> VerifyRequest:
    return VerifyRequest(Call(Target("web", "shop")), (check,), **{"duration": 1.0, "interval": 0.1, **options})


def compared(site: Any, check: CheckAsked, **options: Any) -> tuple[RunVerdict, Comparison, list[str]]:
    told: list[str] = []
    run = Comparison(
        site,
        request(check, **options),
        SIDES,
        told.append,
        loads=Loads(site.api, "shop", None),
        ends=lambda situation: None,
        stops_at_pass=True,
    )
    try:
        return run.until_decided(), run, told
    finally:
        run.close()


@pytest.fixture(params=[ServerError(LISTING, "etcd has no leader"), Timeout(LISTING, "no answer for 30 s")], ids=type)
def away(request: pytest.FixtureRequest) -> Iterator[Away]:
    yield Away(request.param)


def test_pods_that_nobody_sees_are_no_healthy_pods(away: Away) -> None:
    away.clock = Leaps()
    verdict, _, told = compared(away, CheckAsked(LENIENT, PodsAsked()))
    (check,) = verdict.checks
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert check.gaps > 5 and "the pods cannot be seen" in check.last_gap
    assert not check.streams[0].series, "no pod-second may be counted as a good one"
    assert any("still looking" in line for line in told)


def test_a_run_that_is_to_stop_without_data_stops(away: Away) -> None:
    verdict, run, _ = compared(away, CheckAsked(LENIENT, PodsAsked()), duration=60.0, on_no_data=OnNoData.STOP)
    assert verdict.checks[0].gaps == 3
    assert run.ended is not None and "no data 3 times in a row" in run.ended.why


def test_the_new_version_alone_is_not_watched_through_an_api_server_that_is_away(away: Away) -> None:
    away.clock = Leaps()
    told: list[str] = []
    run = _Lone(away, request(CheckAsked(LENIENT, PodsAsked())), SIDES.canary, "shop", told.append)  # type: ignore[arg-type]
    verdict = run.until_failed()
    run.close()
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.checks[0].gaps > 5 and "the pods cannot be seen" in verdict.reason


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        (PodsAsked(), True),
        (LogsAsked("ERROR"), True),
        (LogsAsked(web=WEB, query='{pod=~"<pods>"}'), True),
        (HttpAsked(), True),
        (HttpAsked(via=Via.POD), True),
        (HttpAsked(via=Via.URL, web=WEB, canary_headers={"X": "canary"}), False),
        (PrometheusAsked(WEB, bad='e{pod=~"<pods>"}', total='r{pod=~"<pods>"}'), False),
        (ResourcesAsked(), False),
    ],
)
def test_what_counts_by_itself_is_asked_all_the_same(source: SourceAsked, needs: bool) -> None:
    assert needs_pods(source) is needs


@pytest.mark.parametrize("guard", [False, True])
def test_samples_alone_are_not_waited_for(away: Away, guard: bool) -> None:
    rows = [{"time": 60, "canary": {"bad": 0, "total": 10}, "stable": {"bad": 0, "total": 100}}]
    own = CheckAsked(RateCheck("own", Tolerance(1.5, 0.01)), SamplesAsked(given_samples(rows)))
    verdict, run, _ = compared(away, own, duration=600.0, interval=5.0, guard=guard)
    # Nobody waited for 600 seconds: a test of this kind would have been ended (tests/toolchain/limits.py).
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert run.ended is not None and run.ended.expected, "that takes nothing from the verdict"


def test_a_pass_by_counters_of_which_bad_matches_nothing_is_doubted(away: Away) -> None:
    begun = time.monotonic()

    def respond(request: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        value = str(int(1e6 * (time.monotonic() - begun)))
        pod = "web-7c6d-a" if "web-7c6d" in query else "web-5d5f-a"
        rows = [{"metric": {"pod": pod}, "value": [0, value]}] if query.startswith("requests") else []
        data = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()
        send(request, data)

    with serving(respond) as url:
        source = PrometheusAsked(Web(url), bad='erors{pod=~"<pods>"}', total='requests{pod=~"<pods>"}')
        check = RateCheck("errors", Tolerance(1.5, 0.05), buckets=BucketRule(0.1, 0.1))
        verdict, run, _ = compared(away, CheckAsked(check, source), duration=30.0)
    assert verdict.verdict is Verdict.PASS
    doubt = "bad has matched no series in either version"
    assert doubt in verdict.reason and doubt in verdict.checks[0].reason
    assert any(warning.startswith(f"errors: {doubt}") for warning in run.warnings)


def test_good_answers_of_a_url_prove_nothing_where_no_route_of_the_release_tells_the_versions_apart(away: Away) -> None:
    with serving(lambda request: send(request, b"fine")) as url:
        source = HttpAsked(via=Via.URL, web=Web(url), rate=500.0, canary_headers={"X-Canary": "true"})
        check = RateCheck("web", Tolerance(1.5, 0.2), buckets=BucketRule(0.1, 0.1))
        verdict, run, told = compared(away, CheckAsked(check, source), duration=30.0)
    assert verdict.verdict is Verdict.PASS
    doubt = "nothing tells which version has answered"
    assert doubt in verdict.reason and doubt in verdict.checks[0].reason
    assert [warning for warning in run.warnings if warning.startswith(f"web: {doubt}")] == run.warnings
    assert doubt in told[0], "before anybody waits"


@pytest.mark.parametrize(
    ("source", "counted"), [(LogsAsked("ERROR"), (2.0, 10.0)), (PodsAsked(), (4.0, 60.0))], ids=["logs", "pods"]
)
def test_only_what_is_counted_by_time_is_worth_what_its_requests_are(
    source: SourceAsked, counted: tuple[float, float]
) -> None:
    """A canary pod with a third of a stable pod's requests errs as often in a third of the time."""
    loads, asked = Loads(Away.api, "shop", None), CheckAsked(LENIENT, source)
    site: Any = Away(Timeout(LISTING, ""))
    told: list[str] = []
    run = Comparison(site, request(asked), SIDES, told.append, loads=loads, ends=lambda now: None, stops_at_pass=True)
    for worth in (Fraction(1, 3), "nobody knows"):
        loads.worth = worth
        time.sleep(0.15)  # a bucket
        run._takes(asked, {"": Counted(Tally(2.0, 30.0), Tally(4.0, 60.0))})
    ((_name, canary, *_rest),) = run._trial.counted
    run.close()
    assert canary == counted
