# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Role of docs/rbac.yaml: with it everything works, and there is no right in it that nothing needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    InfoRequest,
    NewTemplate,
    Size,
    StartRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.releases import CONTAINER, Release, annotated, image, silent
from tests.integration.shipped_role import MANIFEST, Rules, releaser

Right = tuple[str, str]


def rights(rules: Rules) -> list[Right]:
    return [(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]]


def shipped() -> Rules:
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return next(list(document["rules"]) for document in documents if document["kind"] == "Role")


def without(missing: Right) -> Callable[[Rules], Rules]:
    def keep(rules: Rules) -> Rules:
        return [
            {**rule, "resources": [resource], "verbs": [verb]}
            for rule in rules
            for resource, verb in rights([rule])
            if (resource, verb) != missing
        ]

    return keep


@pytest.fixture
def release(lab: Lab | ForeignCluster, namespace: str) -> Release:
    """Two pods of v1 and an autoscaler, made by the administrator."""
    release = Release(connect(Connection(kubeconfig=str(lab.kubeconfig))), namespace).make(2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.name}
    release.api.create(
        f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4},
        },
    )
    return release


def everything(release: Release) -> str:
    """All that a release can ask for: lists, a patched template beside a pinned autoscaler, an undo, a crash and its log, a timeout.

    Returns what was said of rights on the way.
    """
    info(release.api, InfoRequest(namespace=release.namespace))
    info(release.api, InfoRequest(release.name, release.namespace))
    patch = {"metadata": {"annotations": {"asked": "by-patch"}}}
    wanted = StartRequest(release.call, NewTemplate(patch=patch), Size(1), autoscaler=AutoscalerPolicy.PIN)
    start(release.api, wanted, silent)
    undone = release.undo()
    crashing = replace(wanted, template=NewTemplate(images={CONTAINER: image("crash")}))
    with pytest.raises(VerbFailure) as crashed:
        start(release.api, crashing, silent)
    release.undo()
    slow = replace(wanted, template=NewTemplate(patch=annotated(never_ready="true")))
    with pytest.raises(VerbFailure) as late:
        start(release.api, replace(slow, call=replace(wanted.call, wait=Wait(timeout=1.0))), silent)
    release.undo()
    return " ".join([*undone.warnings, crashed.value.message, late.value.message])


def as_releaser(lab: Lab | ForeignCluster, release: Release, keep: Callable[[Rules], Rules]) -> Release:
    kubeconfig = releaser(lab, release.namespace, keep)
    return replace(release, api=connect(Connection(kubeconfig=str(kubeconfig))))


def test_the_shipped_rights_suffice_for_everything(lab: Lab | ForeignCluster, release: Release) -> None:
    crash = everything(as_releaser(lab, release, lambda rules: rules))
    assert "restarted" in crash
    assert "Missing right" not in crash


def test_who_ignores_autoscalers_needs_no_right_to_them(lab: Lab | ForeignCluster, release: Release) -> None:
    def keep(rules: Rules) -> Rules:
        return [rule for rule in rules if "horizontalpodautoscalers" not in rule["resources"]]

    blind = as_releaser(lab, release, keep)
    wanted = StartRequest(
        blind.call, NewTemplate(images={CONTAINER: image("v2")}), Size(1), autoscaler=AutoscalerPolicy.IGNORE
    )
    start(blind.api, wanted, silent)
    assert blind.promote().changed
    assert not blind.promote().changed
    assert not blind.undo().changed


@pytest.mark.parametrize("right", rights(shipped()), ids=" ".join)
def test_it_does_not_work_without_the_right(lab: Lab | ForeignCluster, release: Release, right: Right) -> None:
    resource, verb = right
    try:
        complaint = everything(as_releaser(lab, release, without(right)))
    except (ApiError, VerbFailure) as error:
        complaint = str(error)
    named = resource.partition("/")[0]
    assert named in complaint
    assert verb in complaint
    assert "Missing right" in complaint or "log cannot be read" in complaint
