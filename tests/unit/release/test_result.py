# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as a value: what a call hands on is what the next one takes up, and nothing else is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import (
    FAILURES,
    Ending,
    Release,
    UnreadableResult,
)
from tests.unit.release.results import WHOLE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def test_what_was_handed_on_is_taken_up():
    assert Release.from_json(json.loads(json.dumps(WHOLE.to_json()))) == WHOLE


@given(st.sampled_from(sorted(WHOLE.to_json())), JSON)
def test_a_result_that_is_none_is_never_guessed_at(member, value):
    try:
        Release.from_json({**WHOLE.to_json(), member: value})
    except UnreadableResult as refused:
        assert str(refused).startswith(("it is not a result", "a part of it"))


@pytest.mark.parametrize(
    "given_result", [None, "held", [], {}, {"schema": 2}, {"schema": "1"}, {"schema": 1}, {"schema": True}]
)
def test_another_shape_is_refused(given_result):
    with pytest.raises(UnreadableResult):
        Release.from_json(given_result)


POD = {"name": "web-7c6d9f54b-x2x9k", "ready_since": "2026-11-28T08:00:02Z"}


@pytest.mark.parametrize(
    "stood",
    [
        "5",
        {"replicas": 5},
        {"pods": {}},
        {"replicas": True, "pods": {}},
        {"replicas": 5, "pods": [POD]},
        {"replicas": 5, "pods": {"6f1c": None}},
        {"replicas": 5, "pods": {"6f1c": {**POD, "name": 1}}},
        {"replicas": 5, "pods": {"6f1c": {"name": POD["name"]}}},
    ],
)
def test_nor_is_how_its_canary_stood(stood: Any) -> None:
    with pytest.raises(UnreadableResult):
        Release.from_json({**WHOLE.to_json(), "stood": stood})


def test_which_endings_fail_a_task():
    assert {ending.value for ending in FAILURES} == {"refused", "undone", "rolled back", "failed"}
    assert not FAILURES & {Ending.RELEASED, Ending.HELD, Ending.PLANNED}


def test_the_dearest_room_is_what_a_release_costs() -> None:
    def room(verdict: str, hourly: float | None) -> dict[str, Any]:
        return {"verdict": verdict, "cost": {"hourly_max": hourly}}

    asked = Release("r").asked_for(room("fits", 0.0))
    assert (asked.costs, len(asked.rooms)) == ({}, 1)
    for hourly, dearest in ((0.05, 0.05), (0.09, 0.09), (0.02, 0.09), (None, None), (0.2, None)):
        asked = asked.asked_for(room("needs_nodes", hourly))
        assert asked.costs == {"hourly_max": dearest}
    at_once = Release("r").asked_for(room("fits", 1.0), room("needs_nodes", 0.05), room("needs_nodes", 0.02))
    assert (at_once.costs, len(at_once.rooms)) == ({"hourly_max": 0.05}, 3)


def test_of_a_version_stay_its_images_and_counts_and_no_pods() -> None:
    version = {
        "hash": "7c6d",
        "images": {"app": "web:2"},
        "counts": {"ready": 1},
        "pods": [{"name": "web-7c6d-x"}],
        "revision": 2,
    }
    seen = Release("r").sees({"stable": version, "canary": None, "phase": "none"})
    assert seen.canary == {"stable": {part: version[part] for part in ("hash", "images", "counts")}, "canary": None}
    assert seen.sees({}).canary == seen.canary
