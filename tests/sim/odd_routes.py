# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of an HTTPRoute that the API takes, and those that it does not, for the simulated server and for a real one."""

from __future__ import annotations

from typing import Any

from .objects import Json

_COOKIE = {"name": "Set-Cookie", "value": "a=1; Path=/"}


def rule(**more: Any) -> Json:
    """A plain one, but for this."""
    plain: Json = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"name": "web", "port": 80, "weight": 1}],
    }
    return {name: value for name, value in {**plain, **more}.items() if value is not None}


def _asking(*headers: Json) -> Json:
    return rule(matches=[{"path": {"type": "PathPrefix", "value": "/"}, "headers": list(headers)}])


def _at(value: str, kind: str = "Exact") -> Json:
    return rule(matches=[{"path": {"type": kind, "value": value}}])


def _sending(**more: Any) -> Json:
    return rule(backendRefs=[{"name": "web", "port": 80, **more}])


def _telling(*added: Json) -> Json:
    return _sending(
        filters=[{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": list(added)}}],
    )


def _redirecting(hostname: str = "g1.canary.invalid", **more: Any) -> Json:
    redirect = {"hostname": hostname, "statusCode": 302}
    return rule(filters=[{"type": "RequestRedirect", "requestRedirect": redirect}], backendRefs=None, **more)


def _copying(to: Json | None = None, **part: Any) -> Json:
    backend = to or {"name": "web", "port": 80}
    return rule(filters=[{"type": "RequestMirror", "requestMirror": {"backendRef": backend, **part}}])


_SAME = {"name": "x-canary", "value": "always"}

TAKEN: dict[str, list[Json]] = {
    "a plain rule": [rule()],
    "no backend": [rule(backendRefs=None)],
    "an exact path and a header": [_at("/.coalmine-canary/9f2c"), _asking(_SAME)],
    "headers of two cases": [_asking(_SAME, {**_SAME, "name": "X-Canary"})],
    "an expression": [_asking({"type": "RegularExpression", "name": "Cookie", "value": "^(?:.*; *)?a=1(?:;.*)?$"})],
    "a cookie": [_telling(_COOKIE)],
    "a redirect": [_redirecting()],
    "copies of a part": [_copying(percent=10)],
    "copies of less than one per cent": [_copying(fraction={"numerator": 1, "denominator": 2**31 - 1})],
    "copies of all, twice": [rule(filters=_copying()["filters"] * 2)],
    "the largest weight, and none": [_sending(weight=1_000_000), _sending(weight=0)],
    "as many rules as there may be": [_at(f"/{number}") for number in range(16)],
    "as many matches as there may be": [rule(matches=[{"path": {"type": "Exact", "value": f"/{n}/{m}"}} for m in range(64)]) for n in range(2)],
}  # fmt: skip
REFUSED: dict[str, list[Json]] = {
    "no rule": [],
    "too many rules": [_at(f"/{number}") for number in range(17)],
    "too many matches of a rule": [rule(matches=[{"path": {"type": "Exact", "value": f"/{m}"}} for m in range(65)])],
    "too many matches": [rule(matches=[{"path": {"type": "Exact", "value": f"/{n}/{m}"}} for m in range(43)]) for n in range(3)],
    "a header that is asked for twice": [_asking(_SAME, {**_SAME, "value": "never"})],
    "too many headers": [_asking(*({"name": f"x-{number}", "value": "a"} for number in range(17)))],
    "a header without a value": [_asking({"name": "x-canary", "value": ""})],
    "a header with a space": [_asking({"name": "x canary", "value": "a"})],
    "a header of another type": [_asking({**_SAME, "type": "Prefix"})],
    "a value that is too long": [_asking({**_SAME, "value": "x" * 4097})],
    "a path that is not absolute": [_at("canary")],
    "a path with two slashes": [_at("/a//b")],
    "a path with a space": [_at("/a b", "PathPrefix")],
    "a weight below 0": [_sending(weight=-1)],
    "a weight that is too large": [_sending(weight=1_000_001)],
    "no port": [rule(backendRefs=[{"name": "web"}])],
    "a port that there is not": [_sending(port=0)],
    "no name": [rule(backendRefs=[{"port": 80}])],
    "too many backends": [rule(backendRefs=[{"name": f"web-{number}", "port": 80} for number in range(17)])],
    "two cookies in one filter": [_telling(_COOKIE, {**_COOKIE, "value": "b=1"})],
    "two filters that set cookies": [_sending(filters=[{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [_COOKIE]}}] * 2)],
    "a filter without what it does": [_sending(filters=[{"type": "ResponseHeaderModifier"}])],
    "a filter that does what another does": [_sending(filters=[{"type": "RequestHeaderModifier", "responseHeaderModifier": {"add": [_COOKIE]}}])],
    "copies of a part, twice said": [_copying(percent=10, fraction={"numerator": 1})],
    "copies of more than all": [_copying(fraction={"numerator": 101})],
    "copies of a part of nothing": [_copying(fraction={"numerator": 0, "denominator": 0})],
    "copies of more than a hundred per cent": [_copying(percent=101)],
    "copies to no port": [_copying({"name": "web"})],
    "copies to nowhere": [rule(filters=[{"type": "RequestMirror", "requestMirror": {}}])],
    "a filter of no kind": [_sending(filters=[{"type": "Mirror"}])],
    "a redirect beside backends": [{**_redirecting(), "backendRefs": rule()["backendRefs"]}],
    "a redirect to no host": [_redirecting("G1.canary.invalid")],
}  # fmt: skip
