# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cookies that tell a gateway which version a user has seen, in rules of an HTTPRoute; in those of a VirtualService, istio_cookies.py. They
are of one release: a later one has other names.

A rule that asks for an expression, and a backend that changes the headers of its answers, are for each implementation of Gateway API to
have or not; so both are tried by a probe before any user meets them. This module is private to the collection.
"""

from __future__ import annotations

import hashlib
from typing import Any, Mapping, Sequence

from .exposure import Json, Unroutable

_NAME, _SECONDS = "coalmine-canary", 7 * 24 * 3600
# With what each of their names begins.
NAME_OF_ALL = f"{_NAME}-"
REMEDY = "Leave out traffic.sticky, or let the pods set their cookies themselves"


def canary_cookie(token: str) -> str:
    """The cookie of users who have seen the canary. It does not give the token of the probes away."""
    return f"{_NAME}-{hashlib.sha256(token.encode()).hexdigest()[:8]}-c"


def stable_cookie(token: str, step: int | None) -> str:
    """That of users who were stable at this step; None: at any, as an expression."""
    return f"{canary_cookie(token)[:-1]}s{'[0-9]+' if step is None else step}"


def expression(name: str) -> str:
    """Of the header of a request that has this cookie. As a whole, so that it means the same to a proxy which looks for an expression anywhere
    and to one which compares all."""
    return f"^(?:.*; *)?{name}=1(?:;.*)?$"


def setting(name: str) -> str:
    """The header of an answer that sets it."""
    return f"{name}=1; Path=/; Max-Age={_SECONDS}; HttpOnly; SameSite=Lax"


def asks_for(name: str) -> Json:
    return {"type": "RegularExpression", "name": "Cookie", "value": expression(name)}


def telling(ref: Json, name: str) -> Json:
    """The same backend, whose answers set this cookie. Raises Unroutable."""
    cookie = {"name": "Set-Cookie", "value": setting(name)}
    filters = list(ref.get("filters") or ())
    place = next((n for n, one in enumerate(filters) if one.get("type") == "ResponseHeaderModifier"), len(filters))
    there = filters[place]["responseHeaderModifier"] if place < len(filters) else {}
    # The API takes one entry for each name, and does not say what comes first: what is added, or what is removed.
    if _changes(there, ("add", "set", "remove")):
        raise Unroutable("a filter of one of its backends sets or removes a cookie already", REMEDY)
    changed = {**there, "add": [*(there.get("add") or ()), cookie]}
    filters[place : place + 1] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": changed}]
    return {**ref, "filters": filters}


def check_filters(rule: Mapping[str, Any]) -> None:
    """Raises Unroutable where a filter of the rule puts another cookie in place of those that answers set, or takes them away."""
    modifiers = (one.get("responseHeaderModifier") or {} for one in rule.get("filters") or ())
    if any(_changes(one, ("set", "remove")) for one in modifiers):
        raise Unroutable("a filter of a rule puts a cookie in place of those of its backends, or removes them", REMEDY)


def _changes(modifier: Mapping[str, Any], ways: Sequence[str]) -> bool:
    """It changes the cookies of an answer in one of these ways. The names to `remove` are texts."""
    changed = (one if isinstance(one, str) else one.get("name") for way in ways for one in modifier.get(way) or ())
    return any(str(name).lower() == "set-cookie" for name in changed)


def untold(ref: Json) -> Json:
    """The same backend without what `telling` has added, whichever release did."""
    if not tells(ref):
        return ref
    filters = [one for one in map(_untold, ref["filters"]) if one is not None]
    rest = {name: value for name, value in ref.items() if name != "filters"}
    return {**rest, "filters": filters} if filters else rest


def tells(ref: Mapping[str, Any]) -> bool:
    """Its answers set a cookie of ours."""
    return any(_untold(one) != one for one in ref.get("filters") or ())


def _untold(one: Json) -> Json | None:
    """None for a filter of which nothing is left."""
    there = one.get("responseHeaderModifier")
    if not isinstance(there, dict):
        return one
    left = {
        how: [each for each in what if not _is_ours(each)] if how in ("add", "set") else what
        for how, what in there.items()
    }
    if left == there:
        return one
    kept = {how: what for how, what in left.items() if what}
    return {**one, "responseHeaderModifier": kept} if kept else None


def _is_ours(header: Mapping[str, Any]) -> bool:
    return str(header.get("name", "")).lower() == "set-cookie" and str(header.get("value", "")).startswith(NAME_OF_ALL)


def is_asked_for(rule: Mapping[str, Any]) -> bool:
    """A rule that asks for a cookie of ours."""
    headers = [one for match in rule.get("matches") or () for one in match.get("headers") or ()]
    return any(NAME_OF_ALL in str(one.get("value", "")) for one in headers if one.get("name") == "Cookie")
