# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs check against a stand-in that answers as Loki's HTTP API is documented: lines, limits, and refusals in plain text.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes import loki
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import LogsAsked, stream_selector
from ansible_collections.coalmine.canary.plugins.module_utils.probes.loki import LokiLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    NoAnswer,
    ProbedPod,
    Sides,
    Tally,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.unit.probes.serving import MUCH_LATER_SECONDS, send, serving
from tests.unit.probes.test_prometheus import OFFSETS

SECRET = "s3cr3t-t0ken"
TENANT = "shop"
QUERY = '{namespace="<namespace>", pod=~"<pods>"} |= "ERROR"'
SIDES = Sides(
    "shop",
    canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)),
    stable=Version("5d5f", (ProbedPod("web-5d5f-a", "2"), ProbedPod("web-5d5f-b", "3"))),
)


def fresh_lines(ahead: float) -> list[tuple[dict[str, str], float]]:
    """Of every pod, a moment ago."""
    return [({"pod": name}, time.time() + ahead - 0.1) for name in (*SIDES.canary.names, *SIDES.stable.names)]


@dataclass
class Loki:
    """Keeps lines by their stream's labels: `lines` that match, and `others` (None: always some of a moment ago). `limit`: max_entries_limit_per_query.
    `result`: what to say instead, with `more` beside it. `ahead`: its clock, before ours."""

    lines: list[tuple[dict[str, str], float]] = field(default_factory=list)
    others: list[tuple[dict[str, str], float]] | None = None
    limit: int = 5000
    refusal: tuple[int, str] | None = None
    result: Any = None
    more: dict[str, Any] = field(default_factory=dict)
    ahead: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        status, text = self.refusal or self._refused(request, parts.path, query)
        if status:
            self._send(request, status, "text/plain; charset=utf-8", text)
            return
        data = self.result or {"resultType": "streams", "result": self._streams(query), "stats": {"summary": {}}}
        body = {"status": "success", "data": data, **self.more}
        self._send(request, 200, "application/json; charset=UTF-8", json.dumps(body))

    def _refused(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> tuple[int, str]:
        if request.headers["X-Scope-OrgID"] != TENANT:
            return 401, "no org id"
        if path != "/loki/api/v1/query_range":
            return 404, "404 page not found"
        if int(query["limit"]) > self.limit:
            words = "max entries limit per query exceeded, limit > max_entries_limit_per_query"
            return 400, f"{words} ({query['limit']} > {self.limit})"
        if not query["query"].startswith("{") or query["query"].endswith("|="):
            return 400, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"
        return 0, ""

    def _streams(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Start is included, end is not; no more lines than asked for, from the end that was asked for."""
        now = int((time.time() + self.ahead) * 1e9)
        start, end = int(query.get("start", now - 3600 * 10**9)), int(query.get("end", now))
        wanted = query["query"].partition('pod=~"')[2].partition('"')[0].split("|")
        others = fresh_lines(self.ahead) if self.others is None else self.others
        every = self.lines if "|=" in query["query"] else self.lines + others
        # A label that is no pod's name is of both versions.
        kept = [
            (int(at * 1e9), labels) for labels, at in every if "instance" in labels or {*labels.values()} & {*wanted}
        ]
        inside = sorted((pair for pair in kept if start <= pair[0] < end), key=lambda pair: pair[0])
        if query["direction"] == "backward":
            inside.reverse()
        streams: dict[str, dict[str, Any]] = {}
        for nanoseconds, labels in inside[: int(query["limit"])]:
            stream = streams.setdefault(repr(labels), {"stream": labels, "values": []})
            stream["values"].append([str(nanoseconds), "ERROR: something went wrong"])
        return list(streams.values())

    def _send(self, request: BaseHTTPRequestHandler, status: int, kind: str, text: str) -> None:
        request.date_time_string = lambda *_: formatdate(time.time() + self.ahead, usegmt=True)  # type: ignore[method-assign]
        send(request, text.encode(), status, kind)


@contextmanager
def logs(loki: Loki, tenant: str = TENANT, query: str = QUERY, settled_after: float | None = 2.0) -> Iterator[LokiLogs]:
    """A source that looks back a minute."""
    with serving(loki) as url:
        web = Web(url, {"X-Scope-OrgID": tenant}, token=SECRET, timeout=MUCH_LATER_SECONDS)
        source = LokiLogs(LogsAsked(web=web, query=query, settled_after=settled_after), web)
        source.begin(SIDES)
        source._since -= 60
        yield source


def counted(loki: Loki, **options: Any) -> tuple[Tally, Tally]:
    with logs(loki, **options) as source:
        given = source.look(SIDES, 60.0)[""]
    assert isinstance(given, Counted)
    return given.canary, given.stable


def line(pod: str, ago: float, **labels: str) -> tuple[dict[str, str], float]:
    """So many seconds ago, in the middle of a second."""
    return {"pod": pod, **labels}, int(time.time() - ago) + 0.5


def test_seconds_with_a_line_are_counted_by_version_and_pod() -> None:
    lines = [line("web-7c6d-a", 30), line("web-7c6d-a", 30), line("web-7c6d-a", 20), line("web-5d5f-b", 10)]
    canary, stable = counted(Loki(lines))
    assert (canary.bad, dict(canary.by_pod)) == (2.0, {"web-7c6d-a": 2.0})
    assert (stable.bad, dict(stable.by_pod)) == (1.0, {"web-5d5f-a": 0.0, "web-5d5f-b": 1.0})
    assert canary.total == pytest.approx(60, abs=3) and stable.total == pytest.approx(2 * canary.total)


def test_lines_of_which_none_is_an_error_are_no_error() -> None:
    canary, stable = counted(Loki())
    assert (canary.bad, stable.bad) == (0.0, 0.0) and canary.total == pytest.approx(58, abs=2)


@pytest.mark.parametrize("ahead", OFFSETS)
def test_lokis_clock_decides_what_is_new_and_not_ours(ahead: float) -> None:
    at = int(time.time() + ahead - 30) + 0.5
    lines = [({"pod": "web-7c6d-a"}, at), ({"pod": "web-7c6d-a"}, at + 3)]
    canary, stable = counted(Loki(lines, ahead=ahead))
    assert (canary.bad, stable.bad) == (2.0, 0.0) and canary.total == pytest.approx(58, abs=3)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_lines_of_which_none_is_of_now_are_no_data(ahead: float) -> None:
    """The clocks of what collects them, too, may be wrong."""
    with pytest.raises(NoAnswer, match=r"no line at all of either version.*the clocks of the nodes"):
        counted(Loki(others=[({"pod": "web-7c6d-a"}, time.time() + ahead)]))


def test_no_line_at_all_is_no_data() -> None:
    with pytest.raises(
        NoAnswer, match=r'no line at all of either version.*check the labels in {namespace="<namespace>"'
    ):
        counted(Loki(others=[]))


def test_what_a_log_collector_that_died_has_not_sent_is_not_counted_as_good() -> None:
    died = time.time() - 40
    with logs(Loki(others=[({"pod": pod}, died) for pod in ("web-5d5f-a", "web-7c6d-a")])) as source:
        given = source.look(SIDES, 60.0)[""]
        assert isinstance(given, Counted)
        assert given.canary.total == pytest.approx(20, abs=2) and given.ago == pytest.approx(40, abs=2)
        assert source.look(SIDES, 5.0) == {}, "nothing has come since"


def test_a_log_that_is_dead_for_long_is_no_data_and_is_read_on_when_it_lives_again() -> None:
    loki = Loki()
    with logs(loki) as source:
        loki.others = []
        for _ in range(2):
            with pytest.raises(NoAnswer, match="no line at all of either version in the last 122 seconds"):
                source.look(SIDES, 60.0)
        loki.others, loki.lines = None, [line("web-7c6d-a", 30)]
        given = source.look(SIDES, 60.0)[""]
    assert isinstance(given, Counted)
    assert given.canary.bad == 1.0 and given.canary.total == pytest.approx(58, abs=3)


@pytest.mark.parametrize(("settled_after", "seen"), [(2.0, 1.0), (60.0, 0.0), (None, 0.0)])
def test_lines_that_may_still_be_on_their_way_are_waited_for(settled_after: float | None, seen: float) -> None:
    loki = Loki([line("web-7c6d-a", 10)])
    with logs(loki, settled_after=settled_after) as source:
        source._since -= 60
        given = source.look(SIDES, 60.0)[""]
    assert isinstance(given, Counted)
    assert given.canary.bad == seen


def test_a_canary_that_logs_nothing_beside_a_stable_version_that_does_is_no_data() -> None:
    """Nobody knows whether its log is collected. The other way round that speaks for no canary."""
    loki = Loki()
    with logs(loki) as source:
        loki.others = [({"pod": "web-5d5f-a"}, time.time() - 0.1)]
        with pytest.raises(NoAnswer, match="no line at all of the canary, and some of stable, in the last 122 seconds"):
            source.look(SIDES, 60.0)
        loki.others = [({"pod": "web-7c6d-a"}, time.time() - 0.1)]
        assert isinstance(source.look(SIDES, 60.0)[""], Counted)


@pytest.mark.parametrize(
    ("behind", "seconds", "read"), [("web-7c6d-a", 50, 50), ("web-5d5f-a", 20, 20), ("web-5d5f-a", 50, 32)]
)
def test_the_log_that_is_farthest_behind_says_how_far_both_are_read(behind: str, seconds: float, read: float) -> None:
    """What its collector has not sent yet would be without errors for good. A stable version that logs seldom is not waited for long."""
    late = time.time() - seconds
    others = [({"pod": pod}, late if pod == behind else time.time() - 0.1) for pod in ("web-7c6d-a", "web-5d5f-a")]
    with logs(Loki(others=others)) as source:
        given = source.look(SIDES, 60.0)[""]
    assert isinstance(given, Counted)
    assert given.canary.total == pytest.approx(60 - read, abs=2) and given.ago == pytest.approx(read, abs=2)


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        (QUERY, '{namespace="<namespace>", pod=~"<pods>"}'),
        ('{a="}", b=`{"`, c="\\"}"} | json | line_format "{{.x}}"', '{a="}", b=`{"`, c="\\"}"}'),
        ('({app="web"} | pod=~"<pods>") |= "x"', '{app="web"}'),
        ('|= "ERROR"', ""),
    ],
)
def test_the_streams_of_a_query_are_found(query: str, selector: str) -> None:
    assert stream_selector(query) == selector


def test_lines_of_both_containers_of_a_pod_are_one_pods() -> None:
    lines = [line("web-7c6d-a", 30, container="app"), line("web-7c6d-a", 20, container="sidecar")]
    assert counted(Loki(lines))[0].by_pod == {"web-7c6d-a": 2.0}


def test_the_label_with_the_pod_may_have_any_name_and_each_line_labels_of_its_own() -> None:
    at = int(time.time() - 30) + 0.5
    lines = [
        ({"k8s_pod_name": "web-7c6d-a", "detected_level": "error", "trace_id": str(number)}, at) for number in range(9)
    ]
    assert counted(Loki(lines))[0].by_pod == {"web-7c6d-a": 1.0}


def test_lines_of_which_nobody_knows_the_pod_are_no_data() -> None:
    with pytest.raises(NoAnswer, match="without a label that names their pod"):
        counted(Loki([({"instance": "a"}, int(time.time() - 30) + 0.5)]))


@pytest.mark.parametrize(
    ("case", "loki", "options", "says"),
    [
        ("no tenant", Loki(), {"tenant": "other"}, "answers 401: check the token, user or headers"),
        ("a query that is none", Loki(), {"query": '{pod=~"<pods>"} |='}, "answers 400: parse error at line 1, col 1"),
        ("a lower limit", Loki(limit=1000), {}, r"answers 400: max entries limit per query exceeded.*\(5000 > 1000\)"),
        ("too busy", Loki(refusal=(429, "too many outstanding requests")), {}, "answers 429: too many outstanding"),
        ("in trouble", Loki(refusal=(500, "ingester 10.0.0.7 has our password")), {}, "answers 500$"),
        ("away for now", Loki(refusal=(503, "empty ring")), {}, "answers 503$"),
        ("out of time", Loki(refusal=(504, "request timed out")), {}, "answers 504$"),
        ("it repeats a secret", Loki(refusal=(400, f"bad token {SECRET}")), {}, "answers 400$"),
        ("numbers", Loki(result={"resultType": "matrix", "result": []}), {}, "does the query select lines"),
        ("no result", Loki(result={"resultType": "streams"}), {}, "does the query select lines"),
        ("no labels", Loki(result={"resultType": "streams", "result": [{"values": []}]}), {}, "would not write"),
        ("a part", Loki(more={"warnings": ["ingester 2 is gone"]}), {}, "less than there is: ingester 2 is gone"),
        (
            "a time of many digits",
            Loki(result={"resultType": "streams", "result": [{"stream": {}, "values": [["9" * 400, "ERROR"]]}]}),
            {},
            "would not write",
        ),
        (
            "no times",
            Loki(result={"resultType": "streams", "result": [{"stream": {}, "values": [["soon", "ERROR"]]}]}),
            {},
            "would not write",
        ),
    ],
)
def test_each_refusal_is_told_and_none_is_believed(case: str, loki: Loki, options: dict[str, str], says: str) -> None:
    with pytest.raises(NoAnswer, match=says) as told:
        counted(loki, **options)
    assert SECRET not in str(told.value) and "password" not in str(told.value), case


def test_more_lines_than_an_answer_may_have_are_read_on() -> None:
    """The louder a canary fails, the surer it is failed."""
    loud = [said for ago in (40, 20) for said in [line("web-7c6d-a", ago)] * 6000]
    canary, _stable = counted(Loki(loud))
    assert (canary.bad, canary.total) == (2.0, pytest.approx(40, abs=3))


def test_what_is_too_much_for_a_look_is_read_at_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loki, "_MOST_LINES", 3)
    every_second = [line("web-7c6d-a", ago) for ago in range(5, 55)]
    with logs(Loki(every_second)) as source:
        first, second = (source.look(SIDES, 60.0)[""] for _look in range(2))
    assert isinstance(first, Counted) and isinstance(second, Counted)
    assert first.canary.bad == pytest.approx(8, abs=1) and first.ago > second.ago
    assert first.canary.total + second.canary.total == pytest.approx(24, abs=4)


def test_lines_from_another_time_than_was_asked_do_not_count() -> None:
    """A Loki, or a cache before it, that answers with what it has."""
    values = [[str(int((time.time() - ago) * 1e9)), "ERROR"] for ago in (3600, 0.5)]
    lying = {"resultType": "streams", "result": [{"stream": {"pod": "web-7c6d-a"}, "values": values}]}
    assert counted(Loki(result=lying))[0].bad == 0.0
