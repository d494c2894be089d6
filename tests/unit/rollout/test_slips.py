# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slips in a pod template are told with the place where they are, and without a value."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.slips import slips

from .objects import template
from .pairs import PAIRS

Json = dict[str, Any]
TEXT, NUMBER, AMOUNT = "takes only text there", "takes only a whole number there", "is not an amount"


def env(value: Any) -> Json:
    return template("v1", env=[{"name": "A", "value": "b"}, {"name": "PORT", "value": value}])


SLIPS: dict[str, tuple[Json, str]] = {
    "a number in the environment": (env(4711), f"spec.containers[app].env[PORT].value is a number, and Kubernetes {TEXT}"),
    "a boolean there": (env(True), f"spec.containers[app].env[PORT].value is a boolean, and Kubernetes {TEXT}"),
    "a number among arguments": (template("v1", args=["a", 4711]), "spec.containers[app].args[1] is a number"),
    "one in an exec probe": (
        template("v1", livenessProbe={"exec": {"command": ["x", 1.5]}}), "spec.containers[app].livenessProbe.exec.command[1]",
    ),
    "an annotation": ({"metadata": {"annotations": {"since": 4711}}}, "metadata.annotations.since is a number"),
    "a node label": ({"spec": {"nodeSelector": {"fast": True}}}, "spec.nodeSelector.fast is a boolean"),
    "a port as text": (template("v1", ports=[{"containerPort": "4711"}]), "spec.containers[app].ports[0].containerPort is a text"),
    "a delay as text": (template("v1", readinessProbe={"periodSeconds": "4711"}), f"readinessProbe.periodSeconds is a text, and Kubernetes {NUMBER}"),
    "an amount with a blank": (template("v1", resources={"limits": {"memory": "4711 GB"}}), f"resources.limits.memory {AMOUNT}"),
    "an amount that is a list": ({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": [4711]}}]}}, f"spec.volumes[v].emptyDir.sizeLimit {AMOUNT}"),
    "in a manifest": ({"spec": {"template": env(4711)}}, "spec.template.spec.containers[app].env[PORT].value is a number"),
    "a container without a name": ({"spec": {"containers": [{"name": {"x": 4711}, "args": [1]}]}}, "spec.containers[0].args[0]"),
}  # fmt: skip


@pytest.mark.parametrize(("shown", "words"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_with_its_place_and_without_its_value(shown: Json, words: str) -> None:
    (told,) = slips(shown)
    assert words in told and "4711" not in told


FINE = [
    template("v1", env=[{"name": "A"}, {"name": "B", "value": None}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]),
    template("v1", ports=[{"containerPort": 80}], readinessProbe={"httpGet": {"port": "http"}, "periodSeconds": 1}),
    {"metadata": {"annotations": None, "labels": {"$patch": "replace"}}, "spec": None},
    *(one for pair in PAIRS.values() for one in pair[:2]),
]  # fmt: skip


@pytest.mark.parametrize("shown", FINE)
def test_what_an_api_server_takes_is_no_slip(shown: Json) -> None:
    assert not slips(shown)
