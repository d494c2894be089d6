# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_start decides in each situation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import Companion, Intent, Kind, Record
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import Hold, Room
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.start import (
    Asker,
    Wanted,
    decide,
    first_hold,
    stable_of,
    stable_to_change,
    step,
    unsettled,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest

from .objects import OWN, PINNED, deployment, held, ordinary, record, replica_set, situation, template

ASKER = Asker("ben", "2026-02-02T00:00:00Z", PINNED, "job-7")
HELD = (Companion(Kind.HELD_AUTOSCALER, "hpa", "u"),)
PLAIN = situation(ordinary(), replica_set("v1", 4, 1))


def wanted(
    version: str = "v2", pods: int | None = 1, weight: int | None = None, surge: int = 1, down: int = 0
) -> Wanted:
    return Wanted(template(version), pods, weight, Room(surge, down))


def test_a_start_takes_down_what_the_deployment_cannot_tell_later() -> None:
    begun = decide(PLAIN, wanted(pods=2), ASKER)
    assert begun.plan and begun.goal == Hold(1, 1) and first_hold(begun, PLAIN) == Hold(1, 0)
    assert begun.record == Record(
        uid="deployment-uid", intent=Intent.HOLD, originals=OWN, stable=record().stable, asked=digest(template("v2")),
        canary=digest(template("v2")), pods=2, surge=1, max_unavailable=0, replicas=4,
        started_at="2026-02-02T00:00:00Z", started_by="ben", companions=PINNED, run="job-7", generation=3,
    )  # fmt: skip


SAME: dict[str, tuple[Situation, Wanted]] = {
    "the same size": (held(), wanted()),
    "the same weight": (held(), wanted(pods=None, weight=20)),
    "the same weight after somebody scaled": (held(replicas=40), wanted(pods=None, weight=20)),
    "the template as it was asked for, where admission changed it": (
        held(record=record(asked=digest(template("v3")))), wanted("v3"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "asked"), [*SAME.values()], ids=[*SAME])
def test_the_same_call_again_changes_nothing(found: Situation, asked: Wanted) -> None:
    begun = decide(found, asked, replace(ASKER, companions=()))
    assert begun.plan is None and begun.goal == Hold(1, 0)


@pytest.mark.parametrize(("named", "then"), [((), PINNED), (HELD, HELD)])
def test_an_autoscaler_that_came_later_is_named_unless_there_is_one(
    named: tuple[Companion, ...], then: tuple[Companion, ...]
) -> None:
    begun = decide(held(record=record(companions=named)), wanted(), ASKER)
    assert begun.record.companions == then and (begun.plan is None) == (named == then)


def test_a_larger_size_goes_on_from_what_is_held() -> None:
    begun = decide(held(), wanted(pods=3, surge=2), ASKER)
    assert begun.plan and (begun.goal, begun.record.pods, begun.record.surge) == (Hold(2, 1), 3, 2)
    assert begun.record.started_by == "ana"


# Pods or a weight of 12 replicas, which had been 4 at the start; then a weight, and of how many replicas; the pods that are held then.
LATER: dict[str, tuple[Wanted, int, int, int]] = {
    "the same weight after somebody scaled": (wanted(pods=None, weight=35), 35, 8, 5),
    "a weight that had been as many pods at the start": (wanted(pods=3), 60, 12, 8),
}


@pytest.mark.parametrize(("first", "weight", "replicas", "pods"), [*LATER.values()], ids=[*LATER])
def test_a_weight_means_the_replicas_that_it_was_last_asked_for(
    first: Wanted, weight: int, replicas: int, pods: int
) -> None:
    grown = decide(held(replicas=12), first, ASKER).record
    one_surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": grown.pods - 1}}
    now = held(replicas=replicas, strategy=one_surge, record=grown)
    assert decide(now, wanted(pods=None, weight=weight), ASKER).record.pods == pods


def test_a_hold_that_somebody_let_grow_beyond_the_larger_size_stays_as_large() -> None:
    grown = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 10, "maxUnavailable": 1}}
    begun = decide(held(strategy=grown), wanted(pods=3), ASKER)
    assert begun.plan and (begun.goal, begun.record.pods) == (Hold(10, 1), 3)


def shrunk(replicas: int) -> Situation:
    """6 pods of 20 replicas, held as 30 %, and then somebody scaled."""
    share = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}
    return held(
        replicas=replicas, strategy=share, record=replace(record(pods=6, surge=20), replicas=20, companions=HELD)
    )


# Which goal, and how many pods the record then says; None where nothing is to be written.
SHARES: dict[str, tuple[int, int | None, int | None, tuple[Hold, int] | None]] = {
    "as many pods as there were before": (10, None, 38, (Hold(6, 0, 60), 6)),
    "a number of as many pods as there were before": (10, 6, None, (Hold(6, 0, 60), 6)),
    "fewer than there were before, more than there are": (10, None, 28, (Hold(4, 0, 40), 4)),
    "more than there were before": (10, 7, None, (Hold(7, 0, 70), 7)),
    "as many as there are": (10, 3, None, None),
    "the same weight": (10, None, 23, None),
    "the same weight, not scaled": (20, None, 23, None),
    "the same weight, scaled up": (40, None, 23, None),
}


@pytest.mark.parametrize(("replicas", "pods", "weight", "then"), [*SHARES.values()], ids=[*SHARES])
def test_a_share_goes_on_from_the_pods_that_it_comes_to(
    replicas: int, pods: int | None, weight: int | None, then: tuple[Hold, int] | None
) -> None:
    found = shrunk(replicas)
    begun = decide(found, replace(wanted(pods=pods, weight=weight, surge=20), grows=True), ASKER)
    if then is None:
        assert begun.plan is None and begun.goal == found.hold and begun.record == found.record
    else:
        assert begun.plan is not None and (begun.goal, begun.record.pods) == then


def test_a_share_is_not_made_smaller_than_what_it_comes_to() -> None:
    with pytest.raises(Refusal) as raised:
        decide(shrunk(10), replace(wanted(pods=2, surge=20), grows=True), ASKER)
    assert raised.value.code is Code.SMALLER and "holds 3 canary pods, and 2 were asked for" in raised.value.what


def test_a_step_is_as_large_as_the_ready_pods_allow() -> None:
    begun = decide(held(), wanted(pods=3), ASKER)
    found = held(record=begun.record)
    assert step(found, begun, ready=4) is None
    plan = step(found, begun, ready=5)
    assert plan and plan.after["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 1}


def test_the_steps_are_for_whoever_wrote_the_record_last() -> None:
    """A step writes it again: the wish of another start, or whose the canary is, would be lost."""
    begun = decide(held(), wanted(pods=2), ASKER)
    for theirs in (replace(begun.record, pods=3), replace(begun.record, run="another")):
        assert step(held(record=theirs), begun, ready=5) is None


REFUSED: dict[str, tuple[Situation, Wanted, Code]] = {
    "no replicas": (situation(ordinary(replicas=0), replica_set("v1", 0, 1)), wanted(), Code.SCALED_TO_ZERO),
    "recreate": (
        situation(ordinary(strategy={"type": "Recreate"}), replica_set("v1", 4, 1)), wanted(), Code.RECREATE,
    ),
    "paused": (situation(ordinary(paused=True), replica_set("v1", 4, 1)), wanted(), Code.PAUSED),
    "two active": (
        situation(ordinary(), replica_set("v1", 2, 2), replica_set("v0", 2, 1)), wanted(), Code.ROLLOUT_IN_PROGRESS,
    ),
    "no ReplicaSet yet": (situation(ordinary("v9"), replica_set("v1", 4, 1)), wanted(), Code.ROLLOUT_IN_PROGRESS),
    "the same template": (PLAIN, wanted("v1"), Code.SAME_TEMPLATE),
    "too many pods": (PLAIN, wanted(pods=5), Code.IMPOSSIBLE_SIZE),
    "no stable pod left": (PLAIN, wanted(pods=4, surge=0, down=1), Code.IMPOSSIBLE_SIZE),
    "no weight possible": (
        situation(ordinary(replicas=1), replica_set("v1", 1, 1)), wanted(pods=None, weight=50, surge=0, down=1),
        Code.IMPOSSIBLE_SIZE,
    ),
    "no such weight in less room, scaled down": (
        held(record=record(replicas=1), replicas=1), wanted(pods=None, weight=50, surge=0, down=1), Code.IMPOSSIBLE_SIZE,
    ),
    "scaled to 0 by now, and its pods are still there": (held(replicas=0), wanted(pods=None, weight=25), Code.SCALED_TO_ZERO),
    "another template": (held(), wanted("v3"), Code.ANOTHER_TEMPLATE),
    "a smaller size": (held(record=record(pods=2), strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}),
                       wanted(), Code.SMALLER),
    "frozen": (held(paused=True), wanted(), Code.FROZEN),
    "foreign": (situation(deployment("v3"), replica_set("v1", 4, 1)), wanted(), Code.FOREIGN),
    "damaged": (held(record=None), wanted(), Code.DAMAGED),
    "promoting": (
        situation(ordinary("v2", record=record(intent=Intent.PROMOTE), labels={"coalmine.canary/live": "true"}),
                  replica_set("v1", 4, 1), replica_set("v2", 1, 2)), wanted(), Code.BUSY,
    ),
    "undoing": (
        situation(ordinary(record=record(intent=Intent.UNDO), labels={"coalmine.canary/live": "true"}),
                  replica_set("v1", 4, 1), replica_set("v2", 1, 2)), wanted(), Code.BUSY,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "asked", "code"), [*REFUSED.values()], ids=[*REFUSED])
def test_a_start_is_refused(found: Situation, asked: Wanted, code: Code) -> None:
    with pytest.raises(Refusal) as raised:
        decide(found, asked, ASKER)
    assert raised.value.code is code
    assert "Deployment" in raised.value.what or code is Code.IMPOSSIBLE_SIZE
    # A size that is impossible is told with one that is possible.
    assert raised.value.remedy or code is Code.IMPOSSIBLE_SIZE


def test_a_new_version_is_made_from_the_stable_one_also_while_a_canary_is_held() -> None:
    assert stable_to_change(held()).name == stable_to_change(PLAIN).name == stable_of(PLAIN).name == "web-v1"
    with pytest.raises(Refusal):
        stable_to_change(held(paused=True))


SETTLED: dict[str, tuple[Any, str]] = {
    "settled": ((ordinary(), replica_set("v1", 4, 2)), ""),
    "not observed": (
        (ordinary(status={"observedGeneration": 2}), replica_set("v1", 4, 2)),
        "the Deployment controller has not seen the latest change yet",
    ),
    "an earlier version still ends": (
        (ordinary(), replica_set("v1", 4, 2), replica_set("v0", 0, 1, status={"replicas": 2})),
        "ReplicaSet web-v0 of an earlier version still has 2 pods",
    ),
    "nobody has counted an earlier version's pods": (
        (ordinary(), replica_set("v1", 4, 2), replace(replica_set("v0", 0, 1), observed=False)),
        "ReplicaSet web-v0 of an earlier version may still have pods that nobody has counted yet",
    ),
    "not all Ready": (
        (ordinary(status={"observedGeneration": 3, "readyReplicas": 3}), replica_set("v1", 4, 2)),
        "3 of 4 stable pods are Ready",
    ),
    "nobody has counted since it was scaled": (
        (ordinary(), replace(replica_set("v1", 4, 2), observed=False)),
        "the pods of ReplicaSet web-v1 have not been counted since it was scaled",
    ),
    "pods that were taken away are counted still": (
        (ordinary(), replica_set("v1", 4, 2, status={"replicas": 6, "readyReplicas": 6})),
        "the pods of ReplicaSet web-v1 have not been counted since it was scaled",
    ),
    "the Deployment's own count is older": (
        (ordinary(), replica_set("v1", 4, 2, status={"replicas": 4, "readyReplicas": 1})),
        "1 of 4 stable pods are Ready",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("objects", "why"), [*SETTLED.values()], ids=[*SETTLED])
def test_a_start_waits_until_the_stable_version_stands_still(objects: Any, why: str) -> None:
    assert unsettled(situation(*objects).picture) == why
