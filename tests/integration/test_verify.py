# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged through a real API server: fake pods that answer HTTP as their image and environment say."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.checks import (
    BoundCheck,
    CheckAsked,
    HttpAsked,
    OnNoData,
    PodsAsked,
    PrometheusAsked,
    RateCheck,
    ResourcesAsked,
    SamplesAsked,
    Tolerance,
    VerifyRequest,
    Via,
    Web,
    given_samples,
    streams_of,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.requests import Call, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab, start_lab
from tests.integration.playbooks import FAILED, LONGEST_SECONDS, PLAYBOOK, ROOT
from tests.integration.prometheus import Prometheus, running, wait_for_series
from tests.integration.releases import Release, begin, silent
from tests.unit.probes.serving import serving

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="the pods' addresses need a route on lo: only root can add it"
)

# Everything but pods/proxy, which * of a group's resources would include.
READ = {
    "apiGroups": ["", "apps", "autoscaling"],
    "resources": ["pods", "deployments", "replicasets", "horizontalpodautoscalers"],
    "verbs": ["get", "list", "watch"],
}
TOLERANCE = Tolerance(max_ratio=1.5, max_increase=0.05)


@pytest.fixture(scope="module")
def answering() -> Iterator[Lab]:
    with start_lab(answering=True) as lab:
        yield lab


@pytest.fixture(scope="module")
def api(answering: Lab) -> Iterator[Api]:
    with connect(Connection(kubeconfig=str(answering.kubeconfig))) as api:
        yield api


@pytest.fixture
def release(answering: Lab, api: Api) -> Iterator[Release]:
    namespace = answering.create_namespace()
    yield Release(api, namespace).make(4)
    answering.delete_namespace(namespace)


def http(**options: Any) -> CheckAsked:
    asked = HttpAsked(**{"rate": 150.0, "timeout": 2.0, "most": 20_000, **options})
    return CheckAsked(RateCheck("http", TOLERANCE), asked)


def request(release: Release, *checks: CheckAsked, **options: Any) -> VerifyRequest:
    return VerifyRequest(release.call, checks, **{"duration": 60.0, "interval": 1.0, **options})


def judged(release: Release, *checks: CheckAsked, **options: Any) -> dict[str, Any]:
    """The verdict of a run that may be inconclusive."""
    outcome = verify(release.api, request(release, *checks, inconclusive_ok=True, **options), silent)
    assert outcome.verify is not None and not outcome.changed
    return dict(outcome.verify)


class TestVerdicts:
    def test_a_bad_version_fails_with_everything_that_was_counted(self, release: Release) -> None:
        release.start("bad")
        with pytest.raises(VerbFailure) as failed:
            verify(release.api, request(release, http()), silent)
        assert failed.value.code == "judged_fail"
        assert "the canary is worse than tolerated" in failed.value.message
        told = failed.value.verify
        assert told is not None
        (stream,) = told["checks"][0]["streams"]
        assert 0.3 < stream["canary"]["rate"] < 0.7 and stream["stable"]["bad"] == 0
        assert told["seconds"] < 40
        assert told["costs"]["http"]["requests"] >= stream["canary"]["total"] + stream["stable"]["total"]

    @pytest.mark.parametrize("via", [Via.PROXY, Via.POD])
    def test_a_good_version_passes_whichever_way_requests_go(self, release: Release, via: Via) -> None:
        release.start("v2")
        told = judged(release, http(via=via), CheckAsked(RateCheck("pods", must_pass=False), PodsAsked()))
        assert told["verdict"] == "pass", told["reason"]
        assert told["seconds"] < 50
        assert [check["rule"] for check in told["checks"]] == ["evidence", "watched"]

    def test_counts_of_the_users_own_tasks_are_judged_at_once(self, release: Release) -> None:
        release.start("v2")
        rows = [
            {"time": 10 * number, "canary": {"bad": 30, "total": 100}, "stable": {"bad": 1, "total": 100}}
            for number in range(1, 6)
        ]
        own = CheckAsked(RateCheck("own", TOLERANCE), SamplesAsked(given_samples(rows)))
        with pytest.raises(VerbFailure, match="own: the canary is worse"):
            verify(release.api, request(release, own), silent)

    def test_a_step_goes_on_from_the_verdict_of_the_one_before(self, release: Release) -> None:
        release.start("v2")
        first = judged(release, http(), steps=1)
        second = judged(release, http(), steps=1, history=first)
        assert second["verdict"] == "pass"
        series = second["checks"][0]["streams"][0]["series"]
        assert series[: len(first["checks"][0]["streams"][0]["series"])] == first["checks"][0]["streams"][0]["series"]
        assert {row["step"] for row in series} == {0, 1}


class TestNotKnowing:
    def test_without_a_canary_there_is_nothing_to_judge(self, release: Release) -> None:
        with pytest.raises(VerbFailure, match="no canary beside the stable version") as refused:
            verify(release.api, request(release, http()), silent)
        assert refused.value.code == "no_canary_ready"

    @pytest.mark.parametrize(
        ("case", "check", "says"),
        [
            ("a port where nobody listens", http(port=9), "stable pod web-"),
            ("a kubelet that forwards no port", http(via=Via.PORT_FORWARD), "stable pod web-"),
            ("a wrong path", http(status=(204,)), "not what a good answer was said to be"),
            ("no metrics API", CheckAsked(BoundCheck("memory", maximum=2), ResourcesAsked()), "no metrics.k8s.io"),
        ],
    )
    def test_sources_that_say_nothing_are_inconclusive(
        self, release: Release, case: str, check: CheckAsked, says: str
    ) -> None:
        release.start("v2")
        told = judged(release, check, duration=30.0, on_no_data=OnNoData.STOP)
        assert told["verdict"] == "inconclusive"
        assert says in told["reason"]
        assert told["seconds"] < 30

    def test_inconclusive_fails_the_task_unless_it_may_not(self, release: Release) -> None:
        release.start("v2")
        with pytest.raises(VerbFailure) as failed:
            verify(release.api, request(release, http(port=9), duration=3.0), silent)
        assert failed.value.code == "judged_inconclusive"

    def test_a_right_that_is_missing_is_nobodys_error(self, answering: Lab, release: Release) -> None:
        """Who may read everything but may not use pods/proxy."""
        release.start("v2")
        role = {"metadata": {"name": "reader"}, "rules": [READ]}
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}],
        }
        base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{release.namespace}"
        release.api.create(f"{base}/roles", role)
        release.api.create(f"{base}/rolebindings", binding)
        with connect(Connection(kubeconfig=str(answering.client_for("reader")))) as reader:
            outcome = verify(reader, request(release, http(), duration=5.0, inconclusive_ok=True), silent)
        assert outcome.verify is not None and outcome.verify["verdict"] == "inconclusive"
        assert "did not pass a request on (403)" in outcome.verify["reason"]

    def test_a_canary_that_goes_away_meanwhile_ends_the_run(self, release: Release) -> None:
        release.start("v2")
        strict = CheckAsked(RateCheck("http", Tolerance(max_ratio=1.01)), HttpAsked(rate=20.0))
        ended: list[Outcome] = []
        run = threading.Thread(
            target=lambda: ended.append(
                verify(release.api, request(release, strict, duration=120.0, inconclusive_ok=True), silent)
            )
        )
        begun = time.monotonic()
        run.start()
        time.sleep(3)
        release.undo()
        run.join(60)
        assert time.monotonic() - begun < 60
        assert ended[0].verify is not None and ended[0].verify["verdict"] == "inconclusive"
        assert "no longer stands beside stable" in ended[0].verify["reason"]


class TestGuard:
    """Of a promotion; the role's own tests show one that turns bad."""

    def guarded(self, release: Release, *checks: CheckAsked, **options: Any) -> dict[str, Any]:
        asked = request(release, *checks, guard=True, **{"interval": 0.5, "duration": 20.0, **options})
        outcome = verify(release.api, asked, silent)
        assert outcome.verify is not None and not outcome.changed
        return dict(outcome.verify)

    def test_both_versions_are_compared_then_the_new_one_is_watched_alone(
        self, answering: Lab, api: Api, release: Release
    ) -> None:
        release.api.patch(release.path, {"spec": {"minReadySeconds": 1}}, PatchKind.MERGE)
        release.promote()
        release.start("v2")
        begin(release, "promote")
        pods = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())
        both = self.guarded(release, http(via=Via.POD), pods)
        assert both["guard"]["beside_stable"] and 0 < both["guard"]["left"] < 20
        assert both["verdict"] != "fail" and both["confidence"] == 0.95
        stream = both["checks"][0]["streams"][0]
        assert stream["canary"]["bad"] == stream["stable"]["bad"] == 0, "a pod that is only starting is asked nothing"
        release.call = Call(release.call.target, Wait(timeout=60))
        assert "promoted" in release.promote().message
        alone = self.guarded(release, http(via=Via.POD), pods, history=both, duration=2.0)
        assert (alone["verdict"], alone["confidence"], alone["guard"]["beside_stable"]) == ("pass", None, False)
        assert [check["rule"] for check in alone["checks"]] == ["alone", "events"]
        release.start("v3")
        release.promote()
        with pytest.raises(VerbFailure, match="which was guarded while it was promoted"):
            self.guarded(release, pods, history=both, duration=2.0)

    def test_only_a_promotion_or_what_came_of_it_is_guarded(self, release: Release) -> None:
        release.start("v2")
        with pytest.raises(VerbFailure, match="A guard goes with a promotion") as refused:
            self.guarded(release, http())
        assert refused.value.code == "not_promoted"

    def test_a_promotion_that_cannot_go_on_ends_the_guard_at_once(self, release: Release) -> None:
        # Four pods want the same port of three nodes: a stable one has to stay, or the new ones are alone before any is stuck.
        strategy = {"rollingUpdate": {"maxUnavailable": 0}}
        release.api.patch(release.path, {"spec": {"strategy": strategy}}, PatchKind.MERGE)
        container = {"name": "app", "ports": [{"containerPort": 80, "hostPort": 30080}]}
        release.start("v2", patch={"spec": {"containers": [container]}})
        begin(release, "promote")
        told = self.guarded(release, http(via=Via.POD), duration=60.0)
        assert told["verdict"] == "inconclusive" and told["guard"]["left"] > 30
        assert "the promotion cannot go on: pod web-" in told["reason"]
        release.undo()


class TestCheckMode:
    def test_every_source_is_reached_once_and_nothing_is_waited_for(self, release: Release) -> None:
        release.start("v2")
        call = Call(release.call.target, release.call.wait, check=True)
        memory = CheckAsked(BoundCheck("memory", maximum=2), ResourcesAsked())
        begun = time.monotonic()
        outcome = verify(release.api, VerifyRequest(call, (http(), memory)), silent)
        assert time.monotonic() - begun < 10
        assert outcome.verify is not None
        assert outcome.verify["reached"] == ["http"]
        assert "no metrics.k8s.io" in outcome.verify["unreached"]["memory"]
        assert any("memory: " in warning for warning in outcome.warnings)
        forecast = outcome.verify["forecasts"]["http"]
        assert (forecast["canary_a_second"], forecast["reach"]) == (75, "likely"), "known without a look"


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
                f"http://{pod['status']['podIP']}:8080/",
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

    def errors(self, url: str) -> CheckAsked:
        selector = 'http_requests_total{namespace="<namespace>",pod=~"<pods>"%s}'
        asked = self.asked(url, bad=selector % ',code=~"5.."', total=selector % "")
        return CheckAsked(RateCheck("errors", TOLERANCE), asked)

    def slow(self, url: str) -> CheckAsked:
        asked = self.asked(
            url,
            histogram='http_request_duration_seconds{namespace="<namespace>",pod=~"<pods>"}',
            slower_than=(0.05, 0.1, 0.5),
        )
        return CheckAsked(RateCheck("latency", Tolerance(1.5, 0.2), streams=streams_of(asked)), asked)

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
        answering: Lab,
        release: Release,
        prometheus: Prometheus,
        case: str,
        environment: dict[str, str],
        verdict: str,
        at_fault: str,
    ) -> None:
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        release.start("v2", patch={"spec": {"containers": [{"name": "app", "env": variables}]}})
        prometheus.scrape(pods_of(release))
        with load(answering, release):
            every = f'http_request_duration_seconds_count{{namespace="{release.namespace}"}}'
            wait_for_series(prometheus.url, every, least=4)
            asked = request(
                release, self.errors(prometheus.url), self.slow(prometheus.url), duration=120.0, inconclusive_ok=True
            )
            try:
                told = verify(release.api, asked, silent).verify
            except VerbFailure as failure:
                told = failure.verify
            self.what_the_past_tells(release, prometheus, at_fault)
        assert told is not None
        assert told["verdict"] == verdict, told["reason"]
        assert at_fault in told["reason"]

    def what_the_past_tells(self, release: Release, prometheus: Prometheus, at_fault: str) -> None:
        """By now Prometheus knows enough of stable's last seconds for a forecast before anything is counted."""
        call = Call(release.call.target, release.call.wait, check=True)
        rehearsed = verify(release.api, VerifyRequest(call, (self.errors(prometheus.url),)), silent).verify
        assert rehearsed is not None
        forecast = rehearsed["forecasts"]["errors"]
        assert forecast["stable_rate"] == 0 and forecast["canary_a_second"] == pytest.approx(60, rel=0.4), at_fault
        assert forecast["text"].startswith("expecting, from the last minutes, "), forecast["text"]

    def test_one_value_is_held_against_plain_bounds(self, release: Release, prometheus: Prometheus) -> None:
        release.start("v2")
        prometheus.scrape(pods_of(release))
        wait_for_series(prometheus.url, f'up{{namespace="{release.namespace}"}}', least=4)
        query = 'count(up{pod=~"<canary_pods>"} == 1) / count(up{pod=~"<stable_pods>"} == 1)'
        for bounds, verdict in (({"maximum": 1.0}, "pass"), ({"minimum": 2.0}, "fail")):
            check = CheckAsked(BoundCheck("share", **bounds), self.asked(prometheus.url, query=query))
            try:
                told = verify(release.api, request(release, check, duration=8.0), silent).verify
            except VerbFailure as failure:
                told = failure.verify
            assert told is not None and told["verdict"] == verdict, told


# One for each place that can hold one.
SECRETS = {
    place: f"s3cret-of-{place}"
    for place in ("http-header", "canary-header", "token", "prometheus-header", "password", "loki-token", "loki-header")
}


def echo(request: BaseHTTPRequestHandler) -> None:
    """A server that is angry, and repeats in every way that is quoted whatever it was sent."""
    body = json.dumps({"status": "error", "error": f"bad request: {request.headers}"}).encode()
    kind = "application/json"
    if "loki" in request.path:
        body, kind = f"bad request: {request.headers} {' '.join(SECRETS.values())}".encode(), "text/plain"
    request.send_response(400)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def checks_with_secrets(url: str) -> list[dict[str, Any]]:
    return [
        {
            "http": {
                "rate": 100,
                "headers": {"X-Auth-Token": f"Bearer {SECRETS['http-header']}"},
                "canary_headers": {"X-Key": SECRETS["canary-header"]},
            },
            "max_increase": 0.05,
        },
        {
            "name": "by token",
            "prometheus": {
                "url": url,
                "token": SECRETS["token"],
                "headers": {"X-Key": SECRETS["prometheus-header"]},
                "query": "up",
            },
            "max": 1,
        },
        {
            "name": "by password",
            "prometheus": {"url": url, "username": "me", "password": SECRETS["password"], "query": "up"},
            "max": 1,
        },
        {
            "name": "loki",
            "logs": {
                "url": url,
                "token": SECRETS["loki-token"],
                "headers": {"X-Scope-OrgID": SECRETS["loki-header"]},
                "query": '{pod=~"<pods>"}',
            },
            "max_ratio": 2,
        },
    ]


def all_that_is_shown(playbook: Path, *options: str, code: int = FAILED) -> str:
    """Of a run that ends with this code, with as much shown as can be; a failure is the canary's."""
    command = [str(PLAYBOOK), "-vvvv", *options, str(playbook)]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    if code == FAILED:
        assert "fail after" in output and "the canary is worse than tolerated" in output, output
    return output


def shown_secrets(output: str) -> list[str]:
    """Places whose secret can be read, plain or as basic authentication sends it."""
    basic = base64.b64encode(f"me:{SECRETS['password']}".encode()).decode()
    return [place for place, secret in SECRETS.items() if secret in output] + ["basic"] * (basic in output)


def test_the_module_judges_and_shows_no_secret_however_much_is_shown(
    release: Release, answering: Lab, tmp_path: Path
) -> None:
    release.start("bad")
    with serving(echo) as url:
        task = {
            "coalmine.canary.canary_verify": {
                "name": release.name,
                "namespace": release.namespace,
                "kubeconfig": str(answering.kubeconfig),
                "duration": 60,
                "interval": 1,
                "checks": checks_with_secrets(url),
            },
            # What the task has of its own keeps it from being run inside ansible-playbook.
            "environment": {"ANY": "thing"},
        }
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        output = all_that_is_shown(playbook)
    assert "judged_fail" in output
    assert not shown_secrets(output)


def test_a_release_by_the_role_shows_no_secret_however_much_is_shown(
    release: Release, answering: Lab, tmp_path: Path
) -> None:
    """The same check, run inside ansible-playbook; also where its steps are skipped, in check mode and for what is out already."""
    with serving(echo) as url:
        variables = {
            "canary_name": release.name,
            "canary_namespace": release.namespace,
            "canary_images": {"app": "lab.local/app:bad"},
            "canary_checks": checks_with_secrets(url),
            "canary_check_interval": 1,
            "canary_check_duration": 60,
            "canary_headroom": "skip",
            "canary_steps": [{"pods": 1, "checks": checks_with_secrets(url)}],
        }
        given = tmp_path / "variables.json"
        given.write_text(json.dumps(variables))
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("K8S_AUTH_KUBECONFIG", str(answering.kubeconfig))
            run = partial(all_that_is_shown, ROOT / "playbooks" / "canary.yml", "-e", f"@{given}")
            output, planned = run(), run("--check", code=0)
            given.write_text(json.dumps({**variables, "canary_images": {"app": "lab.local/app:v1"}}))
            out_already = run(code=0)
    assert not shown_secrets(output + planned + out_already)
    assert "already released" in out_already
