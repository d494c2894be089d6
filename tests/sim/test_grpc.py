# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through a GRPCRoute, which tells by its status what it does and by nothing else: nobody gets the canary who was not to get it, and
the route comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.sim.faults import Fault, Planned
from tests.sim.gateway import Lags, Proxy
from tests.sim.grpc import GATEWAY_API_GRPC, GRPC_RULES
from tests.sim.history import Ask, End, History, Script
from tests.sim.objects import NAME
from tests.sim.store import Change
from tests.sim.test_traffic import DRAINING, largest, played, told, world
from tests.sim.world import World
from tests.toolchain.sampled import sampled

START = Ask("start", share="5", kind=GATEWAY_API_GRPC)
FULL = replace(START, pods=4, surge=4, share="50", think=1.0)


def assert_as_before(one: World) -> None:
    route = one.store.get("grpcroutes", NAME)
    assert route is not None and route["spec"]["rules"] == GRPC_RULES and not route["metadata"].get("annotations")
    assert list(one.store.of("services")) == [NAME]


@pytest.mark.parametrize("by", ["pods", "weights"])
def test_a_release_gives_everybody_what_was_said_and_leaves_nothing(by: str) -> None:
    one = world(replace(START, header="x-canary"), FULL, Ask("promote", by=by), end=End.PROMOTE)
    found = played(one)
    assert [line.partition(", which get ")[2] for line in told(found)[:2]] == [
        "5 % of the requests and those with the header x-canary (stated)",
        "50 % of the requests and those with the header x-canary (stated)",
    ]
    assert largest(one, 0.0, found.calls[0].ended or 0.0) == Fraction(1, 20)
    assert_as_before(one)


def test_a_gateway_that_takes_no_route_is_refused_before_any_user_notices() -> None:
    one = world(START, lags=Lags(deaf_from=6.0))
    found = one.play()
    assert not found.violations and 'GRPCRoute "web" is not in force' in told(found)[0]
    assert largest(one, 0.0, 1e9) == 0


@pytest.mark.parametrize("since", [5.0, 60.0], ids=["before the start", "while a canary is held"])
def test_what_a_controller_that_was_uninstalled_has_left_in_the_status_keeps_nobody_from_anything(since: float) -> None:
    one = world(START, Ask("undo", think=90.0))

    def is_gone() -> None:
        route = one.store.get("grpcroutes", NAME) or {}
        (report,) = route["status"]["parents"]
        left = {**report, "controllerName": "gone.example/gateway"}
        one.store.put("grpcroutes", {**route, "status": {"parents": [left, report]}}, "gone")

    one.timeline.at(since, is_gone)
    found = played(one)
    assert [call.told().partition(":")[0] for call in found.calls[:2]] == ["changed", "changed"], told(found)
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 40, 4)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    end = End.PROMOTE if number % 8 else End.UNDO
    faults = (Planned(number, Fault.KILLED_AFTER),)
    one = world(START, replace(START, share="20", think=1.0), Ask(end.value, think=1.0), faults=faults, end=end)
    played(one)
    assert_as_before(one)


def latest(proxy: Proxy, change: Change, most: float, happens: Callable[[], None]) -> None:
    """As late as ever."""
    proxy.timeline.after(most, happens)


@pytest.mark.parametrize(("end", "number"), [(Ask("undo"), 27), (Ask("promote", by="weights"), 25)])
def test_whoever_comes_right_after_the_route_was_given_back_waits_until_that_is_in_force_too(
    end: Ask, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No status tells when the last proxy has heard of it, and nobody is left on a Service that goes."""
    monkeypatch.setattr(Proxy, "_later", latest)

    def play(*later: Script) -> World:
        dies = Script("bob", 300.0, asks=(end,), faults=(Planned(number, Fault.KILLED_AFTER),))
        scripts = (Script("ana", 8.0, asks=(replace(FULL, share="100"),)), dies, *later)
        one = World(History(natures=DRAINING, scripts=scripts, end=End.UNDO, gateway=Lags(4.0, 0.3)), traced=True)
        played(one)
        return one

    wrote = [change for change in play().store.log if change.by.startswith("bob") and change.kind == "grpcroutes"]
    assert wrote[-1].after is not None and wrote[-1].after["spec"]["rules"] == GRPC_RULES
    one = play(Script("eve", wrote[-1].at + 1.0, asks=(end,)))
    gone = [change.at for change in one.store.log if change.kind == "services" and change.after is None]
    assert min(gone) >= wrote[-1].at + 4.0
    assert_as_before(one)


@pytest.mark.parametrize("since", [7.0, 12.0], ids=["before the start", "before users are sent to the stable version"])
def test_a_start_that_a_late_gateway_has_not_heard_of_is_taken_back_and_fails_no_request_once_it_does(
    since: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after its undo, and in the order in which it was written."""
    in_time = Proxy._later

    def late(proxy: Proxy, change: Change, most: float, happens: Callable[[], None]) -> None:
        if change.kind == "grpcroutes" and proxy.timeline.now > since:
            latest(proxy, change, 90.0, happens)
        else:
            in_time(proxy, change, most, happens)

    monkeypatch.setattr(Proxy, "_later", late)
    one = world(START, Ask("undo", think=1.0), Ask("info", think=200.0))
    started, undone, _looked = told(played(one))
    assert 'GRPCRoute "web" is not in force' in started
    assert undone.startswith("changed: undone" if since < 8.0 else "failed (not_programmed, changed)")
    assert_as_before(one)
