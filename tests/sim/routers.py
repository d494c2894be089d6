# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of routes that a history may be about: how their objects come to be there, and what users go by with each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from . import alb, gateway, grpc, istio, nginx
from .gateway import Makes
from .history import History
from .objects import NAME, Json
from .store import Change, Store


class Routers:
    """`translates`: what one object of a kind is in the form of an HTTPRoute. Of Ingresses ingress-nginx makes one route of all, and the
    AWS Load Balancer Controller one of each, so that a history has one of the two."""

    def __init__(self, history: History) -> None:
        asks = [ask for script in history.scripts for ask in script.asks]
        self._kinds = {ask.kind for ask in asks}
        self._sticky = any(ask.sticky for ask in asks)
        self.translates: dict[str, Callable[[Json], Json]] = {
            "virtualservices": istio.as_route,
            "grpcroutes": grpc.as_route,
        }
        if alb.ALB in self._kinds:
            self.translates["ingresses"] = alb.as_route

    def make(self, server: Makes) -> None:
        """The gateway, the Service, and what splits users."""
        others: dict[str, Callable[[Makes], None]] = {
            nginx.INGRESS_NGINX: partial(nginx.make, sticky=self._sticky),
            istio.ISTIO: istio.make,
            grpc.GATEWAY_API_GRPC: grpc.make,
            alb.ALB: alb.make,
        }
        asked = sorted(self._kinds & others.keys())
        gateway.make(server, routed=not asked)
        for kind in asked:
            others[kind](server)

    def as_route(self, store: Store, change: Change, side: Json | None) -> Json | None:
        """What users go by with one side of a change of a route."""
        if change.kind == "ingresses" and change.kind not in self.translates:
            there = {name: one for name, one in store.of(change.kind).items() if name != change.name}
            return nginx.as_route(NAME, there | ({change.name: side} if side is not None else {}))
        return self.translates.get(change.kind, lambda item: item)(side) if side is not None else None
