# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod of which somebody has changed the image is no evidence about its version's template."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Pod

Owned = dict[str, Any]


def owns(manager: str, *fields: str, kind: str = "f:containers", subresource: str = "") -> Owned:
    """An entry of managedFields, of one container."""
    container = {'k:{"name":"app"}': {".": {}, **{field: {} for field in fields}}}
    return {"manager": manager, "subresource": subresource, "fieldsV1": {"f:spec": {kind: container}}}


MADE = owns("kube-controller-manager", "f:name", "f:image")
STATUS = {"manager": "kubelet", "subresource": "status", "fieldsV1": {"f:status": {}}}
TOLERATED = {"manager": "somebody", "fieldsV1": {"f:spec": {"f:tolerations": {}}}}
WITHOUT_IMAGE = owns("kube-controller-manager", "f:name")


@pytest.mark.parametrize(
    ("entries", "who"),
    [
        ([], ""),
        ([MADE], ""),
        ([MADE, STATUS], ""),
        ([MADE, TOLERATED, STATUS], ""),
        ([WITHOUT_IMAGE, owns("kubectl-set", "f:image"), STATUS], "kubectl-set"),
        (
            [
                MADE,
                owns("kube-controller-manager", "f:name", kind="f:initContainers"),
                owns("kubectl-edit", "f:image", kind="f:initContainers"),
            ],
            "kubectl-edit",
        ),
        ([MADE, owns("resizer", "f:resources")], ""),
        # Who debugs a pod adds a container, and changes none.
        (
            [
                MADE,
                owns(
                    "kubectl-debug",
                    "f:name",
                    "f:image",
                    kind="f:ephemeralContainers",
                    subresource="ephemeralcontainers",
                ),
            ],
            "",
        ),
    ],
)
def test_whoever_gave_a_container_another_image_is_known_by_what_he_manages(entries: list[Owned], who: str) -> None:
    assert Pod.parse({"metadata": {"name": "a", "uid": "a", "managedFields": entries}}).rewritten_by == who
