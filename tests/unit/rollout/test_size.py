# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many canary pods, by which steps, and that no step costs a Ready pod more than was allowed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import (
    Hold,
    ImpossibleSize,
    Room,
    check_size,
    first,
    following,
    patches,
    percent_for,
    pods_for_weight,
    share,
    target,
)
from tests.sim.model import (
    Readiness,
    Settled,
    Spec,
    State,
    all_become_ready,
    finished,
    one_becomes_ready,
    settle,
)

MOST_REPLICAS = 30


@pytest.mark.parametrize(
    ("replicas", "pods", "surge", "max_unavailable", "path"),
    [
        (10, 1, 1, 0, [(1, 0)]),
        (10, 3, 1, 0, [(1, 0), (1, 1), (1, 2)]),
        (10, 3, 3, 0, [(3, 0)]),
        (10, 3, 5, 0, [(3, 0)]),
        (10, 6, 2, 0, [(2, 0), (2, 2), (2, 4)]),
        (10, 3, 1, 2, [(1, 2)]),
        (4, 2, 0, 1, [(0, 1), (0, 2)]),
        (4, 3, 0, 2, [(0, 2), (0, 3)]),
        (1, 1, 1, 0, [(1, 0)]),
    ],
)
def test_a_hold_grows_by_steps_as_large_as_the_room_allows(
    replicas: int, pods: int, surge: int, max_unavailable: int, path: list[tuple[int, int]]
) -> None:
    assert patches(target(pods, surge), replicas, Room(surge, max_unavailable)) == [Hold(*step) for step in path]


@pytest.mark.parametrize(
    ("current", "pods", "surge", "path"),
    [
        ((1, 0), 3, 1, [(1, 1), (1, 2)]),
        ((1, 1), 5, 3, [(3, 1), (3, 2)]),
        ((1, 1), 5, 5, [(4, 1)]),
        ((3, 0), 4, 1, [(3, 1)]),
    ],
)
def test_a_larger_hold_goes_on_from_the_one_that_is_there_by_surge_first(
    current: tuple[int, int], pods: int, surge: int, path: list[tuple[int, int]]
) -> None:
    there = Hold(*current)
    assert patches(target(pods, surge, there), 10, Room(surge, 0), there) == [Hold(*step) for step in path]


@pytest.mark.parametrize(
    ("current", "goal", "path"),
    [
        (None, Hold(3, 0, 30), [Hold(3, 0, 30)]),
        (Hold(1, 0, 10), Hold(3, 0, 30), [Hold(3, 0, 30)]),
        (Hold(1, 0), Hold(3, 0, 30), [Hold(3, 0, 30)]),
        (Hold(3, 0, 30), Hold(5, 0), [Hold(5, 0)]),
        (Hold(3, 0, 30), Hold(3, 0, 30), []),
    ],
)
def test_a_percentage_is_reached_at_once(current: Hold | None, goal: Hold, path: list[Hold]) -> None:
    assert patches(goal, 10, Room(10, 0), current) == path


def test_the_size_for_a_weight_is_the_nearest_of_all() -> None:
    for replicas, surge, weight in product(range(1, 13), range(4), range(1, 100)):
        sizes = [c for c in range(1, replicas + 1) if replicas - (c - min(surge, c)) >= 1]
        apart = [(abs(Fraction(c, replicas + min(surge, c)) - Fraction(weight, 100)), c) for c in sizes]
        if apart:
            assert pods_for_weight(weight, replicas, surge) == min(apart)[1]


def test_the_size_for_a_weight_takes_no_time_however_many_replicas_a_record_names() -> None:
    assert pods_for_weight(50, 2**31 - 1, 1) == 2**30
    with pytest.raises(ImpossibleSize, match="Ask for 2147483646 or fewer"):
        check_size(2**31 - 1, 2**31 - 1, 0)


def test_no_step_is_taken_while_too_few_pods_are_ready() -> None:
    goal, room = target(3, surge=1), Room(1, 0)
    assert following(Hold(1, 0), goal, ready=10, replicas=10, room=room) is None
    assert following(Hold(1, 0), goal, ready=11, replicas=10, room=room) == Hold(1, 1)


@pytest.mark.parametrize(
    ("weight", "replicas", "surge", "pods"),
    [
        (10, 10, 1, 1),
        (50, 4, 1, 2),  # 2 of 5 and 3 of 5 are equally near
        (50, 10, 10, 10),  # 10 of 20
        (99, 10, 1, 10),
        (1, 10, 1, 1),
        (25, 3, 0, 1),
        (99, 3, 0, 2),  # 3 of 3 would leave no stable pod
    ],
)
def test_a_weight_means_the_nearest_share_and_fewer_pods_in_a_tie(
    weight: int, replicas: int, surge: int, pods: int
) -> None:
    assert pods_for_weight(weight, replicas, surge) == pods


@given(weight=st.integers(1, 99), replicas=st.integers(2, 60), surge=st.integers(0, 60))
def test_no_other_size_is_nearer_to_the_weight(weight: int, replicas: int, surge: int) -> None:
    def distance(pods: int) -> Fraction:
        return abs(Fraction(pods, replicas + min(surge, pods)) - Fraction(weight, 100))

    chosen = pods_for_weight(weight, replicas, surge)
    possible = [pods for pods in range(1, replicas + 1) if replicas - pods + min(surge, pods) >= 1]
    assert distance(chosen) == min(map(distance, possible))
    assert all(distance(pods) > distance(chosen) for pods in possible if pods < chosen)
    assert share(chosen, replicas, surge) == pytest.approx(float(100 * Fraction(chosen, replicas + min(surge, chosen))))


@pytest.mark.parametrize(
    ("pods", "replicas", "surge", "words"),
    [
        (0, 10, 1, "at least 1 pod"),
        (11, 10, 20, "at most as many canary pods as replicas. Ask for 10 or fewer"),
        (4, 4, 0, "no stable pod to come back to. Ask for 3 or fewer"),
        (1, 1, 0, "no stable pod to come back to. Allow surge 1 or more"),
    ],
)
def test_an_impossible_size_says_what_is_possible(pods: int, replicas: int, surge: int, words: str) -> None:
    with pytest.raises(ImpossibleSize, match=words):
        check_size(pods, replicas, surge)


def test_without_surge_one_pod_may_be_missing_unless_told_otherwise() -> None:
    assert Room.of(1, None) == Room(1, 0)
    assert Room.of(0, None) == Room(0, 1)
    with pytest.raises(ImpossibleSize, match="allow surge 1"):
        Room.of(0, 0)
    with pytest.raises(ImpossibleSize, match="cannot be negative"):
        Room.of(-1, None)


def cells() -> Iterator[tuple[int, int, Room]]:
    """Every size of every Deployment up to MOST_REPLICAS, with some room of each kind."""
    for replicas in range(1, MOST_REPLICAS + 1):
        for room in (Room(1, 0), Room(2, 0), Room(3, 1), Room(0, 1), Room(0, 2)):
            for pods in range(1, replicas + 1):
                if replicas - pods + min(room.surge, pods) >= 1:
                    yield replicas, pods, room


def test_steps_only_grow_and_end_at_the_size_asked_for() -> None:
    for replicas, pods, room in cells():
        path = patches(target(pods, room.surge), replicas, room)
        assert path[0] == first(target(pods, room.surge), room)
        assert path[-1].canary(replicas) == pods
        assert path[-1].stable(replicas) >= 1
        assert all(a.surge <= b.surge and a.unavailable <= b.unavailable for a, b in pairwise(path))


@cache
def held(state: State, step: Hold, readiness: Readiness) -> Settled:
    """Sizes share most of their steps: each is settled once."""
    hold = state.patched(
        template="canary", min_ready_forever=True, max_surge=step.surge, max_unavailable=step.unavailable
    )
    return settle(hold, readiness)


@pytest.mark.parametrize("readiness", [all_become_ready, one_becomes_ready])
def test_on_the_way_to_a_hold_the_controller_never_goes_below_what_was_allowed(readiness: Readiness) -> None:
    for replicas, pods, room in cells():
        state = finished(Spec(replicas, "25%", "25%"))
        for step in patches(target(pods, room.surge), replicas, room):
            reached = held(state, step, readiness)
            assert reached.min_ready >= replicas - room.max_unavailable, (replicas, pods, room, step)
            assert reached.peak_pods <= replicas + room.surge, (replicas, pods, room, step)
            state = reached.state
        assert state.counts().get("canary") == pods
        assert sum(state.counts().values()) == replicas + min(room.surge, pods)


# A share of a Deployment that may be scaled up meanwhile.


@pytest.mark.parametrize(
    ("pods", "replicas", "percent"), [(3, 10, 30), (1, 3, 33), (1, 1, 100), (1, 200, 0), (101, 1000, 11), (2, 200, 1)]
)
def test_a_percentage_comes_to_the_pods_that_it_was_made_for(pods: int, replicas: int, percent: int) -> None:
    assert percent_for(pods, replicas) == percent


@given(st.integers(1, 100).flatmap(lambda replicas: st.tuples(st.integers(1, replicas), st.just(replicas))))
def test_of_at_most_a_hundred_replicas_it_comes_to_just_as_many(size: tuple[int, int]) -> None:
    pods, replicas = size
    assert Hold(0, 0, percent_for(pods, replicas)).at(replicas).pods == pods


@given(st.integers(1, 99), st.integers(1, 2000), st.integers(0, 2000))
def test_a_share_is_never_less_than_it_was_asked_for_and_less_than_a_pod_more(
    percent: int, replicas: int, more: int
) -> None:
    hold = Hold.of(f"{percent}%", 0, replicas)
    grown = hold.at(replicas + more)
    assert hold.pods <= grown.pods and hold.max_surge == grown.max_surge == f"{percent}%"
    assert 0 <= Fraction(grown.pods) - Fraction(percent * (replicas + more), 100) < 1


def test_a_number_of_pods_means_the_same_for_all_replicas() -> None:
    hold = Hold.of(3, 1, 10)
    assert hold == Hold(3, 1) and hold.at(40) == hold and hold.max_surge == 3
