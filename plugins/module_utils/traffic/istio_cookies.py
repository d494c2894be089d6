# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cookies of cookies.py in rules of a VirtualService: a match by an expression, and a destination whose answers set one.

Istio adds the headers of a destination to the answers of that destination alone, and what its rule sets or removes comes after them.
Source: StringMatch and Headers, networking/v1alpha3/virtual_service.proto, istio.io/api; TranslateHeadersOperations and
processWeightedDestination, pilot/pkg/networking/core/route/route.go, istio.io/istio. This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from .cookies import NAME_OF_ALL, REMEDY, expression, setting
from .exposure import Json, Unroutable

# Names of headers in lower case, as a match of Istio demands.
COOKIE, _SET_COOKIE = "cookie", "set-cookie"


def asks_for(name: str) -> Json:
    return {"regex": expression(name)}


def is_asked_for(rule: Mapping[str, Any]) -> bool:
    """A rule that asks for a cookie of ours."""
    asked = ((match.get("headers") or {}).get(COOKIE) or {} for match in rule.get("match") or ())
    return any(NAME_OF_ALL in str(one.get("regex", "")) for one in asked)


def telling(ref: Json, name: str) -> Json:
    """The same destination, whose answers set this cookie."""
    headers = ref.get("headers") or {}
    response = headers.get("response") or {}
    add = {**(response.get("add") or {}), _SET_COOKIE: setting(name)}
    return {**ref, "headers": {**headers, "response": {**response, "add": add}}}


def tells(ref: Mapping[str, Any]) -> bool:
    """Its answers set a cookie of ours."""
    add = ((ref.get("headers") or {}).get("response") or {}).get("add") or {}
    return str(add.get(_SET_COOKIE, "")).startswith(NAME_OF_ALL)


def untold(ref: Json) -> Json:
    """The same destination without what `telling` has added, whichever release did."""
    if not tells(ref):
        return ref
    response = ref["headers"]["response"]
    add = {name: value for name, value in response["add"].items() if name != _SET_COOKIE}
    return _with(ref, "headers", _with(ref["headers"], "response", _with(response, "add", add)))


def _with(there: Json, name: str, value: Json) -> Json:
    """What is empty goes."""
    rest = {key: one for key, one in there.items() if key != name}
    return {**rest, name: value} if value else rest


def check_headers(rule: Mapping[str, Any]) -> None:
    """Raises Unroutable where the rule, or one of its destinations, changes the cookies that answers set."""
    everywhere, alone = ("add", "set", "remove"), ("set", "remove")
    for place, ways in ((rule, alone), *((ref, everywhere) for ref in rule.get("route") or ())):
        response = (place.get("headers") or {}).get("response") or {}
        if any(name.lower() == _SET_COOKIE for way in ways for name in response.get(way) or ()):
            raise Unroutable(
                "a rule of it adds, sets or removes the header Set-Cookie of answers, which tells users their version",
                REMEDY,
            )
