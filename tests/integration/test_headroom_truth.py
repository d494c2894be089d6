# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headroom against the real scheduler: random clusters predicted, then tried. `make headroom-truth` runs many more."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from tests.cluster.api import ApiError
from tests.cluster.fakes import ORDINARY
from tests.cluster.lab import Lab, start_lab
from tests.truth.headroom.__main__ import ALONE
from tests.truth.headroom.run import run, summary

FRESH = 20
# On each of these naive formulas are known to be wrong. Fresh ones would not do: some formulas are wrong on few clusters.
KNOWN = (1002, 1015, 1036, 1045, 1047, 1059, 1069, 1141)

Line = dict[str, Any]


@pytest.fixture(scope="module")
def alone() -> Iterator[Lab]:
    with start_lab(fake_nodes=0, controller_manager_flags=ALONE) as lab:
        yield lab


@pytest.fixture(scope="module")
def lines(alone: Lab) -> list[Line]:
    first = secrets.randbelow(10**8) + 10**6
    known = (run(alone.kubeconfig, seed, 1, None) for seed in KNOWN)
    return [*chain.from_iterable(known), *run(alone.kubeconfig, first, FRESH, None)]


def test_nothing_is_said_to_fit_that_does_not(lines: list[Line]) -> None:
    assert [line for line in lines if line["agreement"] == "false_fits"] == []


def test_every_prediction_agrees_with_what_happened(lines: list[Line]) -> None:
    assert [line for line in lines if line["agreement"] in ("wrong", "unknown")] == []


def test_how_many_are_placed_after_evictions_is_an_approximation_that_holds_nearly_always(lines: list[Line]) -> None:
    assert sum(line["agreement"] == "preemption" for line in lines) <= 1


def test_the_cases_are_neither_all_easy_nor_all_hopeless(lines: list[Line]) -> None:
    found = summary(lines)
    assert found["all_fit"] >= FRESH // 10
    assert found["none_fit"] >= FRESH // 10


@pytest.mark.parametrize(
    "formula",
    [
        "summed free capacity",
        "resources by node, nothing else",
        "containers only",
        "no sidecars, no pod level",
        "containers only, all other rules exact",
        "no sidecars, all other rules exact",
        "no resize status",
    ],
)
def test_a_naive_formula_is_caught(lines: list[Line], formula: str) -> None:
    assert summary(lines)["naive_wrong"][formula] > 0


# The same cluster has no quota controller: what a quota has used, only these tests say.


@pytest.fixture
def shop(alone: Lab, lines: list[Line]) -> str:
    """A namespace with a Deployment whose controllers never come, and a node with room."""
    namespace = alone.create_namespace("shop")
    api = f"/apis/apps/v1/namespaces/{namespace}"
    labels = {"app": "web"}
    container = {"name": "app", "image": "none.invalid/app:1", "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    deployment = alone.api.request("POST", f"{api}/deployments", {"metadata": {"name": "web"}, "spec": spec})
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": deployment["metadata"]["uid"],
        "controller": True,
    }
    hashed = {**labels, "pod-template-hash": "stable"}
    meta = {
        "name": "web-stable",
        "labels": hashed,
        "ownerReferences": [owner],
        "annotations": {"deployment.kubernetes.io/revision": "1"},
    }
    owned = {
        "replicas": 1,
        "selector": {"matchLabels": hashed},
        "template": {**template, "metadata": {"labels": hashed}},
    }
    alone.api.request("POST", f"{api}/replicasets", {"metadata": meta, "spec": owned})
    for node in alone.api.request("GET", "/api/v1/nodes")["items"]:
        alone.api.request("DELETE", f"/api/v1/nodes/{node['metadata']['name']}")
    alone.add_fake_node(0, ORDINARY)
    alone.api.request("PATCH", "/api/v1/nodes/fake-0", {"spec": {"taints": None}}, "application/merge-patch+json")
    return namespace


def asked(lab: Lab, namespace: str) -> Line:
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        request = HeadroomRequest(Call(Target("web", namespace)), NewTemplate(images={"app": "none.invalid/app:2"}))
        found = headroom(api, request, lambda line: None).extra["headroom"]
    assert found is not None
    return dict(found)


def test_a_quota_that_no_controller_has_looked_at_makes_the_answer_unknown(alone: Lab, shop: str) -> None:
    assert asked(alone, shop)["verdict"] == "fits"
    quota = {"metadata": {"name": "fresh"}, "spec": {"hard": {"pods": "5"}}}
    alone.api.request("POST", f"/api/v1/namespaces/{shop}/resourcequotas", quota)
    found = asked(alone, shop)
    assert (found["verdict"], found["unknown"]) == ("unknown", ["quota_status_pending: fresh"])


def test_a_quota_whose_use_is_missing_refuses_as_the_api_server_does(alone: Lab, shop: str) -> None:
    path = f"/api/v1/namespaces/{shop}/resourcequotas"
    alone.api.request("POST", path, {"metadata": {"name": "odd"}, "spec": {"hard": {"pods": "5"}}})
    merge = "application/merge-patch+json"
    alone.api.request("PATCH", f"{path}/odd/status", {"status": {"hard": {"pods": "5"}}}, merge)
    deadline = time.monotonic() + 20
    body = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "app", "image": "none.invalid/app:1"}]}}
    while True:
        try:
            alone.api.request("POST", f"/api/v1/namespaces/{shop}/pods?dryRun=All", body)
        except ApiError as refused:
            assert "status unknown for quota" in str(refused)
            break
        assert time.monotonic() < deadline, "the API server never noticed the quota"
        time.sleep(0.1)
    found = asked(alone, shop)
    assert found["verdict"] == "quota_exceeded"
    assert any("status unknown for pods" in line for line in found["summary"]), found["summary"]
