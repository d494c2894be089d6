# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_undo decides: every state of a release can be finished, and what the user says wins over what a record says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.patches import Plan
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import (
    NEVER_AVAILABLE_SECONDS,
    Phase,
    Situation,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    LIVE,
    RECORD,
    Intent,
    Record,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import (
    Restore,
    Undoing,
    decide,
    restore_over,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Deployment, Strategy

from .objects import OWN, deployment, held, ordinary, record, replica_set, situation, template

ASKED = Undoing("ben", "2026-02-02T00:00:00Z", "slow")
GIVEN = Restore(min_ready_seconds=7, progress_deadline_seconds=77, max_surge="70%", max_unavailable=0)
WITH = replace(ASKED, restore=GIVEN)
V1 = replica_set("v1", 4, 1)
V2 = replica_set("v2", 1, 2, minReadySeconds=NEVER_AVAILABLE_SECONDS)
MARKED: dict[str, Any] = {"labels": {LIVE: "true"}}
UNREADABLE: dict[str, Any] = {"record": None, "annotations": {RECORD: "{}"}}
PROMOTE, UNDO = record(intent=Intent.PROMOTE), record(intent=Intent.UNDO)
CANARY_AS_STABLE = replace(record(), stable=replace(record("v2").stable, replica_set="web-v2"))
NO_SUCH_DIGEST = replace(record(), stable=replace(record().stable, digest="sha256:0"))


def written(plan: Plan | None) -> dict[str, Any]:
    assert plan is not None
    return {o["path"]: o.get("value") for o in plan.operations if o["op"] != "test"}


def stored(plan: Plan | None) -> Record | None:
    """The record that this plan leaves on the Deployment."""
    values = written(plan)
    text = values.get("/metadata/annotations", {}).get(RECORD) or values.get(
        "/metadata/annotations/coalmine.canary~1record"
    )
    return Record.decode(text) if text else None


STATES: dict[str, Situation] = {
    "held": held(),
    "frozen": held(paused=True),
    "promoting": situation(ordinary("v2", record=PROMOTE, **MARKED), V1, V2),
    "undoing": situation(ordinary("v1", record=UNDO, **MARKED), V1, V2),
    "another template": situation(deployment("v3"), V1, V2, replica_set("v3", 1, 3)),
    "minReadySeconds put back": situation(ordinary("v2", record=record(), **MARKED), V1, V2),
    "no record": situation(deployment(record=None), V1, V2),
    "an unreadable record": situation(deployment(**UNREADABLE), V1, V2),
    "a record of 2^40 seconds": situation(
        deployment(record=None, annotations={RECORD: record().encode().replace(':5,"prog', f':{2**40},"prog')}), V1, V2
    ),
    "the canary called stable": situation(deployment(record=CANARY_AS_STABLE), V1, V2),
    "a digest of no ReplicaSet": situation(deployment(record=NO_SUCH_DIGEST), V1, V2),
    "a digest of no ReplicaSet in a promotion": situation(
        ordinary("v2", record=replace(NO_SUCH_DIGEST, intent=Intent.PROMOTE), **MARKED), V1, V2
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_what_the_user_restores_wins_in_every_state_and_leads_to_the_stable_version(state: str) -> None:
    plan = decide(STATES[state], WITH)
    values, left = written(plan), stored(plan)
    assert (values["/spec/minReadySeconds"], values["/spec/progressDeadlineSeconds"]) == (7, 77)
    assert values["/spec/template"] == template("v1")
    assert left is not None and left.intent is Intent.UNDO
    assert left.originals.strategy == Strategy("RollingUpdate", "70%", 0)


@pytest.mark.parametrize("state", STATES)
def test_without_it_the_record_counts_or_the_user_is_asked(state: str) -> None:
    found = STATES[state]
    if found.record is None:
        with pytest.raises(Refusal, match="Run canary_undo with restore: min_ready_seconds, ") as raised:
            decide(found, ASKED)
        assert raised.value.code is Code.DAMAGED
    elif found.phase is Phase.UNDOING:
        assert decide(found, ASKED) is None
    else:
        assert written(decide(found, ASKED))["/spec/minReadySeconds"] == 5


def test_a_part_of_the_fields_is_enough_where_a_record_knows_the_others() -> None:
    plan = decide(held(), replace(ASKED, restore=Restore(max_surge=2)))
    left = stored(plan)
    assert left is not None and left.originals == replace(OWN, strategy=Strategy("RollingUpdate", 2, 1))
    with pytest.raises(Refusal, match="restore lacks min_ready_seconds, progress_deadline_seconds, max_unavailable"):
        decide(STATES["no record"], replace(ASKED, restore=Restore(max_surge=2)))


IMPOSSIBLE = {
    "no pod may move": Restore(5, 321, 0, "0%"),
    "a deadline below minReadySeconds": Restore(5, 5, 1, 1),
    "more than 32 bits": Restore(2**40, 2**41, 1, 1),
    "more than all": Restore(0, 600, 1, "101%"),
}


@pytest.mark.parametrize("restore", [*IMPOSSIBLE.values()], ids=[*IMPOSSIBLE])
@pytest.mark.parametrize("state", ["held", "no record"])
def test_what_could_not_be_read_again_is_not_written(restore: Restore, state: str) -> None:
    with pytest.raises(Refusal, match="restore cannot be: ") as raised:
        decide(STATES[state], replace(ASKED, restore=restore))
    assert raised.value.code is Code.INVALID


def test_marks_alone_are_removed() -> None:
    values = written(decide(situation(ordinary(**MARKED), V1), ASKED))
    assert values == {"/metadata/labels/coalmine.canary~1live": None}


def test_marks_with_a_record_that_cannot_be_read_may_hide_a_strategy() -> None:
    found = situation(ordinary("v2", **UNREADABLE, **MARKED), V2)
    with pytest.raises(Refusal, match="Run canary_undo with restore"):
        decide(found, ASKED)
    values = written(decide(found, WITH))
    assert values["/spec/strategy"] == Strategy("RollingUpdate", "70%", 0).to_json() and "/spec/template" not in values
    assert values["/metadata/annotations/coalmine.canary~1record"] is None


def test_over_a_template_that_came_since_only_the_fields_come_back() -> None:
    found = situation(ordinary("v3", record=PROMOTE, **MARKED), replica_set("v3", 4, 3))
    values = written(restore_over(found, WITH))
    assert found.phase is Phase.FOREIGN and "/spec/template" not in values
    assert (values["/spec/minReadySeconds"], values["/metadata/labels/coalmine.canary~1live"]) == (7, None)


@pytest.mark.parametrize("asked", [ASKED, WITH], ids=["undone", "restored"])
@pytest.mark.parametrize(
    "found", [deployment(), ordinary("v2", record=PROMOTE, **MARKED)], ids=["held", "being promoted"]
)
def test_without_a_stable_replica_set_nothing_is_guessed(asked: Undoing, found: Deployment) -> None:
    with pytest.raises(Refusal, match='the stable ReplicaSet "web-v1" of Deployment "web" is gone') as raised:
        decide(situation(found, V2), asked)
    assert raised.value.code is Code.NO_STABLE


def test_the_only_version_stays_and_is_told_where_no_record_says_what_it_is() -> None:
    plan = decide(situation(deployment(record=None), V2), WITH)
    assert plan is not None and written(plan).get("/spec/template", template("v2")) == template("v2")
    assert plan.warnings == (
        "no version beside web-v2 has pods, and no record says whether that is the stable version or a canary: it stays, "
        "and only its fields are put back",
    )
    beside = decide(STATES["no record"], WITH)
    assert beside is not None and not beside.warnings


@pytest.mark.parametrize("asked", [ASKED, WITH], ids=["undone", "restored"])
@pytest.mark.parametrize("paused", [True, False])
def test_an_undo_with_a_template_of_which_there_is_no_replica_set_yet_is_gone_on_with(
    asked: Undoing, paused: bool
) -> None:
    """A policy has made that of the stable version. A paused Deployment gets none, and any other one a little later."""
    left = replace(UNDO, stable=record("v3").stable)
    found = situation(ordinary("v3", record=left, paused=paused, **MARKED), V1, V2)
    assert found.stable is None and found.phase is (Phase.FROZEN if paused else Phase.UNDOING)
    plan = decide(found, asked)
    if asked is ASKED and not paused:
        assert plan is None
        return
    values, kept = written(plan), stored(plan)
    assert values["/spec/paused"] is False and "/spec/template" not in values and "/spec/strategy" not in values
    assert kept is not None and kept.intent is Intent.UNDO and kept.stable == left.stable
