# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users can be split by: one row for each kind of `traffic`. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Callable, Iterator, Mapping, Protocol, Sequence

from ..rollout.fields import Shape
from ..values import dataclass
from .exposure import Exposure, Kept, Stage, Versions, Wanted
from .kinds import ALB, GATEWAY_API, GATEWAY_API_GRPC, INGRESS_NGINX, ISTIO, KINDS, SERVICE_SELECTOR, Can, Kind, Proof
from .route import Route, RoutePlan, controllers
from .shapes import BACKEND_TLS_POLICY, DESTINATION_RULE, GRPC_ROUTE, HTTP_ROUTE, INGRESS, SERVICE, VIRTUAL_SERVICE


class Planner(Protocol):
    def __call__(
        self, route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str
    ) -> RoutePlan | None: ...


class Beside(Protocol):
    def __call__(
        self, route: Route, routes: Sequence[Route], others: Sequence[Route], own: str, exposure: Exposure
    ) -> None: ...


@dataclass(frozen=True)
class Policy:
    """Objects that say how a Service is reached, and name it: `governs` whether one says so of this one, as these routes reach it. They do not
    hold for a copy of it, and where one `is_fatal`, no request to a copy succeeds without it. `collections`: of each version of them that says
    the same, the newest first; `remedy` for the copies, with the namespace. `counts`: the gateways of these routes may go by them."""

    kind: str
    collections: Sequence[str]
    shape: Shape
    governs: Callable[[Mapping[str, Any], Mapping[str, Any], Sequence[Route]], bool]
    is_fatal: Callable[[Mapping[str, Any]], bool]
    remedy: str
    counts: Callable[[Sequence[Route]], bool] = lambda _routes: True


def _nothing_beside(
    route: Route, routes: Sequence[Route], others: Sequence[Route], own: str, exposure: Exposure
) -> None:
    """Nobody else's object takes part."""
    del route, routes, others, own, exposure


@dataclass(frozen=True)
class Router:
    """`shape`: what is read of the objects that are rewritten; `field` of their spec is what is rewritten, and `written` says it in words.

    `named`: the Services of its own namespace that an object sends to, and `crosses` that it may send to those of others, too; `spells_out`: it
    names one in a way that is not rewritten. `state` is total but for what was kept, and `plan` raises Unroutable. Before anything is written so
    does `check`, and `check_beside` for what others have there, where `looks_beside` says that this counts. `sends_to`: users of an object can get
    this Service; `copies_to`: it gets copies of what they ask for, which its owner wrote and which stay.

    `reached`: the Services that rules without users are to reach, each at a port. `has_status`: an object tells whether a controller takes it.
    `policies`: what else names the Service.
    `unseen`: whose proxies an answer at a gateway says nothing of, in words, where there are such.
    `settles`: seconds after which a write that nothing proves counts as in force. `companion_name`: of the object of ours that belongs to
    one of these, where there is such, and `is_companion` whether one is that; `astray` tells what became
    of it, in words, where a route is contested for that alone. `class_of`: whose controller takes an object, where that says it.
    `features`: what the class of its gateways has to say that they can, for an exposure.
    `check_service` raises Unroutable for a Service of which there can be no copies. `is_keeper`: what is kept on an object was kept by this kind,
    where two kinds rewrite the same objects.
    """

    splits: Kind
    shape: Shape
    field: str
    written: str
    parse: Callable[[Any], Route]
    named: Callable[[Route], frozenset[str]]
    state: Callable[[Route, Versions], tuple[Stage, Wanted]]
    plan: Planner
    sends_to: Callable[[Route, str], bool]
    check: Callable[[Route, Versions, Exposure, bool], None]
    reached: Callable[[Kept, Route], list[tuple[str, int]]] = lambda _kept, _route: []
    spells_out: Callable[[Route, str], bool] = lambda _route, _service: False
    copies_to: Callable[[Route, str], bool] = lambda _route, _service: False
    looks_beside: Callable[[Exposure], bool] = lambda _exposure: False
    check_beside: Beside = _nothing_beside
    has_status: bool = True
    crosses: bool = False
    policies: Sequence[Policy] = ()
    # How long a status is ahead of the proxies: a second at most where it was measured, and a margin.
    settles: float = 5.0
    companion_name: Callable[[str], str] | None = None
    is_companion: Callable[[Mapping[str, Any]], bool] = lambda _item: False
    astray: Callable[[Route], str] = lambda _route: ""
    unseen: Callable[[Route], str] = lambda _route: ""
    class_of: Callable[[Route], str] = lambda _route: ""
    features: Callable[[Exposure], frozenset[str]] = lambda _exposure: frozenset()
    check_service: Callable[[Mapping[str, Any], Sequence[Route]], None] = lambda _service, _routes: None
    is_keeper: Callable[[Kept], bool] = lambda _kept: True

    @property
    def kind(self) -> str:
        return self.splits.objects

    @property
    def collection(self) -> str:
        return self.splits.collection

    @property
    def can(self) -> frozenset[Can]:
        return self.splits.can

    @property
    def proof(self) -> Proof:
        return self.splits.proof

    @property
    def switches(self) -> bool:
        return self.splits.switches


def _grpc(item: Any) -> Route:
    """Raises Malformed."""
    return replace(Route.parse(item), kind="GRPCRoute")


def _backend_tls() -> Policy:
    from . import httproute

    return Policy(
        "BackendTLSPolicy",
        # v1 came with Gateway API 1.4.
        [
            f"/apis/gateway.networking.k8s.io/{version}/namespaces/{{}}/backendtlspolicies"
            for version in ("v1", "v1alpha3")
        ],
        BACKEND_TLS_POLICY,
        httproute.governs,
        # It asks for a certificate's name, so there is none without TLS.
        lambda _item: True,
        "It names Services one by one, so give service_selector, which switches that Service itself, or let the pods be reached without TLS",
    )


def _destination_rule() -> Policy:
    from . import destinationrule

    return Policy(
        "DestinationRule",
        ("/apis/networking.istio.io/v1/namespaces/{}/destinationrules",),
        DESTINATION_RULE,
        destinationrule.governs,
        destinationrule.is_fatal,
        "Give it a host that names them, too, such as *.{}.svc.cluster.local",
    )


def _of_istio(routes: Sequence[Route]) -> bool:
    """By who reports in their status, which costs no request: one of a Gateway, or of the mesh."""
    return any(name.partition("/")[0] == "istio.io" for route in routes for name in controllers(route))


def _gateway_api() -> Router:
    from . import copies, httproute

    return Router(
        splits=KINDS[GATEWAY_API],
        shape=HTTP_ROUTE,
        field=".spec.rules",
        written="the backends",
        parse=Route.parse,
        named=httproute.named,
        crosses=True,
        spells_out=httproute.spells_out,
        copies_to=httproute.copies_to,
        state=httproute.state,
        plan=httproute.plan,
        sends_to=httproute.sends_to,
        check=httproute.check,
        looks_beside=httproute.looks_beside,
        check_beside=httproute.check_beside,
        reached=httproute.reached_by,
        policies=(_backend_tls(), replace(_destination_rule(), counts=_of_istio)),
        features=copies.features,
        unseen=httproute.unseen,
    )


def _service_selector() -> Router:
    from . import selector

    return Router(
        splits=KINDS[SERVICE_SELECTOR],
        shape=SERVICE,
        field=".spec.selector",
        written="the selector",
        parse=selector.parse,
        named=selector.named,
        state=selector.state,
        plan=selector.plan,
        sends_to=selector.sends_to,
        check=selector.check,
    )


def _ingress_nginx() -> Router:
    from . import ingress

    return Router(
        splits=KINDS[INGRESS_NGINX],
        shape=INGRESS,
        field=".spec.rules",
        written="the backends",
        parse=ingress.parse,
        named=ingress.named,
        state=ingress.state,
        plan=ingress.plan,
        sends_to=ingress.sends_to,
        check=ingress.check,
        looks_beside=lambda _exposure: True,
        check_beside=ingress.check_beside,
        # The controller writes its configuration every 3.3 s at most (--sync-rate-limit 0.3), and a reload comes before the shares.
        settles=10.0,
        has_status=False,
        companion_name=ingress.companion_name,
        is_companion=ingress.is_companion,
        astray=ingress.astray,
        class_of=ingress.class_of,
        is_keeper=lambda kept: not kept.rules,
    )


def _istio() -> Router:
    from . import virtualservice

    return Router(
        splits=KINDS[ISTIO],
        shape=VIRTUAL_SERVICE,
        field=".spec.http",
        written="the destinations",
        parse=virtualservice.parse,
        named=virtualservice.named,
        crosses=True,
        state=virtualservice.state,
        plan=virtualservice.plan,
        sends_to=virtualservice.sends_to,
        copies_to=virtualservice.copies_to,
        check=virtualservice.check,
        looks_beside=virtualservice.looks_beside,
        check_beside=virtualservice.check_beside,
        reached=virtualservice.reached,
        has_status=False,
        policies=(_destination_rule(),),
        unseen=virtualservice.unseen,
        # istiod collects changes for so long at most (PILOT_DEBOUNCE_MAX).
        settles=10.0,
    )


def _alb() -> Router:
    from . import alb

    return Router(
        splits=KINDS[ALB],
        shape=INGRESS,
        field=".spec.rules",
        written="the backends",
        parse=alb.parse,
        named=alb.named,
        state=alb.state,
        plan=alb.plan,
        sends_to=alb.sends_to,
        check=alb.check,
        reached=alb.reached,
        has_status=False,
        # A target group is made, and two checks of its health come 15 s apart (healthcheck-interval-seconds, healthy-threshold-count).
        settles=60.0,
        class_of=alb.class_of,
        check_service=alb.check_service,
        is_keeper=lambda kept: bool(kept.rules),
    )


def _gateway_api_grpc() -> Router:
    from . import httproute

    return Router(
        splits=KINDS[GATEWAY_API_GRPC],
        shape=GRPC_ROUTE,
        field=".spec.rules",
        written="the backends",
        parse=_grpc,
        named=httproute.named,
        crosses=True,
        spells_out=httproute.spells_out,
        copies_to=httproute.copies_to,
        state=httproute.state,
        plan=httproute.plan_unproven,
        sends_to=httproute.sends_to,
        check=httproute.check,
        looks_beside=httproute.looks_beside,
        check_beside=httproute.check_beside,
        policies=(_backend_tls(), replace(_destination_rule(), counts=_of_istio)),
    )


_MADE: Mapping[str, Callable[[], Router]] = {
    GATEWAY_API: _gateway_api,
    SERVICE_SELECTOR: _service_selector,
    INGRESS_NGINX: _ingress_nginx,
    ISTIO: _istio,
    ALB: _alb,
    GATEWAY_API_GRPC: _gateway_api_grpc,
}


class _Routers(Mapping[str, Router]):
    """Each row is made for the first who asks for it: a release has one kind at most, and what is known of all takes a while to load."""

    def __getitem__(self, kind: str) -> Router:
        return _made(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(_MADE)

    def __len__(self) -> int:
        return len(_MADE)


@cache
def _made(kind: str) -> Router:
    return _MADE[kind]()


ROUTERS: Mapping[str, Router] = _Routers()
