# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted of requests of our own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes import matching
from ansible_collections.coalmine.canary.plugins.module_utils.probes.requests import HttpAsked, HttpRequests
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    Misasked,
    NoAnswer,
    ProbedPod,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.ways import Via
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.unit.probes.pods import sides
from tests.unit.probes.serving import MUCH_LATER_SECONDS, send, serving


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
            ({"path": "healthz"}, "^path does not begin with /"),
            ({"rate": 0}, "rate"),
            ({"body": "("}, "regular expression"),
            ({"via": Via.URL}, "url"),
            (
                {"headers": {"Authorization": "Bearer s3cr3t"}},
                "^headers has Authorization.* in place of our own.*via: port_forward",
            ),
            ({"canary_headers": {"authorization": "Bearer s3cr3t"}}, "in place of our own"),
            (
                {"stable_headers": {"Impersonate-User": "admin"}},
                "^stable_headers has Impersonate-User.* in place of our own",
            ),
            ({"via": Via.AUTO, "headers": {"IMPERSONATE-GROUP": "s3cr3t"}}, "via: auto. Use"),
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
