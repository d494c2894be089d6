# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HorizontalPodAutoscalers: what is refused, what a pin writes, and what is given back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.autoscaler import (
    STALE_SECONDS,
    Bounds,
    Claim,
    bounds,
    changed,
    free,
    give_back,
    has_kept,
    must_be_smaller,
    pin,
    pinned_to,
    refuse,
    serve,
    still_pinned,
    to_pin,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Autoscaler

from .objects import autoscaler, ordinary

GUARD = [
    {"op": "test", "path": "/metadata/uid", "value": "u"},
    {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
]
MEMBER = "/metadata/annotations/coalmine.canary~1autoscaler"


def pinned(replicas: int = 4, minimum: int | None = 2, **spec: Any) -> Autoscaler:
    note = Bounds(minimum, 9, replicas).encode()
    return autoscaler({AUTOSCALER: note}, **{"minReplicas": replicas, "maxReplicas": replicas, **spec})


def writes(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {o["path"]: o.get("value") for o in operations if o["op"] != "test"}


def test_a_pin_writes_both_bounds_and_what_was_there_before() -> None:
    operations = pin(autoscaler({"x": "y"}), 4)
    assert operations[:2] == GUARD
    assert writes(operations) == {
        "/spec/minReplicas": 4,
        "/spec/maxReplicas": 4,
        MEMBER: '{"maxReplicas":9,"minReplicas":2,"pinned":4}',
    }


def test_a_pin_makes_the_annotations_where_there_are_none() -> None:
    written = writes(pin(autoscaler(), 4))
    assert written["/metadata/annotations"] == {AUTOSCALER: '{"maxReplicas":9,"minReplicas":2,"pinned":4}'}


def test_a_second_pin_keeps_the_first_originals() -> None:
    assert writes(pin(pinned(4), 6))[MEMBER] == '{"maxReplicas":9,"minReplicas":2,"pinned":6}'


@pytest.mark.parametrize(("minimum", "after"), [(2, 2), (None, 1)])
def test_what_was_there_before_is_given_back(minimum: int | None, after: int) -> None:
    operations = give_back(pinned(minimum=minimum))
    assert operations[:2] == GUARD
    assert writes(operations) == {MEMBER: None, "/spec/minReplicas": after, "/spec/maxReplicas": 9}


@pytest.mark.parametrize(
    ("before", "theirs", "given"),
    [
        (2, {"minReplicas": 3}, {"maxReplicas": 9}),
        (2, {"maxReplicas": 12}, {"minReplicas": 2}),
        (6, {"maxReplicas": 5}, {"minReplicas": 5}),
        (2, {"minReplicas": 5, "maxReplicas": 5}, {}),
    ],
)
def test_a_bound_that_somebody_changed_is_left_and_the_other_given_back(
    before: int, theirs: dict[str, int], given: dict[str, int]
) -> None:
    found = pinned(minimum=before, **theirs)
    assert not still_pinned(found) and changed(found) == tuple(theirs)
    assert writes(give_back(found)) == {MEMBER: None, **{f"/spec/{name}": value for name, value in given.items()}}


@pytest.mark.parametrize("scales_up", [False, True], ids=["pinned again", "held then"])
@pytest.mark.parametrize(
    ("theirs", "original"),
    [({}, (2, 9)), ({"minReplicas": 5, "maxReplicas": 50}, (5, 50)), ({"maxReplicas": 50}, (2, 50))],
)
def test_what_its_owner_has_written_over_an_interrupted_pin_is_the_original_of_the_next(
    theirs: dict[str, int], original: tuple[int, int], scales_up: bool
) -> None:
    found = pinned(**theirs)
    again = after(found, pin(found, 4, Claim(MINE), scales_up=scales_up))
    given = after(again, give_back(again))
    assert (given.min_replicas, given.max_replicas) == original


def test_what_is_not_pinned_is_not_given_back() -> None:
    assert bounds(autoscaler()) is None and give_back(autoscaler()) == [] and not pinned_to(autoscaler(), 2)
    assert pinned_to(pinned(4), 4) and not pinned_to(pinned(4), 5) and still_pinned(pinned(4))


REFUSED: dict[str, tuple[tuple[Autoscaler, ...], str]] = {
    "several": ((autoscaler(), autoscaler()), "2 HorizontalPodAutoscalers (hpa, hpa) scale"),
    "owned": ((autoscaler(owner="Scaler"),), "which belongs to Scaler/it"),
    "minReplicas 0": ((autoscaler(minReplicas=0),), "with minReplicas 0"),
    "minReplicas 0 before an interrupted pin": ((pinned(minimum=0),), "with minReplicas 0"),
}


@pytest.mark.parametrize(("found", "what"), [*REFUSED.values()], ids=[*REFUSED])
def test_what_cannot_be_pinned_is_refused(found: tuple[Autoscaler, ...], what: str) -> None:
    with pytest.raises(Refusal) as raised:
        to_pin(found, ordinary())
    assert raised.value.code is Code.AUTOSCALER and what in raised.value.what


UNREADABLE = {
    "nothing": "",
    "half": "{",
    "a list": "[]",
    "no member": "{}",
    "text for a number": '{"minReplicas": "x", "maxReplicas": 1, "pinned": 1}',
    "a truth": '{"minReplicas": true, "maxReplicas": 1, "pinned": 1}',
    "a number with a point": '{"minReplicas": 1.5, "maxReplicas": 2, "pinned": 1}',
    "more than 32 bits": '{"minReplicas": 1, "maxReplicas": 1099511627776, "pinned": 1}',
    "a maximum below the minimum": '{"minReplicas": 3, "maxReplicas": 2, "pinned": 1}',
    "no pod": '{"minReplicas": 1, "maxReplicas": 0, "pinned": 1}',
    "nested": "[" * 90_000,
    "infinity": '{"minReplicas": 1, "maxReplicas": Infinity, "pinned": 1}',
    "5,000 digits": '{"minReplicas": 1, "maxReplicas": ' + "9" * 5_000 + ', "pinned": 1}',
    "a superscript": "²",
    "10 MB": '{"x": "' + "x" * 10_000_000 + '"}',
}


@pytest.mark.parametrize("note", [*UNREADABLE.values()], ids=[*UNREADABLE])
def test_a_note_that_cannot_be_read_is_not_guessed(note: str) -> None:
    with pytest.raises(Refusal, match="cannot be read") as raised:
        bounds(autoscaler({AUTOSCALER: note}))
    assert raised.value.remedy == "Put its minReplicas and maxReplicas back by hand and remove the annotation"
    assert len(str(raised.value)) < 400


NOW, MINE = 1_800_000_000, "run-1"
CLAIMS: dict[str, tuple[Claim, bool, bool]] = {
    # whose, whether its process has ended, whether it is free where no release is live
    "one's own": (Claim(MINE, "p", NOW), False, True),
    "of another run that lives": (Claim("run-2", "p", NOW - 1), False, False),
    "of another run, in time": (Claim("run-2", "p", NOW - STALE_SECONDS), False, False),
    "of another run, long ago": (Claim("run-2", "p", NOW - STALE_SECONDS - 1), False, True),
    "of another run, by a clock far ahead": (Claim("run-2", "p", NOW + STALE_SECONDS + 1), False, True),
    "of a process that has ended": (Claim("run-2", "p", NOW), True, True),
    "of a release, which has ended": (Claim("run-2", "p", NOW, release=7), False, True),
    "of nobody": (Claim(), False, True),
}


@pytest.mark.parametrize(("claim", "ended", "given_back"), [*CLAIMS.values()], ids=[*CLAIMS])
def test_a_pin_of_another_run_that_may_live_is_left(claim: Claim, ended: bool, given_back: bool) -> None:
    note = Bounds(2, 9, 4, claim)
    assert bounds(autoscaler({AUTOSCALER: note.encode()})) == note
    assert free(note.claim, MINE, NOW, ended) is given_back


def test_where_the_server_does_not_say_what_time_it_is_no_pin_is_old() -> None:
    assert not free(Claim("run-2", "p", 0), MINE, None, False)
    assert free(Claim("run-2", "p", 0, release=7), MINE, None, False)


@pytest.mark.parametrize("at", [10**400, -1, 2**63, True, "yesterday"], ids=lambda at: str(at)[:20])
def test_a_time_that_is_none_is_that_of_no_claim(at: object) -> None:
    note = bounds(
        autoscaler({AUTOSCALER: json.dumps({"minReplicas": 2, "maxReplicas": 9, "pinned": 4, "run": "r", "at": at})})
    )
    assert note is not None and note.claim == Claim("r")
    assert free(note.claim, MINE, NOW, False)


def test_a_release_that_has_begun_makes_its_pin_its_own_and_so_changes_the_autoscaler() -> None:
    before, serving = Claim(MINE, "p", NOW), Claim(MINE, "p", NOW, release=7)
    taken = autoscaler({AUTOSCALER: Bounds(2, 9, 4, before).encode()}, minReplicas=4, maxReplicas=4)
    operations = serve(taken, 4, serving)
    assert operations[:2] == GUARD and writes(operations) == {MEMBER: Bounds(2, 9, 4, serving).encode()}
    mine = autoscaler({AUTOSCALER: Bounds(2, 9, 4, serving).encode()}, minReplicas=4, maxReplicas=4)
    assert serve(mine, 4, serving) == []


def test_a_pin_that_was_given_back_while_its_release_began_is_made_again() -> None:
    serving = Claim(MINE, "p", NOW, release=7)
    written = writes(serve(autoscaler({"x": "y"}), 4, serving))
    assert written == {"/spec/minReplicas": 4, "/spec/maxReplicas": 4, MEMBER: Bounds(2, 9, 4, serving).encode()}


def test_bounds_that_somebody_changed_are_left_when_the_release_begins() -> None:
    theirs = autoscaler({AUTOSCALER: Bounds(2, 9, 4, Claim(MINE)).encode()}, minReplicas=6, maxReplicas=8)
    assert set(writes(serve(theirs, 4, Claim(MINE, release=7)))) == {MEMBER}


def test_a_pin_of_another_run_is_taken_over_with_its_originals() -> None:
    taken = autoscaler({AUTOSCALER: Bounds(2, 9, 4, Claim("run-2")).encode()}, minReplicas=4, maxReplicas=4)
    assert pinned_to(taken, 4) and pinned_to(taken, 4, "run-2") and not pinned_to(taken, 4, MINE)
    assert writes(pin(taken, 4, Claim(MINE)))[MEMBER] == Bounds(2, 9, 4, Claim(MINE)).encode()


def test_one_or_none_can_be_pinned() -> None:
    assert to_pin((), ordinary()) is None
    assert to_pin((autoscaler(),), ordinary()) == autoscaler()


def test_refusing_names_it_and_the_other_choices() -> None:
    refuse((), ordinary())
    with pytest.raises(Refusal, match=r'"hpa" scales Deployment "web".*autoscaler=pin.*autoscaler=ignore'):
        refuse((autoscaler(),), ordinary())


# One that is held may scale up.

BEHAVIOR = {"scaleUp": {"selectPolicy": "Min"}, "scaleDown": {"stabilizationWindowSeconds": 60}}
VALUE, AVERAGE = "Value", "AverageValue"


def external(target: str, kind: str = "External") -> dict[str, Any]:
    return {"type": kind, kind.lower(): {"metric": {"name": "queue"}, "target": {"type": target}}}


def after(autoscaler_: Autoscaler, operations: list[dict[str, Any]]) -> Autoscaler:
    """As a server has it then."""
    found, written = autoscaler_, writes(operations)
    notes = written.get("/metadata/annotations") or dict(autoscaler_.annotations)
    if MEMBER in written:
        notes = {AUTOSCALER: written[MEMBER]} if written[MEMBER] else {}
    return replace(
        found,
        annotations=notes,
        min_replicas=written.get("/spec/minReplicas", found.min_replicas),
        max_replicas=written.get("/spec/maxReplicas", found.max_replicas),
        behavior=written.get("/spec/behavior", found.behavior),
    )


@pytest.mark.parametrize(
    ("metrics", "tolerance"),
    [
        ([], "0"),
        ([{"type": "Resource", "resource": {"target": {"type": "Utilization"}}}], "0"),
        ([external(AVERAGE)], "0"),
        ([external(VALUE)], "1"),
        ([external(VALUE, "Object"), external(VALUE)], "1"),
    ],
)
@pytest.mark.parametrize("behavior", [None, BEHAVIOR])
def test_a_held_one_keeps_its_maximum_and_scales_down_no_more_and_is_given_back_as_it_was(
    behavior: dict[str, Any] | None, metrics: list[dict[str, Any]], tolerance: str
) -> None:
    before = autoscaler(behavior=behavior, metrics=metrics)
    held = after(before, pin(before, 4, Claim(MINE), scales_up=True))
    down = {**(behavior or {}).get("scaleDown", {}), "selectPolicy": "Disabled", "tolerance": tolerance}
    assert (held.min_replicas, held.max_replicas) == (4, 9)
    assert held.behavior == {**(behavior or {}), "scaleDown": down}
    assert still_pinned(held) and pinned_to(held, 4, MINE, scales_up=True)
    assert not pinned_to(held, 4, MINE) and not pinned_to(held, 5, MINE, scales_up=True)
    given = after(held, give_back(held))
    assert replace(given, annotations=before.annotations) == before and not given.annotations


@pytest.mark.parametrize("first", [True, False], ids=["held and then pinned", "pinned and then held"])
def test_what_was_there_before_is_known_whichever_came_first(first: bool) -> None:
    before = autoscaler(behavior=BEHAVIOR)
    one = after(before, pin(before, 4, Claim("dead"), scales_up=first))
    two = after(one, pin(one, 6, Claim(MINE), scales_up=not first))
    assert (two.min_replicas, two.max_replicas) == ((6, 6) if first else (6, 9))
    given = after(two, give_back(two))
    assert (given.min_replicas, given.max_replicas, given.behavior) == (2, 9, BEHAVIOR)


@pytest.mark.parametrize(
    ("theirs", "left"),
    [
        ({"min_replicas": 3}, (3, 9, BEHAVIOR)),
        ({"max_replicas": 20}, (2, 20, BEHAVIOR)),
        ({"behavior": None}, (2, 9, None)),
        ({"behavior": {"scaleDown": {"selectPolicy": "Max"}}}, (2, 9, {"scaleDown": {"selectPolicy": "Max"}})),
    ],
)
def test_of_a_held_one_what_somebody_changed_is_left_and_the_rest_given_back(
    theirs: dict[str, Any], left: tuple[int, int, Any]
) -> None:
    before = autoscaler(behavior=BEHAVIOR)
    found = replace(after(before, pin(before, 4, scales_up=True)), **theirs)
    assert not still_pinned(found)
    given = after(found, give_back(found))
    assert (given.min_replicas, given.max_replicas, given.behavior) == left


DOUBLES = {"type": "Percent", "value": 100, "periodSeconds": 15}
DEFAULTS: dict[str, Any] = {
    # As a real server has stored a behavior of which nothing is said.
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, DOUBLES],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [DOUBLES]},
}
SLOWER = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
EDITED: dict[str, tuple[str, dict[str, Any]]] = {
    "scaleUp.policies": ("scaleUp", SLOWER),
    "scaleDown.policies": ("scaleDown", SLOWER),
    "scaleDown.stabilizationWindowSeconds": ("scaleDown", {"stabilizationWindowSeconds": 600}),
}


@pytest.mark.parametrize("behavior", [None, BEHAVIOR, {"scaleDown": {"selectPolicy": "Min", "tolerance": "0.05"}}])
@pytest.mark.parametrize(("side", "theirs"), [*EDITED.values()], ids=[*EDITED])
def test_a_behavior_that_somebody_edits_while_it_is_held_stays_but_for_what_the_hold_wrote(
    side: str, theirs: dict[str, Any], behavior: dict[str, Any] | None
) -> None:
    def edited(value: Any) -> Any:
        return {**(value or {}), side: {**(value or {}).get(side, {}), **theirs}}

    before = autoscaler(behavior=behavior)
    held = after(before, pin(before, 4, scales_up=True))
    found = replace(held, behavior=edited(held.behavior))
    assert changed(found) == ("behavior",)
    given = after(found, give_back(found))
    assert given.behavior == {"scaleDown": {}, **edited(behavior)} and given.min_replicas == 2


@pytest.mark.parametrize("drops", [False, True], ids=["1.35", "a server that knows no tolerance"])
@pytest.mark.parametrize("behavior", [None, BEHAVIOR])
def test_what_a_server_adds_to_a_behavior_is_nobodys_edit(behavior: dict[str, Any] | None, drops: bool) -> None:
    before = autoscaler(behavior=behavior)
    held = after(before, pin(before, 4, scales_up=True))
    stored = {side: {**rules, **(held.behavior or {}).get(side, {})} for side, rules in DEFAULTS.items()}
    if drops:
        del stored["scaleDown"]["tolerance"]
    found = replace(held, behavior=stored)
    assert still_pinned(found)
    assert after(found, give_back(found)).behavior == behavior


def test_one_whose_behavior_was_unset_is_given_back_without_any() -> None:
    held = after(autoscaler(), pin(autoscaler(), 4, scales_up=True))
    assert {"op": "remove", "path": "/spec/behavior"} in give_back(held)


NOT_HELD: dict[str, tuple[Autoscaler, str]] = {
    "owned": (autoscaler(owner="Scaler"), "keep it from scaling there"),
    "minReplicas 0": (autoscaler(minReplicas=0), "with minReplicas 0"),
    "Value beside others": (autoscaler(metrics=[external(VALUE), external(AVERAGE)]), "the target type Value beside"),
    "more replicas than its maximum": (autoscaler(maxReplicas=3), "maxReplicas 3 are fewer than 4 replicas"),
}


@pytest.mark.parametrize(("found", "what"), [*NOT_HELD.values()], ids=[*NOT_HELD])
def test_what_cannot_be_held_is_refused(found: Autoscaler, what: str) -> None:
    with pytest.raises(Refusal) as raised:
        to_pin((found,), ordinary(), scales_up=True)
    assert raised.value.code is Code.AUTOSCALER and what in str(raised.value)


@pytest.mark.parametrize(
    ("canary", "stable", "unavailable", "stays"),
    [(1, 4, 0, True), (3, 4, 0, True), (4, 4, 0, False), (1, 1, 0, False), (2, 3, 1, False)],
)
def test_a_canary_beside_which_pods_may_be_added_is_smaller_and_takes_no_stable_pod(
    canary: int, stable: int, unavailable: int, stays: bool
) -> None:
    if stays:
        must_be_smaller(canary, stable, unavailable, ordinary())
        return
    with pytest.raises(Refusal, match=f"{canary} canary beside {stable} stable pods? .* would not stay so"):
        must_be_smaller(canary, stable, unavailable, ordinary())


@pytest.mark.parametrize("tolerance", [{}, {"tolerance": "0"}])
@pytest.mark.parametrize("kind", ["External", "Object", "Resource"])
def test_a_server_that_knows_no_tolerance_is_told_from_where_metrics_need_one(
    kind: str, tolerance: dict[str, str]
) -> None:
    stored = autoscaler(
        metrics=[external(AVERAGE, kind)], behavior={"scaleDown": {"selectPolicy": "Disabled", **tolerance}}
    )
    if tolerance or kind == "Resource":
        has_kept(stored, ordinary())
        return
    with pytest.raises(Refusal, match="knows no tolerance"):
        has_kept(stored, ordinary())
