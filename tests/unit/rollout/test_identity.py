# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release is meant: every phase against every way to name one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.identity import Meant, hash_of
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import Intent, same_release
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from tests.unit.rollout.objects import deployment, held, ordinary, record, replica_set, situation

OURS = record(run="r1")
MOVING: dict[str, Any] = {"minReadySeconds": 5}


def moving(intent: Intent, version: str) -> Situation:
    note = OURS.with_intent(intent)
    return situation(deployment(version, record=note, **MOVING), replica_set("v2", 1, 2), replica_set("v1", 4, 1))


def nothing_live(version: str) -> Situation:
    return situation(ordinary(version), replica_set(version, 4, 1))


OF_R1 = {
    "held": held(record=OURS),
    "frozen": held(record=OURS, paused=True),
    "with a template of somebody else": held(version="v7", record=OURS),
    "promoting": moving(Intent.PROMOTE, "v2"),
    "undoing": moving(Intent.UNDO, "v1"),
}


@pytest.mark.parametrize("there", OF_R1.values(), ids=OF_R1.keys())
@pytest.mark.parametrize("meant", [Meant(), Meant("v2"), Meant(run="r1"), Meant("v2", "r1"), Meant("v2").bound(held())])
def test_it_is_the_release_that_is_meant(there: Situation, meant: Meant) -> None:
    assert (hash_of(there), meant.differs(there)) == ("v2", "")
    meant.check(there)


@pytest.mark.parametrize("there", OF_R1.values(), ids=OF_R1.keys())
@pytest.mark.parametrize(
    ("meant", "expected"),
    [
        (Meant("v3"), "canary v3 was expected"),
        (Meant("v7"), "canary v7 was expected"),
        (Meant("v2", "r2"), "canary v2 of run r2 was expected"),
        (Meant(run="r2"), "canary of run r2 was expected"),
        (Meant(template="another"), "the canary that was looked at first is gone"),
    ],
)
def test_another_release_is_refused_and_told(there: Situation, meant: Meant, expected: str) -> None:
    with pytest.raises(Refusal) as refused:
        meant.check(there)
    assert refused.value.code is Code.OTHER_RELEASE
    assert f"was left alone: {expected}, and there is canary v2 of run r1, which ana started" in refused.value.what
    assert there.phase.value in refused.value.what


@pytest.mark.parametrize("meant", [Meant("v2"), Meant(run="r1"), Meant().bound(held(record=OURS))])
def test_none_is_another_release_than_one_that_is_meant(meant: Meant) -> None:
    with pytest.raises(Refusal, match=r"no release is live \(its version is v1\)") as refused:
        meant.check(nothing_live("v1"))
    assert refused.value.code is Code.OTHER_RELEASE
    Meant().check(nothing_live("v1"))


@pytest.mark.parametrize(
    ("meant", "there", "out"),
    [
        (Meant("v2"), nothing_live("v2"), True),
        (Meant("v2", "r1"), nothing_live("v2"), True),
        (Meant().bound(held(record=OURS)), nothing_live("v2"), True),
        (Meant("v3").bound(held(record=OURS)), nothing_live("v2"), False),
        (Meant("v2"), nothing_live("v1"), False),
        (Meant(run="r1"), nothing_live("v2"), False),
        (Meant(), nothing_live("v2"), False),
        (Meant("v2"), moving(Intent.PROMOTE, "v2"), False),
    ],
)
def test_a_version_is_out_only_when_no_release_is_live(meant: Meant, there: Situation, out: bool) -> None:
    assert meant.is_out(there) is out


def test_a_canary_that_went_with_its_replica_set_is_known_by_its_run_alone() -> None:
    gone = situation(moving(Intent.UNDO, "v1").deployment, replica_set("v1", 4, 1))
    assert Meant("v2", "r1").differs(gone) == ""
    assert Meant("v2").differs(gone) and Meant("v2", "r2").differs(gone)
    # What was looked at first tells as well, if that was the canary that is meant.
    assert Meant("v2").bound(held(record=OURS)).differs(gone) == ""
    assert Meant("v9").bound(held(record=OURS)).differs(gone) and Meant("v9").bound(gone).differs(gone)


def test_without_a_record_nothing_tells() -> None:
    damaged = held(record=None)
    assert damaged.phase is Phase.DAMAGED
    with pytest.raises(Refusal, match="nothing tells whether that is canary v2 of run r1") as refused:
        Meant("v2", "r1").check(damaged)
    assert refused.value.code is Code.DAMAGED
    Meant().check(damaged)


def test_a_release_stays_the_same_whoever_takes_it_over_and_whatever_becomes_of_it() -> None:
    assert same_release(record(run="r2", intent=Intent.UNDO, reason="slow"), OURS)
    assert not same_release(record(canary="v3", run="r1"), OURS)
    assert not same_release(None, OURS)
