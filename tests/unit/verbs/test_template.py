# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest says beside its pod template is told where it differs, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.moving.template import check_definition, not_applied
from tests.unit.rollout.objects import ordinary

Json = dict[str, Any]
# A strategy of maxSurge 30 % and maxUnavailable 1, 4 replicas, minReadySeconds 5.
LIVE = ordinary("v1", labels={"team": "shop"}, annotations={"note": "x"}, revisionHistoryLimit=10)


def manifest(metadata: Json | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": "web", **(metadata or {})}, "spec": {"template": {}, **spec}}


DIFFERING: dict[str, tuple[Json, str]] = {
    "nothing said": (manifest(), ""),
    "only maxSurge": (manifest(strategy={"rollingUpdate": {"maxSurge": "30%"}}), ""),
    "another maxSurge": (manifest(strategy={"rollingUpdate": {"maxSurge": 1}}), "spec.strategy.rollingUpdate.maxSurge"),
    "the type alone": (manifest(strategy={"type": "RollingUpdate"}), ""),
    "a strategy without rollingUpdate": (manifest(strategy={"type": "RollingUpdate", "rollingUpdate": None}), ""),
    "what means nothing": (manifest(strategy={}, paused=None, selector={"matchExpressions": []}), ""),
    "the same selector": (manifest(selector={"matchLabels": {"app": "web"}}), ""),
    "another selector": (manifest(selector={"matchLabels": {"app": "api"}}), "spec.selector.matchLabels.app"),
    "the server's defaults": (manifest(paused=False, revisionHistoryLimit=10), ""),
    "another history": (manifest(revisionHistoryLimit=2), "spec.revisionHistoryLimit"),
    "replicas": (manifest(replicas=9, minReadySeconds=5), "spec.replicas"),
    "a label more": (manifest({"labels": {"team": "shop", "tier": "web"}}), "metadata.labels.tier"),
    "an annotation": (manifest({"annotations": {"note": "y"}}), "metadata.annotations.note"),
    "as it was read from a cluster": (
        manifest({"uid": "u", "generation": 7, "resourceVersion": "9", "creationTimestamp": "2026-01-01T00:00:00Z",
                  "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "deployment.kubernetes.io/revision": "7"},
                  "managedFields": [{}]}), "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("definition", "path"), DIFFERING.values(), ids=DIFFERING)
def test_only_what_a_manifest_says_is_compared(definition: Json, path: str) -> None:
    told = not_applied(definition, LIVE)
    assert [text.rpartition("ignored: ")[2] for text in told] == ([path] if path else [])


def test_a_deadline_that_is_the_servers_default_does_not_differ() -> None:
    live = ordinary("v1", progressDeadlineSeconds=None)
    assert not_applied(manifest(progressDeadlineSeconds=600), live) == ()
    assert not_applied(manifest(progressDeadlineSeconds=60), live)


@pytest.mark.parametrize("version", ["example.com/v1", "extensions/v1beta1", "v1", "", None, 1])
def test_a_deployment_of_another_api_is_none(version: object) -> None:
    given = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {}}}
    for taken in (given, {**given, "apiVersion": "apps/v1"}):
        check_definition(Target("web", "shop"), taken)
    with pytest.raises(Refusal, match="a Deployment of another API than apps/v1"):
        check_definition(Target("web", "shop"), {**given, "apiVersion": version})
