# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a release stands is read off the objects; a record counts only in the state that it describes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST, LastRelease
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
    StableIdentity,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import Hold
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest

from .objects import deployment, held, ordinary, pod, record, replica_set, situation, template

V1, V2, V3 = replica_set("v1", 4, 1), replica_set("v2", 1, 2), replica_set("v3", 1, 3)
PROMOTE, UNDO = record(intent=Intent.PROMOTE), record(intent=Intent.UNDO)
MARKED: dict[str, Any] = {"labels": {LIVE: "true"}}
# What a release leaves when it ends; the Deployment in these tests has generation 3.
ENDED = {LAST: LastRelease("promoted", {}, "", "", "", generation=2).encode()}
HELD_V2 = replica_set("v2", 1, 2, minReadySeconds=NEVER_AVAILABLE_SECONDS)


def since(generation: int, **changes: Any) -> Record:
    return record(generation=generation, **changes)


def calling_stable(version: str, **changes: Any) -> Record:
    named = StableIdentity(f"web-{version}", f"uid-{version}", version, digest(template(version)))
    return replace(record(**changes), stable=named)


CASES: dict[str, tuple[Situation, Phase, str]] = {
    "nothing of ours": (situation(ordinary(), V1), Phase.NONE, ""),
    "a record without hold and label": (situation(ordinary(record=record()), V1), Phase.NONE, ""),
    "held": (held(), Phase.HELD, ""),
    "held, without the label": (held(labels={}), Phase.HELD, ""),
    "frozen": (held(paused=True), Phase.FROZEN, ""),
    "the first pod is not Ready": (
        situation(deployment(), V1, replica_set("v2", 1, 2, status={"readyReplicas": 0})), Phase.STARTING, "",
    ),
    "the controller has made no ReplicaSet yet": (situation(deployment(), V1), Phase.STARTING, ""),
    "smaller than asked for": (held(record=record(pods=2)), Phase.STEPPING, ""),
    "promoting": (situation(ordinary("v2", record=PROMOTE, **MARKED), V1, V2), Phase.PROMOTING, ""),
    "a promotion paused": (situation(ordinary("v2", record=PROMOTE, paused=True, **MARKED), V1, V2), Phase.FROZEN, ""),
    "undoing": (situation(ordinary("v1", record=UNDO, **MARKED), V1, V2), Phase.UNDOING, ""),
    "another template in a hold": (
        situation(deployment("v3"), V1, V2, V3), Phase.FOREIGN, "somebody replaced the pod template",
    ),
    "another template in a promotion": (
        situation(ordinary("v3", record=PROMOTE, **MARKED), V1, V2, V3), Phase.FOREIGN, "somebody replaced the pod template",
    ),
    "the stable template put back": (
        situation(deployment("v1"), V1, V2), Phase.DAMAGED,
        "its pod template was put back to the stable one without the fields of the hold",
    ),
    "minReadySeconds put back": (
        situation(ordinary("v2", record=record(), **MARKED), V1, V2), Phase.DAMAGED,
        "somebody ended the hold by putting minReadySeconds back",
    ),
    "a strategy of percentages": (
        held(strategy={"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}), Phase.DAMAGED,
        "somebody changed the strategy of the hold",
    ),
    "no record": (held(record=None), Phase.DAMAGED, "it has the fields of a hold but no record of its own fields is left"),
    "a record of another Deployment": (
        held(record=record(uid="other")), Phase.DAMAGED, "its record is of another Deployment, from which it was copied or restored",
    ),
    "an unreadable record": (
        held(record=None, annotations={RECORD: "[]"}), Phase.DAMAGED, "its record cannot be read: it is not a JSON object",
    ),
    "the label alone": (
        situation(ordinary(**MARKED), V1), Phase.DAMAGED, "its label says so but its record is gone",
    ),
    "scaled to zero": (
        situation(deployment(replicas=0), replica_set("v1", 0, 1), replica_set("v2", 0, 2)), Phase.DAMAGED,
        "no stable pod is left beside the canary",
    ),
    "scaled to zero and back": (
        situation(deployment(), replica_set("v1", 0, 1), replica_set("v2", 4, 2)), Phase.DAMAGED,
        "no stable pod is left beside the canary",
    ),
    "a promotion that lost its label": (
        situation(ordinary("v2", record=since(3, intent=Intent.PROMOTE)), V1, V2), Phase.PROMOTING, "",
    ),
    "an undo that lost its label": (situation(ordinary("v1", record=since(3, intent=Intent.UNDO)), V1, V2), Phase.UNDOING, ""),
    "a promotion that ended, whose record came back": (
        situation(ordinary("v2", record=since(2, intent=Intent.PROMOTE), annotations=ENDED), V1, V2), Phase.NONE, "",
    ),
    "a promotion without label after one that ended": (
        situation(ordinary("v2", record=since(3, intent=Intent.PROMOTE), annotations=ENDED), V1, V2), Phase.PROMOTING, "",
    ),
    "a promotion of another Deployment": (
        situation(ordinary("v2", record=since(3, intent=Intent.PROMOTE, uid="other")), V1, V2), Phase.NONE, "",
    ),
    "a promotion that lost its record": (
        situation(ordinary("v2", **MARKED), V1, replica_set("v2", 1, 2, since(3, intent=Intent.PROMOTE))), Phase.PROMOTING, "",
    ),
    "an undo that lost its record": (
        situation(ordinary("v1", **MARKED), replica_set("v1", 3, 3, since(3, intent=Intent.UNDO)), V2), Phase.UNDOING, "",
    ),
    "a label that was left over a promotion that ended": (
        situation(ordinary("v2", annotations=ENDED, **MARKED), V1, replica_set("v2", 1, 2, since(2, intent=Intent.PROMOTE))),
        Phase.DAMAGED, "its label says so but its record is gone",
    ),
    "a record that calls the canary stable": (
        situation(deployment(record=calling_stable("v2")), V1, HELD_V2), Phase.DAMAGED,
        "its record names the canary as the stable version",
    ),
    "the uid of the canary and the digest of the stable version": (
        held(record=replace(record(), stable=replace(record().stable, uid="uid-v2"))), Phase.HELD, "",
    ),
    "the uid of the stable version and the digest of none": (
        held(record=replace(record(), stable=replace(record().stable, digest="sha256:0"))), Phase.DAMAGED,
        "its record calls ReplicaSet web-v1 stable, and means another pod template than that has",
    ),
    "a promotion whose record calls an old version stable": (
        situation(ordinary("v2", record=calling_stable("v0", intent=Intent.PROMOTE), **MARKED), replica_set("v0", 0, 1), V1, V2),
        Phase.DAMAGED, "its record names another stable ReplicaSet than the one that has pods",
    ),
    "the stable ReplicaSet deleted": (situation(deployment(), V2), Phase.DAMAGED, "no stable pod is left beside the canary"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "phase", "why"), [*CASES.values()], ids=[*CASES])
def test_the_phase_is_read_off_the_objects(found: Situation, phase: Phase, why: str) -> None:
    assert (found.phase, found.why) == (phase, why)


def test_stable_and_canary_are_the_two_replica_sets() -> None:
    found = held()
    assert found.stable and found.canary and found.hold == Hold(1, 0)
    assert (found.stable.name, found.canary.name) == ("web-v1", "web-v2")


def test_a_record_that_was_deleted_is_read_from_its_copy_on_the_canary() -> None:
    found = situation(deployment(record=None), V1, replica_set("v2", 1, 2, record()))
    assert (found.phase, found.record) == (Phase.HELD, record())


def test_an_unreadable_record_is_not_replaced_by_a_copy() -> None:
    found = situation(deployment(record=None, annotations={RECORD: "{}"}), V1, replica_set("v2", 1, 2, record()))
    assert (found.phase, found.record) == (Phase.DAMAGED, None)


def test_kubectl_rollout_undo_brings_back_the_record_of_an_earlier_canary_and_it_is_seen_through() -> None:
    """v1 -> v2 was undone, then v2 was rolled out; v3 was held when kubectl put v2 back with its annotations."""
    stale, counts = (
        record("v1", "v2", generation=1, started_at="2099-01-01T00:00:00Z"),
        record("v2", "v3", generation=2),
    )
    found = situation(
        deployment("v2", record=stale),
        replica_set("v1", 0, 1),
        replica_set("v2", 4, 4, stale),
        replica_set("v3", 1, 3, counts),
    )
    assert (found.phase, found.record) == (Phase.DAMAGED, counts)
    assert found.stable and found.stable.name == "web-v2"


def test_the_record_of_a_promotion_is_no_record_of_a_hold() -> None:
    """v1 -> v2 was promoted; v1 was held beside v2 when kubectl put v2 back with the annotations of its promotion."""
    stale = record("v1", "v2", intent=Intent.PROMOTE, generation=1, started_at="2099-01-01T00:00:00Z")
    counts = record("v2", "v1", generation=2)
    found = situation(deployment("v2", record=stale), replica_set("v2", 4, 4, stale), replica_set("v1", 1, 3, counts))
    assert (found.phase, found.record) == (Phase.DAMAGED, counts)


def test_in_a_promotion_an_older_record_does_not_count_either() -> None:
    stale = record("v0", "v1", intent=Intent.PROMOTE, generation=1, started_at="2099-01-01T00:00:00Z")
    counts = record(intent=Intent.PROMOTE, generation=2)
    found = situation(
        ordinary("v1", record=stale, **MARKED), replica_set("v1", 4, 3, stale), replica_set("v2", 1, 2, counts)
    )
    assert (found.phase, found.record) == (Phase.FOREIGN, counts)


def test_a_promotion_goes_on_although_pods_of_a_canary_that_was_undone_came_back() -> None:
    """Scaled to zero and back while v3 had no ReplicaSet yet, and then promoted."""
    undone, counts = record("v1", "v2", generation=2), record("v1", "v3", intent=Intent.PROMOTE, generation=4)
    replica_sets = replica_set("v1", 0, 3), replica_set("v2", 3, 2, undone), replica_set("v3", 1, 4, counts)
    found = situation(ordinary("v3", record=counts, annotations=ENDED, **MARKED), *replica_sets)
    assert (found.phase, found.record) == (Phase.PROMOTING, counts)


@pytest.mark.parametrize("when", ["2099-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "zzz"])
@pytest.mark.parametrize("intent", Intent)
def test_a_copy_of_an_earlier_release_counts_for_nothing_whatever_its_clock_said(when: str, intent: Intent) -> None:
    earlier = record("v1", "v0", generation=1, started_at=when)
    own = record(intent=intent, generation=3)
    replica_sets = replica_set("v0", 0, 1, earlier), V1, replica_set("v2", 1, 3, own)
    shown = {
        Intent.HOLD: (deployment(record=own), Phase.HELD),
        Intent.PROMOTE: (ordinary("v2", record=own, **MARKED), Phase.PROMOTING),
        Intent.UNDO: (ordinary("v1", record=own, **MARKED), Phase.UNDOING),
    }
    of, phase = shown[intent]
    found = situation(of, *replica_sets)
    assert (found.phase, found.record) == (phase, own)


def test_a_stable_replica_set_that_was_made_again_is_as_good() -> None:
    again = replica_set("v1", 4, 1)
    gone = replace(record(), stable=replace(record().stable, replica_set="gone", uid="gone"))
    found = situation(deployment(record=gone), again, V2)
    assert found.phase is Phase.HELD and found.stable == again


def test_without_a_record_the_stable_version_is_the_one_without_the_holds_min_ready_seconds() -> None:
    found = situation(deployment(record=None), V1, replica_set("v2", 1, 2, minReadySeconds=2147483646))
    assert found.phase is Phase.DAMAGED and found.stable == V1


@pytest.mark.parametrize(
    ("pods", "phase"),
    [
        ((pod("c", "v2"),), Phase.HELD),
        ((pod("c", "v2", ready=False),), Phase.STARTING),
        ((pod("c", "v2", terminating=True),), Phase.STARTING),
    ],
)
def test_pods_that_were_read_count_more_than_what_the_replica_set_says(pods: Any, phase: Phase) -> None:
    assert situation(deployment(), V1, V2, pods=pods).phase is phase


def test_a_record_that_was_restored_with_its_deployment_is_told_to_be_of_another() -> None:
    restored = record(uid="uid-before-the-backup")
    for found in (deployment(record=restored), ordinary("v1", record=restored, labels={LIVE: "true"})):
        told = situation(found, replica_set("v2", 1, 2), replica_set("v1", 4, 1))
        assert (told.phase, told.record) == (Phase.DAMAGED, None)
        assert told.why == "its record is of another Deployment, from which it was copied or restored"
