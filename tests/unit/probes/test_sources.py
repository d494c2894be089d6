# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sources count: pods' own states, requests of our own, lines of logs, resources."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import RawResponse
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import Logs, LogsAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.podstates import PodStates
from ansible_collections.coalmine.canary.plugins.module_utils.probes.requests import HttpAsked, HttpRequests
from ansible_collections.coalmine.canary.plugins.module_utils.probes.resources import Resources, ResourcesAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    Misasked,
    NoAnswer,
    ProbedPod,
    Sides,
    Value,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.ways import Via
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.unit.probes.serving import serving


def sides(canary: tuple[ProbedPod, ...], stable: tuple[ProbedPod, ...], evicted: tuple[ProbedPod, ...] = ()) -> Sides:
    return Sides("shop", Version("c", canary, evicted), Version("s", stable))


class TestPodStates:
    stable = (ProbedPod("s-1", "s1"), ProbedPod("s-2", "s2"))
    good = ProbedPod("c-1", "c1")

    @pytest.mark.parametrize(
        ("case", "now", "bad"),
        [
            ("nothing happened", good, 0),
            ("restarts count each", ProbedPod("c-1", "c1", restarts=2), 2),
            ("readiness lost", ProbedPod("c-1", "c1", ready=False), 1),
            ("a crash is one event, not two", ProbedPod("c-1", "c1", ready=False, restarts=1), 1),
            ("another pod in its place is new", ProbedPod("c-2", "c2", ready=False), 0),
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

    def test_an_eviction_counts_once(self) -> None:
        source, gone = PodStates(), (ProbedPod("c-1", "c1"),)
        source.begin(sides((self.good,), self.stable))
        for expected in (1, 0):
            counted = source.look(sides((), self.stable, evicted=gone), 5)[""]
            assert isinstance(counted, Counted) and counted.canary.bad == expected


@contextmanager
def application(status: Callable[[BaseHTTPRequestHandler], int]) -> Iterator[str]:
    """An application that answers each request with the status that it is given."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status(request))
        request.send_header("Content-Length", "4")
        request.end_headers()
        request.wfile.write(b"fine")

    with serving(respond) as url:
        yield url


class TestRequests:
    pods = sides((ProbedPod("c-1", "c1"),), (ProbedPod("s-1", "s1"), ProbedPod("s-2", "s2")))

    def asked(self, url: str, **options: Any) -> HttpAsked:
        return HttpAsked(
            via=Via.URL,
            web=Web(url),
            canary_headers={"X-Version": "canary"},
            stable_headers={"X-Version": "stable"},
            **{"rate": 200.0, "timeout": 2.0, **options},
        )

    def counted(self, asked: HttpAsked, enough: int) -> tuple[Counter[str], HttpRequests]:
        """Looks again and again until so many requests were counted."""
        source = HttpRequests(None, asked)  # type: ignore[arg-type]
        source.begin(self.pods)
        seen: Counter[str] = Counter()
        try:
            for _ in range(200):
                time.sleep(0.02)
                answers = source.look(self.pods, 0.02)[""]
                assert isinstance(answers, Counted)
                for version, tally in (("canary", answers.canary), ("stable", answers.stable)):
                    seen[f"{version} bad"] += int(tally.bad)
                    seen[version] += int(tally.total)
                if seen["canary"] + seen["stable"] >= enough:
                    break
        finally:
            source.close()
        return seen, source

    def test_versions_take_turns_and_bad_answers_are_told_apart(self) -> None:
        def respond(request: BaseHTTPRequestHandler) -> int:
            return 500 if request.headers["X-Version"] == "canary" else 200

        with application(respond) as url:
            seen, _ = self.counted(self.asked(url), enough=60)
        # Four requests at most are under way at a time.
        assert abs(seen["canary"] - seen["stable"]) <= 4
        assert seen["canary"] - 4 <= seen["canary bad"] <= seen["canary"]
        assert seen["stable bad"] == 0

    def test_a_pod_that_a_rollout_takes_away_counts_for_nothing_good_or_bad(self) -> None:
        with application(lambda _: 200) as url:
            source = HttpRequests(None, self.asked(url))  # type: ignore[arg-type]
            source.begin(self.pods)
            time.sleep(0.5)
            answers = source.look(replace(self.pods, stable=Version("s", self.pods.stable.pods[:1])), 0.5)[""]
            source.close()
        assert isinstance(answers, Counted)
        assert set(answers.stable.by_pod) == {"s-1"}
        assert answers.canary.total > 20 and abs(answers.canary.total / 2 - answers.stable.total) <= 4

    def test_what_was_sent_to_a_pod_is_not_counted_for_another_of_the_same_name(self) -> None:
        with application(lambda _: 200) as url:
            source = HttpRequests(None, self.asked(url))  # type: ignore[arg-type]
            source.begin(self.pods)
            time.sleep(0.5)
            answers = source.look(replace(self.pods, canary=Version("c", (ProbedPod("c-1", "another"),))), 0.5)[""]
            source.close()
        assert isinstance(answers, Counted)
        assert answers.canary.total <= 4 and answers.stable.total > 20

    @pytest.mark.parametrize(
        ("case", "options", "status"),
        [("body", {"body": "wrong"}, 200), ("status", {"status": (204,)}, 200), ("slow", {"slow_ms": 0.0001}, 200)],
    )
    def test_a_stable_version_without_good_answers_is_told_before_the_run(
        self, case: str, options: dict[str, Any], status: int
    ) -> None:
        with application(lambda _: status) as url:
            source = HttpRequests(None, self.asked(url, **options))  # type: ignore[arg-type]
            with pytest.raises(NoAnswer, match="not what a good answer was said to be"):
                source.begin(self.pods)
            assert source.costs()["requests"] == 3

    def test_what_is_allowed_is_not_exceeded_and_the_end_is_told(self) -> None:
        arrived: Counter[str] = Counter()

        def respond(request: BaseHTTPRequestHandler) -> int:
            arrived["all"] += 1
            return 200

        with application(respond) as url:
            source = HttpRequests(None, self.asked(url, most=20))  # type: ignore[arg-type]
            source.begin(self.pods)
            with pytest.raises(NoAnswer, match="all 20 requests"):
                for _ in range(100):
                    time.sleep(0.05)
                    source.look(self.pods, 0.05)
            source.close()
        assert arrived["all"] == 20 == source.costs()["requests"]

    def test_bytes_are_counted_and_priced(self) -> None:
        with application(lambda _: 200) as url:
            _, source = self.counted(self.asked(url, price_per_gb=0.09), enough=20)
        costs = source.costs()
        assert costs["bytes_in"] > 4 * 20 and costs["bytes_out"] > 0
        assert costs["price"] == pytest.approx((costs["bytes_in"] + costs["bytes_out"]) / 1e9 * 0.09, rel=0.5)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"path": "healthz"}, "begins with /"),
            ({"rate": 0}, "rate"),
            ({"body": "("}, "regular expression"),
            ({"via": Via.URL}, "url"),
            (
                {"headers": {"Authorization": "Bearer s3cr3t"}},
                "Authorization .* in place of our own.*via: port_forward",
            ),
            ({"canary_headers": {"authorization": "Bearer s3cr3t"}}, "in place of our own"),
            ({"stable_headers": {"Impersonate-User": "admin"}}, "Impersonate-User .* in place of our own"),
            ({"via": Via.AUTO, "headers": {"IMPERSONATE-GROUP": "s3cr3t"}}, "via: auto; use"),
        ],
    )
    def test_questions_that_cannot_be_are_refused(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(Misasked, match=says) as told:
            HttpAsked(**options)
        assert "s3cr3t" not in str(told.value)

    @pytest.mark.parametrize("via", [Via.POD, Via.PORT_FORWARD])
    def test_an_application_that_asks_for_credentials_gets_them_past_the_proxy(self, via: Via) -> None:
        assert HttpAsked(via=via, headers={"Authorization": "Bearer s3cr3t"}).headers

    def test_versions_that_no_header_tells_apart_are_refused(self) -> None:
        with pytest.raises(Misasked, match="tell the versions apart"):
            HttpAsked(via=Via.URL, web=Web("http://host"))


class FakeApi:
    """Answers a log or a list as the API server would; only what goes wrong there is of interest here."""

    def __init__(self, text: str = "", answer: Mapping[str, Any] | None = None) -> None:
        self._text = text
        self._answer = answer or {}

    def text(self, path: str, query: Mapping[str, str], *, max_bytes: int) -> str:
        return self._text[:max_bytes]

    def raw(self, method: str, path: str, **_: object) -> RawResponse:
        return RawResponse(200, {}, json.dumps(self._answer).encode())


def stamped(*lines: tuple[float, str]) -> str:
    return "".join(
        f"{datetime.fromtimestamp(at, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S')}.123456789Z {text}\n"
        for at, text in lines
    )


class TestLogs:
    pods = sides((ProbedPod("c-1", "c1"),), (ProbedPod("s-1", "s1"),))

    def look(self, *lines: tuple[float, str]) -> Counted:
        api = FakeApi()
        source = Logs(api, LogsAsked("ERROR"))  # type: ignore[arg-type]
        source.begin(self.pods)
        source._since -= 60
        api._text = stamped(*lines)
        counted = source.look(self.pods, 5)[""]
        assert isinstance(counted, Counted)
        return counted

    def test_a_stack_of_lines_in_a_second_counts_once(self) -> None:
        second = int(time.time()) - 20
        counted = self.look((second, "ERROR a"), (second, "ERROR b"), (second + 1, "ERROR c"), (second + 2, "fine"))
        assert counted.canary.bad == 2
        assert counted.canary.total == pytest.approx(60, abs=3)

    def test_what_was_logged_before_does_not_count(self) -> None:
        assert self.look((time.time() - 600, "ERROR long ago")).canary.bad == 0

    def test_lines_without_a_time_stamp_do_not_count(self) -> None:
        api = FakeApi("ERROR without a stamp\n")
        source = Logs(api, LogsAsked("ERROR"))  # type: ignore[arg-type]
        source.begin(self.pods)
        source._since -= 60
        counted = source.look(self.pods, 5)[""]
        assert isinstance(counted, Counted) and counted.canary.bad == 0

    def test_what_has_not_settled_waits_for_a_later_look(self) -> None:
        source = Logs(FakeApi(stamped((time.time(), "ERROR"))), LogsAsked("ERROR"))  # type: ignore[arg-type]
        source.begin(self.pods)
        assert source.look(self.pods, 1) == {}

    def test_more_than_can_be_read_is_told(self) -> None:
        source = Logs(FakeApi("x" * (3 << 20)), LogsAsked("ERROR"))  # type: ignore[arg-type]
        with pytest.raises(NoAnswer, match="logs more than 2 MiB"):
            source.begin(self.pods)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "need a pattern"),
            ({"pattern": "("}, "regular expression"),
            ({"web": Web("http://loki"), "pattern": "x"}, "instead of a pattern"),
            ({"web": Web("http://loki"), "query": '{app="x"}'}, "the same for both versions"),
            ({"web": Web("http://loki"), "query": 'rate("<pods>")'}, "selects no streams"),
            ({"pattern": "x", "settled_after": -1}, "settled_after -1: give 0 to 600"),
            ({"pattern": "x", "settled_after": 601}, "give 0 to 600"),
        ],
    )
    def test_questions_that_cannot_be_are_refused(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(Misasked, match=says):
            LogsAsked(**options)


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
            ({"c_1": "lots", "s_1": "1"}, "no quantity"),
            ({"c_1": "NaN", "s_1": "1"}, "no quantity"),
            ({"c_1": "inf", "s_1": "1"}, "no quantity"),
            ({"c_1": "-5Mi", "s_1": "1"}, "no quantity"),
        ],
    )
    def test_what_cannot_be_compared_is_told(self, memory: dict[str, str], says: str) -> None:
        with pytest.raises(NoAnswer, match=says):
            self.ratio(**memory)

    @pytest.mark.parametrize(
        "item",
        [
            {"containers": []},
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
