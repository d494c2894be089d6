# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the class of the gateways of a route says that they can do something that not every implementation does.

Source: GatewayClassStatus.SupportedFeatures, sigs.k8s.io/gateway-api/apis/v1/gatewayclass_types.go. This module is private to the collection.
"""

from __future__ import annotations

from typing import Collection, Sequence

from ...cluster.errors import Forbidden, NotFound
from ...rollout.fields import Fields
from ...rollout.refusal import Code, Refusal
from ...traffic.route import Route
from .network import Network


def check_features(network: Network, routes: Sequence[Route], needed: Collection[str]) -> str:
    """Why it is not known, where a class lists nothing, which Istio's does not. Raises Refusal where one lists others, or may not be read. Two
    requests for each Gateway."""
    unknown = ""
    for parent in dict.fromkeys(parent for route in routes for parent in route.parents):
        try:
            name = network.gateway(parent.name, parent.namespace).within("spec").name("gatewayClassName")
            status = network.gateway_class(name).within("status")
        except (Forbidden, NotFound) as error:
            raise refused(f"what Gateway {parent.name} can do is not known: {error}") from error
        said = _said(status)
        missing = sorted(set(needed) - said)
        what = (
            f'GatewayClass "{name}" does not say that its gateways can do {missing[0]} (status.supportedFeatures)'
            if missing
            else ""
        )
        if said and missing:
            raise refused(what)
        unknown = unknown or what
    return unknown


def check_parents(routes: Sequence[Route]) -> None:
    """Raises Refusal where something else than a Gateway serves a route, of which no class tells what it can; or nothing that is told."""
    for route in routes:
        if route.others or not route.parents:
            served = (
                f'{route.others[0].kind} "{route.others[0].name}", which is no Gateway,'
                if route.others
                else "no Gateway"
            )
            raise refused(f'{route.kind} "{route.name}" is attached to {served} whose class could say it')


def _said(status: Fields) -> set[str]:
    """Texts before Gateway API 1.2, and objects with a name since. Raises Malformed."""
    found = status.raw.get("supportedFeatures")
    if isinstance(found, list) and any(isinstance(one, str) for one in found):
        return set(status.words("supportedFeatures"))
    return {one.text("name") for one in status.each("supportedFeatures")}


def refused(why: str) -> Refusal:
    return Refusal(
        Code.NOT_PROGRAMMED,
        f"requests are copied only where it is known that the gateway can: {why}",
        "Set traffic.mirror to 0, or let a Gateway serve the route whose class says it. traffic.mirror 100 needs HTTPRouteRequestMirror alone",
    )
