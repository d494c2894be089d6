# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus that is dead, slow or lies, and counters that begin, restart and vanish.

The server here is one that goes wrong on request; what a real one answers is tested where a real one runs.
"""

from __future__ import annotations

import json
import re
import resource
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import Plan, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.trial import Trial
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.probes.counters import MOST_SERIES, Counters
from ansible_collections.coalmine.canary.plugins.module_utils.probes.placeholders import filled, pods_pattern
from ansible_collections.coalmine.canary.plugins.module_utils.probes.prometheus import (
    PerVersion,
    PrometheusAsked,
    prometheus,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    Misasked,
    NoAnswer,
    ProbedPod,
    Sides,
    Tally,
    Value,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import LARGEST_BODY, Web
from tests.unit.probes.serving import MUCH_LATER_SECONDS, Respond, hang, send, serving

SECRET = "s3cr3t-t0ken"
SIDES = Sides(
    "shop",
    canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)),
    stable=Version("5d5f", (ProbedPod("web-5d5f-a", "2"), ProbedPod("web-5d5f-b", "3"))),
)
ERRORS = 'errors{pod=~"<pods>"}'
REQUESTS = 'requests{pod=~"<pods>"}'
# Of the clock of the machine that asks, in seconds.
OFFSETS = (-3600.0, -5.0, 5.0, 3600.0)


def answer(body: object, status: int = 200) -> Respond:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def respond(request: BaseHTTPRequestHandler) -> None:
        send(request, data, status)

    return respond


def vector(*values: tuple[dict[str, str], str | int]) -> dict[str, object]:
    rows = [{"metric": labels, "value": [0, value]} for labels, value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}}


def drip(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever: no timeout of a socket ends this."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        return


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"[" * 65536)
    except OSError:
        return


def half(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"{}")


def redirect(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "http://127.0.0.1:9/")
    request.end_headers()


def one_value(url: str, timeout: float = 5.0) -> float:
    source = prometheus(PrometheusAsked(Web(url, token=SECRET, timeout=timeout), query="up"))
    given = source.look(SIDES, 5)[""]
    assert isinstance(given, Value)
    return given.value


class TestLies:
    @pytest.mark.parametrize(
        ("case", "respond", "says"),
        [
            ("401", answer({}, 401), "answers 401: check the token"),
            ("403", answer({}, 403), "answers 403"),
            ("500 with its own words", answer({"status": "error", "error": "query timed out"}, 503), "query timed out"),
            ("500 with a page", answer(b"<html>internal: db password</html>", 500), "answers 500$"),
            ("a redirect is not followed", redirect, "answers 302"),
            ("no JSON", answer(b"<html>login</html>"), "not answer with a JSON object"),
            ("JSON that is no answer", answer({"data": []}), "not answer as Prometheus does"),
            ("deep JSON", answer(b"[" * 100_000), "not answer with a JSON object"),
            ("an empty vector", answer(vector()), "an empty vector where one value is needed"),
            ("several series", answer(vector(({"a": "1"}, "1"), ({"a": "2"}, "2"))), "2 series where one value"),
            ("NaN", answer(vector(({}, "NaN"))), "NaN: nothing was counted"),
            ("infinity", answer(vector(({}, "+Inf"))), "Inf: nothing was counted"),
            ("no number", answer(vector(({}, "many"))), "not a number"),
            ("more digits than a number has", answer(vector(({}, 10**400))), "not a number"),  # type: ignore[arg-type]
            ("a label that is no text", answer(vector(({"a": ["1"]}, "1"))), "a label that is no text"),  # type: ignore[dict-item]
            ("the same series twice", answer(vector(({"a": "1"}, "1"), ({"a": "1"}, "2"))), "the same series twice"),
            (
                "a moment that is none",
                answer({"status": "success", "data": {"resultType": "scalar", "result": ["soon", "1"]}}),
                "not a number",
            ),
            (
                "a range",
                answer({"status": "success", "data": {"resultType": "matrix", "result": []}}),
                "gives a matrix where an instant vector",
            ),
            ("half a body", half, "not answer as HTTP does"),
            ("a huge body", endless, "more than 4 MiB"),
        ],
    )
    def test_each_is_told_and_none_is_believed(self, case: str, respond: Respond, says: str) -> None:
        with serving(respond) as url, pytest.raises(NoAnswer, match=says) as told:
            one_value(url)
        assert SECRET not in str(told.value)
        assert "db password" not in str(told.value)

    def test_a_dead_server_is_told_at_once(self) -> None:
        with serving(answer({})) as url:
            pass
        with pytest.raises(NoAnswer, match="cannot be reached"):
            one_value(url)

    @pytest.mark.parametrize("respond", [drip, hang], ids=["drips", "hangs"])
    def test_the_wait_is_bounded(self, respond: Respond) -> None:
        begun = time.monotonic()
        with serving(respond) as url, pytest.raises(NoAnswer, match=r"within 0.5 seconds"):
            one_value(url, timeout=0.5)
        assert time.monotonic() - begun < MUCH_LATER_SECONDS

    def test_memory_is_bounded(self) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3):
            with serving(endless) as url, pytest.raises(NoAnswer):
                one_value(url)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < 8 * LARGEST_BODY

    def test_one_value_is_one_value(self) -> None:
        with serving(answer(vector(({}, "0.25")))) as url:
            assert one_value(url) == 0.25

    @pytest.mark.parametrize(
        ("web", "says"),
        [
            ({"url": "ftp://host"}, "http://"),
            ({"url": "http://"}, "name a host"),
            ({"url": f"http://me:{SECRET}@host"}, "options of their own"),
            ({"url": "http://host:99999"}, "cannot be read"),
            ({"url": "http://host", "headers": {"A": "b\r\nC: d"}}, "line break"),
            ({"url": "http://host", "token": SECRET, "username": "me"}, "give one of them"),
        ],
    )
    def test_a_way_that_cannot_be_is_refused_without_its_secret(self, web: dict, says: str) -> None:
        with pytest.raises(Misasked, match=says) as told:
            Web(**web)
        assert SECRET not in str(told.value)

    def test_a_secret_is_not_in_the_repr(self) -> None:
        assert SECRET not in repr(Web("http://host", {"Authorization": SECRET}, SECRET, password=SECRET))


A, B = (("pod", "a"),), (("pod", "b"),)
A500, B500 = ((("code", "500"), *series) for series in (A, B))
SUM = (("code", "500"),)


def version(*pods: str) -> Version:
    """Pods by name, whose uid may follow a slash."""
    return Version("h", tuple(ProbedPod(*(pod if "/" in pod else f"{pod}/{pod}").split("/")) for pod in pods))


BOTH = version("a", "b")


class TestCounters:
    def after(self, first: dict, *looks: dict) -> dict:
        """What the last look adds, where the pods stay."""
        counters = Counters()
        added = counters.grown(first, BOTH).by_series
        for values in looks:
            added = counters.grown(values, BOTH).by_series
        return dict(added)

    def test_counting_starts_at_the_first_look(self) -> None:
        assert self.after({A: 900}) == {A: 0}

    def test_increases_are_exact(self) -> None:
        assert self.after({A: 900}, {A: 907}) == {A: 7}

    def test_servers_that_take_turns_and_are_a_scrape_apart_count_what_one_of_them_would(self) -> None:
        counters = Counters()
        counters.grown({A: 900}, BOTH)
        ahead, behind = [920, 940, 960], [905, 925, 945]
        looks = [value for both in zip(ahead, behind, strict=True) for value in both]
        assert sum(counters.grown({A: value}, BOTH).by_series[A] for value in looks) == 60

    @pytest.mark.parametrize(("value", "increase"), [(1, 1), (449, 449), (450, 0), (899, 0), (900, 0), (901, 1)])
    def test_less_than_half_is_a_restart_and_more_is_a_server_behind(self, value: int, increase: int) -> None:
        assert self.after({A: 900}, {A: value}) == {A: increase}

    def test_what_is_left_of_a_sum_after_a_restart_of_one_pod_is_nothing_new(self) -> None:
        assert self.after({SUM: 1000}, {SUM: 103}) == {SUM: 0}
        assert self.after({SUM: 1000}, {SUM: 103}, {SUM: 110}) == {SUM: 7}

    def test_an_error_counter_appears_with_its_first_error(self) -> None:
        assert self.after({A: 900}, {A: 900, A500: 2}) == {A: 0, A500: 2}
        total = Counters()
        bad = Counters(of_all=total)
        for requests, errors in (({B: 900}, {}), ({B: 907}, {B: 2})):
            added = bad.grown(errors, BOTH).by_series
            total.grown(requests, BOTH)
        assert added == {B: 2}

    def test_the_past_of_a_pod_that_was_not_scraped_at_first_is_not_counted(self) -> None:
        total = Counters()
        bad = Counters(of_all=total)
        looks = [({A: 900}, {}), ({A: 910, B: 5000}, {B: 300}), ({A: 920, B: 5010}, {B: 301, B500: 1})]
        seen = []
        for requests, errors in looks:
            seen.append((bad.grown(errors, BOTH).by_series, total.grown(requests, BOTH).by_series))
        assert seen == [({}, {A: 0}), ({B: 0}, {A: 10, B: 0}), ({B: 1, B500: 1}, {A: 10, B: 10})]

    def test_a_series_that_was_not_scraped_for_a_while_goes_on(self) -> None:
        assert self.after({A: 900, B: 50}, {A: 910}, {A: 920, B: 53}) == {A: 10, B: 3}

    @pytest.mark.parametrize(
        ("case", "series", "before", "now", "added", "unclear"),
        [
            ("the pods stay", SUM, ("a", "b"), ("b", "a"), 100, False),
            ("a pod of many requests joins, as one that was not Ready", SUM, ("a",), ("a", "b"), 0, True),
            ("a pod leaves", SUM, ("a", "b"), ("a",), 0, True),
            ("a pod is made anew with the same name", SUM, ("a/1",), ("a/2",), 0, True),
            ("the series names its pod", A, ("a",), ("a", "b"), 100, False),
            ("by another label", (("kubernetes_pod", "a"), ("pod", "exporter")), ("a",), ("a", "b"), 100, False),
            ("the pod of the series joins", B, ("a",), ("a", "b"), 0, False),
            ("the pod of the series is made anew", A, ("a/1", "b"), ("a/2", "b"), 0, False),
            ("a pod that is not of these", (("pod", "c"),), ("a",), ("a", "b"), 100, False),
        ],
    )
    def test_a_past_that_nobody_has_counted_is_not_counted_when_pods_change(
        self,
        case: str,
        series: tuple[tuple[str, str], ...],
        before: tuple[str, ...],
        now: tuple[str, ...],
        added: int,
        unclear: bool,
    ) -> None:
        counters = Counters()
        counters.grown({series: 900}, version(*before))
        grown = counters.grown({series: 1000}, version(*now))
        assert (grown.by_series, grown.unclear) == ({series: added}, unclear), case
        again = counters.grown({series: 1003}, version(*now))
        assert (again.by_series, again.unclear) == ({series: 3}, False), case

    @pytest.mark.parametrize("value", [-1.0, 1e308, 2.0**53 + 2])
    def test_what_no_events_add_up_to_is_told(self, value: float) -> None:
        with pytest.raises(NoAnswer, match="is not a count of events"):
            self.after({A: 900}, {A: value})

    def test_memory_is_bounded(self) -> None:
        with pytest.raises(NoAnswer, match="aggregate"):
            Counters().grown({(("n", str(n)),): 1.0 for n in range(MOST_SERIES + 1)}, BOTH)


VALUES = st.lists(
    st.dictionaries(st.sampled_from([A, B, SUM, ()]), st.integers(0, 2000), max_size=3), min_size=1, max_size=6
)
PODS = st.lists(st.sets(st.sampled_from("ab"), min_size=1), min_size=6, max_size=6)


@given(VALUES, VALUES, VALUES, PODS, PODS)
def test_what_is_counted_of_one_version_does_not_depend_on_the_other(
    canary: list[dict], stable: list[dict], other: list[dict], pods: list[set[str]], pods_of_other: list[set[str]]
) -> None:
    """Whatever the labels of both are, the very same too."""

    def counted(canary: list[dict], stable: list[dict], of_canary: list[set[str]], of_stable: list[set[str]]) -> list:
        counters = PerVersion()
        return [
            counters.grown(values, Sides("shop", version(*sorted(of_canary[look])), version(*sorted(of_stable[look]))))
            for look, values in enumerate(zip(canary, stable, strict=False))
        ]

    looks = min(len(canary), len(stable), len(other))
    first = counted(canary[:looks], stable[:looks], pods, pods)
    again = counted(canary[:looks], other[:looks], pods, pods_of_other)
    assert [look[0] for look in first] == [look[0] for look in again]
    swapped = counted(stable[:looks], canary[:looks], pods, pods)
    assert [look[::-1] for look in swapped] == first


class Scraped:
    """A server of counters that change between looks. It knows `sum (..)` and `sum by (..) (..)`."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[dict[str, str], str]]] = {}

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        summed = re.match(r"sum (?:by \((.*?)\) )?\((.*)\)$", query)
        by, selector = (summed[1] or "", summed[2]) if summed else ("", query)
        name = selector.partition("{")[0]
        wanted = query.partition('pod=~"')[2].partition('"')[0].split("|")
        rows = [row for row in self.series.get(name, []) if row[0]["pod"] in wanted]
        if summed:
            sums: Counter[tuple[tuple[str, str], ...]] = Counter()
            for labels, text in rows:
                sums[tuple((label, labels[label]) for label in by.split(", ") if label)] += int(text)
            rows = [(dict(labels), str(value)) for labels, value in sums.items()]
        answer(vector(*rows))(request)


class TestVersionsApart:
    def counted(self, asked: dict, looks: list[dict]) -> dict[str, Counted]:
        scraped = Scraped()
        with serving(scraped) as url:
            source = prometheus(PrometheusAsked(Web(url), **asked))
            scraped.series = looks[0]
            source.begin(SIDES)
            for scraped.series in looks[1:]:
                answers = source.look(SIDES, 5)
        return {stream: given for stream, given in answers.items() if isinstance(given, Counted)}

    def pods(self, canary: int, stable_a: int, stable_b: int, **labels: str) -> list[tuple[dict[str, str], str]]:
        values = {"web-7c6d-a": canary, "web-5d5f-a": stable_a, "web-5d5f-b": stable_b}
        return [({"pod": pod, **labels}, str(value)) for pod, value in values.items()]

    def test_bad_and_total_of_each_version_and_pod(self) -> None:
        looks = [
            {"errors": self.pods(5, 1, 1), "requests": self.pods(1000, 2000, 3000)},
            {"errors": self.pods(15, 2, 1), "requests": self.pods(1100, 2200, 3300)},
        ]
        counted = self.counted({"bad": ERRORS, "total": REQUESTS}, looks)[""]
        assert counted.canary == Tally(10, 100, {"web-7c6d-a": 10})
        assert counted.stable == Tally(1, 500, {"web-5d5f-a": 1, "web-5d5f-b": 0})

    @pytest.mark.parametrize("by", ["", "by (code) ", "by (pod) "])
    def test_sums_of_both_versions_with_the_same_labels_are_kept_apart(self, by: str) -> None:
        labels = {"code": "500"}
        looks = [
            {"errors": self.pods(5, 1, 1, **labels), "requests": self.pods(1000, 2000, 3000, **labels)},
            {"errors": self.pods(105, 2, 1, **labels), "requests": self.pods(1100, 2200, 3300, **labels)},
        ]
        counted = self.counted({"bad": f"sum {by}({ERRORS})", "total": f"sum {by}({REQUESTS})"}, looks)[""]
        assert (counted.canary.bad, counted.canary.total) == (100, 100)
        assert (counted.stable.bad, counted.stable.total) == (1, 500)

    def test_a_histogram_summed_by_its_bounds_alone_is_kept_apart(self) -> None:
        def buckets(fast: tuple[int, int, int], every: tuple[int, int, int]) -> dict:
            return {"seconds_bucket": [*self.pods(*fast, le="0.1"), *self.pods(*every, le="+Inf")]}

        looks = [buckets((500, 500, 500), (500, 500, 500)), buckets((500, 600, 600), (600, 600, 600))]
        counted = self.counted({"histogram": 'sum by (le) (seconds{pod=~"<pods>"})', "slower_than": (0.1,)}, looks)
        counts = counted["slower than 0.1 s"]
        assert (counts.canary.bad, counts.canary.total) == (100, 100)
        assert (counts.stable.bad, counts.stable.total) == (0, 200)

    @pytest.mark.parametrize("summed", ["", "sum ", "sum by (pod) "])
    def test_a_canary_of_which_every_request_fails_fails(self, summed: str) -> None:
        """The same answers, judged: evidence of one version must not be lent to the other."""
        bad, total = (f"{summed}({query})" if summed else query for query in (ERRORS, REQUESTS))
        trial = Trial(Plan((RateCheck("errors", Tolerance(1.5, 0.005)),)))
        scraped, verdict = Scraped(), None
        with serving(scraped) as url:
            source = prometheus(PrometheusAsked(Web(url), bad=bad, total=total))
            scraped.series = {"errors": [], "requests": self.pods(0, 0, 0)}
            source.begin(SIDES)
            for look in range(1, 9):
                sent = 100 * look
                scraped.series = {"errors": self.pods(sent, 0, 0), "requests": self.pods(sent, sent, sent)}
                given = source.look(SIDES, 5)[""]
                assert isinstance(given, Counted)
                counts = [Count(side.bad, side.total) for side in (given.canary, given.stable)]
                trial.observe("errors", Sample(5.0 * look, *counts, stable_pods=given.stable.by_pod, pods=3))
                verdict = trial.look(5.0 * look)
                if verdict:
                    break
        assert verdict is Verdict.FAIL

    def test_a_sum_over_other_pods_than_before_is_no_data_once(self) -> None:
        fewer = replace(SIDES, stable=Version("5d5f", SIDES.stable.pods[:1]))
        scraped = Scraped()
        with serving(scraped) as url:
            source = prometheus(PrometheusAsked(Web(url), bad=f"sum ({ERRORS})", total=f"sum ({REQUESTS})"))
            scraped.series = {"errors": self.pods(5, 50, 50), "requests": self.pods(1000, 2000, 3000)}
            source.begin(SIDES)
            with pytest.raises(NoAnswer, match=r"keep the pods apart, sum by \(pod\)"):
                source.look(fewer, 5)
            scraped.series = {"errors": self.pods(6, 50, 50), "requests": self.pods(1010, 2020, 3030)}
            given = source.look(fewer, 5)[""]
        assert isinstance(given, Counted)
        assert (given.canary.bad, given.canary.total) == (1, 10)
        assert (given.stable.bad, given.stable.total) == (0, 20)

    def test_no_error_series_at_all_is_no_error(self) -> None:
        looks = [{"requests": self.pods(0, 0, 0)}, {"requests": self.pods(10, 10, 10)}]
        counted = self.counted({"bad": ERRORS, "total": REQUESTS}, looks)[""]
        assert (counted.canary.bad, counted.canary.total, counted.stable.total) == (0, 10, 20)

    def test_no_request_series_at_all_is_no_data(self) -> None:
        with pytest.raises(NoAnswer, match="gives no series for either version"):
            self.counted({"bad": ERRORS, "total": REQUESTS}, [{}])

    def test_a_histogram_counts_what_is_above_each_bound(self) -> None:
        def buckets(fast: tuple[int, int, int], middle: tuple[int, int, int], every: tuple[int, int, int]) -> dict:
            rows = [*self.pods(*fast, le="0.1"), *self.pods(*middle, le="0.5"), *self.pods(*every, le="+Inf")]
            return {"seconds_bucket": rows}

        looks = [buckets((0, 0, 0), (0, 0, 0), (0, 0, 0)), buckets((80, 95, 95), (90, 99, 100), (100, 100, 100))]
        asked = {"histogram": 'seconds{pod=~"<pods>"}', "slower_than": (0.1, 0.5)}
        counted = self.counted(asked, looks)
        assert counted["slower than 0.1 s"].canary == Tally(20, 100, {"web-7c6d-a": 20})
        assert counted["slower than 0.5 s"].canary.bad == 10
        assert counted["slower than 0.1 s"].stable == Tally(10, 200, {"web-5d5f-a": 5, "web-5d5f-b": 5})

    def test_a_bound_that_the_histogram_lacks_is_told_with_those_that_it_has(self) -> None:
        rows = [*self.pods(1, 1, 1, le="0.1"), *self.pods(1, 1, 1, le="+Inf")]
        with pytest.raises(NoAnswer, match=r"no bound 0.3; it has 0.1"):
            asked = {"histogram": 'seconds{pod=~"<pods>"}', "slower_than": (0.3,)}
            self.counted(asked, [{"seconds_bucket": rows}])

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({}, "exactly one is needed of"),
            ({"bad": ERRORS}, "^bad and total are needed together"),
            ({"bad": "errors", "total": REQUESTS}, "the same for both versions"),
            ({"histogram": 'h{pod=~"<pods>"}'}, "slower_than"),
            ({"bad": ERRORS, "total": REQUESTS, "query": "up"}, "exactly one is needed of"),
        ],
    )
    def test_questions_that_cannot_be_are_refused(self, asked: dict, says: str) -> None:
        with pytest.raises(Misasked, match=says):
            PrometheusAsked(Web("http://host"), **asked)


WHOLE = vector(({"pod": "web-7c6d-a"}, "1"))


class TestParts:
    """Servers that say less than there is, or everything twice."""

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({}, None),
            ({"warnings": [], "infos": None, "isPartial": False}, None),
            ({"infos": ['PromQL info: metric might not be a counter, name does not end in _total: "errors"']}, None),
            ({"infos": ["this took 3 ms"]}, None),
            ({"warnings": ["No StoreAPIs matched for this query"]}, "less than there is: No StoreAPIs matched"),
            ({"warnings": ["PromQL warning: bucket label is missing"]}, "less than there is: PromQL warning"),
            ({"warnings": "remote_read: connection refused"}, "less than there is: remote_read"),
            ({"infos": ["partial response: receive-2 timed out"]}, "less than there is: partial response"),
            ({"infos": ["x"], "isPartial": True}, "less than there is$"),
            ({"warnings": [f"receive-2 refused {SECRET}"]}, "less than there is$"),
            ({"warnings": [{"msg": "\x1b[31mred"}]}, "less than there is: "),
        ],
    )
    @pytest.mark.parametrize("asked", [{"query": "up"}, {"bad": ERRORS, "total": REQUESTS}])
    def test_a_part_is_no_data(self, asked: dict, more: dict, says: str | None) -> None:
        with serving(answer({**WHOLE, **more})) as url:
            source = prometheus(PrometheusAsked(Web(url, token=SECRET), **asked))
            if says is None:
                source.look(SIDES, 5)
                return
            with pytest.raises(NoAnswer, match=says) as told:
                source.look(SIDES, 5)
        assert SECRET not in str(told.value) and "\x1b" not in str(told.value)

    def counted(self, *looks: list[tuple[dict[str, str], str]]) -> tuple[Counted, str]:
        """Of requests, which all are bad, by a server that answers both versions with the same labels."""
        coming = [looks[0]]

        def respond(request: BaseHTTPRequestHandler) -> None:
            answer(vector(*coming[0]))(request)

        with serving(respond) as url:
            source = prometheus(PrometheusAsked(Web(url), bad=ERRORS, total=REQUESTS))
            source.begin(SIDES)
            for coming[0] in looks[1:]:
                given = source.look(SIDES, 5)[""]
        assert isinstance(given, Counted)
        return given, source.doubt()

    @pytest.mark.parametrize("label", ["prometheus_replica", "__replica__", "receive_replica"])
    def test_series_that_a_pair_of_scrapers_sends_are_counted_once_and_told(self, label: str) -> None:
        first = [({"pod": "a", label: "0"}, "900"), ({"pod": "a", label: "1"}, "890")]
        second = [({"pod": "a", label: "0"}, "907"), ({"pod": "a", label: "1"}, "905")]
        given, doubt = self.counted(first, second)
        assert (given.canary.bad, given.canary.total, given.stable.total) == (7, 7, 7)
        assert "came twice" in doubt

    @pytest.mark.parametrize("label", ["prometheus_replica", "__replica__", "replica"])
    def test_a_replica_that_takes_over_brings_no_past(self, label: str) -> None:
        given, _doubt = self.counted([({"pod": "a", label: "0"}, "900")], [({"pod": "a", label: "1"}, "905")])
        assert given.canary.total == 5

    @pytest.mark.parametrize(
        ("labels", "doubted"),
        [([{"pod": "web-7c6d-a"}], True), ([{"pod": "web-7c6d-a"}, {"instance": "web-7c6d-b"}], False), ([{}], False)],
    )
    def test_a_canary_pod_that_is_not_scraped_is_doubted(self, labels: list[dict[str, str]], doubted: bool) -> None:
        two = replace(SIDES, canary=Version("7c6d", (*SIDES.canary.pods, ProbedPod("web-7c6d-b", "4"))))
        with serving(answer(vector(*((one, "5") for one in labels)))) as url:
            source = prometheus(PrometheusAsked(Web(url), bad=ERRORS, total=REQUESTS))
            source.begin(two)
        assert ("total has no series of web-7c6d-b" in source.doubt()) is doubted

    def test_where_nobody_knows_whose_the_label_is_there_is_no_data_and_what_to_write(self) -> None:
        twice = [({"pod": "a", "replica": "0"}, "900"), ({"pod": "a", "replica": "1"}, "890")]
        with pytest.raises(NoAnswer, match=r"max without \(replica\) .*, or sum without \(replica\)"):
            self.counted(twice)

    def test_bounds_of_a_histogram_that_one_series_lacks_are_told(self) -> None:
        rows = [({"pod": "a", "le": le}, "5") for le in ("0.1", "+Inf")] + [({"pod": "b", "le": "+Inf"}, "5")]
        with serving(answer(vector(*rows))) as url, pytest.raises(NoAnswer, match=r"no bound 0\.1"):
            prometheus(PrometheusAsked(Web(url), histogram='h{pod=~"<pods>"}', slower_than=(0.1,))).begin(SIDES)


class TestMoments:
    """A Prometheus knows what time it is; the machine that asks it may not."""

    @pytest.mark.parametrize("offset", OFFSETS)
    def test_our_clock_does_not_decide(self, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
        real, asked = time.time, []

        def respond(request: BaseHTTPRequestHandler) -> None:
            query = parse_qs(urlsplit(request.path).query)
            asked.append(query.get("time", [None])[0])
            moment = float(asked[-1] or 1_000_000.5)
            # Nothing is known of other moments.
            rows = [{"metric": {"pod": "a"}, "value": [moment, "5"]}] if abs(moment - 1_000_000.5) < 1 else []
            answer({"status": "success", "data": {"resultType": "vector", "result": rows}})(request)

        monkeypatch.setattr(time, "time", lambda: real() + offset)
        with serving(respond) as url:
            source = prometheus(PrometheusAsked(Web(url), bad=ERRORS, total=REQUESTS))
            source.begin(SIDES)
            source.look(SIDES, 5)
        assert asked == [None, "1000000.500", "1000000.500", "1000000.500"] * 2, "four queries of one moment each look"


class TestPlaceholders:
    def test_pods_hash_and_namespace(self) -> None:
        query = 'x{namespace="<namespace>",pod=~"<pods>",hash="<hash>"}'
        assert filled(query, SIDES.stable, "shop") == 'x{namespace="shop",pod=~"web-5d5f-a|web-5d5f-b",hash="5d5f"}'

    def test_dots_in_names_are_no_wildcards(self) -> None:
        assert pods_pattern(Version("h", (ProbedPod("web.v1-a", "1"),))) == r"web\\.v1-a"

    def test_no_pod_matches_nothing(self) -> None:
        assert pods_pattern(Version("h", ())) == "no-such-pod"


@pytest.mark.parametrize(
    ("moments", "readings"),
    [
        ([10.0, 11.0, 12.0], [True, True, True]),
        ([0, 0, 0], [True, False, False]),
        ([30.0, 20.0, 10.0], [True, False, False]),
        ([10.0, 10.0, 11.0], [True, False, True]),
        # A clock that was set back is trusted again as soon as it goes on.
        ([9999.0, 10.0, 11.0], [True, False, True]),
    ],
    ids=["it goes on", "repeated", "backwards", "repeated once", "set back"],
)
def test_an_answer_as_of_the_same_moment_again_is_no_new_reading(moments: list[float], readings: list[bool]) -> None:
    left = iter(moments)

    def respond(request: BaseHTTPRequestHandler) -> None:
        result = [{"metric": {}, "value": [next(left), "0.001"]}]
        answer({"status": "success", "data": {"resultType": "vector", "result": result}})(request)

    told = []
    with serving(respond) as url:
        source = prometheus(PrometheusAsked(Web(url), query="up"))
        for _look in moments:
            try:
                told.append(bool(source.look(SIDES, 1)))
            except NoAnswer as gap:
                assert "as of the same moment again" in str(gap)
                told.append(False)
    assert told == readings
