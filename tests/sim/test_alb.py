# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases through an Ingress before a load balancer that hears late, and that knows only the Services which its rules name: no request of a
user fails, nobody gets the canary who was not to get it, and the Ingress comes back as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.sim.alb import ALB, ANNOTATIONS, PATHS
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End
from tests.sim.objects import NAME
from tests.sim.test_traffic import largest, played, told, world
from tests.sim.world import World
from tests.toolchain.sampled import sampled

START = Ask("start", share="5", kind=ALB)
GROW = replace(START, pods=3, surge=3, share="50", think=1.0)


def assert_as_before(one: World) -> None:
    """The user's Ingress, and no Service but the user's."""
    item = one.store.get("ingresses", NAME)
    assert item is not None and item["spec"]["rules"] == PATHS and item["metadata"]["annotations"] == ANNOTATIONS
    assert list(one.store.of("services")) == [NAME]


def test_requests_with_the_header_get_the_canary_until_every_pod_is_new() -> None:
    one = world(replace(START, share="0", header="x-canary"), Ask("promote", think=1.0), end=End.PROMOTE)
    played(one)
    assert_as_before(one)


def test_check_mode_writes_nothing_and_tells_what_each_path_forwards_to() -> None:
    one = world(replace(START, check=True), START, replace(GROW, check=True), Ask("promote", check=True))
    before, grown, after = (played_call.result for played_call in (played(one).calls[n] for n in (0, 2, 3)))
    assert isinstance(before, Outcome) and isinstance(grown, Outcome) and isinstance(after, Outcome)
    place = "web: path shop.example/"
    assert before.before[place] == "web 1" and [
        part.rpartition(" ")[2] for part in before.after[place].split(", ")
    ] == ["19", "1"]
    assert [part.rpartition(" ")[2] for part in grown.after[place].split(", ")] == ["1", "1"]
    assert after.after[place] == "web 1"


def test_a_load_balancer_that_nobody_can_ask_is_given_the_time_that_it_takes_and_that_is_said() -> None:
    found = played(world(START, Ask("promote"), lags=Lags(5.0, 2.0, hidden=True), end=End.PROMOTE))
    assert told(found)[0].endswith("which get 5 % of the requests (stated)")


def test_a_controller_that_hears_of_nothing_is_refused_before_any_user_notices() -> None:
    one = world(START, lags=Lags(deaf_from=6.0))
    found = one.play()
    assert not found.violations and 'Ingress "web" is not in force after 180 s' in told(found)[0]
    assert largest(one, 0.0, 1e9) == 0


@pytest.mark.parametrize(
    ("annotations", "kind", "said"),
    [
        ({"alb.ingress.kubernetes.io/auth-type": "oidc"}, "ClusterIP", "would not be asked who they are any more"),
        ({"alb.ingress.kubernetes.io/target-type": "instance"}, "ClusterIP", "may send to nodes"),
        ({}, "NodePort", ""),
    ],
)
def test_a_service_of_which_there_can_be_no_copies_is_refused_before_anything_is_written(
    annotations: dict[str, str], kind: str, said: str
) -> None:
    one = world(START)
    service = one.store.get("services", NAME)
    assert service is not None
    changed = {**service, "metadata": {**service["metadata"], "annotations": annotations}}
    one.store.put("services", {**changed, "spec": {**service["spec"], "type": kind}}, "somebody")
    line = told(one.play())[0]
    assert line.startswith("changed") is not bool(said) and said in line, line


@pytest.mark.parametrize("seed", sampled(range(12)))
def test_a_load_balancer_that_hears_in_any_order_sends_nobody_to_nowhere(seed: int) -> None:
    chance = random.Random(seed)
    lags = Lags(chance.choice((0.1, 2.0, 5.0)), chance.choice((0.1, 2.0, 5.0)), forgets=seed % 4 != 1)
    end = chance.choice((End.PROMOTE, End.UNDO))
    one = world(START, GROW, Ask(end.value, think=1.0), lags=lags, seed=seed, end=end)
    played(one)
    assert_as_before(one)


@pytest.mark.parametrize("number", sampled(range(0, 60, 4)))
def test_a_death_at_any_request_fails_no_request_and_whoever_comes_next_ends_it(number: int) -> None:
    kind = Fault.KILLED_BEFORE if number % 8 == 4 else Fault.KILLED_AFTER
    last = Ask("promote" if number % 3 else "undo", think=1.0)
    end = End.PROMOTE if number % 3 else End.UNDO
    one = world(START, last, seed=number, faults=(Planned(number, kind),), again=number % 12 == 0, end=end)
    played(one)
    assert_as_before(one)


def _changed(one: World, change: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[], None]:
    """Somebody writes the annotations of the Ingress anew."""

    def go() -> None:
        item = one.store.get("ingresses", NAME)
        assert item is not None
        meta = item["metadata"]
        one.store.put(
            "ingresses", {**item, "metadata": {**meta, "annotations": change(meta["annotations"])}}, "somebody"
        )

    return go


@pytest.mark.parametrize(
    "last", [Ask("undo", think=60.0), Ask("promote", think=60.0), replace(START, pods=2, surge=2, think=60.0)]
)
def test_whatever_comes_after_somebody_deleted_the_actions_the_ingress_comes_back(last: Ask) -> None:
    one = world(START, last, end=End.PROMOTE if last.verb == "promote" else End.UNDO)
    one.timeline.at(
        60.0, _changed(one, lambda said: {key: text for key, text in said.items() if ".io/actions." not in key})
    )
    assert told(played(one))[1].startswith("changed")
    assert_as_before(one)


@pytest.mark.parametrize("end", [End.UNDO, End.PROMOTE])
def test_an_action_beside_that_nobody_can_read_keeps_nothing_from_its_end(end: End) -> None:
    one = world(START, Ask(end.value, think=60.0), end=end)
    text = '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"x","weight":1e999}]}}'
    one.timeline.at(60.0, _changed(one, lambda said: {**said, "alb.ingress.kubernetes.io/actions.other": text}))
    assert told(played(one))[1].startswith("changed")
