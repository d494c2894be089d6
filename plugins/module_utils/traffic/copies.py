# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of an HTTPRoute that copy requests to a Service besides: the filter RequestMirror, behind the owner's filters.

A gateway answers with an error whatever matches a rule with a filter that it does not know, so a probe tries it before any user does. That it
copies a part alone, its GatewayClass says.
Source: HTTPRequestMirrorFilter, sigs.k8s.io/gateway-api/apis/v1/httproute_types.go, GEP-3171, pkg/features/httproute.go. This module is private to
the collection.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Collection, Iterable, Mapping, Sequence

from .exposure import Exposure, Json, Unroutable
from .load import per_cent

_MIRROR = "RequestMirror"
# What the API takes: Fraction.Denominator.
_LARGEST = 2**31 - 1


def features(exposure: Exposure) -> frozenset[str]:
    """What a GatewayClass has to say that its gateways can, for this."""
    if not exposure.mirror:
        return frozenset()
    part = {"HTTPRouteRequestPercentageMirror"} if exposure.mirror < 1 else set[str]()
    return frozenset({"HTTPRouteRequestMirror"} | part)


def check_alone(exposure: Exposure) -> None:
    """Raises Unroutable where users get the canary, too, who are no testers with a header."""
    if exposure.mirror and (exposure.weight or exposure.sticky is not None):
        raise Unroutable(
            "copies are for a canary that no user gets by its share: what it got would come to it twice",
            "Set traffic.weight or traffic.mirror to 0, and traffic.sticky to none",
        )


def check_port(ports: Iterable[Any]) -> None:
    """Raises Unroutable where a rule sends to several ports of a Service: a copy goes to one, whichever its original goes to."""
    different = sorted({str(port) for port in ports})
    if len(different) > 1:
        raise Unroutable(
            f"a rule sends to your Service at the ports {' and '.join(different)}, and all of its copies would go to one",
            "Give each port a rule of its own, or set traffic.mirror to 0",
        )


def copying(rule: Json, part: Fraction, refs: Sequence[Mapping[str, Any]], service: str) -> Json:
    """The rule, which copies this part of its requests to the Service, at the port of `refs`, to which it sends. Raises Unroutable."""
    if not part:
        return rule
    check_port(ref.get("port") for ref in refs)
    filters = rule.get("filters")
    if filters == []:
        raise Unroutable("a rule has a list of filters with nothing in it", "Leave out filters there")
    if any(one.get("type") == _MIRROR for one in filters or ()):
        raise Unroutable(
            "a rule copies its requests already, and not every gateway copies them twice", "Set traffic.mirror to 0"
        )
    backend = {
        "group": "",
        "kind": "Service",
        **{key: refs[0][key] for key in ("port",) if key in refs[0]},
        "name": service,
    }
    mirror = {"type": _MIRROR, "requestMirror": {"backendRef": backend, **_amount(part)}}
    return {**rule, "filters": [*(filters or ()), mirror]}


def _amount(part: Fraction) -> Json:
    """All needs no number."""
    if part == 1:
        return {}
    if (100 * part).denominator == 1:
        return {"percent": int(100 * part)}
    if part.denominator > _LARGEST:
        raise Unroutable(f"copies of {float(100 * part):g} % would need a larger number than a filter takes")
    return {"fraction": {"numerator": part.numerator, "denominator": part.denominator}}


def copied(rule: Mapping[str, Any], services: Collection[str]) -> list[Fraction]:
    """The parts of its requests that its filters copy to one of these Services of its namespace, one for each filter."""
    return [_part(one["requestMirror"]) for one in rule.get("filters") or () if _goes_to(one, services)]


def copies(rule: Mapping[str, Any], services: Collection[str]) -> bool:
    return any(_goes_to(one, services) for one in rule.get("filters") or ())


def uncopied(rule: Json, services: Collection[str]) -> Json:
    """Without copies to one of these Services; a list that has nothing else goes."""
    if not copies(rule, services):
        return rule
    filters = [one for one in rule["filters"] if not _goes_to(one, services)]
    rest = {name: value for name, value in rule.items() if name != "filters"}
    return {**rest, "filters": filters} if filters else rest


def told(rule: Mapping[str, Any]) -> list[str]:
    """Whatever it copies, in words."""
    mirrors = [one["requestMirror"] for one in rule.get("filters") or () if one.get("requestMirror")]
    return [f"a copy of {per_cent(_part(one))} % to {(one.get('backendRef') or {}).get('name')}" for one in mirrors]


def _goes_to(one: Mapping[str, Any], services: Collection[str]) -> bool:
    backend = (one.get("requestMirror") or {}).get("backendRef") or {}
    core = not backend.get("group") and (backend.get("kind") or "Service") == "Service"
    return core and not backend.get("namespace") and backend.get("name") in services


def _part(mirror: Mapping[str, Any]) -> Fraction:
    fraction, percent = mirror.get("fraction"), mirror.get("percent")
    if fraction:
        part = Fraction(fraction.get("numerator") or 0, max(1, fraction.get("denominator") or 100))
    else:
        part = Fraction(1) if percent is None else Fraction(percent, 100)
    return min(Fraction(1), max(Fraction(0), part))
