# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubectl lines for the day this collection is not at hand: which there are, and that they hold no value of a template."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.commands import by_hand
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, Intent

from .objects import PINNED, deployment, held, ordinary, record, replica_set, situation, template

V1, V2 = replica_set("v1", 4, 1), replica_set("v2", 1, 2)
MARKED = {LIVE: "true"}
OFFERED: dict[str, tuple[Situation, bool, bool]] = {
    "none": (situation(ordinary(), V1), False, False),
    "held": (held(), True, True),
    "frozen": (held(paused=True), True, True),
    "promoting": (situation(ordinary("v2", record=record(intent=Intent.PROMOTE), labels=MARKED), V1, V2), True, True),
    "undoing": (situation(ordinary(record=record(intent=Intent.UNDO), labels=MARKED), V1, V2), False, True),
    "another template": (situation(deployment("v3"), V1, V2), False, True),
    "no record": (held(record=None), False, False),
}


@pytest.mark.parametrize(("found", "promote", "undo"), [*OFFERED.values()], ids=[*OFFERED])
def test_only_what_would_end_right_is_offered(found: Situation, promote: bool, undo: bool) -> None:
    lines = by_hand(found)
    assert (bool(lines["promote"]), bool(lines["undo"])) == (promote, undo)


def test_a_promotion_is_a_patch_of_numbers_and_a_wait() -> None:
    patch, wait = by_hand(held())["promote"]
    operations = json.loads(re.search(r"-p '(.*)'$", patch)[1])  # type: ignore[index]
    assert {o["path"]: o.get("value") for o in operations} == {
        "/spec/minReadySeconds": 5,
        "/spec/progressDeadlineSeconds": 321,
        "/spec/strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}},
        "/spec/paused": False,
        "/metadata/annotations/coalmine.canary~1record": None,
        "/metadata/labels/coalmine.canary~1live": None,
    }
    assert wait == "kubectl -n shop rollout status deployment web"


def test_an_undo_pipes_the_stable_template_and_holds_none_of_its_values() -> None:
    secret = template("v2", env=[{"name": "PASSWORD", "value": "s3cret"}])
    lines = by_hand(held(template=secret))["undo"]
    assert lines[0].startswith("kubectl -n shop get replicaset web-v1 -o jsonpath='{.spec.template}' | sed ")
    assert lines[0].endswith("| kubectl -n shop patch deployment web --type=json --patch-file=/dev/stdin")
    assert "s3cret" not in "".join(lines) and "app:v" not in "".join(lines)


def test_a_pinned_autoscaler_is_named_with_where_its_bounds_are() -> None:
    lines = by_hand(held(record=record(companions=PINNED)))
    for way in ("promote", "undo"):
        assert any(
            "get hpa hpa -o jsonpath='{.metadata.annotations.coalmine\\.canary/autoscaler}'" in x for x in lines[way]
        )


def test_the_phases_of_this_table_are_what_they_are_called() -> None:
    assert [OFFERED[name][0].phase for name in ("held", "frozen", "promoting", "undoing")] == [
        Phase.HELD,
        Phase.FROZEN,
        Phase.PROMOTING,
        Phase.UNDOING,
    ]
