# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases at the same time: what fits alone does not fit beside others that take the same room or the same quota."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.check import answer
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Exactness, Question, Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.others import Beside, most_more
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.peaks import Rollout
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.quota import quota_view

from .clusters import node, of, pod, question

ONE_UP = Rollout(replicas=2, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
TWO_OLD = [pod(f"old{index}", on="n1", meta=of("rs-old")) for index in range(2)]


def ask(cpu: str = "1", size: str = "4", **more: Any) -> Question:
    """Two old pods of a CPU each on a node of so many."""
    return question(pod(cpu=cpu), [node("n1", cpu=size)], TWO_OLD, owners=frozenset({"rs-old"}), **more)


def pods_quota(hard: int, used: int) -> Any:
    hard_, used_ = {"pods": str(hard)}, {"pods": str(used)}
    return quota_view({"metadata": {"name": "q"}, "spec": {"hard": hard_}, "status": {"hard": hard_, "used": used_}})


@pytest.mark.parametrize(
    ("rollout", "more"),
    [
        (ONE_UP, 1),
        (Rollout(10, 3, 1, 0, 3, 2), 3),
        (Rollout(10, 3, 1, 0, 3, 2, existing_canary=3), 2),
        (Rollout(1, 1, 0, 1, 0, 1), 0),
        (Rollout(0, 1, 1, 0, 1, 0), 0),
    ],
)
def test_how_many_pods_more_there_are_at_the_peak(rollout: Rollout, more: int) -> None:
    assert most_more(rollout) == more


def test_what_fits_alone_does_not_fit_beside_another_that_takes_the_room() -> None:
    one = ask(size="3")
    assert answer(one).verdict is Verdict.FITS
    found = answer(Beside().counting(one, "shop/other").asked(one))
    assert found.verdict is not Verdict.FITS
    assert "other_releases_are_at_their_peak: 1" in found.assumptions


def test_where_there_is_room_for_both_it_fits_but_not_exactly() -> None:
    one = ask(size="4")
    found = answer(Beside().counting(one, "shop/other").asked(one))
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.APPROXIMATE)


def test_larger_pods_take_more_room_in_the_end() -> None:
    rollout = replace(ONE_UP, replicas=4)
    other = question(pod(cpu="2"), [node("n1", cpu="9")], TWO_OLD, rollout=rollout, old_pod=pod(cpu="1"))
    scene = Beside().counting(other, "shop/other").scene
    assert scene is not None and scene.load("n1").count == 2 + 2, "four pods of a CPU more are two of two CPUs"


def test_as_many_fit_as_there_is_room_for() -> None:
    beside, fitting = Beside(), 0
    one = ask(size="5")
    while answer(beside.asked(one)).verdict is Verdict.FITS:
        beside, fitting = beside.counting(one, f"shop/{fitting}"), fitting + 1
    assert fitting == 3, "five CPUs, of which two are taken"


@pytest.mark.parametrize(("namespace", "verdict"), [("shop", Verdict.QUOTA_EXCEEDED), ("other", Verdict.FITS)])
def test_a_quota_is_charged_for_the_others_of_its_namespace(namespace: str, verdict: Verdict) -> None:
    one = ask(size="9", quotas=(pods_quota(3, 2),), old_pod=TWO_OLD[0])
    other = replace(one, pod=pod(cpu="1", namespace=namespace))
    assert answer(one).verdict is Verdict.FITS
    assert answer(Beside().counting(other, "x").asked(one)).verdict is verdict


def test_others_that_find_no_room_themselves_make_the_answer_unknown() -> None:
    large = ask(cpu="9", size="4")
    found = answer(Beside().counting(large, "shop/large").asked(ask(size="4")))
    assert found.verdict is Verdict.UNKNOWN
    assert "others_do_not_fit: shop/large" in found.unknown


def test_nobody_beside_changes_nothing() -> None:
    one = ask()
    assert Beside().asked(one) is one
