# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who keep the version that they have seen: all users there can be, with exact shares, before a gateway that does as Gateway API says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.cookies import canary_cookie
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Kept,
    Stage,
    Sticky,
    Unroutable,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import check, plan, state
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import Header
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from tests.unit.traffic.release import BY, VERSIONS
from tests.unit.traffic.test_httproute import HEADER, Json, backends, match, ref, route, written

# What somebody's browser has, and how many such users there are.
Users = dict[frozenset[str], Fraction]
NEW: frozenset[str] = frozenset()
OTHERS = ("session=abc", "x=coalmine-canary")


def split(weight: Fraction, present: Exposure, header: Header | None = None) -> Wanted:
    return Wanted(Stage.SPLIT, Exposure(weight, header, Sticky.after(present, weight)))


def taken(item: Json, cookies: frozenset[str], path: str = "/") -> Json:
    """The rule of a request: of those that match, the one with the most headers, and of several the first."""
    found = [
        (len(one.get("headers") or ()), -number, rule)
        for number, rule in enumerate(item["spec"]["rules"])
        for one in rule.get("matches") or [match()]
        if one["path"]["value"] == path
        and all(
            asked["name"] == "Cookie" and re.fullmatch(asked["value"], "; ".join((*OTHERS, *sorted(cookies), "y=2")))
            for asked in one.get("headers") or ()
        )
    ]
    rule: Json = max(found, key=lambda each: each[:2])[2]
    return rule


def answers(rule: Json) -> Iterator[tuple[str, Fraction, str]]:
    """To whom a request goes, with which probability, and the cookie that comes back."""
    whole = sum(one["weight"] for one in rule["backendRefs"])
    for one in rule["backendRefs"]:
        filters = one.get("filters") or ()
        told = [text["value"].partition(";")[0] for each in filters for text in each["responseHeaderModifier"]["add"]]
        if one["weight"]:
            yield one["name"], Fraction(one["weight"], whole), told[0] if told else ""


def ask(item: Json, users: Users) -> tuple[Users, dict[str, Fraction], set[frozenset[str]]]:
    """Everybody asks once: their browsers afterwards, who got what, and who has seen the canary and does not see it now."""
    after: Users = {}
    shares: dict[str, Fraction] = {}
    back = set()
    for cookies, many in users.items():
        for service, chance, told in answers(taken(item, cookies)):
            there = cookies | {told} if told else cookies
            after[there] = after.get(there, Fraction(0)) + many * chance
            shares[service] = shares.get(service, Fraction(0)) + many * chance
            if f"{canary_cookie(BY['token'])}=1" in cookies and service != VERSIONS.canary:
                back.add(cookies)
    return after, shares, back


_WEIGHTS = st.lists(st.integers(0, 100).map(lambda n: Fraction(n, 100)), min_size=1, max_size=4).map(sorted)


@given(_WEIGHTS)
def test_every_share_is_exact_and_nobody_goes_back(weights: list[Fraction]) -> None:
    item, users, present = route({"matches": [match()], "backendRefs": [ref("web")]}), {NEW: Fraction(1)}, Exposure()
    for weight in weights:
        wanted = split(weight, present)
        item, present = written(item, wanted), wanted.exposure
        assert state(Route.parse(item), VERSIONS) == (Stage.SPLIT, wanted)
        for _again in range(2):
            users, shares, back = ask(item, users)
            assert shares.get(VERSIONS.canary, 0) == weight and not back
        # Who comes anew is drawn as everybody is.
        assert ask(item, {NEW: Fraction(1)})[1].get(VERSIONS.canary, 0) == weight
    assert written(item, Wanted(Stage.OWN))["spec"]["rules"] == [{"matches": [match()], "backendRefs": [ref("web")]}]


def test_a_smaller_share_holds_for_those_who_come_anew() -> None:
    item = route({"matches": [match()], "backendRefs": [ref("web")]})
    half = split(Fraction(1, 2), Exposure())
    item = written(item, half)
    users, _shares, _back = ask(item, {NEW: Fraction(1)})
    item = written(item, split(Fraction(1, 10), half.exposure))
    _users, shares, back = ask(item, users)
    assert shares[VERSIONS.canary] == Fraction(1, 2) and not back
    assert ask(item, {NEW: Fraction(1)})[1][VERSIONS.canary] == Fraction(1, 10)


@given(_WEIGHTS.flatmap(st.permutations))
def test_a_share_that_became_smaller_is_not_drawn_twice(weights: list[Fraction]) -> None:
    """20 % -> 10 % -> 25 %: those who were there all the time have 20 %, and then 25 % of the canary, not 33 %."""
    item, users, present = route({"matches": [match()], "backendRefs": [ref("web")]}), {NEW: Fraction(1)}, Exposure()
    for number, weight in enumerate(weights, 1):
        wanted = split(weight, present)
        item, present = written(item, wanted), wanted.exposure
        assert state(Route.parse(item), VERSIONS) == (Stage.SPLIT, wanted)
        users, shares, back = ask(item, users)
        assert shares.get(VERSIONS.canary, 0) == max(weights[:number]) and not back
        assert ask(item, {NEW: Fraction(1)})[1].get(VERSIONS.canary, 0) == weight


def test_everybody_is_on_the_canary_whatever_they_have_seen_and_no_rule_needs_the_stable_version() -> None:
    item = route({"matches": [match()], "backendRefs": [ref("web")]})
    half = split(Fraction(1, 2), Exposure())
    users, _shares, _back = ask(written(item, half), {NEW: Fraction(1)})
    after = written(written(item, half), split(Fraction(1), half.exposure))
    assert ask(after, users)[1] == {VERSIONS.canary: 1}
    assert not any(
        one["weight"]
        for rule in after["spec"]["rules"]
        for one in rule["backendRefs"]
        if one["name"] == VERSIONS.stable
    )


def test_isolated_everybody_is_on_stable_whatever_they_have_seen() -> None:
    item = written(route({"matches": [match()], "backendRefs": [ref("web")]}), split(Fraction(1, 2), Exposure()))
    users, _shares, _back = ask(item, {NEW: Fraction(1)})
    assert ask(written(item, Wanted(Stage.ISOLATED)), users)[1] == {VERSIONS.stable: 1}


def test_other_backends_of_a_rule_keep_their_share_of_everybody() -> None:
    item = written(
        route({"matches": [match()], "backendRefs": [ref("web", 3), ref("legacy")]}), split(Fraction(1, 5), Exposure())
    )
    users = {NEW: Fraction(1)}
    for _again in range(3):
        users, shares, _back = ask(item, users)
        assert shares["legacy"] == Fraction(1, 4)


def test_a_header_wins_over_a_cookie_and_what_a_backend_modified_stays() -> None:
    modifier = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x", "value": "y"}]}}
    item = route({"matches": [match()], "backendRefs": [ref("web", filters=[modifier])]})
    after = written(item, split(Fraction(1, 2), Exposure(), HEADER))
    order = [[one["name"] for one in rule["matches"][0].get("headers") or ()] for rule in after["spec"]["rules"]]
    assert order == [[], ["x-canary"], ["Cookie"], ["Cookie"]]
    added = after["spec"]["rules"][0]["backendRefs"][0]["filters"][0]["responseHeaderModifier"]["add"]
    assert [one["name"] for one in added] == ["x", "Set-Cookie"]


def test_what_has_lost_its_annotation_is_given_back() -> None:
    item = written(route({"matches": [match()], "backendRefs": [ref("web")]}), split(Fraction(1, 2), Exposure()))
    item["metadata"].pop("annotations")
    assert state(Route.parse(item), VERSIONS)[0] is Stage.LOST
    back = written(item, Wanted(Stage.OWN))
    assert len(back["spec"]["rules"]) == 1 and list(backends(back)) == ["web"]


def moved(rule: Json) -> Json:
    return {**rule, "matches": [match("/other")]}


def put_back(rule: Json) -> Json:
    """The names, and not what came with them."""
    (one, *_others) = rule["backendRefs"]
    return {**rule, "backendRefs": [{**one, "name": "web"}]}


@pytest.mark.parametrize("annotated", [True, False], ids=["edited", "lost"])
@pytest.mark.parametrize("edit", [moved, put_back])
@pytest.mark.parametrize("modifier", [None, {"add": [{"name": "x", "value": "y"}]}, {"remove": ["server"]}])
def test_whatever_somebody_makes_of_a_rule_no_cookie_of_ours_is_left_in_it(
    annotated: bool, edit: Callable[[Json], Json], modifier: Json | None
) -> None:
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": modifier}] if modifier else []
    own = ref("web", **({"filters": filters} if filters else {}))
    item = written(route({"matches": [match()], "backendRefs": [own]}), split(Fraction(1, 2), Exposure()))
    rules = item["spec"]["rules"]
    rules[0] = edit(rules[0])
    if not annotated:
        item["metadata"].pop("annotations")
    assert state(Route.parse(item), VERSIONS)[0] is (Stage.CONTESTED if annotated else Stage.LOST)
    back = written(item, Wanted(Stage.OWN))
    assert len(back["spec"]["rules"]) == 1 and list(backends(back)) == ["web"]
    (left,) = back["spec"]["rules"][0]["backendRefs"]
    assert left.get("filters", []) == filters


_COOKIE, _NAME = [{"name": "set-cookie", "value": "a=b"}], ["set-cookie"]


@pytest.mark.parametrize("how", ["add", "set", "remove"])
def test_a_backend_that_sets_cookies_already_or_removes_them_is_refused(how: str) -> None:
    modifier = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {how: _NAME if how == "remove" else _COOKIE},
    }
    item = Route.parse(route({"backendRefs": [ref("web", filters=[modifier])]}))
    with pytest.raises(Unroutable, match="sets or removes a cookie already"):
        plan(item, VERSIONS, split(Fraction(1, 2), Exposure()), **BY)


@pytest.mark.parametrize(("how", "refused"), [("add", False), ("set", True), ("remove", True)])
def test_a_rule_that_changes_the_cookies_of_its_backends_is_refused_before_anything_is_written(
    how: str, refused: bool
) -> None:
    modifier = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {how: _NAME if how == "remove" else _COOKIE},
    }
    item = Route.parse(route({"matches": [match()], "backendRefs": [ref("web")], "filters": [modifier]}))
    exposure = split(Fraction(1, 2), Exposure()).exposure
    if not refused:
        check(item, VERSIONS, exposure, True)
        return
    with pytest.raises(Unroutable, match="in place of those of its backends, or removes them"):
        check(item, VERSIONS, exposure, True)


def test_what_is_kept_is_read_again() -> None:
    wanted = Wanted(Stage.SPLIT, Exposure(Fraction(1, 2), None, Sticky(3, Fraction(3, 8))), mark=4)
    for one in (
        wanted,
        Wanted(Stage.SPLIT, drained=wanted.exposure),
        Wanted(Stage.SPLIT, drained=Exposure(header=HEADER)),
    ):
        kept = Kept("uid", VERSIONS, "token", one, {"0": [ref("web")]})
        assert Kept.decode(kept.encode()) == kept
    assert "sticky" not in Kept("uid", VERSIONS, "token", Wanted(Stage.ISOLATED), {}).encode()


def probes(item: Json) -> list[Any]:
    return [rule for rule in item["spec"]["rules"] if "/.coalmine" in rule["matches"][0]["path"]["value"]]


def test_a_probe_shows_that_a_cookie_is_set_and_asked_for_before_a_user_meets_either() -> None:
    warm = Wanted(Stage.ISOLATED, Exposure(sticky=Sticky(0, Fraction(1, 2))), (VERSIONS.canary,), mark=7)
    item = written(route({"matches": [match()], "backendRefs": [ref("web")]}), warm)
    reached, marked, by_cookie = probes(item)
    assert "Set-Cookie" in str(reached["backendRefs"]) and "g7." in str(marked["filters"])
    assert "c7." in str(by_cookie["filters"]) and by_cookie["matches"][0]["headers"][1]["name"] == "Cookie"
    assert backends(item) == {VERSIONS.stable: 1} and len(item["spec"]["rules"]) == 4
