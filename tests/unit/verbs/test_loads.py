# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a second of a canary pod is worth where a route decides who gets a request: as it is read off the route, look by look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import ProbedPod, Sides, Version
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import RouteRef, Traffic
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Exposure, Stage, Wanted
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.load import canary_load, relative_load
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import version_in
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.loads import (
    ASTRAY,
    CHANGED,
    COPIES,
    EQUAL,
    LIGHT,
    OF_THE_OWNER,
    Loads,
)
from tests.unit.probes.serving import send, serving
from tests.unit.rollout.objects import record
from tests.unit.traffic.test_httproute import HEADER, VERSIONS, Json, ref, route, written

OWN = route({"backendRefs": [ref("web")]})
TRAFFIC = Traffic("web", (RouteRef("web", "uid-of-route"),))


def version(name: str, pods: int) -> Version:
    return Version(version_in(name), tuple(ProbedPod(f"{name}-{n}", f"{name}-{n}") for n in range(pods)))


def split(weight: Fraction, *, tested: bool = False) -> Json:
    return written(OWN, Wanted(Stage.SPLIT, Exposure(weight, HEADER if tested else None)))


def copied(part: Fraction, *, tested: bool = False) -> Json:
    return written(OWN, Wanted(Stage.SPLIT, Exposure(header=HEADER if tested else None, mirror=part)))


@contextmanager
def looking(*items: Json, traffic: Traffic | None = TRAFFIC, times: bool = False) -> Iterator[Loads]:
    """The route is as the items say, one a look."""
    left = iter(items)
    with (
        serving(lambda asked: send(asked, json.dumps(next(left)).encode())) as url,
        connect(Connection(host=url, kubeconfig={})) as api,
    ):
        yield Loads(api, "shop", record(traffic=traffic), times=times)


def sides(canary: int = 1, stable: int = 10) -> Sides:
    return Sides("shop", version(VERSIONS.canary, canary), version(VERSIONS.stable, stable))


@pytest.mark.parametrize(
    ("item", "worth"),
    [
        (OWN, EQUAL),
        (split(Fraction(1, 11)), EQUAL),
        (split(Fraction(5, 100)), Fraction(5, 100) * 10 / Fraction(95, 100)),
        (split(Fraction(1, 2)), Fraction(10)),
        (split(Fraction(5, 100), tested=True), "how many requests have the header x-canary is not known"),
        (copied(Fraction(1, 10)), EQUAL),
        (copied(Fraction(3, 100)), Fraction(3, 10)),
        (copied(Fraction(3, 100), tested=True), "how many requests have the header x-canary is not known"),
        (split(Fraction(0)), "no request of a user comes to one of the two versions"),
        (split(Fraction(1)), "no request of a user comes to one of the two versions"),
        (written(OWN, Wanted(Stage.ISOLATED)), "no request of a user comes to one of the two versions"),
    ],
)
def test_a_pods_second_is_worth_what_its_requests_are(item: Json, worth: Fraction | str) -> None:
    with looking(item) as loads:
        loads.sees(sides())
        assert loads.worth == worth


def test_without_routes_pods_decide_and_nothing_is_asked() -> None:
    with looking(traffic=None) as loads:
        loads.sees(sides())
        assert loads.worth == EQUAL


SENT = {HEADER.name.upper(): HEADER.value}


@pytest.mark.parametrize(
    ("item", "canary", "stable", "reached"),
    [
        (split(Fraction(5, 100), tested=True), SENT, {}, EQUAL),
        (split(Fraction(5, 100), tested=True), {HEADER.name: "another"}, {}, ASTRAY),
        (split(Fraction(5, 100), tested=True), SENT, {HEADER.name: HEADER.value}, ASTRAY),
        (split(Fraction(5, 100)), SENT, {}, ASTRAY),
        (OWN, SENT, {}, OF_THE_OWNER),
    ],
)
def test_requests_to_a_url_count_where_the_routes_of_the_release_tell_them_apart(
    item: Json, canary: dict[str, str], stable: dict[str, str], reached: Fraction | str
) -> None:
    with looking(item) as loads:
        assert "is not known" in str(loads.reached(canary, stable))
        loads.sees(sides())
        assert loads.reached(canary, stable) == reached


def test_a_look_in_which_the_share_changed_counts_for_nothing() -> None:
    few, more = split(Fraction(1, 20)), split(Fraction(1, 4))
    with looking(few, more, more) as loads:
        loads.sees(sides())
        loads.sees(sides())
        assert loads.worth == CHANGED
        loads.sees(sides())
        assert loads.worth == relative_load(Fraction(1, 4), 1, 10)


def test_what_a_verdict_does_not_say_of_copies_is_told() -> None:
    with looking(copied(Fraction(1, 10)), split(Fraction(1, 10))) as loads:
        loads.sees(sides())
        assert loads.caveats == (COPIES,)
        loads.sees(sides())
        assert not loads.caveats and loads.worth == CHANGED


@pytest.mark.parametrize(
    ("item", "times", "canary", "told"),
    [
        (split(Fraction(5, 100)), True, 1, (LIGHT,)),
        (split(Fraction(1, 2)), True, 7, (LIGHT,)),
        (split(Fraction(8, 100)), True, 1, ()),
        (split(Fraction(5, 100)), False, 1, ()),
        (split(Fraction(5, 100), tested=True), True, 1, ()),
        (split(Fraction(0)), True, 1, ()),
        (split(Fraction(1)), True, 10, ()),
        (copied(Fraction(3, 100)), True, 1, (COPIES, LIGHT)),
        (OWN, True, 1, ()),
    ],
)
def test_what_a_latency_under_a_lighter_load_does_not_say_is_told(
    item: Json, times: bool, canary: int, told: tuple[str, ...]
) -> None:
    with looking(item, times=times) as loads:
        loads.sees(sides(canary))
        assert loads.caveats == told


def test_what_somebody_else_wrote_is_no_share_that_anybody_knows() -> None:
    theirs = split(Fraction(1, 4))
    theirs["spec"]["rules"][0]["backendRefs"] = [ref("web"), ref("other")]
    with looking(theirs) as loads:
        loads.sees(sides())
        assert isinstance(loads.worth, str) and "somebody else writes" in loads.worth


@pytest.mark.parametrize("weight", [Fraction(1, 100), Fraction(1, 4), Fraction(9, 10)])
def test_it_is_the_ratio_of_the_two_loads(weight: Fraction) -> None:
    stable_load = (1 - weight) * 10 / 10
    assert relative_load(weight, 2, 10) == canary_load(weight, 10, 2) / stable_load
