# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the AWS Load Balancer Controller makes of an Ingress: the rules of a load balancer, in the form in which gateway.py has them.

Source: model_build_listener_rules.go and enhanced_backend_builder.go in pkg/ingress, sigs.k8s.io/aws-load-balancer-controller.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .gateway import HOST, Makes
from .objects import NAME, NAMESPACE, Json

ALB = "alb"
_P = "alb.ingress.kubernetes.io/"
ANNOTATIONS = {f"{_P}target-type": "ip", f"{_P}scheme": "internal"}
# In this order a load balancer has the paths of one rule; of prefixes it has the longer ones first.
_TYPES = ("Exact", "Prefix", "ImplementationSpecific")
PATHS: list[Json] = [
    {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix",
     "backend": {"service": {"name": NAME, "port": {"number": 80}}}}]}}
]  # fmt: skip


def make(server: Makes) -> None:
    """What the user has beside his Service."""
    spec = {"ingressClassName": "alb", "rules": PATHS}
    meta = {"namespace": NAMESPACE, "name": NAME, "annotations": dict(ANNOTATIONS)}
    server.create("ingresses", {"metadata": meta, "spec": spec}, "somebody", "kubectl-create")


def as_route(item: Json) -> Json:
    annotations = item["metadata"].get("annotations") or {}
    rules = [_rule(path, annotations) for path in in_order(item)]
    return {"metadata": item["metadata"], "spec": {"rules": rules}}


def in_order(item: Json) -> Iterator[Json]:
    """The first that matches is taken."""
    for rule in item["spec"]["rules"]:
        there = rule["http"]["paths"]
        yield from sorted(there, key=lambda one: (_TYPES.index(one["pathType"]), _length(one)))


def _length(path: Json) -> int:
    return -len(path["path"]) if path["pathType"] == "Prefix" else 0


def action_of(path: Json, annotations: Json) -> Json | None:
    """What the load balancer does. None: it answers 503, because there is no such action."""
    service = path["backend"]["service"]
    port = service["port"]
    if port.get("name") != "use-annotation":
        group = {"serviceName": service["name"], "servicePort": port.get("number") or port["name"], "weight": 1}
        return {"type": "forward", "forwardConfig": {"targetGroups": [group]}}
    text = annotations.get(f"{_P}actions.{service['name']}")
    return None if text is None else dict(json.loads(text))


def conditions_of(path: Json, annotations: Json) -> list[Json]:
    """Those of headers."""
    found = json.loads(annotations.get(f"{_P}conditions.{path['backend']['service']['name']}", "[]"))
    return [one["httpHeaderConfig"] for one in found if one["field"] == "http-header"]


def _rule(path: Json, annotations: Json) -> Json:
    headers = [
        {"type": "Exact", "name": one["httpHeaderName"], "value": one["values"][0]}
        for one in conditions_of(path, annotations)
    ]
    kind = "Exact" if path["pathType"] == "Exact" else "PathPrefix"
    match = {"path": {"type": kind, "value": path["path"]}, **({"headers": headers} if headers else {})}
    action = action_of(path, annotations)
    if action is not None and action["type"] == "redirect":
        redirect = {"hostname": action["redirectConfig"]["host"]}
        return {"matches": [match], "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    groups = action["forwardConfig"]["targetGroups"] if action is not None else ()
    refs = [{"name": group["serviceName"], "weight": group["weight"]} for group in groups]
    return {"matches": [match], "backendRefs": refs}
