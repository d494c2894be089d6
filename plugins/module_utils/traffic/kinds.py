# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of `traffic`, and what users can be split by in each. How that is done routers.py says, which loads all that is known of each
kind: what only has to name one, as most calls do, gets along without. This module is private to the collection.
"""

from __future__ import annotations

from enum import Enum
from typing import Mapping

from ..values import dataclass

GATEWAY_API, SERVICE_SELECTOR, INGRESS_NGINX, ISTIO = "gateway_api", "service_selector", "ingress_nginx", "istio"
GATEWAY_API_GRPC, ALB = "gateway_api_grpc", "alb"

# The annotation of an object of theirs by which a release knows what its owner wrote (exposure.py).
KEPT = "coalmine.canary/route"


class Can(Enum):
    """What users can be split by. share: any part of the requests; without it, all or none. header: requests that have it. sticky: users
    keep the version that they have seen. mirror: the canary gets copies of requests."""

    SHARE = "share"
    HEADER = "header"
    STICKY = "sticky"
    MIRROR = "mirror"


class Proof(Enum):
    """How a write is seen to be in force. asked: the proxy answers by itself with its number. endpoints: those of the Service itself.
    stated: nothing tells it, and some seconds have to do."""

    ASKED = "asked"
    ENDPOINTS = "endpoints"
    STATED = "stated"


@dataclass(frozen=True)
class Header:
    """Requests with exactly this header get the canary, whatever the weight."""

    name: str
    value: str


@dataclass(frozen=True)
class Kind:
    """`objects`: the kind of those that are rewritten, `collection` their path in a namespace. `seconds`: how long a write may take to be in
    force where nobody says it."""

    objects: str
    collection: str
    can: frozenset[Can]
    proof: Proof
    seconds: int = 30

    @property
    def switches(self) -> bool:
        """Everybody is on one version at a time."""
        return Can.SHARE not in self.can


_GATEWAYS = "/apis/gateway.networking.k8s.io/v1/namespaces/{}"
_INGRESSES = "/apis/networking.k8s.io/v1/namespaces/{}/ingresses"

KINDS: Mapping[str, Kind] = {
    GATEWAY_API: Kind("HTTPRoute", f"{_GATEWAYS}/httproutes", frozenset(Can), Proof.ASKED),
    SERVICE_SELECTOR: Kind("Service", "/api/v1/namespaces/{}/services", frozenset(), Proof.ENDPOINTS),
    # Users are kept by what the owner's own annotations say, so that nothing has to be shown. Its mirror-target copies everything.
    INGRESS_NGINX: Kind("Ingress", _INGRESSES, frozenset({Can.SHARE, Can.HEADER, Can.STICKY}), Proof.STATED),
    ISTIO: Kind(
        "VirtualService", "/apis/networking.istio.io/v1/namespaces/{}/virtualservices", frozenset(Can), Proof.ASKED
    ),
    # A target group is made, its targets are registered, and two checks of their health come 15 s apart (healthcheck-interval-seconds and
    # healthy-threshold-count, docs/guide/ingress/annotations.md, sigs.k8s.io/aws-load-balancer-controller). AWS promises no time for a rule.
    ALB: Kind("Ingress", _INGRESSES, frozenset({Can.SHARE, Can.HEADER}), Proof.ASKED, seconds=180),
    GATEWAY_API_GRPC: Kind("GRPCRoute", f"{_GATEWAYS}/grpcroutes", frozenset({Can.SHARE, Can.HEADER}), Proof.STATED),
}
