# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio makes of a VirtualService: the rules that its proxies go by, the first that matches, in the form in which gateway.py has them.

Source: pilot/pkg/networking/core/route/route.go, istio.io/istio.
"""

from __future__ import annotations

from fractions import Fraction

from .gateway import HOST, Makes
from .objects import NAME, NAMESPACE, Json

ISTIO = "istio"
HTTP: list[Json] = [
    {"route": [{"destination": {"host": f"{NAME}.{NAMESPACE}.svc.cluster.local", "port": {"number": 80}}}]}
]
_EVERY = {"path": {"type": "PathPrefix", "value": "/"}}


def make(server: Makes) -> None:
    """What the user has beside his Service."""
    spec = {"hosts": [HOST], "gateways": ["edge"], "http": HTTP}
    item = {"metadata": {"namespace": NAMESPACE, "name": NAME}, "spec": spec}
    server.create("virtualservices", item, "somebody", "kubectl-create")


def as_route(item: Json) -> Json:
    """Without what comes after a rule for every request: no request would ever get there (BuildHTTPRoutesForVirtualService)."""
    rules = []
    for rule in item["spec"]["http"]:
        rules.append(_rule(rule))
        if any(match == _EVERY for match in rules[-1]["matches"]):
            break
    return {"metadata": item["metadata"], "spec": {"rules": rules}}


def _rule(rule: Json) -> Json:
    found: Json = {"matches": [_match(match) for match in rule.get("match") or [{}]]}
    if "redirect" in rule:
        found["filters"] = [{"type": "RequestRedirect", "requestRedirect": {"hostname": rule["redirect"]["authority"]}}]
    if "mirror" in rule:
        part = Fraction(str(rule.get("mirrorPercentage", {"value": 100})["value"])) / 100
        name = rule["mirror"]["host"].split(".")[0]
        mirror = {
            "backendRef": {"name": name},
            "fraction": {"numerator": part.numerator, "denominator": part.denominator},
        }
        found["filters"] = [{"type": "RequestMirror", "requestMirror": mirror}]
    refs = rule.get("route") or []
    weights = [1] if len(refs) == 1 else [ref.get("weight", 0) for ref in refs]
    found["backendRefs"] = [_backend(ref, weight) for ref, weight in zip(refs, weights, strict=True)]
    return found


def _backend(ref: Json, weight: int) -> Json:
    backend: Json = {"name": ref["destination"]["host"].split(".")[0], "weight": weight}
    added = ref.get("headers", {}).get("response", {}).get("add")
    if added:
        told = [{"name": name, "value": value} for name, value in added.items()]
        backend["filters"] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": told}}]
    return backend


def _match(match: Json) -> Json:
    uri = match.get("uri") or {"prefix": "/"}
    kind, value = ("Exact", uri["exact"]) if "exact" in uri else ("PathPrefix", uri["prefix"])
    headers = [_asked(name, one) for name, one in (match.get("headers") or {}).items()]
    return {"path": {"type": kind, "value": value}, **({"headers": headers} if headers else {})}


def _asked(name: str, how: Json) -> Json:
    """Whatever letters a request writes the name in."""
    if "regex" in how:
        return {"type": "RegularExpression", "name": name.capitalize(), "value": f"^(?:{how['regex']})$"}
    return {"type": "Exact", "name": name, "value": how["exact"]}
