# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases beside KEDA's operator itself, asked with the rights that docs/rbac.yaml gives: what docs/autoscalers.md says of KEDA."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM, stamp
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import SCALED_OBJECT
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.scaledobject import SCALE_IN, SCALE_OUT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
    Size,
    StartRequest,
)
from tests.cluster.build import Say
from tests.cluster.keda.program import PROGRAM, version
from tests.cluster.keda.server import GROUP, VERSION, Queue, add_keda
from tests.cluster.lab import Lab
from tests.cluster.processes import Recorded
from tests.integration.shipped_role import releaser
from tests.integration.situations import webs
from tests.integration.test_scaling_up import defined, held_beside
from tests.integration.victims import End, ended, run
from tests.situations import Web, image

pytestmark = pytest.mark.slow

HOLD, PIN, IGNORE = AutoscalerPolicy.HOLD, AutoscalerPolicy.PIN, AutoscalerPolicy.IGNORE
REPLICAS, TARGET = 4, 10
# As many as come while a release takes its time: it looks each second.
SOME_ROUNDS = 3
# The name that KEDA gives to the metric of its first trigger.
METRICS, METRIC = "external.metrics.k8s.io", "s0-metric-api-length"
VERSION_LABEL = "app.kubernetes.io/version"
PAUSED = "autoscaling.keda.sh/paused"

Json = dict[str, Any]


@dataclass(frozen=True)
class Scaled:
    """A Deployment of four pods, and a ScaledObject for it, by the length of a queue."""

    lab: Lab
    web: Web
    queue: Queue
    kubeconfig: Path

    @property
    def path(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.web.namespace}/scaledobjects"

    def make(
        self,
        annotations: Mapping[str, str] | None = None,
        metric_type: str = "AverageValue",
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Scaled:
        """It is there, and its autoscaler is."""
        made = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ScaledObject",
            "metadata": {"name": self.web.name, "annotations": dict(annotations or {}), "labels": dict(labels or {})},
            "spec": {
                "scaleTargetRef": {"name": self.web.name},
                "pollingInterval": 1,
                "cooldownPeriod": 1,
                "minReplicaCount": 0,
                "maxReplicaCount": 9,
                "triggers": [self.queue.trigger(TARGET, metric_type)],
                **spec,
            },
        }
        self.web.admin.create(self.path, made)
        self.web.until(lambda: self.hpa() is not None and self.is_ready(), "KEDA has made its autoscaler")
        return self

    def get(self) -> Json:
        return self.web.admin.get(f"{self.path}/{self.web.name}")

    def is_ready(self) -> bool:
        conditions = self.get().get("status", {}).get("conditions") or ()
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    def annotations(self) -> dict[str, str]:
        return dict(self.get()["metadata"].get("annotations") or {})

    def note(self, values: Mapping[str, str | None]) -> None:
        """Somebody annotates it."""
        self.web.admin.patch(
            f"{self.path}/{self.web.name}", {"metadata": {"annotations": dict(values)}}, PatchKind.MERGE
        )

    def hpa(self) -> Json | None:
        try:
            return self.web.admin.get(f"{self.web.autoscalers}/keda-hpa-{self.web.name}")
        except NotFound:
            return None

    def scaler(self) -> Json:
        found = self.hpa()
        assert found is not None
        return found

    def disabled(self) -> set[str]:
        """The ways in which its autoscaler does not scale."""
        behavior = self.scaler()["spec"].get("behavior") or {}
        return {side for side, rules in behavior.items() if rules.get("selectPolicy") == "Disabled"}

    def rounds(self) -> None:
        """Some more, each from its beginning to its end."""
        before = self.queue.asked
        self.web.until(lambda: self.queue.asked > before + SOME_ROUNDS, "KEDA has looked again and again")

    def dies(self, policy: AutoscalerPolicy, after: int) -> None:
        """A start, after that many writes."""
        request = StartRequest(
            self.web.call, NewTemplate(images={"app": image("v2")}), Size(1), surge=1, autoscaler=policy
        )
        code = ended(run(str(self.kubeconfig), "start", request, End(after, writes=True)))
        assert code == -signal.SIGKILL

    def assert_given_back(self, annotations: Mapping[str, str] | None = None) -> None:
        """It is as its owner made it, and so is its autoscaler, which scales again."""
        assert self.annotations() == dict(annotations or {})
        assert SCALED_OBJECT not in (self.scaler()["metadata"].get("annotations") or {})
        for found in (self.get(), self.scaler()):
            assert FIELD_MANAGER not in {entry["manager"] for entry in found["metadata"]["managedFields"]}


@pytest.fixture(scope="module")
def new(answering_lab: Lab, say: Say) -> Iterator[Callable[..., Web]]:
    add_keda(answering_lab, say)
    with webs(answering_lab) as make:
        yield make


@pytest.fixture(scope="module")
def shipped(answering_lab: Lab, new: Callable[..., Web]) -> Path:
    return releaser(answering_lab, new().namespace)


@pytest.fixture
def scaled(answering_lab: Lab, new: Callable[..., Web], shipped: Path) -> Iterator[Scaled]:
    web = new().make(REPLICAS)
    with Queue(TARGET) as queue, connect(Connection(kubeconfig=str(shipped))) as api:
        web.api = api
        yield Scaled(answering_lab, web, queue, shipped)


def sides(policy: AutoscalerPolicy) -> set[str]:
    return {"scaleDown"} if policy is HOLD else {"scaleDown", "scaleUp"}


@pytest.mark.parametrize(
    "behavior",
    [None, {"scaleDown": {"selectPolicy": "Min", "stabilizationWindowSeconds": 5}}],
    ids=["plain", "behavior"],
)
@pytest.mark.parametrize(("policy", "ending"), [(HOLD, "promote"), (PIN, "undo")], ids=["hold", "pin"])
def test_its_switches_are_taken_over_kept_and_given_back(
    policy: AutoscalerPolicy, ending: str, behavior: Json | None, scaled: Scaled
) -> None:
    owners = {"team": "shop"}
    scaled.make(owners, advanced={"horizontalPodAutoscalerConfig": {"behavior": behavior} if behavior else {}})
    web, before = scaled.web, scaled.scaler()["spec"]
    assert scaled.scaler()["metadata"]["labels"][VERSION_LABEL] == version()
    started = web.start(autoscaler=policy)
    assert not started.warnings and started.canary["autoscaler"] == f"ScaledObject/{web.name}"
    for _look in range(2):
        assert scaled.disabled() == sides(policy)
        assert {key: scaled.scaler()["spec"][key] for key in ("minReplicas", "maxReplicas", "metrics")} == {
            key: before[key] for key in ("minReplicas", "maxReplicas", "metrics")
        }
        assert {switch for switch in (SCALE_IN, SCALE_OUT) if scaled.annotations().get(switch) == "true"} == {
            SCALE_IN,
            *([SCALE_OUT] if policy is PIN else []),
        }
        scaled.rounds()
    assert not getattr(web, ending)().warnings
    scaled.assert_given_back(owners)
    assert scaled.scaler()["spec"] == before


@pytest.mark.parametrize("policy", [HOLD, PIN])
@pytest.mark.parametrize(
    ("spec", "idle"), [({}, 0), ({"minReplicaCount": 3, "idleReplicaCount": 1}, 1)], ids=["zero", "idle"]
)
def test_an_empty_queue_scales_nothing_away_while_a_canary_is_held(
    spec: Json, idle: int, policy: AutoscalerPolicy, scaled: Scaled
) -> None:
    web = scaled.make(**spec).web
    web.start(autoscaler=policy)
    scaled.queue.length = 0
    scaled.rounds()
    web.bake(1.0)
    assert web.split() == {"v1": REPLICAS, "v2": 1}
    web.undo()
    web.until(lambda: web.spec["replicas"] == idle, "then KEDA does")
    scaled.assert_given_back()


def test_a_scale_to_zero_that_was_decided_on_before_is_seen_and_nothing_is_promoted(scaled: Scaled) -> None:
    """It has read its ScaledObject, and waits for the trigger."""
    web, queue = scaled.make().web, scaled.queue
    queue.answers.clear()
    before = queue.asked
    web.until(lambda: queue.asked > before, "KEDA asks")
    web.start(autoscaler=HOLD)
    queue.length = 0
    queue.answers.set()
    web.until(lambda: web.spec["replicas"] == 0, "it scales by what it had read")
    web.until(lambda: web.phase == "damaged", "that is seen")
    web.refused(web.promote, "no_canary_ready")
    web.undo()
    scaled.assert_given_back()
    queue.length = TARGET
    web.until(lambda: web.split() == {"v1": 1}, "it comes back as the stable version")


def test_its_autoscaler_scales_up_beside_a_canary_and_not_down(scaled: Scaled) -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    with defined(scaled.web.admin, METRICS, "v1beta1", METRIC, "ExternalMetricValue"):
        web = scaled.web
        web.until(lambda: counted(web, REPLICAS), "its kind is served")
        scaled.make(advanced={"horizontalPodAutoscalerConfig": {"behavior": behavior}})
        web.until(lambda: "currentMetrics" in scaled.scaler().get("status", {}), "its autoscaler reads the metric")
        web.start(autoscaler=HOLD)
        counted(web, 2 * REPLICAS)
        web.until(lambda: web.spec["replicas"] == 2 * REPLICAS, "it is scaled up")
        held_beside(web, 2 * REPLICAS)
        before = scaled.scaler()["status"]["currentMetrics"]
        counted(web, 1)
        web.until(lambda: scaled.scaler()["status"]["currentMetrics"] != before, "it has seen that")
        web.bake(1.0)
        assert web.spec["replicas"] == 2 * REPLICAS
        web.undo()
        web.until(lambda: web.split() == {"v1": 1}, "it scales down again")
        scaled.assert_given_back()


def counted(web: Web, pods: int) -> bool:
    """What its metrics adapter would say: work for as many. False as long as nobody is there to hear it."""
    path = f"/apis/{METRICS}/v1beta1/namespaces/{web.namespace}/{METRIC}"
    value = {"metricName": METRIC, "metricLabels": {}, "timestamp": stamp(SYSTEM.wall()), "value": str(pods * TARGET)}
    meta = {"name": web.name, "labels": {f"scaledobject.{GROUP}/name": web.name}}
    made = {"apiVersion": f"{METRICS}/v1beta1", "kind": "ExternalMetricValue", "metadata": meta, **value}
    try:
        web.admin.patch(f"{path}/{web.name}", value, PatchKind.MERGE)
    except NotFound:
        try:
            web.admin.create(path, made)
        except NotFound:
            return False
    return True


@contextmanager
def standing_still(lab: Lab) -> Iterator[None]:
    """Its operator does nothing, and then goes on."""
    process = Recorded.read(lab.layout.record(PROGRAM))
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def test_an_operator_that_stands_still_is_waited_for_and_told_of(scaled: Scaled) -> None:
    web = scaled.make({"team": "shop"}).web
    with standing_still(scaled.lab):
        assert "has not taken that over" in web.refused(lambda: web.start(autoscaler=HOLD), "autoscaler")
        assert scaled.annotations() == {"team": "shop"}
    web.start(autoscaler=HOLD)
    with standing_still(scaled.lab):
        assert any("still reads Disabled" in told for told in web.undo().warnings)
        assert scaled.annotations() == {"team": "shop"}
    web.until(lambda: not scaled.disabled(), "KEDA takes it over")
    scaled.assert_given_back({"team": "shop"})


def test_a_version_that_the_scaled_object_has_of_its_own_is_not_taken_for_kedas(scaled: Scaled) -> None:
    web = scaled.make(labels={VERSION_LABEL: "1.4.0"}).web
    assert scaled.scaler()["metadata"]["labels"][VERSION_LABEL] == "1.4.0"
    web.start(autoscaler=PIN)
    assert not web.undo().warnings
    scaled.assert_given_back()


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("policy", [HOLD, PIN])
def test_what_a_run_that_died_has_switched_the_next_verb_gives_back(
    policy: AutoscalerPolicy, after: int, scaled: Scaled
) -> None:
    scaled.make()
    scaled.dies(policy, after)
    scaled.web.until(lambda: scaled.disabled() == sides(policy), "KEDA takes it over")
    scaled.web.undo()
    scaled.assert_given_back()
    assert not scaled.disabled() and scaled.web.phase == "none"


# To KEDA whatever is no other word for false is true (getBoolAnnotation).
@pytest.mark.parametrize("word", ["true", "True", "yes"])
@pytest.mark.parametrize("policy", [HOLD, PIN])
def test_what_its_owner_had_paused_stays_paused(policy: AutoscalerPolicy, word: str, scaled: Scaled) -> None:
    owners = {SCALE_IN: word, SCALE_OUT: word, "team": "shop"}
    web = scaled.make(owners).web
    assert not web.start(autoscaler=policy).warnings
    scaled.rounds()
    began = web.admin.clock.monotonic()
    assert not web.undo().warnings
    assert web.admin.clock.monotonic() - began < 25
    scaled.assert_given_back(owners)
    assert scaled.disabled() == {"scaleDown", "scaleUp"}


def test_what_its_owner_had_paused_a_run_that_died_leaves_paused(scaled: Scaled) -> None:
    owners = {SCALE_IN: "true", SCALE_OUT: "true"}
    web = scaled.make(owners).web
    scaled.dies(HOLD, after=1)
    scaled.rounds()
    web.undo()
    scaled.assert_given_back(owners)


def test_one_that_somebody_switches_back_meanwhile_is_told_and_leaves_no_mark(scaled: Scaled) -> None:
    owners = {"team": "shop"}
    web = scaled.make(owners).web
    web.start(autoscaler=HOLD)
    scaled.note({SCALE_IN: None})
    web.until(lambda: not scaled.disabled(), "KEDA takes it over")
    assert any("somebody changed" in told for told in web.undo().warnings)
    assert scaled.annotations() == owners
    scaled.rounds()
    assert not web.start(autoscaler=IGNORE).warnings
    web.undo()


def test_one_that_its_owner_makes_again_in_the_middle_is_kept_as_one_that_came(scaled: Scaled) -> None:
    web = scaled.make().web
    web.start(autoscaler=PIN)
    web.kubectl("delete", "scaledobject", web.name)
    scaled.make()
    web.until(lambda: not scaled.disabled(), "its autoscaler is the new one's")
    assert web.refused(lambda: web.start(pods=2), "autoscaler")
    grown = web.start(pods=2, autoscaler=PIN)
    assert any("came while the canary was held" in told for told in grown.warnings), grown.warnings
    assert scaled.disabled() == {"scaleDown", "scaleUp"}
    web.undo()
    scaled.assert_given_back()


def test_what_is_ignored_is_written_to_by_nobody(scaled: Scaled) -> None:
    web = scaled.make({"team": "shop"}).web
    before = scaled.get()["metadata"]["resourceVersion"], scaled.scaler()["metadata"]["resourceVersion"]
    web.start(autoscaler=IGNORE)
    web.promote()
    assert scaled.annotations() == {"team": "shop"} and not scaled.disabled()
    assert before[1] == scaled.scaler()["metadata"]["resourceVersion"]


@pytest.mark.parametrize("mark", [{PAUSED: "true"}, {f"{PAUSED}-replicas": str(REPLICAS)}], ids=["paused", "replicas"])
def test_one_that_is_paused_as_a_whole_has_no_autoscaler_to_refuse(mark: dict[str, str], scaled: Scaled) -> None:
    web = scaled.make().web
    web.refused(web.start, "autoscaler")
    scaled.note(mark)
    web.until(lambda: scaled.hpa() is None, "KEDA has removed its autoscaler")
    assert not web.start().warnings
    scaled.queue.length = 0
    web.bake(3.0)
    web.promote()
    assert scaled.annotations() == mark and web.split() == {"v2": REPLICAS}
    scaled.note(dict.fromkeys(mark))
    web.until(lambda: web.spec["replicas"] == 0, "then it scales")


def test_a_write_to_its_autoscaler_is_put_back_at_once(scaled: Scaled) -> None:
    web = scaled.make().web
    hpa = f"keda-hpa-{web.name}"
    web.admin.patch(
        f"{web.autoscalers}/{hpa}", {"spec": {"minReplicas": REPLICAS, "maxReplicas": REPLICAS}}, PatchKind.MERGE
    )
    web.until(lambda: web.bounds(hpa) == (1, 9), "KEDA has put it back")


def test_one_by_a_whole_value_is_pinned_and_not_held(scaled: Scaled) -> None:
    web = scaled.make(metric_type="Value").web
    assert "target type Value" in web.refused(lambda: web.start(autoscaler=HOLD), "autoscaler")
    web.start(autoscaler=PIN)
    web.undo()
    scaled.assert_given_back()
