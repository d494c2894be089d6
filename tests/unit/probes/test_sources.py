# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sources count: pods' own states, requests of our own, lines of logs, resources."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import RawResponse
from ansible_collections.coalmine.canary.plugins.module_utils.probes import matching, podlogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import LogsAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.podlogs import PodLogs
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
from tests.unit.probes.serving import MUCH_LATER_SECONDS, send, serving
from tests.unit.probes.test_prometheus import OFFSETS


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
            **{"rate": 200.0, "timeout": MUCH_LATER_SECONDS, **options},
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
            while source.costs()["requests"] < 60:
                time.sleep(0.02)
            answers = source.look(replace(self.pods, stable=Version("s", self.pods.stable.pods[:1])), 0.5)[""]
            source.close()
        assert isinstance(answers, Counted)
        assert set(answers.stable.by_pod) == {"s-1"}
        assert answers.canary.total > 20 and abs(answers.canary.total / 2 - answers.stable.total) <= 4

    def test_what_was_sent_to_a_pod_is_not_counted_for_another_of_the_same_name(self) -> None:
        with application(lambda _: 200) as url:
            source = HttpRequests(None, self.asked(url))  # type: ignore[arg-type]
            source.begin(self.pods)
            while source.costs()["requests"] < 60:
                time.sleep(0.02)
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

    def test_an_answer_over_which_the_pattern_never_ends_is_bad_and_stops_nobody(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A canary answers so; the stable pods go on being asked."""
        monkeypatch.setattr(matching, "LONGEST_SECONDS", 0.05)

        def respond(request: BaseHTTPRequestHandler) -> None:
            canary = request.headers["X-Version"] == "canary"
            send(request, b"x" * 1000 if canary else b"xxy")

        with serving(respond) as url:
            source = HttpRequests(None, self.asked(url, body="(x+x+)+y"))  # type: ignore[arg-type]
            source.begin(self.pods)
            begun, seen = time.monotonic(), Counter[str]()
            while not seen["canary bad"] and time.monotonic() - begun < 18:
                time.sleep(0.1)
                answers = source.look(self.pods, 0.1)[""]
                assert isinstance(answers, Counted) and answers.stable.bad == 0
                seen["canary bad"] += int(answers.canary.bad)
                seen["stable"] += int(answers.stable.total)
            source.close()
        assert seen["canary bad"] and seen["stable"]

    def test_what_does_not_get_as_far_as_a_pod_counts_for_nobody_even_after_a_look(self) -> None:
        source = HttpRequests(None, HttpAsked())  # type: ignore[arg-type]
        source._workers = [threading.Thread()]  # nothing is sent but by hand
        source._sent = Counter({(True, "c1"): 3, (False, "s1"): 4})
        first = source.look(self.pods, 1)[""]
        assert isinstance(first, Counted) and (first.canary.total, first.stable.total) == (3, 4)
        source._blocked, source._sent[True, "c1"] = "the server is away", -1
        source._sent[False, "s1"] = 2
        source._bad[False, "s1"] = 1
        with pytest.raises(NoAnswer, match="the server is away"):
            source.look(self.pods, 1)
        source._sent[False, "s1"] += 1
        once = source.look(self.pods, 1)[""]
        assert isinstance(once, Counted) and (once.canary.total, once.stable.total, once.stable.bad) == (0, 3, 1)
        source._sent[True, "c1"] += 3
        source._sent[False, "s1"] += 2
        again = source.look(self.pods, 1)[""]
        assert isinstance(again, Counted)
        assert (again.canary.total, again.stable.total, again.stable.bad) == (2, 2, 0)

    def test_what_is_allowed_is_not_exceeded_and_the_end_is_told(self) -> None:
        arrived: Counter[str] = Counter()

        def respond(request: BaseHTTPRequestHandler) -> int:
            arrived["all"] += 1
            return 200

        with application(respond) as url:
            source = HttpRequests(None, self.asked(url, most=20))  # type: ignore[arg-type]
            source.begin(self.pods)
            begun = time.monotonic()
            with pytest.raises(NoAnswer, match="all 20 requests"):
                while time.monotonic() - begun < MUCH_LATER_SECONDS:
                    time.sleep(0.05)
                    source.look(self.pods, 0.05)
            source.close()
            # The last ones may be on their way.
            while arrived["all"] < 20 and time.monotonic() - begun < MUCH_LATER_SECONDS:
                time.sleep(0.01)
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


@dataclass
class Steps:
    """A clock that only goes on with the node's."""

    node: Node

    def monotonic(self) -> float:
        return self.node.now

    def boottime(self) -> float:
        return self.node.now

    def wall(self) -> float:
        raise AssertionError("no moment of ours is of use here")

    def sleep(self, seconds: float) -> None:
        self.node.now += seconds


class FakeApi:
    """Answers a list as the API server would; only what goes wrong there is of interest here."""

    def __init__(self, answer: Mapping[str, Any], now: float = 1_000_000_000.0) -> None:
        self._answer = answer
        self._now = now

    def raw(self, method: str, path: str, **_: object) -> RawResponse:
        return RawResponse(200, {"Date": formatdate(self._now, usegmt=True)}, json.dumps(self._answer).encode())


@dataclass
class Node:
    """An API server with the logs of pods behind it, as a kubelet hands them out (pkg/kubelet/kuberuntime/logs): from a whole
    second on, the last lines, the first bytes. Its clock, and the pods', begin at `now`; ours is nobody's business.

    `skew`: of the clock that stamps lines. `old`: of the container before.
    """

    now: float = 1_000_000_000.0
    skew: float = 0.0
    lines: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    old: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    refusal: str = ""

    def log(self, pod: str, *texts: str, at: float | None = None) -> None:
        self.lines.setdefault(pod, []).extend((self.now + self.skew if at is None else at, text) for text in texts)

    def raw(
        self, method: str, path: str, *, query: Mapping[str, str], max_bytes: int, timeout: float, headers: object
    ) -> RawResponse:
        self.asked.append(query)
        pod = path.split("/")[-2]
        kept = (self.old if "previous" in query else self.lines).get(pod)
        if self.refusal or (kept is None and "previous" in query):
            status = {"kind": "Status", "message": self.refusal or "previous terminated container not found"}
            return RawResponse(400, {}, json.dumps(status).encode())
        since = datetime.fromisoformat(
            query.get("sinceTime", "1970-01-01T00:00:00Z").replace("Z", "+00:00")
        ).timestamp()
        wanted = [(at, text) for at, text in kept or () if at >= since]
        wanted = wanted[-int(query["tailLines"]) :] if "tailLines" in query else wanted
        data = "".join(f"{stamped(at)} {text}\n" for at, text in wanted).encode()[: int(query["limitBytes"])]
        return RawResponse(
            200, {"Date": formatdate(int(self.now), usegmt=True)}, data[:max_bytes], len(data) > max_bytes
        )


def stamped(at: float) -> str:
    return f"{datetime.fromtimestamp(int(at), timezone.utc).strftime('%Y-%m-%dT%H:%M:%S')}.{int(at % 1 * 1e9):09d}Z"


class TestLogs:
    pods = sides((ProbedPod("c-1", "c1"),), (ProbedPod("s-1", "s1"),))

    @contextmanager
    def reading(self, node: Node, pattern: str = "ERROR", **options: Any) -> Iterator[PodLogs]:
        """A source that has begun, beside pods that have just logged a line each."""
        for pod in ("c-1", "s-1"):
            node.log(pod, "ready")
        source = PodLogs(node, LogsAsked(pattern, **options), Steps(node))  # type: ignore[arg-type]
        try:
            source.begin(self.pods)
            yield source
        finally:
            source.close()

    def look(self, source: PodLogs, pods: Sides | None = None) -> Counted:
        counted = source.look(pods or self.pods, 5)[""]
        assert isinstance(counted, Counted)
        return counted

    @pytest.mark.parametrize("of_nodes", [-3600.0, -5.0, 0.0, 5.0, 3600.0])
    @pytest.mark.parametrize("ours", OFFSETS)
    def test_no_clock_of_ours_or_of_a_node_decides(
        self, ours: float, of_nodes: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A canary that logs an error every second is seen at every second."""
        monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0 + ours)
        node, seen = Node(skew=of_nodes), 0.0
        for pod in ("c-1", "s-1"):
            node.log(pod, "ready")
        source = PodLogs(node, LogsAsked("ERROR"), Steps(node))  # type: ignore[arg-type]
        try:
            for second in range(12):
                node.now += 1
                node.log("c-1", "ERROR: no")
                node.log("s-1", "fine")
                with suppress(NoAnswer):
                    for counted in source.look(self.pods, 1).values():
                        assert isinstance(counted, Counted) and second > 0
                        assert counted.stable.bad == 0 and counted.canary.total == pytest.approx(1)
                        seen += counted.canary.bad
        finally:
            source.close()
        assert seen >= 10

    @pytest.mark.parametrize(
        ("stamp", "second"),
        [
            ("2026-02-28T23:59:59.999999999Z", 1772323199),
            ("2026-02-28T23:59:59Z", 1772323199),
            ("2026-03-01T01:59:59.5+02:00", 1772323199),
            ("2026-02-28T18:29:59-05:30", 1772323199),
            ("2026-02-30T00:00:00Z", None),
            ("2026-02-28T23:59:60Z", None),
            ("2026-02-28 23:59:59Z", None),
            ("2026-02-28T23:59:59", None),
            ("1772323199", None),
        ],
    )
    def test_a_stamp_is_a_second(self, stamp: str, second: int | None) -> None:
        source = PodLogs(FakeApi({}), LogsAsked("ERROR"))  # type: ignore[arg-type]
        found = list(source._parsed(f"{stamp} a line\n".encode()))
        assert found == ([] if second is None else [(second, "a line")])

    def test_a_stack_of_lines_in_a_second_counts_once(self) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 1
            node.log("c-1", "ERROR a", "ERROR b")
            node.now += 1
            node.log("c-1", "ERROR c")
            node.now += 1
            node.log("c-1", "fine")
            counted = self.look(source)
            assert (counted.canary.bad, counted.canary.total) == (2, pytest.approx(3))
            assert self.look(source).canary.bad == 0, "the same lines come again"

    def test_a_line_that_arrives_late_counts_and_one_that_is_later_than_that_does_not(self) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 10
            node.log("c-1", "fine")
            self.look(source)
            node.log("c-1", "ERROR", at=node.now - 1)
            node.log("c-1", "ERROR", at=node.now - 5)
            node.now += 1
            assert self.look(source).canary.bad == 1

    def test_what_was_logged_before_does_not_count(self) -> None:
        node = Node()
        node.log("c-1", *["ERROR long ago"] * 100)
        with self.reading(node) as source:
            node.now += 1
            assert self.look(source).canary.bad == 0

    def test_the_past_of_a_pod_that_joins_does_not_count(self) -> None:
        node = Node()
        node.log("c-2", *["ERROR long ago"] * 100)
        more = sides((*self.pods.canary.pods, ProbedPod("c-2", "c2")), self.pods.stable.pods)
        with self.reading(node) as source:
            node.now += 1
            assert self.look(source, more).canary.bad == 0
            node.now += 1
            node.log("c-2", "ERROR of today")
            assert self.look(source, more).canary.by_pod == {"c-1": 0, "c-2": 1}

    def test_the_end_of_a_log_whose_container_began_again_counts(self) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 1
            node.old["c-1"] = [*node.lines["c-1"], (node.now, "ERROR: out of luck")]
            node.now += 1
            node.lines["c-1"] = [(node.now, "hello again")]
            assert (
                self.look(source, sides((ProbedPod("c-1", "c1", restarts=1),), self.pods.stable.pods)).canary.bad == 1
            )
            node.now += 1
            again = sides((ProbedPod("c-1", "c1", restarts=2),), self.pods.stable.pods)
            node.old.clear()
            assert self.look(source, again).canary.bad == 0, "the log of the container before is gone"

    def test_logs_in_which_nobody_writes_are_no_data(self) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 100
            self.look(source)
            node.now += 100
            with pytest.raises(NoAnswer, match="has logged a line in the last 120 seconds"):
                source.look(self.pods, 5)
            node.log("s-1", "fine")
            assert self.look(source).canary.total == pytest.approx(100)
            assert "and the canary none at all" in source.doubt()
            node.log("c-1", "fine")
            self.look(source)
            assert source.doubt() == ""

    def test_lines_without_a_time_stamp_are_no_data(self) -> None:
        node = Node()
        with self.reading(node) as source, pytest.MonkeyPatch.context() as patch:
            patch.setattr(node, "raw", lambda *_, **__: RawResponse(200, {}, b"ERROR without a stamp\n"))
            with pytest.raises(NoAnswer, match="without time stamps"):
                source.look(self.pods, 5)

    @pytest.mark.parametrize("feed", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
    def test_a_pod_cannot_write_stamps(self, feed: str) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 1
            stamps = (
                stamped(node.now + 5),
                "2026-13-45T99:99:99Z",
                "2026-01-01T00:00:00+99:99",
                "9999-12-31T23:59:59Z",
            )
            node.log("s-1", *(f"fine{feed}{stamp} ERROR" for stamp in stamps))
            assert self.look(source).stable.bad == 1, "one second"
            node.now += 1
            node.log("s-1", "ERROR")
            assert self.look(source).stable.bad == 1, "lines after it are read on from its own stamps"

    @pytest.mark.parametrize("size", [20_000, 2 << 20])
    def test_a_long_line_costs_no_more_than_its_beginning_and_is_told(self, size: int) -> None:
        node = Node()
        with self.reading(node, ".*ERROR.*timeout.*") as source:
            node.now += 1
            node.log("c-1", "ERROR " * (size // 6))
            node.log("s-1", f"ERROR {'x' * size} timeout")
            counted = self.look(source)
            assert (counted.canary.bad, counted.stable.bad) == (0, 0)
            assert "4096 bytes were cut" in source.doubt()

    def test_a_pattern_that_never_ends_over_a_line_is_no_data_for_that_second_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(matching, "LONGEST_SECONDS", 0.05)
        node = Node()
        with self.reading(node, "(x+x+)+y|ERROR") as source:
            node.now += 1
            node.log("c-1", "x" * 1000, "ERROR")
            node.log("s-1", "ERROR")
            with pytest.raises(NoAnswer, match="the pattern takes too long over a line of pod c-1"):
                source.look(self.pods, 5)
            node.now += 1
            node.log("c-1", "ERROR")
            counted = self.look(source)
        assert (counted.canary.bad, counted.stable.bad, counted.canary.total) == (1, 1, pytest.approx(2))

    def test_more_than_can_be_read_at_a_look_is_told_and_read_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(podlogs, "LARGEST_LOG", 10_000)
        monkeypatch.setattr(podlogs, "_LEAST_LOG", 10_000)
        node = Node()
        with self.reading(node) as source:
            for _ in range(4):
                node.now += 1
                node.log("c-1", *["much ado"] * 100, "ERROR")
            with pytest.raises(NoAnswer, match="pod c-1 logs more than can be read at a look"):
                source.look(self.pods, 5)
            counted = self.look(source)
        assert counted.canary.bad == 4

    def test_a_second_of_more_than_can_be_read_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(podlogs, "LARGEST_LOG", 10_000)
        monkeypatch.setattr(podlogs, "_LEAST_LOG", 10_000)
        node = Node()
        with self.reading(node) as source:
            node.now += 1
            node.log("c-1", "x" * 20_000)
            for _ in range(2):
                with pytest.raises(NoAnswer, match="more than can be read"):
                    source.look(self.pods, 5)
            node.now += 1
            node.log("c-1", "ERROR")
            assert self.look(source).canary.bad == 1

    def test_a_log_that_cannot_be_read_is_told_and_the_others_are_read_on(self) -> None:
        node = Node()
        with self.reading(node) as source:
            node.now += 1
            node.log("c-1", "ERROR")
            node.refusal = "container app is waiting to start"
            with pytest.raises(NoAnswer, match="the log of pod c-1 cannot be read: container app is waiting to start"):
                source.look(self.pods, 5)
            node.refusal = ""
            assert self.look(source).canary.bad == 1

    @pytest.mark.parametrize(
        ("asked", "containers", "default", "read"),
        [
            ("", ("app",), "", "app"),
            ("", ("istio-proxy", "app"), "app", "app"),
            ("istio-proxy", ("app", "istio-proxy"), "app", "istio-proxy"),
            ("", ("app",), "gone", "app"),
            ("", (), "", None),
        ],
    )
    def test_whose_log_is_read(self, asked: str, containers: tuple[str, ...], default: str, read: str | None) -> None:
        node = Node()
        pods = sides((ProbedPod("c-1", "c1", containers=containers, default_container=default),), ())
        node.log("c-1", "ready")
        source = PodLogs(node, LogsAsked("ERROR", container=asked), Steps(node))  # type: ignore[arg-type]
        source.begin(pods)
        assert [query.get("container") for query in node.asked] == [read]

    @pytest.mark.parametrize(
        ("asked", "default", "says"),
        [
            ("", "", r"pod c-1 has the containers app, istio-proxy, and no annotation .*: say in container"),
            ("", "gone", "say in container"),
            ("web", "app", "has no container web, whose log a check asks for; it has app, istio-proxy"),
        ],
    )
    def test_a_container_that_nobody_can_tell_is_refused_at_once(self, asked: str, default: str, says: str) -> None:
        node = Node()
        pods = sides((ProbedPod("c-1", "c1", containers=("app", "istio-proxy"), default_container=default),), ())
        source = PodLogs(node, LogsAsked("ERROR", container=asked), Steps(node))  # type: ignore[arg-type]
        with pytest.raises(Misasked, match=says):
            source.begin(pods)
        assert not node.asked

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
