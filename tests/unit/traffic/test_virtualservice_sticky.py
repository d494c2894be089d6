# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who keep the version that they have seen, by a VirtualService: all users there can be, before a gateway that does as Istio says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Stage,
    Sticky,
    Unroutable,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.virtualservice import check, parse, plan, state
from tests.sim.istio import as_route
from tests.unit.traffic.release import BY, VERSIONS
from tests.unit.traffic.test_sticky import NEW, Users, ask, split
from tests.unit.traffic.test_virtualservice import HEADER, Json, ref, rule, service, written

_WEIGHTS = st.lists(st.integers(0, 100).map(lambda n: Fraction(n, 100)), min_size=1, max_size=4)
HALF = split(Fraction(1, 2), Exposure())


def asked(item: Json, users: Users) -> tuple[Users, dict[str, Fraction], set[frozenset[str]]]:
    return ask(as_route(item), users)


@given(_WEIGHTS)
def test_every_share_is_exact_and_nobody_goes_back(weights: list[Fraction]) -> None:
    """Who was there all the time has the largest share so far, and who comes anew the present one."""
    item, users, present = service(rule(ref("web"))), {NEW: Fraction(1)}, Exposure()
    for number, weight in enumerate(weights, 1):
        wanted = split(weight, present)
        item, present = written(item, wanted), wanted.exposure
        assert state(parse(item), VERSIONS) == (Stage.SPLIT, wanted)
        for _again in range(2):
            users, shares, back = asked(item, users)
            assert shares.get(VERSIONS.canary, 0) == max(weights[:number]) and not back
        assert asked(item, {NEW: Fraction(1)})[1].get(VERSIONS.canary, 0) == weight
    assert written(item, Wanted(Stage.OWN))["spec"]["http"] == [rule(ref("web"))]


def test_everybody_is_on_one_version_whatever_they_have_seen() -> None:
    item = written(service(rule(ref("web"))), HALF)
    users, _shares, _back = asked(item, {NEW: Fraction(1)})
    every = written(item, split(Fraction(1), HALF.exposure))
    assert asked(every, users)[1] == {VERSIONS.canary: 1}
    assert asked(written(item, Wanted(Stage.ISOLATED)), users)[1] == {VERSIONS.stable: 1}


def test_other_destinations_of_a_rule_keep_their_share_of_everybody() -> None:
    item = written(service(rule(ref("web", 75), ref("legacy", 25))), split(Fraction(1, 5), Exposure()))
    users = {NEW: Fraction(1)}
    for _again in range(3):
        users, shares, _back = asked(item, users)
        assert shares["legacy"] == Fraction(1, 4)


def test_copies_stand_right_before_their_rule_and_a_header_wins_over_a_cookie() -> None:
    changed = {"headers": {"response": {"add": {"x": "y"}}}}
    own, old = {**ref("web"), **changed}, rule(ref("legacy"), prefix="/old")
    after = written(service(old, rule(own)), split(Fraction(1, 2), HALF.exposure, HEADER))
    order = [list(one["match"][0].get("headers", ())) if "match" in one else [] for one in after["spec"]["http"]]
    assert order == [[], ["x-canary"], ["cookie"], ["cookie"], []]
    drawn = after["spec"]["http"][-1]["route"]
    assert [set(one["headers"]["response"]["add"]) for one in drawn] == [{"x", "set-cookie"}] * 2


def test_what_has_lost_its_annotation_is_given_back() -> None:
    item = written(service(rule(ref("web"))), HALF)
    item["metadata"].pop("annotations")
    assert state(parse(item), VERSIONS)[0] is Stage.LOST
    assert written(item, Wanted(Stage.OWN))["spec"]["http"] == [rule(ref("web"))]


def moved(one: Json) -> Json:
    return {**one, "match": [{"uri": {"prefix": "/other"}}]}


def put_back(one: Json) -> Json:
    """The host, and not what came with it."""
    first, *_others = one["route"]
    return {**one, "route": [{**first, "destination": {**first["destination"], "host": "web"}}]}


@pytest.mark.parametrize("annotated", [True, False], ids=["edited", "lost"])
@pytest.mark.parametrize("edit", [moved, put_back])
@pytest.mark.parametrize("headers", [None, {"response": {"add": {"x": "y"}}}, {"request": {"remove": ["z"]}}])
def test_whatever_somebody_makes_of_a_rule_no_cookie_of_ours_is_left_in_it(
    annotated: bool, edit: Callable[[Json], Json], headers: Json | None
) -> None:
    own = {**ref("web"), **({"headers": headers} if headers else {})}
    item = written(service(rule(own)), HALF)
    rules = item["spec"]["http"]
    rules[-1] = edit(rules[-1])
    if not annotated:
        item["metadata"].pop("annotations")
    assert state(parse(item), VERSIONS)[0] is (Stage.CONTESTED if annotated else Stage.LOST)
    (left,) = written(item, Wanted(Stage.OWN))["spec"]["http"]
    assert [one["destination"]["host"] for one in left["route"]] == ["web"]
    assert [one.get("headers") for one in left["route"]] == [headers]


_SETS = {"headers": {"response": {"set": {"Set-Cookie": "a=b"}}}}
_ADDS = {"headers": {"response": {"add": {"set-cookie": "a=b"}}}}
_REMOVES = {"headers": {"response": {"remove": ["Set-Cookie"]}}}
_OF_OTHERS = rule({**ref("legacy"), **_SETS}, prefix="/old")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (service(rule({**ref("web"), **_ADDS})), "adds, sets or removes the header Set-Cookie"),
        (service(rule({**ref("web"), **_SETS})), "adds, sets or removes the header Set-Cookie"),
        (service(rule({**ref("web"), **_REMOVES})), "adds, sets or removes the header Set-Cookie"),
        (service(rule(ref("web"), **_SETS)), "adds, sets or removes the header Set-Cookie"),
        (service(rule(ref("web"), **_REMOVES)), "adds, sets or removes the header Set-Cookie"),
        (service(rule(ref("web"), **_ADDS)), ""),
        (service(_OF_OTHERS, rule(ref("web"))), ""),
        (service(rule(ref("web"), match=[{"headers": {"Cookie": {"exact": "a=b"}}}])), "matches the header cookie"),
        (service(rule(ref("web"), match=[{"withoutHeaders": {"cookie": {}}}])), "matches the header cookie"),
    ],
)
@pytest.mark.parametrize("weight", [Fraction(1, 2), Fraction(1)])
def test_what_would_keep_users_from_their_cookie_is_told_before_anything_is_written(
    item: Json, said: str, weight: Fraction
) -> None:
    exposure = Exposure(weight, sticky=Sticky(0, weight))
    if not said:
        check(parse(item), VERSIONS, exposure, True)
        return
    with pytest.raises(Unroutable, match=said) as refused:
        check(parse(item), VERSIONS, exposure, True)
    assert "traffic.sticky" in refused.value.remedy
    with pytest.raises(Unroutable, match=said):
        plan(parse(item), VERSIONS, HALF, **BY)


def test_a_probe_shows_that_a_cookie_is_set_and_asked_for_before_a_user_meets_either() -> None:
    warm = Wanted(Stage.ISOLATED, Exposure(sticky=Sticky(0, Fraction(1, 2))), (VERSIONS.canary,), mark=7)
    reached, marked, by_cookie, users = written(service(rule(ref("web"))), warm)["spec"]["http"]
    assert "set-cookie" in reached["route"][0]["headers"]["response"]["add"]
    assert marked["redirect"]["authority"].startswith("g7.") and by_cookie["redirect"]["authority"].startswith("c7.")
    assert set(by_cookie["match"][0]["headers"]) == {"x-coalmine-probe", "cookie"}
    assert [one["destination"]["host"] for one in users["route"]] == [VERSIONS.stable]
    assert "set-cookie" not in str(users)
