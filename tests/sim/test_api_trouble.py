# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server in trouble for longer than one request, from any request of a verb on; controllers that stand still; clocks that jump.

A wait goes on, or ends with what is known; nothing is promoted on what was known before the trouble, and whoever runs the verb again comes
to the end. What may never happen in between is looked at by the simulation itself (invariants.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim.controllers import Pace
from tests.sim.faults import Fault, Planned, PlannedStream, StreamFault
from tests.sim.gateway import Lags
from tests.sim.history import Ask, History, Script
from tests.sim.objects import CONTAINER, image
from tests.sim.running import play
from tests.sim.test_every_moment import AFTERWARDS, FIRST, INFO, MOST_REQUESTS, START, THEN, UNDO
from tests.sim.world import Played, World
from tests.toolchain.sampled import in_turn

PROMOTE = Ask("promote")
# What is asked, what was done before, and which version there is in the end.
VERBS: dict[str, tuple[Ask, tuple[Ask, ...], str, str]] = {
    "start": (START, (), "held", "v1"),
    "promote": (PROMOTE, (START,), "none", "v2"),
    "undo": (UNDO, (START,), "none", "v1"),
    "release": (Ask("release", pods=2), (), "none", "v2"),
}
_EVER = 400


def _from(first: int, kind: Fault, times: int, **fault: float | int) -> tuple[Planned, ...]:
    return tuple(Planned(number, kind, **fault) for number in range(first, first + times))  # type: ignore[arg-type]


# What becomes of all requests from one on, for so many of them.
TROUBLE: dict[str, Callable[[int], tuple[Planned, ...]]] = {
    "the token has expired": lambda first: _from(first, Fault.BROKEN_BEFORE, _EVER, status=401),
    "the right is taken away": lambda first: _from(first, Fault.BROKEN_BEFORE, _EVER, status=403),
    "the server is restarted": lambda first: _from(first, Fault.REFUSED, 12),
    "etcd is stopped": lambda first: _from(first, Fault.BROKEN_AFTER, 2) + _from(first + 2, Fault.BROKEN_BEFORE, 10),
    "nothing is answered in time": lambda first: _from(first, Fault.LATE, 3),
    "the link is slow": lambda first: _from(first, Fault.SLOW, _EVER, seconds=4.0),
}


@pytest.mark.parametrize(("what", "numbers"), in_turn([*TROUBLE], range(MOST_REQUESTS)))
@pytest.mark.parametrize("name", VERBS)
def test_from_any_request_on(name: str, what: str, numbers: Sequence[int]) -> None:
    ask, before, phase, stable = VERBS[name]
    for first in numbers:
        vic = Script("vic", THEN, asks=(ask,), faults=TROUBLE[what](first), streams=CUT)
        eve = Script("eve", AFTERWARDS + 600.0, asks=(ask, INFO))
        played = play(History(scripts=(Script("ana", FIRST, asks=before), vic, eve)))
        assert not played.violations, (first, played.violations)
        went, again, seen = (call for call in played.calls if call.actor in ("vic", "eve"))
        assert isinstance(went.result, Outcome | VerbFailure | ApiError), (first, went.told())
        assert isinstance(again.result, Outcome), (first, went.told(), again.told())
        assert isinstance(seen.result, Outcome)
        (canary,) = seen.result.extra["canaries"]
        assert (canary["phase"], canary["stable"]["images"][CONTAINER]) == (phase, image(stable)), (first, again.told())
        if not went.hit:
            assert first > 3, "it makes hardly a request"
            return
    raise AssertionError(f"it made {MOST_REQUESTS} requests and never came to its end")


# The stream that a wait opens first ends with the server that it came from.
CUT = (PlannedStream(0, StreamFault.CUT, 1.0),)
STANDSTILL = 240.0


STILL = Pace(stops=((THEN + 0.2, THEN + STANDSTILL),))
CONTROLLERS = {"deployments": History(deployments=STILL), "replica sets": History(replica_sets=STILL)}


@pytest.mark.parametrize("who", CONTROLLERS)
@pytest.mark.parametrize("name", VERBS)
def test_controllers_that_stand_still_for_minutes_are_waited_for(name: str, who: str) -> None:
    ask, before, _phase, _stable = VERBS[name]
    vic = Script("vic", THEN, asks=(replace(ask, timeout=600.0),))
    played = play(replace(CONTROLLERS[who], scripts=(Script("ana", FIRST, asks=before), vic)))
    assert not played.violations
    went = next(call for call in played.calls if call.actor == "vic")
    assert isinstance(went.result, Outcome) and went.ended is not None, went.told()
    assert went.ended - went.begun > STANDSTILL - 1.0


@pytest.mark.parametrize("name", VERBS)
def test_who_does_not_wait_so_long_is_told_and_nothing_is_promoted_meanwhile(name: str) -> None:
    ask, before, _phase, _stable = VERBS[name]
    vic = Script("vic", THEN, asks=(replace(ask, timeout=30.0),))
    played = play(replace(CONTROLLERS["deployments"], scripts=(Script("ana", FIRST, asks=before), vic)))
    assert not played.violations
    went = next(call for call in played.calls if call.actor == "vic")
    assert isinstance(went.result, VerbFailure) and went.result.code in ("timeout", "stuck"), went.told()


def jumping(name: str, by: float, after: float) -> Played:
    """The clock of whoever asks is set so many seconds ahead in the middle of the call."""
    ask, before, _phase, _stable = VERBS[name]
    scripts = (Script("ana", FIRST, asks=before), Script("vic", THEN, asks=(ask,)))
    world = World(History(scripts=scripts))

    def jump() -> None:
        world._processes["here.vic"].skew = by

    world.timeline.at(THEN + after, jump)
    return world.play()


@pytest.mark.parametrize("by", [-86_400.0, -90.0, 90.0, 86_400.0], ids=lambda by: f"{by:+.0f} s")
@pytest.mark.parametrize("name", VERBS)
def test_a_clock_that_jumps_changes_nothing(name: str, by: float) -> None:
    for after in (0.05, 0.5):
        played, steady = jumping(name, by, after), jumping(name, 0.0, after)
        assert not played.violations
        told, meant = ([call.told() for call in each.calls if call.actor == "vic"] for each in (played, steady))
        assert told == meant


ROUTED: dict[str, Ask] = {
    "requests split by a route": Ask("start", share="5"),
    "a Service that is switched": Ask("start", share="0", kind="service_selector"),
}


@pytest.mark.parametrize(("what", "numbers"), in_turn([*ROUTED], range(MOST_REQUESTS)))
def test_no_list_that_is_older_than_the_deployment_decides(what: str, numbers: Sequence[int]) -> None:
    """From before there was anything; such a list has no route, and no Service."""
    ask = ROUTED[what]
    for number in numbers:
        script = Script("ana", FIRST, asks=(ask,), faults=(Planned(number, Fault.STALE, 10.0),))
        played = play(History(seed=number, gateway=Lags(0.1, 0.1), scripts=(script,)))
        (call, *_) = played.calls
        assert not played.violations, f"{number}: {played.violations}"
        assert isinstance(call.result, Outcome), f"{number}: {call.told()}"
        if call.requests <= number:
            assert number > 2
            return
    raise AssertionError(f"it made {MOST_REQUESTS} requests and never came to its end")
