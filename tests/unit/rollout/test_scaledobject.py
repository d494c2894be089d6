# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switches of KEDA's ScaledObject: what a pin writes, and that its give-back is exact whatever stood there."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.autoscaler import Claim
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import SCALED_OBJECT
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.scaledobject import (
    ON,
    SCALE_IN,
    SCALE_OUT,
    SIDES,
    changed,
    give_back,
    gives_back,
    is_paused,
    note,
    pause,
    serve,
    still_disabled,
    takes,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Autoscaler, ScaledObject
from tests.sim.patching import json_patch
from tests.unit.rollout.objects import autoscaler

MINE, OTHERS = Claim("mine", at=1), Claim("theirs", at=1)
VALUES = (None, "true", "false", "")


def scaled_object(annotations: dict[str, str] | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "queue", "uid": "1", "resourceVersion": "7"}
    return {"metadata": meta if annotations is None else {**meta, "annotations": annotations}}


def patched(item: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    assert operations[:2] == [
        {"op": "test", "path": "/metadata/uid", "value": "1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
    ]
    found = json_patch(copy.deepcopy(item), operations)
    assert isinstance(found, dict)
    return found


def marks(item: dict[str, Any]) -> dict[str, str]:
    return dict(item["metadata"].get("annotations") or {})


@pytest.mark.parametrize(("ins", "outs", "scales_up"), [*product(VALUES, VALUES, (True, False))])
def test_whatever_stood_there_is_what_stands_there_afterwards(
    ins: str | None, outs: str | None, scales_up: bool
) -> None:
    given = {"other": "x", **{key: text for key, text in ((SCALE_IN, ins), (SCALE_OUT, outs)) if text is not None}}
    before = scaled_object(given)
    operations = pause(ScaledObject.parse(before), MINE, scales_up=scales_up)
    if ins == ON and (scales_up or outs == ON):
        assert not operations, "its owner has paused it"
        return
    during = patched(before, operations)
    assert marks(during)[SCALE_IN] == ON
    assert marks(during).get(SCALE_OUT) == (outs if scales_up else ON)
    found = ScaledObject.parse(during)
    assert is_paused(found) and pause(found, MINE, scales_up=scales_up) == []
    after = patched(during, give_back(found))
    assert marks(after) == given


@pytest.mark.parametrize("scales_up", [True, False])
def test_one_without_any_annotation_has_none_afterwards(scales_up: bool) -> None:
    during = patched(scaled_object(), pause(ScaledObject.parse(scaled_object()), MINE, scales_up=scales_up))
    assert marks(patched(during, give_back(ScaledObject.parse(during)))) == {}


def test_a_pin_that_another_run_left_on_what_its_owner_has_paused_is_given_back_and_not_written_again() -> None:
    given = {SCALE_IN: "yes"}
    item = patched(scaled_object(given), pause(ScaledObject.parse(scaled_object(given)), OTHERS, scales_up=False))
    assert marks(patched(item, pause(ScaledObject.parse(item), MINE, scales_up=True))) == given


@pytest.mark.parametrize(("first", "second"), [*product((True, False), repeat=2)])
def test_a_pin_that_another_run_left_is_taken_over_with_what_stood_there_before_it(first: bool, second: bool) -> None:
    given = {SCALE_IN: "false"}
    item = scaled_object(given)
    for claim, scales_up in ((OTHERS, first), (MINE, second)):
        item = patched(item, pause(ScaledObject.parse(item), claim, scales_up=scales_up))
    found = ScaledObject.parse(item)
    kept = note(found)
    assert kept is not None and kept.claim == MINE
    assert (marks(item).get(SCALE_OUT) == ON) is not second
    assert marks(patched(item, give_back(found))) == given


@pytest.mark.parametrize("value", ["false", None])
def test_what_somebody_has_switched_meanwhile_stays(value: str | None) -> None:
    item = patched(scaled_object(), pause(ScaledObject.parse(scaled_object()), MINE, scales_up=False))
    mine = marks(item)
    theirs = {**mine, SCALE_IN: value} if value else {key: text for key, text in mine.items() if key != SCALE_IN}
    found = ScaledObject.parse(scaled_object({key: text for key, text in theirs.items() if text is not None}))
    assert changed(found) == (SCALE_IN,) and not is_paused(found)
    left = marks(patched(scaled_object(dict(found.annotations)), give_back(found)))
    assert left == ({SCALE_IN: value} if value else {})


def test_a_release_makes_a_pin_its_own_once() -> None:
    item = patched(scaled_object(), pause(ScaledObject.parse(scaled_object()), MINE, scales_up=True))
    served = Claim("mine", at=1, release=5)
    item = patched(item, serve(ScaledObject.parse(item), served, scales_up=True))
    found = ScaledObject.parse(item)
    kept = note(found)
    assert kept is not None and kept.claim == served and serve(found, served, scales_up=True) == []


def test_what_is_not_paused_is_served_by_pausing_it_and_not_given_back() -> None:
    found = ScaledObject.parse(scaled_object())
    assert serve(found, MINE, scales_up=True) == pause(found, MINE, scales_up=True)
    assert give_back(found) == [] and note(found) is None


@pytest.mark.parametrize(("ins", "outs", "scales_up"), [*product((True, False), repeat=3)])
def test_keda_has_taken_it_over_when_both_sides_that_were_asked_for_are_disabled(
    ins: bool, outs: bool, scales_up: bool
) -> None:
    disabled = {SIDES[key]: {"selectPolicy": "Disabled"} for key, on in ((SCALE_IN, ins), (SCALE_OUT, outs)) if on}
    annotations = {SCALED_OBJECT: "{}"}
    paused = ScaledObject.parse(scaled_object(annotations))
    meta = {"name": "keda-hpa-queue", "annotations": annotations}
    hpa = {"metadata": meta, "spec": {"maxReplicas": 3, "behavior": disabled}}
    assert takes(Autoscaler.parse(hpa), paused, scales_up=scales_up) is (ins and (outs or scales_up))


@pytest.mark.parametrize("noted", [True, False])
def test_what_its_owners_behavior_disables_is_not_taken_over_before_keda_has_seen_the_note(noted: bool) -> None:
    paused = ScaledObject.parse(scaled_object({SCALED_OBJECT: "{}"} if noted else {}))
    disabled = autoscaler(owner="ScaledObject", behavior={"scaleDown": {"selectPolicy": "Disabled"}})
    assert takes(disabled, paused, scales_up=True) is not noted


def test_the_note_is_no_annotation_that_keda_knows() -> None:
    assert not SCALED_OBJECT.startswith("autoscaling.keda.sh/")


VERSIONS = {
    "2.18.1": False,
    "2.17.0": False,
    "v2.9.9": False,
    "2.18.1-rc.1": False,
    "2.18.2": True,
    "2.18.10": True,
    "2.19.0": True,
    "3.0.0": True,
    "main": True,
    "": True,
    "2.18": True,
    "1" * 63: True,
}


@pytest.mark.parametrize(("version", "gives"), [*VERSIONS.items()])
def test_a_version_that_gives_nothing_back_is_known_by_its_number(version: str, gives: bool) -> None:
    assert gives_back(replace(autoscaler(owner="ScaledObject"), version=version)) is gives


DISABLED: dict[str, tuple[dict[str, str], dict[str, Any], tuple[str, ...]]] = {
    "left": ({}, {}, ("scaleDown",)),
    "its owner's switch": ({SCALE_IN: "true"}, {}, ()),
    "its owner's switch by another word": ({SCALE_IN: "yes"}, {}, ()),
    "its owner's switch that is off": ({SCALE_IN: "F"}, {}, ("scaleDown",)),
    "its owner's behavior": ({}, {"scaleDown": {"selectPolicy": "Disabled"}}, ()),
    "a behavior of the other side": ({}, {"scaleUp": {"selectPolicy": "Disabled"}}, ("scaleDown",)),
}


@pytest.mark.parametrize(("marks", "own", "left"), [*DISABLED.values()], ids=[*DISABLED])
def test_what_nothing_disables_any_longer_is_to_be_given_back(
    marks: dict[str, str], own: dict[str, Any], left: tuple[str, ...]
) -> None:
    found = ScaledObject("it", "u", "7", marks, behavior=own or None)
    disabled = autoscaler(owner="ScaledObject", behavior={"scaleDown": {"selectPolicy": "Disabled"}})
    assert still_disabled(disabled, found) == left
