# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted of lines of logs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import RawResponse
from ansible_collections.coalmine.canary.plugins.module_utils.probes import matching, podlogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import LogsAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.podlogs import PodLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    Misasked,
    NoAnswer,
    ProbedPod,
    Sides,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.unit.probes.pods import FakeApi, sides, stamped
from tests.unit.probes.test_prometheus import OFFSETS


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


@dataclass
class Node:
    """An API server with the logs of pods behind it, as a kubelet hands them out (pkg/kubelet/kuberuntime/logs): from a whole
    second on, the last lines, the first bytes. Its clock, and the pods', begin at `now`; ours is nobody's business.

    `skew`: of the clock that stamps lines. `old`: of the container before. `lost`: pods whose node answers nobody.
    """

    now: float = 1_000_000_000.0
    skew: float = 0.0
    lines: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    old: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    refusal: str = ""
    lost: set[str] = field(default_factory=set)

    def log(self, pod: str, *texts: str, at: float | None = None) -> None:
        self.lines.setdefault(pod, []).extend((self.now + self.skew if at is None else at, text) for text in texts)

    def raw(
        self, method: str, path: str, *, query: Mapping[str, str], max_bytes: int, timeout: float, headers: object
    ) -> RawResponse:
        self.asked.append(query)
        pod = path.split("/")[-2]
        kept = (self.old if "previous" in query else self.lines).get(pod)
        if self.refusal or pod in self.lost or (kept is None and "previous" in query):
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

    def test_a_log_on_a_node_that_is_lost_keeps_the_others_from_nothing(self) -> None:
        node, canary = Node(), (ProbedPod("c-1", "c1"),)
        with self.reading(node) as source:
            both = sides(canary, (ProbedPod("s-1", "s1"), ProbedPod("s-2", "s2")))
            assert self.look(source, both).stable.total == 0
            node.now += 1
            node.log("c-1", "ERROR")
            node.lost = {"s-1"}
            given = self.look(source, sides(canary, (ProbedPod("s-1", "s1", ready=False), ProbedPod("s-2", "s2"))))
            assert (given.canary.bad, given.canary.total, given.stable.total) == (1, 1, 1)

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
            ({}, "^pattern is needed"),
            ({"pattern": "("}, "regular expression"),
            ({"web": Web("http://loki"), "pattern": "x"}, "^query is needed"),
            ({"web": Web("http://loki"), "query": '{app="x"}'}, "the same for both versions"),
            ({"web": Web("http://loki"), "query": 'rate("<pods>")'}, "selects no streams"),
            ({"pattern": "x", "settled_after": -1}, "^settled_after is -1: give 0 to 600"),
            ({"pattern": "x", "settled_after": 601}, "give 0 to 600"),
        ],
    )
    def test_questions_that_cannot_be_are_refused(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(Misasked, match=says):
            LogsAsked(**options)
