# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment that is deleted and made again under a release: right before each request, and however what belonged to it goes.

And templates of the same hash, which the controller tells apart by a count. Every rule holds for whatever Deployment is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.history import MADE_AGAIN, Ask, Foreign, History, Script
from tests.sim.objects import NAME
from tests.sim.running import play
from tests.sim.telling import report
from tests.sim.world import Played, World
from tests.toolchain.sampled import in_turn

START = Ask("start", pods=2)
# What is done until then, and what somebody's deletion falls into.
COURSES: dict[str, tuple[tuple[Ask, ...], Ask]] = {
    "start": ((), START),
    "start that pins": ((), Ask("start", pods=2, autoscaler="pin")),
    "pause": ((START,), Ask("pause")),
    "promote": ((START,), Ask("promote")),
    "undo": ((START,), Ask("undo")),
    "undo of a promotion": ((START, Ask("promote", wait=False)), Ask("undo")),
    "undo of what is pinned": ((Ask("start", pods=2, autoscaler="pin"),), Ask("undo")),
    "rollback": ((START, Ask("promote")), Ask("rollback", to="v1")),
}
MOST_REQUESTS = 40


def assert_holds(played: Played) -> None:
    story = [f"{call.actor}: {call.ask.verb} {call.told()}" for call in played.calls]
    assert not played.violations, "\n".join(["", *report(played), *story])


# A course, and how the Deployment goes in it.
EACH_WAY = [*product(COURSES, sorted(MADE_AGAIN))]


@pytest.mark.parametrize(("way", "numbers"), in_turn(EACH_WAY, range(MOST_REQUESTS), ", ".join))
def test_whatever_is_asked_of_the_one_before_is_not_done_to_the_one_after(
    way: tuple[str, str], numbers: Sequence[int]
) -> None:
    name, how = way
    before, ask = COURSES[name]
    bounds = (2, 9) if any(one.autoscaler == "pin" for one in (ask, *before)) else None
    for number in numbers:
        vic = Script("vic", 60.0, asks=(ask,))
        again = Foreign(60.0, how, 0, "v1", number)
        history = History(seed=number, bounds=bounds, scripts=(vic, Script("ana", 8.0, asks=before)), foreign=(again,))
        played = play(history)
        assert_holds(played)
        went = next(call for call in played.calls if call.actor == "vic")
        if went.requests <= number:
            assert number > 2
            return
    raise AssertionError(f"it made {MOST_REQUESTS} requests and never came to its end")


@pytest.mark.parametrize("end", [Ask("promote"), Ask("undo")])
def test_templates_of_the_same_hash_are_released_as_any_others(end: Ask) -> None:
    world = World(History(colliding=True, scripts=(Script("ana", 8.0, asks=(START, end), names="hash"),)))
    played = world.play()
    assert_holds(played)
    assert all(isinstance(call.result, Outcome) for call in played.calls)
    status = world.store.of("deployments")[NAME]["status"]
    assert status["collisionCount"] == 1, "the hash of the second version was taken"
    assert len(world.store.of("replicasets")) == 2


def test_a_deployment_that_is_made_again_at_once_finds_its_name_taken_by_what_is_about_to_go() -> None:
    world = World(History(foreign=(Foreign(8.0, "delete and create", 0, "v1"),)))
    assert_holds(world.play())
    (left,) = world.store.of("replicasets").values()
    deployment = world.store.of("deployments")[NAME]
    assert left["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
    assert deployment["status"]["collisionCount"] == 1 and deployment["status"]["readyReplicas"] == 4


def test_pods_that_somebody_left_behind_are_those_of_the_next_one() -> None:
    world = World(History(foreign=(Foreign(8.0, "delete without its pods and create", 0, "v1"),)))
    assert_holds(world.play())
    (kept,) = world.store.of("replicasets").values()
    assert kept["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert "collisionCount" not in world.store.of("deployments")[NAME]["status"]
