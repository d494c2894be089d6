# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A held canary is judged through a real API server: fake pods that answer HTTP as their image and environment say."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BoundCheck,
    CheckAsked,
    HttpAsked,
    LogsAsked,
    OnNoData,
    PodsAsked,
    RateCheck,
    ResourcesAsked,
    SamplesAsked,
    Tolerance,
    VerifyRequest,
    Via,
    given_samples,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.cluster.lab import Lab
from tests.integration.access import wait_for_rules
from tests.integration.judging import TOLERANCE, http, judged, request
from tests.integration.releases import Release, begin, image, silent
from tests.situations import until

# Everything but pods/proxy, which * of a group's resources would include.
READ = {
    "apiGroups": ["", "apps", "autoscaling"],
    "resources": ["pods", "deployments", "replicasets", "horizontalpodautoscalers"],
    "verbs": ["get", "list", "watch"],
}

# The time of a test is over before this is (tests/toolchain/limits.py): what ends earlier ends by what was counted.
LONG = 1800.0
MEMORY = CheckAsked(BoundCheck("memory", maximum=2), ResourcesAsked())


@pytest.fixture
def release(answering_lab: Lab, answering_namespace: str) -> Iterator[Release]:
    with connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
        yield Release(api, answering_namespace).make(4)


@pytest.fixture(scope="module")
def held(answering_lab: Lab) -> Iterator[Release]:
    """A canary of v2 beside v1, for those who only judge it."""
    namespace = answering_lab.create_namespace("held")
    with connect(Connection(kubeconfig=str(answering_lab.kubeconfig))) as api:
        release = Release(api, namespace).make(4)
        release.start("v2")
        yield release
    answering_lab.vacate(namespace)


def asked_of(release: Release, port: int) -> float:
    """How many requests the canary's pod has answered, as it counts them itself."""
    pods = release.api.list(f"/api/v1/namespaces/{release.namespace}/pods")["items"]
    (address,) = [pod["status"]["podIP"] for pod in pods if pod["spec"]["containers"][0]["image"] == image("v2")]
    with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("http_requests_total"))


@pytest.fixture
def port(answering_lab: Lab) -> int:
    return answering_lab.port


class TestVerdicts:
    def test_a_bad_version_fails_with_everything_that_was_counted(self, release: Release, port: int) -> None:
        release.start("bad")
        with pytest.raises(VerbFailure) as failed:
            verify(release.api, request(release, http(port), duration=LONG), silent)
        assert failed.value.code == "judged_fail"
        assert "the canary is worse than tolerated" in failed.value.message
        told = failed.value.extra["verify"]
        (stream,) = told["checks"][0]["streams"]
        assert 0.3 < stream["canary"]["rate"] < 0.7 and stream["stable"]["bad"] == 0
        assert told["seconds"] < LONG, "it ended when the evidence decided"
        assert told["costs"]["http"]["requests"] >= stream["canary"]["total"] + stream["stable"]["total"]

    @pytest.mark.parametrize("via", [Via.PROXY, Via.POD])
    def test_a_good_version_passes_whichever_way_requests_go(self, held: Release, port: int, via: Via) -> None:
        told = judged(
            held, http(port, via=via), CheckAsked(RateCheck("pods", must_pass=False), PodsAsked()), duration=LONG
        )
        assert told["verdict"] == "pass", told["reason"]
        assert told["seconds"] < LONG
        assert [check["rule"] for check in told["checks"]] == ["evidence", "watched"]

    def test_counts_of_the_users_own_tasks_are_judged_at_once(self, held: Release) -> None:
        rows = [
            {"time": 10 * number, "canary": {"bad": 30, "total": 100}, "stable": {"bad": 1, "total": 100}}
            for number in range(1, 6)
        ]
        own = CheckAsked(RateCheck("own", TOLERANCE), SamplesAsked(given_samples(rows)))
        with pytest.raises(VerbFailure, match="own: the canary is worse"):
            verify(held.api, request(held, own), silent)

    # tests/sim/test_judging.py says as much of pods, and tests/unit/judgement of the arithmetic.
    @pytest.mark.slow
    def test_a_step_goes_on_from_the_verdict_of_the_one_before(self, held: Release, port: int) -> None:
        first = judged(held, http(port), steps=1)
        second = judged(held, http(port), steps=1, history=first)
        assert second["verdict"] == "pass"
        series = second["checks"][0]["streams"][0]["series"]
        assert series[: len(first["checks"][0]["streams"][0]["series"])] == first["checks"][0]["streams"][0]["series"]
        assert {row["step"] for row in series} == {0, 1}


class TestNotKnowing:
    def test_without_a_canary_there_is_nothing_to_judge(self, release: Release, port: int) -> None:
        with pytest.raises(VerbFailure, match="no canary beside the stable version") as refused:
            verify(release.api, request(release, http(port)), silent)
        assert refused.value.code == "no_canary_ready"

    @pytest.mark.parametrize(
        ("case", "check", "says"),
        [
            ("a port where nobody listens", lambda _port: http(9), "stable pod web-"),
            ("a kubelet that forwards no port", partial(http, via=Via.PORT_FORWARD), "stable pod web-"),
            ("a wrong path", partial(http, status=(204,)), "not what a good answer was said to be"),
            ("no metrics API", lambda _port: MEMORY, "no metrics.k8s.io"),
        ],
    )
    def test_sources_that_say_nothing_are_inconclusive(
        self, held: Release, port: int, case: str, check: Callable[[int], CheckAsked], says: str
    ) -> None:
        told = judged(held, check(port), duration=LONG, on_no_data=OnNoData.STOP)
        assert told["verdict"] == "inconclusive"
        assert says in told["reason"]
        assert told["seconds"] < LONG

    def test_a_log_that_could_be_of_two_containers_is_refused_at_once_with_their_names(self, release: Release) -> None:
        release.start("v2", patch={"spec": {"containers": [{"name": "mesh", "image": image("v1")}]}})
        logs = CheckAsked(RateCheck("logs", TOLERANCE), LogsAsked("ERROR"))
        with pytest.raises(VerbFailure, match="has the containers mesh, app") as failed:
            verify(release.api, request(release, logs), silent)
        assert failed.value.code == "invalid"

    def test_inconclusive_fails_the_task_unless_it_may_not(self, held: Release) -> None:
        with pytest.raises(VerbFailure) as failed:
            verify(held.api, request(held, http(9), duration=3.0), silent)
        assert failed.value.code == "judged_inconclusive"

    def test_a_right_that_is_missing_is_nobodys_error(self, answering_lab: Lab, held: Release, port: int) -> None:
        """Who may read everything but may not use pods/proxy."""
        role = {"metadata": {"name": "reader"}, "rules": [READ]}
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}],
        }
        base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{held.namespace}"
        held.api.create(f"{base}/roles", role)
        held.api.create(f"{base}/rolebindings", binding)
        wait_for_rules(held.api, "reader", held.namespace, [READ])
        with connect(Connection(kubeconfig=str(answering_lab.client_for("reader")))) as reader:
            outcome = verify(reader, request(held, http(port), duration=5.0, inconclusive_ok=True), silent)
        assert outcome.extra["verify"]["verdict"] == "inconclusive"
        assert "did not pass a request on (403)" in outcome.extra["verify"]["reason"]

    def test_a_canary_that_goes_away_meanwhile_ends_the_run(self, release: Release, port: int) -> None:
        release.start("v2")
        strict = CheckAsked(RateCheck("http", Tolerance(max_ratio=1.01)), HttpAsked(rate=20.0, port=port))
        ended: list[Outcome] = []
        run = threading.Thread(
            target=lambda: ended.append(
                verify(release.api, request(release, strict, duration=LONG, inconclusive_ok=True), silent)
            )
        )
        run.start()
        until(lambda: asked_of(release, port) > 10, "requests are sent")
        release.undo()
        run.join(60)
        assert not run.is_alive()
        assert ended[0].extra["verify"]["verdict"] == "inconclusive"
        assert "no longer stands beside stable" in ended[0].extra["verify"]["reason"]


class TestGuard:
    """Of a promotion; the role's own tests show one that turns bad."""

    def guarded(self, release: Release, *checks: CheckAsked, **options: Any) -> dict[str, Any]:
        asked = request(release, *checks, guard=True, **{"interval": 0.5, "duration": 20.0, **options})
        outcome = verify(release.api, asked, silent)
        assert not outcome.changed
        return dict(outcome.extra["verify"])

    def test_both_versions_are_compared_then_the_new_one_is_watched_alone(self, release: Release, port: int) -> None:
        release.api.patch(release.path, {"spec": {"minReadySeconds": 1}}, PatchKind.MERGE)
        release.promote()
        release.start("v2")
        begin(release, "promote")
        pods = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())
        both = self.guarded(release, http(port, via=Via.POD), pods)
        assert both["guard"]["beside_stable"] and 0 < both["guard"]["left"] < 20
        assert both["verdict"] != "fail" and both["confidence"] == 0.95
        stream = both["checks"][0]["streams"][0]
        assert stream["canary"]["bad"] == stream["stable"]["bad"] == 0, "a pod that is only starting is asked nothing"
        release.call = Call(release.call.target, Wait(timeout=60))
        assert "promoted" in release.promote().message
        alone = self.guarded(release, http(port, via=Via.POD), pods, history=both, duration=2.0)
        assert (alone["verdict"], alone["confidence"], alone["guard"]["beside_stable"]) == ("pass", None, False)
        assert [check["rule"] for check in alone["checks"]] == ["alone", "events"]
        release.start("v3")
        release.promote()
        with pytest.raises(VerbFailure, match="the history is of "):
            self.guarded(release, pods, history=both, duration=2.0)

    def test_only_a_promotion_or_what_came_of_it_is_guarded(self, held: Release, port: int) -> None:
        with pytest.raises(VerbFailure, match="A guard goes with a promotion") as refused:
            self.guarded(held, http(port))
        assert refused.value.code == "not_promoted"

    # By the test of that name in tests/sim/test_judging.py; the scheduler's words are in test_waiting.py.
    @pytest.mark.slow
    def test_a_promotion_that_cannot_go_on_ends_the_guard_at_once(self, release: Release, port: int) -> None:
        # Four pods want the same port of three nodes: a stable one has to stay, or the new ones are alone before any is stuck.
        strategy = {"rollingUpdate": {"maxUnavailable": 0}}
        release.api.patch(release.path, {"spec": {"strategy": strategy}}, PatchKind.MERGE)
        container = {"name": "app", "ports": [{"containerPort": 80, "hostPort": 30080}]}
        release.start("v2", patch={"spec": {"containers": [container]}})
        begin(release, "promote")
        told = self.guarded(release, http(port, via=Via.POD), duration=60.0)
        assert told["verdict"] == "inconclusive" and told["guard"]["left"] > 30
        assert "the promotion cannot go on: pod web-" in told["reason"]
        release.undo()


class TestCheckMode:
    def test_every_source_is_reached_once_and_nothing_is_waited_for(self, held: Release, port: int) -> None:
        call = Call(held.call.target, held.call.wait, check=True)
        outcome = verify(held.api, VerifyRequest(call, (http(port), MEMORY), duration=LONG), silent)
        assert outcome.extra["verify"]["reached"] == ["http"]
        assert "no metrics.k8s.io" in outcome.extra["verify"]["unreached"]["memory"]
        assert any("memory: " in warning for warning in outcome.warnings)
        forecast = outcome.extra["verify"]["forecasts"]["http"]
        assert (forecast["canary_a_second"], forecast["reach"]) == (75, "likely"), "known without a look"
