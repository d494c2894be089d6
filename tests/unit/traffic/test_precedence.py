# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of rules that ask for a header more: refused where they would take requests from rules that are not copied."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

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
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import check_beside, plan
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.route import Route
from tests.unit.traffic.release import BY, VERSIONS
from tests.unit.traffic.test_httproute import HEADER, Json, match, ref, route, written

TESTERS = Exposure(header=HEADER)
KEPT_USERS = Exposure(Fraction(1, 5), sticky=Sticky(0, Fraction(1, 5)))
DEBUG = {"type": "Exact", "name": "debug", "value": "1"}
QUERY = {"type": "Exact", "name": "beta", "value": "yes"}
OTHER = {**HEADER.__dict__, "type": "Exact", "value": "another"}


def web(*matches: Json) -> Json:
    return {"matches": list(matches), "backendRefs": [ref("web")]}


def legacy(*matches: Json) -> Json:
    return {"matches": list(matches), "backendRefs": [ref("legacy")]}


def refusal(item: Json, exposure: Exposure) -> str:
    try:
        plan(Route.parse(item), VERSIONS, Wanted(Stage.SPLIT, exposure, mark=1), **BY)
    except Unroutable as error:
        assert "traffic.header" in error.remedy
        return str(error)
    return ""


@pytest.mark.parametrize("exposure", [TESTERS, KEPT_USERS], ids=["header", "sticky"])
@pytest.mark.parametrize(
    ("rules", "robbed"),
    [
        ([legacy(match(queryParams=[QUERY])), web(match())], True),
        ([web(match()), legacy(match(queryParams=[QUERY]))], True),
        # The first of two that are the same gets everything, and the copy of the second would not.
        ([legacy(match()), web(match())], True),
        ([web(match()), legacy(match())], False),
        # As many headers: what else the two ask for decides.
        ([web(match(queryParams=[QUERY])), legacy(match(headers=[DEBUG]))], True),
        ([web(match()), legacy(match(headers=[DEBUG]))], False),
        ([web(match()), legacy(match(headers=[DEBUG, {**DEBUG, "name": "trace"}], queryParams=[QUERY]))], False),
        # Path and method come first.
        ([web(match("/")), legacy(match("/api", queryParams=[QUERY]))], False),
        ([web(match("/api/")), legacy(match("/api", queryParams=[QUERY]))], True),
        ([web(match()), legacy(match(method="GET", queryParams=[QUERY]))], False),
        ([web(match(method="GET")), legacy(match(method="GET", queryParams=[QUERY]))], True),
        # No request meets both.
        ([web(match(queryParams=[{**QUERY, "value": "no"}])), legacy(match(queryParams=[QUERY, {**QUERY, "name": "x"}]))], False),
        # Another rule that is copied as well wins over the copy as it did.
        ([web(match()), web(match(queryParams=[QUERY]))], False),
        ([legacy(match("/old")), web(match(), match("/api"))], False),
    ],
)  # fmt: skip
def test_a_copy_that_would_win_over_a_rule_of_another_service_is_refused(
    rules: list[Json], robbed: bool, exposure: Exposure
) -> None:
    said = refusal(route(*rules), exposure)
    assert bool(said) is robbed and ("would get a copy of rule" in said) is robbed


def test_a_rule_for_the_same_header_with_another_value_is_never_met() -> None:
    assert not refusal(route(web(match()), legacy(match(headers=[OTHER], queryParams=[QUERY]))), TESTERS)


def test_a_share_alone_has_no_copies_and_an_isolated_route_none_either() -> None:
    item = route(web(match()), legacy(match(queryParams=[QUERY])))
    assert not refusal(item, Exposure(Fraction(1, 5)))
    assert written(item, Wanted(Stage.ISOLATED, mark=1)) != item


def parsed(item: Json, name: str, created: str, **spec: Any) -> Route:
    item["metadata"].update({"name": name, "uid": name, "creationTimestamp": created})
    item["spec"].update(spec)
    return Route.parse(item)


@pytest.mark.parametrize(
    ("rule", "spec", "age", "robbed"),
    [
        (legacy(match(headers=[DEBUG])), {}, "older", False),
        # As close as the copy: the older route wins.
        (legacy(match(headers=[DEBUG])), {}, "newer", True),
        (legacy(match(queryParams=[QUERY])), {}, "newer", True),
        (legacy(match()), {}, "older", True),
        (legacy(match()), {}, "newer", False),
        (legacy(match(headers=[DEBUG])), {"hostnames": ["cart.example"]}, "newer", False),
        (legacy(match(headers=[DEBUG])), {"hostnames": []}, "newer", True),
        (legacy(match(headers=[DEBUG])), {"parentRefs": [{"name": "inner"}]}, "newer", False),
        (legacy(match(headers=[DEBUG])), {"parentRefs": [{"name": "gw", "sectionName": "https"}]}, "newer", True),
    ],
)
def test_a_copy_that_would_win_over_a_rule_of_another_route_is_refused(
    rule: Json, spec: Json, age: str, robbed: bool
) -> None:
    mine = parsed(route(web(match())), "web", "2026-01-02T00:00:00Z")
    other = parsed(route(rule), "other", f"2026-01-0{1 if age == 'older' else 3}T00:00:00Z", **spec)
    beside = (mine, [mine], [other], "web")
    check_beside(*beside, Exposure(Fraction(1, 2)))
    if not robbed:
        check_beside(*beside, TESTERS)
        return
    with pytest.raises(Unroutable, match='rule 0 of HTTPRoute "other" gets would get a copy of rule 0'):
        check_beside(*beside, TESTERS)


@pytest.mark.parametrize("kind", ["Service", "ListenerSet", "Gateway"])
@pytest.mark.parametrize("other_kind", ["Service", "ListenerSet", "Gateway"])
def test_routes_meet_at_whatever_both_are_attached_to(kind: str, other_kind: str) -> None:
    groups = {"Service": ""}

    def attached(item: Json, name: str, to: str) -> Route:
        parent = {"kind": to, "name": "edge", "group": groups.get(to, "gateway.networking.k8s.io")}
        return parsed(item, name, f"2026-01-0{2 if name == 'web' else 3}T00:00:00Z", parentRefs=[parent])

    mine = attached(route(web(match())), "web", kind)
    other = attached(route(legacy(match(headers=[DEBUG]))), "other", other_kind)
    if kind != other_kind:
        check_beside(mine, [mine], [other], "web", TESTERS)
        return
    with pytest.raises(Unroutable, match='rule 0 of HTTPRoute "other" gets would get a copy of rule 0'):
        check_beside(mine, [mine], [other], "web", TESTERS)


def test_of_a_route_of_the_same_release_only_what_is_not_copied_counts() -> None:
    mine = parsed(route(web(match())), "web", "2026-01-02T00:00:00Z")
    both = [web(match(headers=[DEBUG])), legacy(match("/old"))]
    copied, robbed = (
        parsed(route(*rules), "more", "2026-01-03T00:00:00Z")
        for rules in (both, [legacy(match(headers=[DEBUG])), *both])
    )
    check_beside(mine, [mine, copied], [], "web", TESTERS)
    with pytest.raises(Unroutable, match='rule 0 of HTTPRoute "more"'):
        check_beside(mine, [mine, robbed], [], "web", TESTERS)


def test_a_live_release_is_checked_by_its_owners_rules() -> None:
    item = written(route(web(match())), Wanted(Stage.SPLIT, TESTERS, mark=1))
    mine = parsed(item, "web", "2026-01-02T00:00:00Z")
    other = parsed(route(legacy(match(queryParams=[QUERY]))), "other", "2026-01-03T00:00:00Z")
    with pytest.raises(Unroutable, match="would get a copy of rule 0"):
        check_beside(mine, [mine], [other], "web", TESTERS)


_PATHS, _NAMES = st.sampled_from(["/", "/api"]), st.sampled_from(["debug", "trace"])


def _asked(part: str) -> st.SearchStrategy[list[Json]]:
    one = st.builds(
        lambda name, value: {"type": "Exact", "name": f"{part}-{name}", "value": value}, _NAMES, st.sampled_from("12")
    )
    return st.lists(one, max_size=2, unique_by=lambda each: str(each["name"]))


_MATCHES = st.builds(
    lambda path, method, headers, query: match(
        path, **({"method": "GET"} if method else {}), headers=headers, queryParams=query
    ),
    _PATHS,
    st.booleans(),
    _asked("h"),
    _asked("q"),
)
_RULES = st.lists(st.tuples(st.booleans(), _MATCHES), min_size=1, max_size=4)
_REQUESTS = st.tuples(_PATHS, st.booleans(), _asked("h"), _asked("q"))


def taken(rules: Iterable[Json], request: tuple[str, bool, list[Json], list[Json]]) -> str:
    """To whom a request goes, as Gateway API says it; empty for nobody."""
    path, get, headers, query = request
    found = []
    for number, rule in enumerate(rules):
        for one in rule["matches"]:
            there = one["path"]["value"]
            same = path.startswith(there) and (not one.get("method") or get)
            asked = ((one.get("headers") or [], headers), (one.get("queryParams") or [], query))
            if same and all(each in has for wanted, has in asked for each in wanted):
                close = (len(there), bool(one.get("method")), *(len(wanted) for wanted, _has in asked), -number)
                found.append((close, rule["backendRefs"][0]["name"]))
    return str(max(found)[1]) if found else ""


@given(_RULES, st.lists(_REQUESTS, min_size=1, max_size=20))
def test_what_is_not_refused_takes_no_request_from_anybody(drawn: list[tuple[bool, Json]], requests: list[Any]) -> None:
    """Of random rules: where a split with a header is written at all, testers get the canary in place of `web` and nothing else."""
    item = route(*(web(one) if own else legacy(one) for own, one in drawn), web(match("/none")))
    if refusal(item, TESTERS):
        return
    before, after = item["spec"]["rules"], written(item, Wanted(Stage.SPLIT, TESTERS))["spec"]["rules"]
    header = {"type": "Exact", "name": HEADER.name, "value": HEADER.value}
    for path, get, headers, query in requests:
        was = taken(before, (path, get, headers, query))
        now = taken(after, (path, get, [*headers, header], query))
        assert now == (VERSIONS.canary if was == "web" else was)
