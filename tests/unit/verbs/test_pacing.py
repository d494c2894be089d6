# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wait does what: one table for each of its timers."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.pacing import (
    LONGEST_SILENCE,
    SCHEDULER_TRIES_AGAIN,
    Deadline,
    Looks,
    Patience,
    Roomless,
    Steps,
    Told,
)

HINTED, PLAIN = True, False


@pytest.mark.parametrize(
    ("happened", "pauses"),
    [
        ([PLAIN] * 5, [2, 4, 8, 16, 16]),
        ([HINTED] * 3, [0.05, 0.1, 0.2]),
        ([HINTED] * 11, [0.05 * 2**n for n in range(9)] + [16, 16]),
        ([HINTED, HINTED, PLAIN, HINTED], [0.05, 0.1, 2, 0.05]),
        ([PLAIN, HINTED, PLAIN], [2, 0.05, 4]),
    ],
    ids=[
        "silence",
        "hints that come too early",
        "at most 16 s",
        "a plain look forgets them",
        "hints change no silence",
    ],
)
def test_the_next_look_comes_later_each_time(happened: list[bool], pauses: list[float]) -> None:
    looks, found = Looks.begin(100.0), []
    assert looks.at == 102
    for hinted in happened:
        looks = looks.looked(100.0, hinted)
        found.append(looks.at - 100.0)
    assert found == pytest.approx(pauses)


def test_whoever_is_told_something_looks_later_and_no_sooner_than_before() -> None:
    silent = Looks.begin(0.0).looked(2.0, PLAIN).looked(4.0, PLAIN)
    heard = silent.heard(5.0, PLAIN)
    assert (heard.at, heard.looked(13.0, PLAIN).at) == (13, 21)


@pytest.mark.parametrize(
    ("waiting", "after"), [(1, 2.0), (50, 2.0), (100, 4.0), (300, 12.0), (10_000, LONGEST_SILENCE)]
)
def test_those_that_wait_at_the_same_time_share_the_looks_of_a_second(waiting: int, after: float) -> None:
    looks = Looks.begin(10.0, waiting)
    assert looks.at == 10.0 + after
    assert looks.heard(11.0, PLAIN).at == 11.0 + after
    assert looks.looked(looks.at, PLAIN).silence == min(2 * after, LONGEST_SILENCE)


def test_a_rollout_of_which_something_is_told_now_and_then_costs_few_looks() -> None:
    looks, found, now = Looks.begin(0.0), 0, 0.0
    while now < 120.0:
        now += 3.0
        if now >= looks.at:
            looks, found = looks.looked(now, PLAIN), found + 1
        looks = looks.heard(now, PLAIN)
    assert found <= 3


def test_what_hints_at_an_end_puts_no_look_off() -> None:
    hinted = Looks.begin(0.0).looked(1.0, HINTED)
    assert hinted.heard(1.01, HINTED) == hinted


def test_a_step_that_fails_is_tried_again_later_each_time_and_one_that_goes_through_forgets_it() -> None:
    steps, pauses = Steps(), []
    assert steps.at < 0 and not steps.refused
    for _failure in range(11):
        steps = steps.failed(100.0, "busy")
        pauses.append(steps.at - 100.0)
    assert pauses == pytest.approx([0.05 * 2**n for n in range(9)] + [16, 16]) and steps.refused == "busy"


@pytest.mark.parametrize(
    ("per_progress", "seen", "end"),
    [
        (False, [(10, 1), (20, 2)], 60),
        (True, [(10, 1)], 60),
        (True, [(10, 1), (20, 2)], 80),
        (True, [(10, 1), (20, 2), (30, 2), (40, 1)], 80),
        (True, [(10, -4000), (20, -3000)], 80),
    ],
    ids=[
        "for the whole wait",
        "the first is where it stands",
        "since the last",
        "only more is progress",
        "pods that go",
    ],
)
def test_the_deadline(per_progress: bool, seen: list[tuple[float, int]], end: float) -> None:
    deadline = Deadline.begin(0.0, Patience(60.0, per_progress))
    for now, progress in seen:
        deadline = deadline.progressed(now, progress)
    assert deadline.at == end


@pytest.mark.parametrize(
    ("now", "text", "due"),
    [(10.9, "new", False), (11.0, "new", True), (24.9, "same", False), (25.0, "same", True)],
)
def test_a_person_is_told_news_each_second_and_the_same_each_fifteen(now: float, text: str, due: bool) -> None:
    assert Told(10.0, "same").due(now, text) is due


# Looks (at, whether a pod has no node, whether pods are ending), the seconds for which a node may be on its way, and when that ends.
HOMELESS: dict[str, tuple[list[tuple[float, bool, bool]], float, float]] = {
    "no node will come": ([(0, True, False)], 0.0, 0.0),
    "a node may come": ([(0, True, False), (5, True, False)], 20.0, 20.0),
    "counted from the last one on": ([(0, True, False), (5, False, False), (6, True, False)], 20.0, 26.0),
    "others end": ([(0, True, True), (4, True, True)], 0.0, 4.0 + SCHEDULER_TRIES_AGAIN),
    "others ended before it came": ([(0, False, True), (1, True, False)], 0.0, SCHEDULER_TRIES_AGAIN),
    "whichever is later": ([(0, True, True)], 60.0, 60.0),
}


@pytest.mark.parametrize(("looks", "nodes", "until"), HOMELESS.values(), ids=HOMELESS)
def test_a_pod_without_a_node_may_find_one(looks: list[tuple[float, bool, bool]], nodes: float, until: float) -> None:
    waits, patience = Roomless(), Patience(600.0, nodes=nodes)
    for at, homeless, ending in looks:
        waits = waits.seen(at, roomless=homeless, ending=ending)
    assert waits.may_find_node(until - 0.1, patience) or until == looks[-1][0]
    assert not waits.may_find_node(until, patience)


@pytest.mark.parametrize(
    ("refused_since", "freed_at", "until"),
    [(0.0, 3.0, 3.0 + SCHEDULER_TRIES_AGAIN), (0.0, 40.0, 80.0), (10.0, 40.0, 70.0)],
    ids=["a short while", "as long again as it was refused", "counted from the first refusal"],
)
def test_pods_that_a_quota_refuses_may_be_made_once_others_have_ended(
    refused_since: float, freed_at: float, until: float
) -> None:
    waits = Roomless().seen(refused_since, roomless=True, ending=True).seen(freed_at, roomless=True, ending=True)
    assert waits.may_find_quota(until - 0.1) and not waits.may_find_quota(until)
    assert not Roomless().seen(0.0, roomless=True, ending=False).may_find_quota(0.0)
