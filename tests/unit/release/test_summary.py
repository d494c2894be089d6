# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few lines that a person reads at the end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.module_utils.release.summary import summary

STABLE = {"replica_set": "web-5d5f", "counts": {"ready": 4, "desired": 4}, "images": {"app": "web:1", "proxy": "p:2"}}
CANARY: dict[str, Any] = {"stable": STABLE, "canary": None}


@pytest.mark.parametrize(
    ("release", "canary", "lines"),
    [
        (
            Release("r", outcome=Ending.UNDONE, why=("its image is missing.", "The stable version is back.")),
            CANARY,
            ["its image is missing.", "The stable version is back.", "stable web-5d5f: 4 of 4 pods Ready, web:1, p:2"],
        ),
        (Release("r", outcome=Ending.REFUSED, why=("no.",)), {}, ["no."]),
        (
            Release("r", outcome=Ending.PLANNED),
            {},
            ["Bake, verification, gate and promotion do not run in check mode."],
        ),
        (
            Release("r", outcome=Ending.HELD, waits_for=WaitsFor.PERSON),
            {},
            ["To promote it: playbook coalmine.canary.promote; to take it back: playbook coalmine.canary.undo"],
        ),
        (Release("r", outcome=Ending.HELD, waits_for=WaitsFor.CALLER), {}, []),
    ],
    ids=["undone", "refused", "planned", "for a person", "for the caller"],
)
def test_it_says_how_it_ended_and_why(release: Release, canary: dict[str, Any], lines: list[str]) -> None:
    head, *rest = summary("web", "shop", release, canary)
    assert head == f"web in namespace shop: {release.outcome.value}"
    assert rest == lines


def test_a_version_that_is_only_planned_has_no_pods_to_count() -> None:
    planned = {"replica_set": None, "counts": {"ready": 0, "desired": 0}, "images": {"app": "web:2"}}
    lines = summary("web", "shop", Release(run="r"), {"stable": STABLE, "canary": planned})
    assert "canary would run web:2" in lines
