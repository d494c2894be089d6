# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged by what a real Prometheus has scraped of pods that answer HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SystemClock
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
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
from tests.integration.beside import under_way
from tests.integration.judging import BUCKETS, TOLERANCE, request
from tests.integration.prometheus import Prometheus, running, wait_for_series
from tests.integration.releases import CONTAINER, Release, silent
from tests.situations import until

PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Site:
    """Where cases are tried, beside each other: a cluster whose pods answer, and a Prometheus that scrapes those it is told of."""

    lab: Lab
    prometheus: Prometheus

    @contextmanager
    def held(self, version: str = "v2", **environment: str) -> Iterator[Release]:
        """A canary with these variables, whose pods are scraped like those of v1."""
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        namespace = self.lab.create_namespace("scraped")
        with connect(Connection(kubeconfig=str(self.lab.kubeconfig))) as api:
            release = Release(api, namespace).make(4)
            release.start(version, patch={"spec": {"containers": [{"name": CONTAINER, "env": variables}]}})
            self.prometheus.scrape(pods_of(release), self.lab.port, group=namespace)
            yield release
        self.lab.vacate(namespace)

    @contextmanager
    def loaded(self, **environment: str) -> Iterator[Release]:
        """And all of them have requests to answer, and have been scraped."""
        with self.held(**environment) as release, load(self.lab, release):
            every = f'http_request_duration_seconds_count{{namespace="{release.namespace}"}}'
            wait_for_series(self.prometheus.url, every, least=4)
            yield release

    def errors(self, form: str = "%s") -> CheckAsked:
        selector = form % 'http_requests_total{namespace="<namespace>",pod=~"<pods>"%s}'
        asked = self.asked(bad=selector % ',code=~"5.."', total=selector % "")
        return CheckAsked(RateCheck("errors", TOLERANCE, buckets=BUCKETS), asked)

    def slow(self) -> CheckAsked:
        histogram = 'http_request_duration_seconds{namespace="<namespace>",pod=~"<pods>"}'
        asked = self.asked(histogram=histogram, slower_than=(0.05, 0.1, 0.5))
        return CheckAsked(RateCheck("latency", Tolerance(1.5, 0.2), streams=streams_of(asked), buckets=BUCKETS), asked)

    def asked(self, **options: Any) -> PrometheusAsked:
        return PrometheusAsked(Web(self.prometheus.url), **options)


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


def judged(release: Release, *checks: CheckAsked, **options: Any) -> dict[str, Any]:
    """The verdict, whether or not it fails the task."""
    try:
        outcome = verify(release.api, request(release, *checks, inconclusive_ok=True, **options), silent)
    except VerbFailure as failure:
        return dict(failure.extra["verify"])
    return dict(outcome.extra["verify"])


def counters_and_histograms(site: Site, verdict: str, at_fault: str, **environment: str) -> None:
    with site.loaded(**environment) as release:
        told = judged(release, site.errors(), site.slow(), duration=120.0)
    assert told["verdict"] == verdict, told["reason"]
    assert at_fault in told["reason"]


def sums(site: Site) -> None:
    """Those of both versions have the same labels."""
    with site.loaded(ERROR_RATE="1") as release:
        told = judged(release, site.errors("sum(%s)"), duration=120.0)
    assert told["verdict"] == "fail" and "errors: the canary is worse" in told["reason"], told["reason"]


def past(site: Site) -> None:
    """As soon as Prometheus knows enough of stable's last seconds; nothing has been counted by then."""
    with site.held() as release, load(site.lab, release):
        asked = VerifyRequest(replace(release.call, check=True), (site.errors(),))

        def forecast() -> dict[str, Any] | None:
            found: dict[str, Any] | None = verify(release.api, asked, silent).extra["verify"]["forecasts"].get("errors")
            return found

        told = until(forecast, "it knows what may be expected", PATIENCE_SECONDS, Rarely())
    assert told["stable_rate"] == 0 and told["canary_a_second"] == pytest.approx(60, rel=0.4)
    assert told["text"].startswith("expecting, from the last minutes, "), told["text"]


class Rarely(SystemClock):
    """Each look is a whole question to Prometheus."""

    def sleep(self, seconds: float) -> None:
        super().sleep(max(seconds, 1.0))


def plain_bounds(site: Site) -> None:
    # On a busy machine one of its questions to a pod may take too long.
    lately = 'count(max_over_time(up{{pod=~"<{}_pods>"}}[10s]) == 1)'
    query = f"{lately.format('canary')} / {lately.format('stable')}"
    with site.held() as release:
        wait_for_series(site.prometheus.url, f'up{{namespace="{release.namespace}"}} == 1', least=4)
        for bounds, verdict in (({"maximum": 1.0}, "pass"), ({"minimum": 2.0}, "fail")):
            told = judged(release, CheckAsked(BoundCheck("share", **bounds), site.asked(query=query)), duration=3.0)
            assert told["verdict"] == verdict, told


CASES: dict[str, Callable[[Site], None]] = {
    "counters and histograms of a good version": partial(counters_and_histograms, verdict="pass", at_fault=""),
    "counters of a version that errs": partial(
        counters_and_histograms, verdict="fail", at_fault="errors: the canary is worse", ERROR_RATE="0.3"
    ),
    "histograms of a version that is slow": partial(
        counters_and_histograms, verdict="fail", at_fault="latency: the canary is worse", LATENCY_MS="200"
    ),
    "sums are kept apart": sums,
    "the past tells what may be expected": past,
    "one value is held against plain bounds": plain_bounds,
}


# Of the counters and histograms that are read, the first two have both.
MORE = ("histograms of a version that is slow", "sums are kept apart")


@pytest.fixture(scope="module")
def site(answering_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield Site(answering_lab, prometheus)


@pytest.fixture(scope="module")
def cases(site: Site) -> Iterator[Callable[[str], None]]:
    short = {name: partial(case, site) for name, case in CASES.items() if name not in MORE}
    with under_way(short, len(short)) as ended:
        yield ended


@pytest.mark.parametrize("case", [case for case in CASES if case not in MORE])
def test_pods_under_a_steady_load_that_is_not_ours(case: str, cases: Callable[[str], None]) -> None:
    cases(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", MORE)
def test_more_pods_under_a_steady_load_that_is_not_ours(case: str, site: Site) -> None:
    CASES[case](site)
