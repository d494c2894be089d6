# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a copy of a rule that asks for one header more would take requests that another rule gets so far.

Of the rules that match a request a gateway takes the one with the longer path, then the one with a method, then with more headers, then with
more query parameters; then that of the older route, and in one route the first. So a header more lets a copy win over rules that win
over the rule it was made of.
Source: HTTPRouteRule.matches, sigs.k8s.io/gateway-api/apis/v1/httproute_types.go. This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from .exposure import Json, Unroutable

_EVERY_PATH = {"type": "PathPrefix", "value": "/"}
_REMEDY = (
    "Leave out traffic.header and traffic.sticky, or let one of the two rules match another path. Two routes may have different "
    "hostnames, too"
)
Rule = Mapping[str, Any]
# A rule as it is called, and itself.
Named = tuple[str, Rule]


def check_rules(rules: Sequence[Named], own: Sequence[Named], asked: Sequence[Json]) -> None:
    """Of one route: `own` are those of its `rules` that are copied for requests with `asked`, a header each. Raises Unroutable.

    A copy comes last, and so wins over nothing that matches as closely.
    """
    copied = [name for name, _rule in own]
    order = [name for name, _rule in rules]
    for name, rule in own:
        for other, rival in ((other, rival) for other, rival in rules if other not in copied):
            first = order.index(other) < order.index(name)
            _check(name, rule, other, rival, asked, (first, True))


def check_routes(own: Sequence[Named], others: Sequence[Named], asked: Sequence[Json], *, older: bool) -> None:
    """As check_rules, of another route that has the same host. `older`: the other one. Raises Unroutable."""
    for name, rule in own:
        for other, rival in others:
            _check(name, rule, other, rival, asked, (older, older))


def _check(name: str, rule: Rule, other: str, rival: Rule, asked: Sequence[Json], first: tuple[bool, bool]) -> None:
    for header in asked:
        if any(_robs(mine, theirs, header, first) for mine in _matches(rule) for theirs in _matches(rival)):
            raise Unroutable(
                f"requests with the header {header['name']} that {other} gets would get a copy of {name}, because more headers win over "
                "query parameters, over the order of rules and over the age of routes",
                _REMEDY,
            )


def _matches(rule: Rule) -> Iterator[Json]:
    yield from rule.get("matches") or ({},)


def _robs(mine: Json, theirs: Json, header: Json, first: tuple[bool, bool]) -> bool:
    """`first`: whether theirs comes before mine, and before its copy, where both match as closely."""
    copy = {**mine, "headers": [*(mine.get("headers") or ()), header]}
    if not _may_meet(copy, theirs):
        return False
    before_mine, before_copy = first
    return _wins(theirs, mine, before_mine) and not _wins(theirs, copy, before_copy)


def _wins(one: Json, other: Json, first: bool) -> bool:
    """`first`: where both match as closely."""
    return (*_closeness(one), first) > (*_closeness(other), not first)


def _closeness(match: Json) -> tuple[int, int]:
    return len(match.get("headers") or ()), len(match.get("queryParams") or ())


def _may_meet(one: Json, other: Json) -> bool:
    """Some request matches both, and neither path nor method decides between them."""
    if _path(one) != _path(other) or (one.get("method") or "") != (other.get("method") or ""):
        return False
    return not any(
        _differ(mine, theirs)
        for part in ("headers", "queryParams")
        for mine in one.get(part) or ()
        for theirs in other.get(part) or ()
    )


def _path(match: Json) -> tuple[str, str | int]:
    """How paths compare; of expressions nobody says it, and two that are as long may."""
    path = match.get("path") or _EVERY_PATH
    kind, value = str(path.get("type") or "PathPrefix"), str(path.get("value") or "/")
    if kind == "PathPrefix":
        return kind, value.rstrip("/")
    return kind, len(value) if kind == "RegularExpression" else value


def _differ(one: Json, other: Json) -> bool:
    """No request has both: the same header, or query parameter, with two values."""
    exact = all((each.get("type") or "Exact") == "Exact" for each in (one, other))
    same = str(one.get("name", "")).lower() == str(other.get("name", "")).lower()
    return exact and same and one.get("value") != other.get("value")
