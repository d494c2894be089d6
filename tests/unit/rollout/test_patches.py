# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each patch holds: guarded, in one piece, and nothing that would move pods by accident."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout import patches
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST, LastRelease
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.patches import Plan
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    CHANGE_CAUSE,
    LIVE,
    RECORD,
    Intent,
    Originals,
    Record,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import Hold
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Deployment, Strategy

from .objects import OWN, deployment, held, ordinary, record, replica_set, situation, template

NEVER, NO_DEADLINE = 2147483646, 2147483647
V1 = replica_set("v1", 4, 1)
ENDED = LastRelease("undone", {}, "2026-01-01T00:00:00Z", "ana", "")


def member(key: str, of: str = "annotations") -> str:
    return f"/metadata/{of}/" + key.replace("/", "~1")


def values(plan: Plan) -> dict[str, Any]:
    """{path: value} of what the plan writes; None for what it removes."""
    return {o["path"]: o.get("value") for o in plan.operations if o["op"] != "test"}


def causes(cause: str | None) -> Record:
    return record(originals=Originals(5, 321, OWN.strategy, cause))


PLANS: dict[str, Plan] = {
    "hold": patches.hold(ordinary(), template("v2"), Hold(1, 0), record()),
    "grow": patches.grow(deployment(), Hold(1, 1), record()),
    "freeze": patches.freeze(deployment(), True),
    "halt": patches.halt(held()),
    "promote": patches.promote(held(), record()),
    "undo": patches.undo(held(), V1, record(), "bad"),
    "finish": patches.finish(held(), record(), ENDED),
    "gone on": patches.gone_on(deployment(), record()),
    "let go": patches.let_go(deployment(), record()),
    "rollback": patches.rollback(ordinary(), replica_set("v0", 0, 1)),
    "rollback, with a reason": patches.rollback(ordinary(), replica_set("v0", 0, 1), ENDED),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_patch_is_guarded_by_uid_and_generation(name: str) -> None:
    assert PLANS[name].operations[:2] == (
        {"op": "test", "path": "/metadata/uid", "value": "deployment-uid"},
        {"op": "test", "path": "/metadata/generation", "value": 3},
    )


@pytest.mark.parametrize("name", PLANS)
def test_a_patch_of_a_release_is_guarded_by_its_record(name: str) -> None:
    """Whoever takes a release over changes an annotation, of which the generation says nothing."""
    guard = {"op": "test", "path": member(RECORD), "value": record().encode()}
    begins_with_a_record = name not in ("hold", "rollback", "rollback, with a reason")
    assert (guard in PLANS[name].operations[:3]) is begins_with_a_record


def test_a_first_label_does_not_replace_one_that_came_meanwhile() -> None:
    """The generation says nothing about labels; a test of null holds where there is no member."""
    operations = PLANS["hold"].operations
    assert operations.index({"op": "test", "path": "/metadata/labels", "value": None}) < len(operations) - 1


def test_a_hold_is_one_patch_of_template_time_and_strategy() -> None:
    assert values(PLANS["hold"]) == {
        "/spec/template": template("v2"),
        "/spec/minReadySeconds": NEVER,
        "/spec/progressDeadlineSeconds": NO_DEADLINE,
        "/spec/strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "/metadata/annotations": {RECORD: record().encode()},
        "/metadata/labels": {LIVE: "true"},
    }


def test_a_step_changes_the_strategy_and_the_record() -> None:
    assert values(PLANS["grow"]) == {
        "/spec/strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        member(RECORD): record().encode(),
        member(LIVE, "labels"): "true",
    }


@pytest.mark.parametrize("paused", [True, False])
def test_a_freeze_changes_paused_and_nothing_else(paused: bool) -> None:
    assert values(patches.freeze(deployment(), paused)) == {"/spec/paused": paused}


@pytest.mark.parametrize(
    ("own", "stable", "canary", "strategy"),
    [
        pytest.param(("25%", "25%"), 4, 1, None, id="as-many-pods-as-the-surge-allows"),
        pytest.param(("25%", "25%"), 3, 1, None, id="fewer"),
        pytest.param((0, 1), 4, 3, (3, 1), id="more-than-a-paused-deployment-is-kept-at"),
    ],
)
def test_a_promotion_is_stopped_without_that_a_pod_goes(
    own: tuple[int | str, int | str], stable: int, canary: int, strategy: tuple[int, int] | None
) -> None:
    there = situation(
        deployment("v2", strategy=Strategy("RollingUpdate", *own).to_json(), replicas=4),
        replica_set("v1", stable, 1),
        replica_set("v2", canary, 2),
    )
    wanted = {"/spec/paused": True}
    if strategy:
        wanted["/spec/strategy"] = Strategy("RollingUpdate", *strategy).to_json()
    assert values(patches.halt(there)) == wanted


NEXT = 4


@pytest.mark.parametrize(
    ("found", "generation", "ruled_out"),
    [
        pytest.param(None, 3, False, id="it-may-still-be-on-its-way"),
        pytest.param(record(generation=3), NEXT, False, id="it-is-there"),
        pytest.param(record(generation=3, pods=3, run="later"), NEXT, False, id="it-was-there-and-has-grown-since"),
        pytest.param(record(generation=3, started_by="eve"), NEXT, True, id="somebody-else-has-begun"),
        pytest.param(record(generation=7, started_by="eve"), 9, False, id="it-may-be-over"),
        pytest.param("{", NEXT, False, id="nobody-can-tell"),
        pytest.param(None, NEXT, False, id="something-else-was-written"),
    ],
)
def test_a_lost_write_is_ruled_out_only_where_it_cannot_have_been_carried_out(
    found: Record | str | None, generation: int, ruled_out: bool
) -> None:
    mine = patches.hold(ordinary(), template("v2"), Hold(1, 0), record(generation=3))
    text = found.encode() if isinstance(found, Record) else found
    live = replace(deployment(record=None, annotations={RECORD: text} if text else {}), generation=generation)
    assert mine.is_ruled_out_by(live) is ruled_out
    assert mine.is_overtaken_by(live) is (generation > 3)


def test_a_promotion_puts_every_field_back_and_leaves_the_template() -> None:
    assert values(PLANS["promote"]) == {
        "/spec/minReadySeconds": 5,
        "/spec/progressDeadlineSeconds": 321,
        "/spec/strategy": OWN.strategy.to_json(),
        "/spec/paused": False,
        member(RECORD): record(intent=Intent.PROMOTE).encode(),
        member(LIVE, "labels"): "true",
    }


def test_an_undo_puts_the_stable_template_back_without_what_its_replica_set_added() -> None:
    written = values(PLANS["undo"])
    assert written["/spec/template"] == template("v1")
    assert (written["/spec/minReadySeconds"], written["/spec/paused"]) == (5, False)
    assert written[member(RECORD)] == record(intent=Intent.UNDO, reason="bad").encode()


def test_what_was_never_set_comes_back_as_kubernetes_default() -> None:
    unset = record(originals=Originals(0, None, Strategy(), None))
    written = values(patches.promote(held(), unset))
    assert (written["/spec/progressDeadlineSeconds"], written["/spec/minReadySeconds"]) == (600, 0)
    assert written["/spec/strategy"] == {"type": "RollingUpdate"}


UNMARKED = situation(deployment(labels={"app": "web"}), V1, replica_set("v2", 1, 2))
LATER_LOOKS_FOR = {
    "hold": patches.hold(ordinary(), template("v2"), Hold(1, 0), record()),
    "grow": patches.grow(UNMARKED.deployment, Hold(1, 1), record()),
    "promote": patches.promote(UNMARKED, record()),
    "undo": patches.undo(UNMARKED, V1, record(), "bad"),
    "corrected": patches.corrected(UNMARKED.deployment, record()),
}


@pytest.mark.parametrize("name", LATER_LOOKS_FOR)
def test_a_patch_sets_whatever_later_steps_look_for_also_where_somebody_took_it_away(name: str) -> None:
    written = values(LATER_LOOKS_FOR[name])
    labels = {**written.get("/metadata/labels", {}), LIVE: written.get(member(LIVE, "labels"))}
    assert "true" in (labels[LIVE], written.get("/metadata/labels", {}).get(LIVE))
    assert RECORD in written.get("/metadata/annotations", {}) or member(RECORD) in written


COMING_BACK: list[tuple[Hold | None, dict[str, Any], tuple[int, int]]] = [
    (Hold(1, 0), {}, (1, 0)),
    (Hold(1, 3), {}, (4, 0)),
    (Hold(2, 1), {"max_unavailable": 1}, (3, 1)),
    (Hold(0, 2), {"surge": 0, "max_unavailable": 1}, (0, 1)),
    (Hold(1, 1), {"surge": 0, "max_unavailable": 1}, (2, 1)),
    (None, {"pods": 3}, (3, 0)),
    (None, {"surge": 0, "max_unavailable": 2}, (0, 2)),
]


@pytest.mark.parametrize(("hold", "asked", "strategy"), COMING_BACK)
def test_stable_pods_come_back_within_what_was_allowed_at_the_start(
    hold: Hold | None, asked: dict[str, Any], strategy: tuple[int, int]
) -> None:
    assert patches.coming_back(hold, record(**asked)) == strategy
    lacks = patches.coming_back(hold, record(**asked), 2)
    assert lacks == (strategy[0], strategy[1] + 2), "none is kept for those that lack"


def test_the_end_removes_record_and_label_and_says_how_it_went() -> None:
    assert values(PLANS["finish"]) == {
        "/spec/strategy": OWN.strategy.to_json(),
        member(RECORD): None,
        member(LAST): ENDED.encode(),
        member(LIVE, "labels"): None,
    }


def test_what_is_not_there_is_not_removed() -> None:
    """The server would refuse the whole patch, and not say why."""
    bare = situation(deployment(record=None, labels={}, annotations={"x": "y"}), V1)
    assert set(values(patches.finish(bare, record(), ENDED))) == {"/spec/strategy", member(LAST)}


CAUSES: list[tuple[str | None, dict[str, str], str | None]] = [
    ("release 1", {CHANGE_CAUSE: "canary"}, "release 1"),
    ("release 1", {}, "release 1"),
    (None, {CHANGE_CAUSE: "canary"}, None),
]


@pytest.mark.parametrize(("before", "now", "after"), CAUSES)
def test_an_undo_puts_the_change_cause_back(before: str | None, now: dict[str, str], after: str | None) -> None:
    written = values(patches.undo(held(annotations=now), V1, causes(before), ""))
    assert written[member(CHANGE_CAUSE)] == after


def test_without_a_change_cause_none_is_written() -> None:
    assert member(CHANGE_CAUSE) not in values(patches.undo(held(), V1, causes(None), ""))
    assert CHANGE_CAUSE not in values(PLANS["hold"])["/metadata/annotations"]


def test_a_canary_gets_a_change_cause_of_its_own_where_the_deployment_has_one() -> None:
    plan = patches.hold(
        ordinary(annotations={CHANGE_CAUSE: "release 1"}), template("v2"), Hold(1, 0), causes("release 1")
    )
    assert values(plan)[member(CHANGE_CAUSE)] == "canary of app=app:v2"


def test_the_difference_shows_images_and_no_environment() -> None:
    secret = template("v2", env=[{"name": "PASSWORD", "value": "s3cret"}])
    plan = patches.hold(ordinary(), secret, Hold(1, 0), record())
    assert plan.before["images"] == {"app": "app:v1"} and plan.after["images"] == {"app": "app:v2"}
    assert (plan.before["live"], plan.after["live"]) == (False, True)
    assert "s3cret" not in f"{plan.before} {plan.after} {record().encode()}"


def test_what_stays_is_in_no_difference() -> None:
    assert dict(PLANS["freeze"].before) == {"paused": False} and dict(PLANS["freeze"].after) == {"paused": True}
    assert "images" not in PLANS["promote"].after and "paused" not in PLANS["promote"].after


FULL = 256 * 1024 - patches.CONTROLLERS_BYTES
ROOMS: dict[str, tuple[int, str, str]] = {
    # bytes that others have taken, the reason, and how what is noted of it begins
    "enough": (0, "slow", "slow"),
    "long, and enough": (0, "slow " * 9_999, "slow " * 9_999),
    "too long for any object": (0, "x" * 300_000, "xxx"),
    "of many bytes a character": (0, "\u00e9" * 60_000, "\u00e9\u00e9\u00e9"),
    "half a character": (0, "a\ud800b", "a?b"),
    "nearly none": (FULL - 900, "x" * 300_000, "xxx"),
    "none": (FULL, "x" * 300_000, ""),
    "less than none": (FULL + 100, "slow", ""),
}
NOTES = {
    "undo": lambda found, reason: (patches.undo(found, V1, record(), reason), RECORD),
    "finish": lambda found, reason: (patches.finish(found, record(), replace(ENDED, reason=reason)), LAST),
    "rollback": lambda found, reason: (patches.rollback(found.deployment, V1, replace(ENDED, reason=reason)), LAST),
}


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize(("taken", "reason", "begins"), [*ROOMS.values()], ids=[*ROOMS])
def test_a_reason_takes_no_more_than_there_is(taken: int, reason: str, begins: str, note: str) -> None:
    found = situation(deployment(annotations={"much": "y" * taken}), V1, replica_set("v2", 1, 2))
    plan, key = NOTES[note](found, reason)
    text = values(plan)[member(key)]
    kept = json.loads(text).get("reason", "")
    whole = kept == reason.replace("\ud800", "?")
    assert kept.startswith(begins[:99])
    assert whole or not kept or kept.endswith(("...", f"(cut, of {len(reason)} characters)"))
    assert any("the reason was" in warning for warning in plan.warnings) or whole or "(cut, of" in kept
    if taken < FULL - 2_000:
        assert kept, "there was room"
    gone = found.deployment.annotations[RECORD] if note == "finish" else ""
    replaced = found.deployment.annotations[RECORD] if note == "undo" else ""
    others = sum(len(k) + len(v) for k, v in found.deployment.annotations.items()) - len(gone) - len(replaced)
    assert not kept or others + len(text) <= FULL + len(RECORD)


def managed(*managers: str) -> Deployment:
    entries = tuple(
        {"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": {"f:spec": {}}}
        for manager, _slash, subresource in (one.partition("/") for one in managers)
    )
    return replace(ordinary("v1"), managed_fields=entries)


@pytest.mark.parametrize(
    ("managers", "gone"),
    [
        ((), ()),
        (("kubectl", "kube-controller-manager/status"), ()),
        # What we write to a subresource, such as scale, is none of a release.
        (("canary/scale",), ()),
        (("canary",), (0,)),
        (("kubectl", "canary", "canary/status", "helm"), (1,)),
        # One for each version of the API.
        (("canary", "kubectl", "canary"), (2, 0)),
    ],
)
def test_only_our_own_entries_are_taken_out_of_the_managers(managers: tuple[str, ...], gone: tuple[int, ...]) -> None:
    plan = patches.disown(managed(*managers), "canary")
    if not gone:
        assert plan is None
        return
    assert plan is not None and (plan.before, plan.after) == ({}, {})
    removed = [one["path"] for one in plan.operations if one["op"] == "remove"]
    assert removed == [f"/metadata/managedFields/{n}" for n in gone]
    tests = {one["path"]: one["value"] for one in plan.operations if one["op"] == "test"}
    assert {"/metadata/uid", "/metadata/generation"} <= tests.keys()
    assert all(tests[f"/metadata/managedFields/{n}/manager"] == "canary" for n in gone)


def test_a_release_whose_record_has_no_room_is_refused_with_what_is_too_long() -> None:
    def full(size: int) -> Deployment:
        return ordinary(annotations={"note/of-somebody": "x" * size, "short": "y"})

    nearly = 262144 - 4096 - len(record().encode()) - len(RECORD) - len("note/of-somebody") - len("shorty")
    assert patches.hold(full(nearly), template("v2"), Hold(1, 0), record()).operations
    with pytest.raises(Refusal, match=r"Shorten them by 1 bytes or more: the longest is note/of-somebody") as refused:
        patches.hold(full(nearly + 1), template("v2"), Hold(1, 0), record())
    assert refused.value.code is Code.IMPOSSIBLE_SIZE
