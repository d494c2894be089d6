# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ingress-nginx makes of Ingresses: the rules that its proxy goes by, in the form in which gateway.py has them.

Source: mergeAlternativeBackends, internal/ingress/controller/controller.go, k8s.io/ingress-nginx: a canary Ingress has a share of the paths that
another Ingress has, too, where that one sends to another Service; one for each path, and otherwise it is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .gateway import HOST
from .objects import NAME, NAMESPACE, Json
from .server import Server

INGRESS_NGINX = "ingress_nginx"
_P = "nginx.ingress.kubernetes.io/canary"
PATHS: list[Json] = [
    {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix",
     "backend": {"service": {"name": NAME, "port": {"name": "http"}}}}]}}
]  # fmt: skip


def make(server: Server) -> None:
    """What the user has beside his Service."""
    spec = {"ingressClassName": "nginx", "rules": PATHS}
    item = {"metadata": {"namespace": NAMESPACE, "name": NAME}, "spec": spec}
    server.create("ingresses", item, "somebody", "kubectl-create")


def as_route(name: str, found: Mapping[str, Json]) -> Json:
    """Of all Ingresses that it knows."""
    mine = [item for item in found.values() if not _draws(item)]
    canaries = {place: (item, service) for item in found.values() if _draws(item) for place, service in _paths(item)}
    rules = [rule for item in mine for place, service in _paths(item) for rule in _rules(service, canaries.get(place))]
    return {"metadata": {"name": name}, "spec": {"rules": rules}}


def _draws(item: Json) -> bool:
    return bool((item["metadata"].get("annotations") or {}).get(_P) == "true")


def _paths(item: Json) -> Iterator[tuple[tuple[str, str], str]]:
    for rule in item["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            yield (rule.get("host", ""), path["path"]), path["backend"]["service"]["name"]


def _rules(service: str, canary: tuple[Json, str] | None) -> Iterator[Json]:
    match = {"path": {"type": "PathPrefix", "value": "/"}}
    if canary is None or canary[1] == service:
        yield {"matches": [match], "backendRefs": [{"name": service, "weight": 1}]}
        return
    item, other = canary
    annotations = item["metadata"]["annotations"]
    weight, whole = int(annotations[f"{_P}-weight"]), max(100, int(annotations.get(f"{_P}-weight-total", "100")))
    yield {
        "matches": [match],
        "backendRefs": [{"name": service, "weight": whole - weight}, {"name": other, "weight": weight}],
    }
    header = annotations.get(f"{_P}-by-header")
    if header:
        asked = {"type": "Exact", "name": header, "value": annotations[f"{_P}-by-header-value"]}
        yield {"matches": [{**match, "headers": [asked]}], "backendRefs": [{"name": other, "weight": 1}]}
