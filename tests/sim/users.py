# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks a gateway for "/", and what they get: newcomers, testers with a header, and users with the cookies that they were told.

Of the rules that match, a proxy takes the one that asks for the most headers, and the first of those (Gateway API,
apis/v1/httproute_types.go, HTTPRouteRule.Matches).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .objects import Json

# With which testers ask for the canary.
HEADER, HEADER_VALUE = "x-canary", "always"
Shares = Mapping[str, Fraction]
Jar = frozenset[str]


@dataclass(frozen=True)
class Served:
    """What part of the requests of these each pod gets. `users`: all but testers, each with the cookies that he has by now. `kept`: those who
    have a cookie, by its name. `copies`: of what part of the requests of newcomers each Service gets a copy, which nobody's answer comes of."""

    newcomers: Shares
    testers: Shares
    users: Shares
    kept: Mapping[str, Shares]
    copies: Shares = field(default_factory=dict)


@dataclass
class Users:
    """Of one route. `jars`: what part of the users has which cookies. All of them ask whenever anything changes."""

    jars: dict[Jar, Fraction] = field(default_factory=lambda: {frozenset(): Fraction(1)})

    def ask(self, rules: Sequence[Json], shares: Sequence[Shares], *, plain: bool) -> Served:
        """`shares`: what each pod gets of each rule."""
        jars, users = defaultdict[Jar, Fraction](Fraction), defaultdict[str, Fraction](Fraction)
        kept = dict[str, Shares]()
        for jar, part in self.jars.items():
            number = taken(rules, {"Cookie": "; ".join(f"{name}=1" for name in sorted(jar))}, plain=plain)
            if number is None:
                jars[jar] += part
                continue
            for pod, share in shares[number].items():
                users[pod] += part * share
            kept |= dict.fromkeys(jar, shares[number])
            for told, share in _told(rules[number]):
                jars[jar if plain else jar | told] += part * share
        self.jars = dict(jars)
        each = [taken(rules, headers, plain=plain) for headers in ({}, {HEADER: HEADER_VALUE})]
        newcomers, testers = (shares[number] if number is not None else {} for number in each)
        return Served(newcomers, testers, users, kept, copies(rules[each[0]]) if each[0] is not None else {})


def taken(rules: Sequence[Json], headers: Mapping[str, str], *, plain: bool) -> int | None:
    fitting = [
        (-len(match.get("headers") or ()), number)
        for number, rule in enumerate(rules)
        for match in rule.get("matches") or ()
        if match["path"] == {"type": "PathPrefix", "value": "/"}
        and all(has(headers, one, plain=plain) for one in match.get("headers") or ())
    ]
    return min(fitting)[1] if fitting else None


def _told(rule: Json) -> Iterator[tuple[Jar, Fraction]]:
    """The cookies that each backend tells, with its part of the requests."""
    refs = [ref for ref in rule.get("backendRefs") or () if ref["weight"]]
    whole = sum(ref["weight"] for ref in refs)
    for ref in refs:
        yield frozenset(re.findall(r"([^=; ]+)=1;", cookies([ref]))), Fraction(ref["weight"], whole)


def cookies(refs: Sequence[Json]) -> str:
    """What filters of backends set."""
    modifiers = [one["responseHeaderModifier"] for ref in refs for one in ref.get("filters") or ()]
    return "; ".join(added["value"] for one in modifiers for added in one["add"])


def copies(rule: Json) -> Shares:
    """HTTPRequestMirrorFilter: all where it says no part."""
    mirrors = [one["requestMirror"] for one in rule.get("filters") or () if "requestMirror" in one]
    return {one["backendRef"]["name"]: _part(one) for one in mirrors}


def _part(mirror: Json) -> Fraction:
    part = mirror.get("fraction") or {"numerator": mirror.get("percent", 100)}
    return Fraction(part["numerator"], part.get("denominator", 100))


def has(headers: Mapping[str, str], asked: Json, *, plain: bool) -> bool:
    """A request with these headers is one that is asked for. `plain`: the proxy does nothing about expressions."""
    value = headers.get(asked["name"], "")
    if asked["type"] == "RegularExpression":
        return not plain and re.search(asked["value"], value) is not None
    return bool(value == asked["value"])
