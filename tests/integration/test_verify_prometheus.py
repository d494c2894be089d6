# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged by what a real Prometheus has scraped of pods that answer HTTP."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BoundCheck,
    CheckAsked,
    PrometheusAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
    Web,
    streams_of,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.integration.judging import BUCKETS, TOLERANCE, request
from tests.integration.prometheus import Prometheus, running, wait_for_series
from tests.integration.releases import Release, silent


@pytest.fixture
def release(answering_lab: Lab, answering_namespace: str) -> Iterator[Release]:
    with connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
        yield Release(api, answering_namespace).make(4)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running(tmp_path_factory.mktemp("prometheus")) as started:
        yield started


def pods_of(release: Release) -> list[dict[str, Any]]:
    return list(release.api.list(f"/api/v1/namespaces/{release.namespace}/pods")["items"])


@contextmanager
def load(lab: Lab, release: Release, rate: int = 60) -> Iterator[None]:
    """So many requests a second to every pod of the release."""
    senders = [
        subprocess.Popen(
            [
                lab.programs / "load",
                "-url",
                f"http://{pod['status']['podIP']}:{lab.port}/",
                "-rate",
                str(rate),
                "-duration",
                "5m",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for pod in pods_of(release)
    ]
    try:
        yield
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()


class TestPrometheus:
    """A real Prometheus scrapes real counters of pods under a steady load that is not ours."""

    def asked(self, url: str, **options: Any) -> PrometheusAsked:
        return PrometheusAsked(Web(url), **options)

    def errors(self, url: str, form: str = "%s") -> CheckAsked:
        selector = form % 'http_requests_total{namespace="<namespace>",pod=~"<pods>"%s}'
        asked = self.asked(url, bad=selector % ',code=~"5.."', total=selector % "")
        return CheckAsked(RateCheck("errors", TOLERANCE, buckets=BUCKETS), asked)

    def slow(self, url: str) -> CheckAsked:
        asked = self.asked(
            url,
            histogram='http_request_duration_seconds{namespace="<namespace>",pod=~"<pods>"}',
            slower_than=(0.05, 0.1, 0.5),
        )
        return CheckAsked(RateCheck("latency", Tolerance(1.5, 0.2), streams=streams_of(asked), buckets=BUCKETS), asked)

    @pytest.mark.parametrize(
        ("case", "environment", "verdict", "at_fault"),
        [
            ("good", {}, "pass", ""),
            ("errors", {"ERROR_RATE": "0.3"}, "fail", "errors: the canary is worse"),
            ("slow", {"LATENCY_MS": "200"}, "fail", "latency: the canary is worse"),
        ],
    )
    def test_counters_and_histograms_of_both_versions_are_compared(
        self,
        answering_lab: Lab,
        release: Release,
        prometheus: Prometheus,
        case: str,
        environment: dict[str, str],
        verdict: str,
        at_fault: str,
    ) -> None:
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        release.start("v2", patch={"spec": {"containers": [{"name": "app", "env": variables}]}})
        prometheus.scrape(pods_of(release), answering_lab.port)
        with load(answering_lab, release):
            every = f'http_request_duration_seconds_count{{namespace="{release.namespace}"}}'
            wait_for_series(prometheus.url, every, least=4)
            asked = request(
                release, self.errors(prometheus.url), self.slow(prometheus.url), duration=120.0, inconclusive_ok=True
            )
            try:
                told = verify(release.api, asked, silent).extra["verify"]
            except VerbFailure as failure:
                told = failure.extra["verify"]
        assert told["verdict"] == verdict, told["reason"]
        assert at_fault in told["reason"]

    def test_sums_that_have_the_same_labels_for_both_versions_are_kept_apart(
        self, answering_lab: Lab, release: Release, prometheus: Prometheus
    ) -> None:
        every_request_fails = [{"name": "ERROR_RATE", "value": "1"}]
        release.start("v2", patch={"spec": {"containers": [{"name": "app", "env": every_request_fails}]}})
        prometheus.scrape(pods_of(release), answering_lab.port)
        with load(answering_lab, release):
            wait_for_series(prometheus.url, f'http_requests_total{{namespace="{release.namespace}"}}', least=4)
            asked = request(release, self.errors(prometheus.url, "sum(%s)"), duration=120.0)
            with pytest.raises(VerbFailure, match="errors: the canary is worse") as failure:
                verify(release.api, asked, silent)
        assert failure.value.extra["verify"]["verdict"] == "fail"

    def test_the_past_tells_what_may_be_expected(
        self, answering_lab: Lab, release: Release, prometheus: Prometheus
    ) -> None:
        """As soon as Prometheus knows enough of stable's last seconds; nothing has been counted by then."""
        release.start("v2")
        prometheus.scrape(pods_of(release), answering_lab.port)
        call = Call(release.call.target, release.call.wait, check=True)
        forecast: dict[str, Any] | None = None
        deadline = time.monotonic() + 90
        with load(answering_lab, release):
            while forecast is None and time.monotonic() < deadline:
                time.sleep(1)
                rehearsed = verify(release.api, VerifyRequest(call, (self.errors(prometheus.url),)), silent).extra[
                    "verify"
                ]
                assert rehearsed is not None
                forecast = rehearsed["forecasts"].get("errors")
        assert forecast is not None
        assert forecast["stable_rate"] == 0 and forecast["canary_a_second"] == pytest.approx(60, rel=0.4)
        assert forecast["text"].startswith("expecting, from the last minutes, "), forecast["text"]

    def test_one_value_is_held_against_plain_bounds(
        self, answering_lab: Lab, release: Release, prometheus: Prometheus
    ) -> None:
        release.start("v2")
        prometheus.scrape(pods_of(release), answering_lab.port)
        wait_for_series(prometheus.url, f'up{{namespace="{release.namespace}"}}', least=4)
        query = 'count(up{pod=~"<canary_pods>"} == 1) / count(up{pod=~"<stable_pods>"} == 1)'
        for bounds, verdict in (({"maximum": 1.0}, "pass"), ({"minimum": 2.0}, "fail")):
            check = CheckAsked(BoundCheck("share", **bounds), self.asked(prometheus.url, query=query))
            try:
                told = verify(release.api, request(release, check, duration=3.0), silent).extra["verify"]
            except VerbFailure as failure:
                told = failure.extra["verify"]
            assert told["verdict"] == verdict, told
