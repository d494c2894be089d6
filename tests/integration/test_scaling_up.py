# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`autoscaler: hold` on a real autoscaler's controller, which scales by an external metric.

The metric is an object of a custom resource in the group external.metrics.k8s.io: to the controller that is an adapter's answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER, Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM, stamp
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import AutoscalerPolicy
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.situations import Web

GROUP, VERSION, METRIC = "external.metrics.k8s.io", "v1beta1", "queues"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What one pod works off, and what the queue is at first: the target of four pods exactly.
TARGET, AT_FIRST = 10, 40
TOLERANCE = pytest.mark.since("1.35", "autoscalers have no tolerance, and hold is refused")
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


@pytest.fixture(scope="module")
def metered(new: Callable[..., Web]) -> Iterator[Callable[..., Web]]:
    with defined(new().admin, GROUP, VERSION, METRIC, "ExternalMetricValue"):
        yield new


@contextmanager
def defined(admin: Api, group: str, version: str, plural: str, kind: str) -> Iterator[None]:
    """A custom resource whose objects may hold anything."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    name = f"{plural}.{group}"
    definition = {
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }
    admin.create(DEFINITIONS, definition)
    yield
    admin.delete(f"{DEFINITIONS}/{name}", admin.get(f"{DEFINITIONS}/{name}")["metadata"]["uid"])


def values(web: Web) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{web.namespace}/{METRIC}"


def queue(web: Web, length: int) -> None:
    body = {"metricName": METRIC, "metricLabels": {}, "timestamp": stamp(SYSTEM.wall()), "value": str(length)}
    web.admin.patch(f"{values(web)}/{web.name}", body, PatchKind.MERGE)


def scaled(web: Web, target: dict[str, Any], minimum: int = 2) -> Web:
    """With an autoscaler that has seen the queue."""
    web.until(lambda: _created(web), "its kind is served")
    queue(web, AT_FIRST)
    selector = {"matchLabels": {"of": web.name}}
    metric = {"type": "External", "external": {"metric": {"name": METRIC, "selector": selector}, "target": target}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": web.name}
    spec = {
        "scaleTargetRef": reference,
        "minReplicas": minimum,
        "maxReplicas": 20,
        "metrics": [metric],
        "behavior": BEHAVIOR,
    }
    web.admin.create(web.autoscalers, {"metadata": {"name": f"{web.name}-hpa"}, "spec": spec})
    web.until(lambda: is_active(web), "the autoscaler reads the metric")
    return web


def _created(web: Web) -> Any:
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "ExternalMetricValue"}
    return _made(web, values(web), {**body, "metadata": {"name": web.name, "labels": {"of": web.name}}})


def _made(web: Web, path: str, body: dict[str, Any]) -> Any:
    """None as long as its kind is not served."""
    try:
        return web.admin.create(path, body)
    except NotFound:
        return None


def hpa(web: Web) -> dict[str, Any]:
    return web.admin.get(f"{web.autoscalers}/{web.name}-hpa")


def is_active(web: Web) -> bool:
    conditions = hpa(web).get("status", {}).get("conditions") or ()
    return any(one["type"] == "ScalingActive" and one["status"] == "True" for one in conditions)


def shown(web: Web) -> Any:
    """What the controller has decided by last."""
    return hpa(web)["status"].get("currentMetrics")


def decided(web: Web, length: int) -> int:
    """Replicas once it has seen that queue."""
    before = shown(web)
    queue(web, length)
    web.until(lambda: shown(web) != before, "it has seen the queue")
    return int(web.spec["replicas"])


def held_beside(web: Web, replicas: int) -> None:
    web.until(lambda: sum(web.split().values()) == replicas + 1 and web.phase == "held", "all pods are there")
    split = web.split()
    assert split["v1"] > split["v2"] <= 2, split


@TOLERANCE
def test_while_a_canary_is_held_it_scales_up_and_not_down_and_is_given_back(metered: Callable[..., Web]) -> None:
    web = scaled(metered().make(4), {"type": "AverageValue", "averageValue": str(TARGET)})
    before = hpa(web)["spec"]
    web.start("v2", autoscaler=AutoscalerPolicy.HOLD)
    assert web.split() == {"v1": 4, "v2": 1}
    assert decided(web, AT_FIRST - 1) == 4, "a pod more than it counts with is there, and none is added for that"
    queue(web, 2 * AT_FIRST)
    web.until(lambda: web.spec["replicas"] == 8, "it is scaled up")
    held_beside(web, 8)
    assert decided(web, TARGET) == 8
    web.bake(1.0)
    web.promote()
    assert set(web.split()) == {"v2"}
    assert AUTOSCALER not in (hpa(web)["metadata"].get("annotations") or {})
    assert hpa(web)["spec"] == before
    assert FIELD_MANAGER not in {entry["manager"] for entry in hpa(web)["metadata"]["managedFields"]}
    web.until(lambda: web.spec["replicas"] == 2, "it scales down again")


# Of the autoscaler's controller the one above shows as much, and of the percentages test_model_against_controller.py.
@pytest.mark.slow
@TOLERANCE
def test_a_canary_that_was_asked_for_as_a_share_grows_with_the_deployment(metered: Callable[..., Web]) -> None:
    web = scaled(metered().make(4), {"type": "AverageValue", "averageValue": str(TARGET)})
    web.start("v2", pods=None, weight=20, surge=4, autoscaler=AutoscalerPolicy.HOLD)
    assert web.split() == {"v1": 4, "v2": 1} and web.spec["strategy"]["rollingUpdate"]["maxSurge"] == "25%"
    for length, replicas, canary in ((3 * AT_FIRST, 12, 3), (3 * AT_FIRST + 2 * TARGET, 14, 4)):
        queue(web, length)
        web.until(lambda replicas=replicas: web.spec["replicas"] == replicas, "it is scaled up")  # type: ignore[misc]
        wanted = {"v1": replicas, "v2": canary}
        web.until(lambda wanted=wanted: web.split() == wanted and web.phase == "held", f"{wanted}")  # type: ignore[misc]
    web.bake(1.0)
    web.undo()
    assert web.split() == {"v1": 14}
    assert web.spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}


# KEDA's operator, of which only this counts: what its switches do to its autoscaler, and that nobody else's write to that stays.

KEDA = "keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"
SWITCH = "autoscaling.keda.sh/paused-scale-in"


def scaled_objects(web: Web) -> str:
    return f"/apis/keda.sh/v1alpha1/namespaces/{web.namespace}/scaledobjects"


@contextmanager
def operated(web: Web) -> Iterator[None]:
    """From a loop of its own, the autoscaler is as the ScaledObject says, with the annotations of that."""
    over = threading.Event()

    def loops() -> None:
        while not over.wait(0.2):
            notes = web.admin.get(f"{scaled_objects(web)}/{web.name}")["metadata"].get("annotations") or {}
            found = hpa(web)
            paused = notes.get(SWITCH) == "true"
            disabled = found["spec"].get("behavior", {}).get("scaleDown", {}).get("selectPolicy") == "Disabled"
            if paused != disabled:
                behavior = {"scaleDown": {"selectPolicy": "Disabled"}} if paused else None
                had = dict.fromkeys(found["metadata"].get("annotations") or {})
                told = {"metadata": {"annotations": {**had, **notes}}, "spec": {"behavior": behavior}}
                path = f"{web.autoscalers}/{web.name}-hpa"
                web.admin.patch(path, told, PatchKind.MERGE, field_manager="keda-operator")

    thread = threading.Thread(target=loops)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_autoscaler_of_keda_is_held_by_its_own_switch_and_given_back(new: Callable[..., Web]) -> None:
    web = new().make(4)
    with defined(web.admin, *KEDA):
        body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": web.name}}
        web.until(lambda: _made(web, scaled_objects(web), body), "its kind is served")
        made = web.admin.get(f"{scaled_objects(web)}/{web.name}")
        owner = {**{key: body[key] for key in ("apiVersion", "kind")}, "name": web.name, "uid": made["metadata"]["uid"]}
        web.autoscaler(2, 9, ownerReferences=[{**owner, "controller": True}])
        with operated(web):
            web.start("v2", autoscaler=AutoscalerPolicy.HOLD)
            assert web.split() == {"v1": 4, "v2": 1} and web.bounds() == (2, 9)
            assert hpa(web)["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
            web.undo()
            after = web.admin.get(f"{scaled_objects(web)}/{web.name}")["metadata"]
            assert not after.get("annotations")
            assert FIELD_MANAGER not in {entry["manager"] for entry in after.get("managedFields") or ()}
            web.until(lambda: "behavior" not in hpa(web)["spec"], "KEDA lets it scale down again")


@pytest.mark.slow
@TOLERANCE
def test_below_the_target_nothing_is_added_for_the_canary_pods(metered: Callable[..., Web]) -> None:
    """Of a value that does not fall however many pods there are, it would add one for each of them, again and again."""
    web = scaled(metered().make(4), {"type": "Value", "value": str(AT_FIRST)}, minimum=4)
    before = hpa(web)["spec"]
    web.start("v2", autoscaler=AutoscalerPolicy.HOLD)
    assert hpa(web)["spec"]["behavior"]["scaleDown"]["tolerance"] == "1"
    for length in (36, 35, 34, 36):
        assert decided(web, length) == 4
    web.undo()
    assert hpa(web)["spec"] == before and web.split() == {"v1": 4}
