# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cookies that tell a gateway which version a user has seen, in rules of an HTTPRoute. They are of one release: a later one has other names.

A rule that asks for an expression, and a backend that changes the headers of its answers, are for each implementation of Gateway API to
have or not; so both are tried by a probe before any user meets them. This module is private to the collection.
"""

from __future__ import annotations

import hashlib
from typing import Any, Mapping

from .exposure import Json, Unroutable

_NAME, _SECONDS = "coalmine-canary", 7 * 24 * 3600


def canary_cookie(token: str) -> str:
    """The cookie of users who have seen the canary. It does not give the token of the probes away."""
    return f"{_NAME}-{hashlib.sha256(token.encode()).hexdigest()[:8]}-c"


def stable_cookie(token: str, step: int | None) -> str:
    """That of users who were stable at this step; None: at any, as an expression."""
    return f"{canary_cookie(token)[:-1]}s{'[0-9]+' if step is None else step}"


def asks_for(name: str) -> Json:
    """As a whole, so that it means the same to a proxy which looks for an expression anywhere and to one which compares all."""
    return {"type": "RegularExpression", "name": "Cookie", "value": f"^(?:.*; *)?{name}=1(?:;.*)?$"}


def telling(ref: Json, name: str) -> Json:
    """The same backend, whose answers set this cookie. Raises Unroutable."""
    cookie = {"name": "Set-Cookie", "value": f"{name}=1; Path=/; Max-Age={_SECONDS}; HttpOnly; SameSite=Lax"}
    filters = list(ref.get("filters") or ())
    place = next((n for n, one in enumerate(filters) if one.get("type") == "ResponseHeaderModifier"), len(filters))
    there = filters[place]["responseHeaderModifier"] if place < len(filters) else {}
    # The API takes one entry for each name.
    if any(str(one.get("name", "")).lower() == "set-cookie" for how in ("add", "set") for one in there.get(how) or ()):
        raise Unroutable("a filter of one of its backends sets a cookie already, and one filter can set one only")
    changed = {**there, "add": [*(there.get("add") or ()), cookie]}
    filters[place : place + 1] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": changed}]
    return {**ref, "filters": filters}


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
    return str(header.get("name", "")).lower() == "set-cookie" and str(header.get("value", "")).startswith(f"{_NAME}-")


def is_asked_for(rule: Mapping[str, Any]) -> bool:
    """A rule that asks for a cookie of ours."""
    headers = [one for match in rule.get("matches") or () for one in match.get("headers") or ()]
    return any(f"{_NAME}-" in str(one.get("value", "")) for one in headers if one.get("name") == "Cookie")
