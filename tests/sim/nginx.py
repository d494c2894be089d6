# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ingress-nginx makes of Ingresses: the rules that its proxy goes by, in the form in which gateway.py has them.

Source: mergeAlternativeBackends, internal/ingress/controller/controller.go, k8s.io/ingress-nginx: a canary Ingress has a share of the paths that
another Ingress has, too, where that one sends to another Service; one for each path, and otherwise it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .gateway import HOST, Makes
from .objects import NAME, NAMESPACE, Json

INGRESS_NGINX = "ingress_nginx"
_P = "nginx.ingress.kubernetes.io/"
_CANARY = f"{_P}canary"
AFFINITY = {f"{_P}affinity": "cookie"}
PATHS: list[Json] = [
    {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix",
     "backend": {"service": {"name": NAME, "port": {"name": "http"}}}}]}}
]  # fmt: skip


def make(server: Makes, *, sticky: bool = False) -> None:
    """What the user has beside his Service. `sticky`: with the controller's own cookie."""
    spec = {"ingressClassName": "nginx", "rules": PATHS}
    annotations = {"annotations": dict(AFFINITY)} if sticky else {}
    item = {"metadata": {"namespace": NAMESPACE, "name": NAME, **annotations}, "spec": spec}
    server.create("ingresses", item, "somebody", "kubectl-create")


def as_route(name: str, found: Mapping[str, Json]) -> Json:
    """Of all Ingresses that it knows."""
    mine = [item for item in found.values() if not _draws(item)]
    canaries = {place: (item, service) for item in found.values() if _draws(item) for place, service in _paths(item)}
    rules = [
        rule for item in mine for place, service in _paths(item) for rule in _rules(item, service, canaries.get(place))
    ]
    return {"metadata": {"name": name}, "spec": {"rules": rules}}


def _annotations(item: Json) -> Json:
    return item["metadata"].get("annotations") or {}


def cookie_of(service: str) -> str:
    """Of whoever has been sent to it. It is one cookie there, which names the last one."""
    return f"route-{service}"


def cookie_of_canary(every: Iterable[Json]) -> str:
    """Empty where no canary Ingress sends anywhere."""
    return next((cookie_of(service) for item in every if _draws(item) for _place, service in _paths(item)), "")


def _draws(item: Json) -> bool:
    return bool(_annotations(item).get(_CANARY) == "true")


def _paths(item: Json) -> Iterator[tuple[tuple[str, str], str]]:
    for rule in item["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            yield (rule.get("host", ""), path["path"]), path["backend"]["service"]["name"]


def _rules(main: Json, service: str, canary: tuple[Json, str] | None) -> Iterator[Json]:
    match: Json = {"path": {"type": "PathPrefix", "value": "/"}}
    keeps = _annotations(main).get(f"{_P}affinity") == "cookie"
    if canary is None or canary[1] == service:
        yield {"matches": [match], "backendRefs": [_to(service, 1, keeps)]}
        return
    item, other = canary
    annotations = item["metadata"]["annotations"]
    weight, whole = (
        _number(annotations, f"{_CANARY}-weight", 0),
        max(100, _number(annotations, f"{_CANARY}-weight-total", 100)),
    )
    keeps = keeps and annotations.get(f"{_P}affinity-canary-behavior") != "legacy"
    yield {"matches": [match], "backendRefs": [_to(service, whole - weight, keeps), _to(other, weight, keeps)]}
    # route_to_alternative_balancer, rootfs/etc/nginx/lua/balancer.lua: who is kept by the one or the other is not drawn.
    for kept in (service, other) if keeps else ():
        asked = {"type": "RegularExpression", "name": "Cookie", "value": f"(^|; ){cookie_of(kept)}=1(;|$)"}
        yield {"matches": [{**match, "headers": [asked]}], "backendRefs": [_to(kept, 1, keeps)]}
    header = annotations.get(f"{_CANARY}-by-header")
    if header:
        asked = {"type": "Exact", "name": header, "value": annotations[f"{_CANARY}-by-header-value"]}
        yield {"matches": [{**match, "headers": [asked]}], "backendRefs": [_to(other, 1, keeps)]}


def _number(annotations: Json, name: str, otherwise: int) -> int:
    """What is no number counts as not there (canary.Parse, internal/ingress/annotations/canary/main.go)."""
    text = annotations.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _to(service: str, weight: int, keeps: bool) -> Json:
    told = {"responseHeaderModifier": {"add": [{"value": f"{cookie_of(service)}=1; Path=/"}]}}
    return {"name": service, "weight": weight, **({"filters": [told]} if keeps else {})}
