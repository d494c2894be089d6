# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GRPCRoute, in the form in which gateway.py has the rules of a route: its matches have no path."""

from __future__ import annotations

from .gateway import GATEWAY, HOST, RULES, Makes
from .objects import NAME, NAMESPACE, Json

GATEWAY_API_GRPC = "gateway_api_grpc"
GRPC_RULES: list[Json] = [
    {"matches": [{"method": {"type": "Exact", "service": "shop.Web"}}], "backendRefs": RULES[0]["backendRefs"]}
]


def make(server: Makes) -> None:
    """What the user has beside his Service."""
    spec = {"parentRefs": [{"name": GATEWAY}], "hostnames": [HOST], "rules": GRPC_RULES}
    server.create(
        "grpcroutes", {"metadata": {"namespace": NAMESPACE, "name": NAME}, "spec": spec}, "somebody", "kubectl-create"
    )


def as_route(item: Json) -> Json:
    every = {"path": {"type": "PathPrefix", "value": "/"}}
    rules = [
        {**rule, "matches": [{**every, **match} for match in rule.get("matches") or [{}]]}
        for rule in item["spec"]["rules"]
    ]
    return {**item, "spec": {**item["spec"], "rules": rules}}
