# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people give for an option that takes it by another name, or not at all, and what they can give instead.

Of use only to whoever is refused anyway. This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping

_CONNECTIONS = (
    "A {} has connections, and no requests that could be told apart. Where its users speak HTTP, give gateway_api and an HTTPRoute; else "
    "service_selector moves everybody at once, and a canary without traffic gets new connections by its pods"
)
_TRAEFIK = (
    "A TraefikService or an IngressRoute is not rewritten. Traefik also serves HTTPRoutes: give gateway_api; and Ingresses by the "
    "annotations of ingress-nginx: give ingress_nginx"
)
_APP_MESH = (
    "AWS App Mesh ended on 2026-09-30. Its successors go by Gateway API, VPC Lattice and the AWS Load Balancer Controller: give "
    "gateway_api; and for Ingresses of that controller give alb"
)
_SMI = "SMI was given up for Gateway API, and a TrafficSplit is not rewritten: give gateway_api and an HTTPRoute"
_OTHERS = "The own objects of {} are not rewritten. Where it serves HTTPRoutes of Gateway API, give gateway_api"
_NGINX = (
    "Write ingress_nginx for Ingresses by the annotations of ingress-nginx (nginx.ingress.kubernetes.io). Those of F5's controller "
    "(nginx.org) are not written: where it serves HTTPRoutes, give gateway_api"
)
_INGRESS = (
    "Ingresses are rewritten by the annotations of their controller: write ingress_nginx or alb. Where it serves HTTPRoutes, too, give "
    "gateway_api"
)

# An option's name -> what is given for it, in small letters and digits alone -> what is said of that.
INSTEAD: Mapping[str, Mapping[str, str]] = {
    "kind": {
        **dict.fromkeys(("traefik", "traefikservice", "ingressroute"), _TRAEFIK),
        **{route.lower(): _CONNECTIONS.format(route) for route in ("TCPRoute", "TLSRoute", "UDPRoute")},
        **dict.fromkeys(("appmesh", "awsappmesh", "virtualrouter"), _APP_MESH),
        **dict.fromkeys(("smi", "trafficsplit", "osm"), _SMI),
        **{
            router.lower(): _OTHERS.format(router)
            for router in (
                "Linkerd",
                "Contour",
                "Gloo",
                "Kong",
                "APISIX",
                "Ambassador",
                "Emissary",
                "HAProxy",
                "Cilium",
            )
        },
        **dict.fromkeys(("nginx", "nginxingress", "kubernetesnginx"), _NGINX),
        "ingress": _INGRESS,
        **dict.fromkeys(("httproute", "gateway"), "Write gateway_api for HTTPRoutes"),
        **dict.fromkeys(("grpcroute", "grpc"), "Write gateway_api_grpc for GRPCRoutes"),
        **dict.fromkeys(("virtualservice", "destinationrule"), "Write istio for VirtualServices"),
        **dict.fromkeys(
            ("awsalb", "aws", "awsloadbalancercontroller"), "Write alb for the AWS Load Balancer Controller"
        ),
        **dict.fromkeys(("service", "bluegreen"), "Write service_selector to switch the Service itself"),
    }
}


def instead_of(option: str, given: str) -> str:
    """Empty where nothing is known of it. Nothing of what was given is repeated."""
    return INSTEAD.get(option, {}).get("".join(filter(str.isalnum, given.lower())), "")
