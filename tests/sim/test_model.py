# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a held, stepped, promoted, undone and rescaled Deployment comes to, and what it costs on the way.

Counts are written (stable, canary). Tables named after a measurement repeat what real controllers did, 1.20 and 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.arithmetic import (
    Split,
    predict_hold,
    predict_step,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import IntOrPercent, resolve_fenceposts

from .model import (
    NeverSettles,
    Readiness,
    ReplicaSet,
    Spec,
    State,
    all_become_ready,
    finished,
    never_ready,
    one_becomes_ready,
    report,
    run_pods,
    settle,
    sync,
    turn_ready,
)

READINESS: dict[str, Readiness] = {
    "all at once": all_become_ready,
    "one by one": one_becomes_ready,
    "canary never": never_ready("canary"),
}


def deployment(replicas: int, max_surge: IntOrPercent = "25%", max_unavailable: IntOrPercent = "25%") -> State:
    return finished(Spec(replicas, max_surge, max_unavailable))


def hold(state: State, surge: IntOrPercent, unavailable: IntOrPercent, template: str = "canary") -> State:
    """The patch that starts or steps a hold."""
    return state.patched(template=template, min_ready_forever=True, max_surge=surge, max_unavailable=unavailable)


def promote(state: State, surge: IntOrPercent, unavailable: IntOrPercent) -> State:
    return state.patched(min_ready_forever=False, paused=False, max_surge=surge, max_unavailable=unavailable)


def undo(state: State, surge: IntOrPercent, unavailable: IntOrPercent) -> State:
    return promote(state, surge, unavailable).patched(template="stable")


def held(replicas: int, surge: IntOrPercent, unavailable: IntOrPercent) -> State:
    return settle(hold(deployment(replicas), surge, unavailable)).state


def size(state: State, template: str) -> int:
    found = state.of(template)
    return found.size if found else 0


def split(state: State) -> Split:
    return Split(size(state, "stable"), size(state, "canary"))


def pair(state: State) -> tuple[int, int]:
    return size(state, "stable"), size(state, "canary")


def sweep(largest: int) -> Iterator[tuple[int, int, int]]:
    """Every (replicas, surge, unavailable) that makes a difference."""
    for replicas in range(1, largest + 1):
        for surge, unavailable in product(range(replicas + 2), range(replicas + 1)):
            yield replicas, surge, unavailable


# Adversarial schedules: controllers, kubelets and statuses take turns in any order.

MOVES: dict[str, Callable[[State], State]] = {
    "sync": sync,
    "pods": run_pods,
    "status": report,
    "stable pod ready": lambda state: turn_ready(state, lambda rs: rs.ready + (rs.template == "stable")),
    "canary pod ready": lambda state: turn_ready(state, lambda rs: rs.ready + (rs.template == "canary")),
}
schedules = st.lists(st.sampled_from(sorted(MOVES)), max_size=60)


@st.composite
def holds(draw: st.DrawFn) -> tuple[int, int, int]:
    """(replicas, surge, unavailable), the last two not both 0: the API server refuses that."""
    replicas = draw(st.integers(1, 30))
    surge = draw(st.integers(0, replicas + 2))
    return replicas, surge, draw(st.integers(0 if surge else 1, replicas + 1))


def path(state: State, schedule: list[str]) -> list[State]:
    return list(accumulate(schedule, lambda now, move: MOVES[move](now), initial=state))


class TestHold:
    @pytest.mark.parametrize(
        ("replicas", "surge", "unavailable", "expected"),
        [
            (10, 1, 0, Split(10, 1)),
            (10, 1, 4, Split(6, 5)),
            (10, 0, 1, Split(9, 1)),
            (10, 0, 0, Split(9, 1)),
            (10, 3, 0, Split(10, 3)),
            (3, 3, 0, Split(3, 3)),
            (3, 9, 0, Split(3, 3)),
            (5, 1, 8, Split(0, 5)),
            (1, 1, 0, Split(1, 1)),
            (1, 0, 0, Split(0, 1)),
        ],
    )
    def test_rests_at(self, replicas: int, surge: int, unavailable: int, expected: Split) -> None:
        assert predict_hold(replicas, surge, unavailable) == expected

    @pytest.mark.parametrize("readiness", READINESS.values(), ids=READINESS)
    def test_rests_where_predicted_without_overshoot_for_every_small_size(self, readiness: Readiness) -> None:
        for replicas, surge, unavailable in sweep(12):
            outcome = settle(hold(deployment(replicas), surge, unavailable), readiness)
            expected = predict_hold(replicas, surge, unavailable)
            assert split(outcome.state) == expected
            assert outcome.peak_pods <= replicas + surge
            assert outcome.min_ready == expected.stable

    @given(holds(), schedules)
    def test_passes_no_bound_on_any_schedule_and_ends_the_same(
        self, sizes: tuple[int, int, int], schedule: list[str]
    ) -> None:
        replicas, surge, unavailable = sizes
        expected = predict_hold(*sizes)
        states = path(hold(deployment(replicas), surge, unavailable), schedule)
        for state in states:
            assert size(state, "stable") >= expected.stable
            assert size(state, "canary") <= expected.canary
            assert state.size <= replicas + surge
        assert split(settle(states[-1]).state) == expected

    @given(holds(), st.integers(0, 30))
    def test_unready_stable_pods_change_nothing(self, sizes: tuple[int, int, int], still_ready: int) -> None:
        replicas, surge, unavailable = sizes
        sick = report(turn_ready(deployment(replicas), lambda rs: min(rs.pods, still_ready)))
        assert split(settle(hold(sick, surge, unavailable), never_ready("stable")).state) == predict_hold(*sizes)

    @given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 100))
    def test_percentages_are_the_counts_that_they_resolve_to(self, replicas: int, surge: int, unavailable: int) -> None:
        resolved = resolve_fenceposts(f"{surge}%", f"{unavailable}%", replicas)
        outcome = settle(hold(deployment(replicas), f"{surge}%", f"{unavailable}%"))
        assert split(outcome.state) == predict_hold(replicas, resolved.surge, resolved.unavailable)

    def test_uses_its_whole_surge(self) -> None:
        assert settle(hold(deployment(10), 3, 0)).peak_pods == 13

    def test_of_a_replica_set_that_lost_its_annotations_rests_where_predicted(self) -> None:
        stable = replace(deployment(10).sets[0], desired=None, max_replicas=None)
        assert pair(settle(hold(deployment(10).with_set(stable), 1, 2)).state) == (8, 3)

    def test_after_a_release_that_was_scaled_starts_like_the_first(self) -> None:
        released = settle(promote(held(10, 1, 0), 1, 0)).state
        scaled_since = settle(released.patched(replicas=6)).state
        assert settle(hold(scaled_since, 1, 0, template="third")).state.counts() == {"canary": 6, "third": 1}

    def test_never_grows_an_old_replica_set(self) -> None:
        stuck = settle(deployment(10).patched(template="bad"), never_ready("bad")).state
        assert stuck.counts() == {"stable": 8, "bad": 5}
        assert settle(hold(stuck, 1, 0)).state.counts()["stable"] == 8

    @pytest.mark.parametrize(
        ("surge", "unavailable", "expected"),
        [(1, 0, {"stable": 10, "third": 1}), (1, 3, {"stable": 7, "third": 4})],
    )
    def test_a_foreign_template_replaces_the_canary_and_no_stable_pod(
        self, surge: int, unavailable: int, expected: dict[str, int]
    ) -> None:
        assert settle(held(10, surge, unavailable).patched(template="third")).state.counts() == expected

    def test_unready_pods_of_several_old_replica_sets_go_oldest_first(self) -> None:
        nothing_ready = never_ready("stable", "bad")
        unready = settle(State(Spec(10, "25%", "25%")), nothing_ready).state
        stuck = settle(unready.patched(template="bad"), nothing_ready).state
        assert stuck.counts() == {"stable": 8, "bad": 5}
        assert settle(hold(stuck, "25%", "25%", "third"), nothing_ready).state.counts() == {
            "stable": 3,
            "bad": 5,
            "third": 5,
        }

    def test_an_available_canary_costs_stable_pods_when_a_third_template_is_held(self) -> None:
        available_again = settle(held(10, 2, 0).patched(paused=True, min_ready_forever=False)).state
        third = settle(hold(available_again.patched(paused=False), 2, 0, template="third")).state
        assert third.counts() == {"stable": 8, "canary": 2, "third": 2}


class TestStep:
    @pytest.mark.parametrize(
        ("surge", "unavailable", "expected"),
        [(1, 1, Split(9, 2)), (3, 0, Split(10, 3)), (0, 0, Split(9, 1)), (1, 4, Split(6, 5)), (0, 1, Split(9, 1))],
    )
    def test_from_one_canary_pod_beside_ten(self, surge: int, unavailable: int, expected: Split) -> None:
        assert predict_step(Split(10, 1), 10, surge, unavailable) == expected

    def test_rests_where_predicted_and_dips_by_no_more_than_the_rise_of_unavailable(self) -> None:
        for replicas, surge, unavailable in sweep(5):
            start = held(replicas, surge, unavailable)
            before = start.spec.fenceposts.unavailable
            for next_surge, next_unavailable in product(range(replicas + 2), range(replicas + 1)):
                stepped = hold(start, next_surge, next_unavailable)
                outcome = settle(stepped)
                assert split(outcome.state) == predict_step(split(start), replicas, next_surge, next_unavailable)
                assert outcome.min_ready >= start.ready - max(0, stepped.spec.fenceposts.unavailable - before)

    @given(holds(), holds(), schedules)
    def test_passes_no_bound_on_any_schedule(
        self, first: tuple[int, int, int], second: tuple[int, int, int], schedule: list[str]
    ) -> None:
        replicas = first[0]
        start = held(*first)
        expected = predict_step(split(start), replicas, *second[1:])
        states = path(hold(start, *second[1:]), schedule)
        for state in states:
            assert size(state, "stable") >= expected.stable
            assert size(state, "canary") <= expected.canary
        assert split(settle(states[-1]).state) == expected

    def test_ready_never_drops_when_each_step_waits_and_stays_within_the_surplus(self) -> None:
        for replicas, surge in product(range(1, 13), range(1, 4)):
            state = held(replicas, surge, 0)
            for unavailable in [*range(surge, replicas, surge), replicas]:
                outcome = settle(hold(state, surge, unavailable))
                state = outcome.state
                assert outcome.min_ready >= replicas
            assert pair(state) == (0, replicas)

    @pytest.mark.parametrize(
        ("steps", "min_ready"),
        [
            ([(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)], 10),
            ([(1, 0), (1, 4)], 7),
            ([(3, 0), (3, 3), (3, 5)], 10),
            ([(1, 0), (0, 1), (0, 3)], 8),
        ],
    )
    def test_measured_dips_of_ten_replicas(self, steps: list[tuple[int, int]], min_ready: int) -> None:
        state, lowest = deployment(10), 10
        for surge, unavailable in steps:
            outcome = settle(hold(state, surge, unavailable))
            state, lowest = outcome.state, min(lowest, outcome.min_ready)
        assert lowest == min_ready


class TestPromote:
    @pytest.mark.parametrize("original", [(1, 0), ("25%", "25%"), (0, 1), (1, 3), ("100%", 0)])
    def test_ends_with_the_canary_alone_and_never_below_what_the_strategy_allows(
        self, original: tuple[IntOrPercent, IntOrPercent]
    ) -> None:
        for replicas, surge, unavailable in sweep(8):
            start = held(replicas, surge, unavailable)
            promoted = promote(start, *original)
            outcome = settle(promoted, one_becomes_ready)
            assert pair(outcome.state) == (0, replicas)
            assert outcome.min_ready >= min(start.ready, promoted.spec.min_available)
            assert size(start, "canary") <= size(sync(promoted), "canary")

    @given(holds(), st.integers(0, 5), st.integers(0, 5), schedules)
    def test_keeps_ready_pods_on_any_schedule(
        self, sizes: tuple[int, int, int], surge: int, unavailable: int, schedule: list[str]
    ) -> None:
        promoted = promote(held(*sizes), surge, unavailable)
        floor = min(promoted.ready, promoted.spec.min_available)
        for state in path(promoted, schedule):
            assert state.ready >= floor

    def test_a_canary_that_never_becomes_ready_keeps_the_stable_pods(self) -> None:
        broken = settle(hold(deployment(10), 1, 0), never_ready("canary")).state
        outcome = settle(promote(broken, 1, 0), never_ready("canary"))
        assert pair(outcome.state) == (10, 1)
        assert outcome.min_ready == 10


class TestUndo:
    """With room for a surge: maxSurge s + u, maxUnavailable 0. Without (s = 0): the maxUnavailable that was allowed."""

    @pytest.mark.parametrize("readiness", READINESS.values(), ids=READINESS)
    def test_with_surge_ends_with_the_stable_version_alone_and_never_dips(self, readiness: Readiness) -> None:
        for replicas, surge, unavailable in sweep(8):
            start = settle(hold(deployment(replicas), surge, unavailable), readiness).state
            room = surge + start.spec.fenceposts.unavailable
            outcome = settle(undo(start, room, 0), readiness)
            assert pair(outcome.state) == (replicas, 0)
            assert outcome.min_ready >= min(start.ready, replicas)
            assert outcome.peak_pods <= replicas + room

    def test_with_surge_goes_on_when_a_quota_allows_no_pod_more_than_the_hold_had(self) -> None:
        for replicas, surge, unavailable in sweep(8):
            if surge == 0:
                continue
            quota = replicas + surge
            start = settle(hold(deployment(replicas), surge, unavailable), quota=quota).state
            outcome = settle(undo(start, surge + unavailable, 0), one_becomes_ready, quota)
            assert pair(outcome.state) == (replicas, 0)
            assert outcome.state.ready == replicas
            assert outcome.min_ready >= min(start.ready, replicas)
            assert outcome.peak_pods <= quota

    def test_with_surge_is_stuck_under_a_quota_of_exactly_replicas_pods(self) -> None:
        start = settle(hold(deployment(10), 0, 2), quota=10).state
        stuck = settle(undo(start, 2, 0), quota=10).state
        assert pair(stuck) == (10, 2)
        assert [rs.pods for rs in stuck.sets] == [8, 2]

    def test_without_surge_ends_within_replicas_pods_and_dips_by_what_was_allowed(self) -> None:
        for replicas, _surge, unavailable in sweep(8):
            for allowed in range(1, replicas + 1):
                start = settle(hold(deployment(replicas), 0, unavailable), quota=replicas).state
                outcome = settle(undo(start, 0, allowed), one_becomes_ready, quota=replicas)
                assert pair(outcome.state) == (replicas, 0)
                assert outcome.min_ready >= replicas - allowed
                assert outcome.peak_pods <= replicas

    @given(holds(), schedules)
    def test_never_takes_a_stable_pod_on_any_schedule(self, sizes: tuple[int, int, int], schedule: list[str]) -> None:
        _replicas, surge, unavailable = sizes
        start = held(*sizes)
        lowest = size(start, "stable")
        for state in path(undo(start, surge + unavailable, 0), schedule):
            assert size(state, "stable") >= lowest
            lowest = size(state, "stable")
            assert state.ready >= min(start.ready, sizes[0])

    @given(holds(), schedules)
    def test_works_in_the_middle_of_a_promotion(self, sizes: tuple[int, int, int], schedule: list[str]) -> None:
        midway = report(run_pods(path(promote(held(*sizes), 1, 0), schedule)[-1]))
        outcome = settle(undo(midway, sizes[1] + sizes[2], 0), one_becomes_ready)
        assert pair(outcome.state) == (sizes[0], 0)
        assert outcome.min_ready >= min(midway.ready, sizes[0])


# (replicas, surge, unavailable), then what the split becomes as spec.replicas goes through these values.
Drift = list[tuple[int, tuple[int, int]]]
HELD_DRIFT: list[tuple[int, IntOrPercent, IntOrPercent, Drift]] = [
    (10, 1, 0, [(20, (19, 2)), (10, (10, 1)), (5, (5, 1)), (4, (4, 1)), (2, (2, 1)), (10, (7, 4))]),
    (20, 2, 3, [(10, (7, 5)), (5, (2, 5)), (20, (6, 16))]),
    (4, 1, 1, [(1, (0, 1)), (4, (0, 4))]),
    (20, "10%", 0, [(40, (40, 4)), (20, (20, 2)), (10, (10, 1)), (20, (20, 2))]),
    (10, "10%", 0, [(2, (2, 1)), (10, (7, 4))]),
    (30, 3, 0, [(1, (1, 1)), (30, (8, 25))]),
    (10, 1, 2, [(4, (2, 3)), (10, (4, 7))]),
    (5, 5, 0, [(8, (6, 7)), (3, (3, 3)), (1, (1, 1)), (5, (2, 5))]),
    (10, 1, 0, [(0, (0, 0)), (10, (0, 10))]),
    (3, "100%", 0, [(0, (0, 0)), (3, (0, 3))]),
]
FROZEN_DRIFT: list[tuple[int, IntOrPercent, IntOrPercent, Drift]] = [
    (20, 2, 3, [(10, (9, 3)), (5, (5, 2)), (20, (16, 6))]),
    (4, 1, 1, [(1, (1, 1)), (4, (2, 3))]),
    (30, 3, 0, [(1, (1, 0)), (30, (30, 0))]),
    (10, 1, 2, [(4, (4, 1)), (10, (9, 2))]),
    (10, 1, 0, [(0, (0, 0)), (10, (0, 10))]),
]


class TestScaling:
    """A canary that is scaled does not stay what it was: why an autoscaler is refused or pinned."""

    @pytest.mark.parametrize(("replicas", "surge", "unavailable", "drift"), HELD_DRIFT)
    def test_a_held_canary_drifts_as_measured(
        self, replicas: int, surge: IntOrPercent, unavailable: IntOrPercent, drift: Drift
    ) -> None:
        assert _scaled(held(replicas, surge, unavailable), drift) == drift

    @pytest.mark.parametrize(("replicas", "surge", "unavailable", "drift"), FROZEN_DRIFT)
    def test_a_frozen_canary_drifts_as_measured(
        self, replicas: int, surge: IntOrPercent, unavailable: IntOrPercent, drift: Drift
    ) -> None:
        frozen = settle(held(replicas, surge, unavailable).patched(paused=True)).state
        assert _scaled(frozen, drift) == drift

    @pytest.mark.parametrize("paused", [False, True])
    def test_to_zero_takes_one_pass(self, paused: bool) -> None:
        assert sync(held(3, 3, 0).patched(replicas=0, paused=paused)).counts() == {}

    def test_from_zero_while_paused_goes_to_the_newest_of_the_old_replica_sets(self) -> None:
        empty = settle(settle(deployment(3).patched(template="canary")).state.patched(replicas=0)).state
        assert settle(empty.patched(paused=True, template="third", replicas=2)).state.counts() == {"canary": 2}

    def test_without_annotations_and_pods_all_goes_to_the_largest(self) -> None:
        sets = ReplicaSet("stable", size=3), ReplicaSet("canary", size=2)
        assert pair(sync(State(Spec(8, 1, 0, template="canary", paused=True), sets))) == (7, 2)

    @given(st.integers(1, 40), st.lists(st.integers(1, 40), max_size=6), st.booleans())
    def test_blue_green_by_percentage_keeps_two_equal_halves(
        self, replicas: int, sizes: list[int], paused: bool
    ) -> None:
        state = held(replicas, "100%", 0).patched(paused=paused)
        for wanted in sizes:
            state = settle(state.patched(replicas=wanted)).state
            assert pair(state) == (wanted, wanted)

    @given(
        st.integers(0, 12),
        st.sampled_from(["10%", "25%", "100%", 0, 1, 3]),
        st.sampled_from(["10%", "25%", 0, 1, 3]),
        st.lists(
            st.one_of(
                st.builds(lambda replicas: {"replicas": replicas}, st.integers(0, 12)),
                st.builds(lambda template: {"template": template}, st.sampled_from(["stable", "canary", "third"])),
                st.builds(lambda paused: {"paused": paused}, st.booleans()),
                st.builds(lambda forever: {"min_ready_forever": forever}, st.booleans()),
                st.builds(lambda surge: {"max_surge": surge}, st.integers(0, 4)),
            ),
            max_size=10,
        ),
    )
    def test_every_sequence_of_patches_settles(
        self, replicas: int, surge: IntOrPercent, unavailable: IntOrPercent, patches: list[dict[str, Any]]
    ) -> None:
        state = deployment(replicas, surge, unavailable)
        for patch in patches:
            state = settle(state.patched(**patch)).state
            assert sync(state).counts() == state.counts()


def _scaled(state: State, drift: Drift) -> Drift:
    reached = []
    for replicas, _expected in drift:
        state = settle(state.patched(replicas=replicas)).state
        reached.append((replicas, pair(state)))
    return reached


class TestPaused:
    def test_pausing_a_held_canary_moves_nothing_while_a_stable_pod_is_left(self) -> None:
        for replicas, surge, unavailable in sweep(8):
            state = held(replicas, surge, unavailable)
            if pair(state)[0] > 0 and surge + state.spec.fenceposts.unavailable <= replicas:
                assert pair(settle(state.patched(paused=True)).state) == pair(state)

    @pytest.mark.parametrize(
        ("start", "fields", "expected"),
        [
            ((10, 1, 0), {"max_surge": "25%", "max_unavailable": "25%"}, (12, 1)),
            ((10, 0, 1), {"max_surge": "25%", "max_unavailable": "25%"}, (12, 1)),
            ((10, 1, 0), {"min_ready_forever": False}, (10, 1)),
            ((10, 1, 4), {"min_ready_forever": False}, (6, 5)),
            ((1, 1, 0), {"min_ready_forever": False}, (0, 1)),
            ((2, 1, 1), {"min_ready_forever": False}, (0, 2)),
            ((3, 3, 0), {"min_ready_forever": False}, (0, 3)),
        ],
    )
    def test_other_fields_written_while_paused_move_pods_all_the_same(
        self, start: tuple[int, int, int], fields: dict[str, Any], expected: tuple[int, int]
    ) -> None:
        assert pair(settle(held(*start).patched(paused=True, **fields)).state) == expected

    def test_pausing_takes_pods_beyond_a_surge_that_was_lowered(self) -> None:
        lowered = settle(hold(held(2, 4, 1), 0, 1)).state
        assert pair(lowered) == (1, 2)
        assert pair(settle(lowered.patched(paused=True)).state) == (1, 1)

    def test_pausing_moves_nothing_where_the_annotations_of_a_replica_set_are_older_than_the_surge(self) -> None:
        outdated = settle(hold(settle(hold(deployment(7, 1, 4), 1, 2)).state, 4, 2, "third")).state
        assert outdated.counts() == {"stable": 5, "third": 6}
        assert settle(outdated.patched(paused=True)).state.counts() == {"stable": 5, "third": 6}

    def test_an_available_canary_as_large_as_a_smaller_deployment_is_scaled_by_its_share(self) -> None:
        frozen = settle(held(10, 1, 4).patched(paused=True, min_ready_forever=False)).state
        assert pair(settle(frozen.patched(replicas=5)).state) == (3, 3)

    def test_a_new_template_waits_for_the_end_of_the_pause(self) -> None:
        paused = settle(hold(deployment(4), 1, 0).patched(paused=True)).state
        assert paused.counts() == {"stable": 4}
        assert pair(settle(paused.patched(paused=False)).state) == (4, 1)

    @pytest.mark.parametrize(("unavailable", "expected"), [(0, (6, 0)), (2, (4, 3))])
    def test_the_stable_template_put_back_while_paused_removes_the_canary_only_from_a_full_stable_set(
        self, unavailable: int, expected: tuple[int, int]
    ) -> None:
        back = held(6, 1, unavailable).patched(paused=True, template="stable", min_ready_forever=False)
        assert pair(settle(back).state) == expected


class TestStatusOutOfDate:
    def test_available_canary_pods_of_yesterday_cost_stable_pods_when_held_again(self) -> None:
        restored = settle(held(10, 1, 0).patched(paused=True, min_ready_forever=False)).state
        assert pair(settle(hold(restored.patched(paused=False), 1, 1)).state) == (8, 3)

    def test_the_safe_order_lets_the_status_catch_up_first(self) -> None:
        restored = settle(held(10, 1, 0).patched(paused=True, min_ready_forever=False)).state
        caught_up = settle(restored.patched(min_ready_forever=True)).state
        assert pair(settle(hold(caught_up.patched(paused=False), 1, 1)).state) == (9, 2)

    def test_an_undo_that_meets_a_stable_set_just_scaled_down_dips(self) -> None:
        saturated = report(sync(promote(held(6, 6, 0), 1, 0)))
        deleted_but_still_reported = run_pods(sync(saturated))
        assert pair(deleted_but_still_reported) == (0, 6)
        undone = sync(sync(undo(deleted_but_still_reported, 6, 0)))
        assert pair(undone) == (6, 0)
        assert run_pods(undone).ready == 0

    def test_pods_that_an_empty_replica_set_still_reports_are_not_counted(self) -> None:
        empty = ReplicaSet("first", size=0, available=3)
        old = ReplicaSet("stable", size=4, pods=4, ready=4, available=4, desired=5, max_replicas=6)
        new = ReplicaSet("canary", size=5, pods=5, ready=2, available=2, desired=5, max_replicas=6)
        assert pair(sync(State(Spec(5, 1, 0, template="canary"), (empty, old, new)))) == (3, 5)

    def test_a_status_that_counts_deleted_pods_stops_the_pass(self) -> None:
        old = ReplicaSet("stable", size=4, pods=4, ready=4, available=6, desired=5, max_replicas=6)
        new = ReplicaSet("canary", size=5, pods=5, ready=5, available=5, desired=5, max_replicas=6)
        state = State(Spec(5, 1, 0, template="canary"), (old, new))
        assert sync(state) == state


def test_a_circle_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(NeverSettles, match="comes back"):
        settle(deployment(2), lambda rs: rs.pods - rs.ready)
