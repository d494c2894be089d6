# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway: EndpointSlices of every Service, and a proxy that hears of routes and of endpoints late, and not in order.

Pods drain: one that is taken away still answers whoever was sent to it. So a request fails where a rule sends it to a Service of
which the proxy knows no endpoint, and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Protocol

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Knock, Knocked
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.probe import PROBE_PATH

from .controllers import Controller
from .objects import LABELS, NAME, NAMESPACE, Json
from .store import Change, Store
from .timeline import Timeline
from .users import Served, Users, cookies, copies, has

GATEWAY, HOST, ADDRESS = "gw", "shop.example", "10.0.0.1"
CLASS, CAN = "lab", ("HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror")
PROXY, CONTROLLER = "gateway", "lab.example/gateway"
# Ends the name of a slice of pods that lack a port of the Service; a proxy that is asked for that port finds none of them there.
LACKING = "-lacking"
BY_CONTROLLER = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
RULES: list[Json] = [
    {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": NAME, "port": 80, "weight": 1}],
    }
]


@dataclass(frozen=True)
class Lags:
    """Seconds at most until the proxy knows: of a route, of an endpoint. `deaf_from`: when it hears of no route any more, and
    `deaf_to`: or of this one alone.
    `hidden`: nobody can ask it. `forgets`: it knows endpoints only of Services that a route names, and hears of them again later.
    `plain`: it takes expressions and filters of backends, and does nothing about them. `only`: the one port at which it serves. `copies`: it
    copies requests; otherwise it answers whatever matches a rule that says so with an error, as Gateway API demands. `controller`: as whose it
    reports in the status of a route."""

    routes: float = 1.0
    endpoints: float = 1.0
    deaf_from: float = float("inf")
    deaf_to: str = ""
    hidden: bool = False
    forgets: bool = False
    plain: bool = False
    only: int | None = None
    copies: bool = True
    controller: str = CONTROLLER


class Makes(Protocol):
    """What takes the objects that are there before anything else: the simulated server, or a real one."""

    def create(self, kind: str, obj: Json, user: str, manager: str) -> Json: ...


def make(server: Makes, *, routed: bool = True) -> None:
    """What the user has: a Service, and where it is `routed`, a Gateway and a route."""
    meta = {"namespace": NAMESPACE}
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    service = {
        "metadata": {**meta, "name": NAME},
        "spec": {"selector": dict(LABELS), "ports": ports, "type": "ClusterIP"},
    }
    gateway = {
        "metadata": {**meta, "name": GATEWAY},
        "spec": {"gatewayClassName": CLASS, "listeners": [{"name": "web", "protocol": "HTTP", "port": 80}]},
        "status": {"addresses": [{"value": ADDRESS}]},
    }
    of_class = {
        "metadata": {"name": CLASS},
        "spec": {"controllerName": CONTROLLER},
        "status": {"supportedFeatures": [{"name": feature} for feature in CAN]},
    }
    route = {
        "metadata": {**meta, "name": NAME},
        "spec": {"parentRefs": [{"name": GATEWAY}], "hostnames": [HOST], "rules": RULES},
    }
    routes = (("gatewayclasses", of_class), ("gateways", gateway), ("httproutes", route)) if routed else ()
    for kind, obj in (("services", service), *routes):
        server.create(kind, obj, "somebody", "kubectl-create")


class EndpointSliceController(Controller):
    """discovery/v1: a slice of the pods that have each port of the Service, and another of those that lack some, with those that all of them
    have, where the real one has a slice for each set of ports."""

    name = "endpointslice-controller"

    def concerns(self, change: Change) -> bool:
        return change.kind in ("pods", "services")

    def work(self) -> None:
        services = self.store.of("services")
        for name, service in services.items():
            ports = service["spec"]["ports"]
            pods = [
                pod
                for pod in self.store.of("pods").values()
                if _is_ready(pod) and _selects(service["spec"]["selector"], pod)
            ]
            whole = [pod for pod in pods if all(_has(pod, port) for port in ports)]
            rest = [pod for pod in pods if not all(_has(pod, port) for port in ports)]
            self._put(name, name, whole, ports if whole else [])
            if rest or self.store.get("endpointslices", name + LACKING):
                self._put(
                    name + LACKING,
                    name,
                    rest,
                    [port for port in ports if rest and all(_has(pod, port) for pod in rest)],
                )
        for name, known in list(self.store.of("endpointslices").items()):
            if (
                BY_CONTROLLER.items() <= known["metadata"]["labels"].items()
                and name.removesuffix(LACKING) not in services
            ):
                self.store.remove("endpointslices", name, self.name)

    def _put(self, name: str, service: str, pods: list[Json], ports: list[Json]) -> None:
        told = {
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [pod["metadata"]["name"]],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
                }
                for pod in pods
            ],
            "ports": [{"name": port.get("name", ""), "protocol": port.get("protocol", "TCP")} for port in ports],
        }
        known = self.store.get("endpointslices", name)
        labels = {"kubernetes.io/service-name": service, **BY_CONTROLLER}
        meta = known["metadata"] if known else {"name": name, "labels": labels}
        if known is None or {key: known[key] for key in told} != told:
            self.store.put("endpointslices", {"kind": "EndpointSlice", "metadata": meta, **told}, self.name)


def _has(pod: Json, port: Json) -> bool:
    """FindPort, pkg/api/v1/pod/util.go: a number is there in any pod, and a name where a container gives a port this name."""
    target = port.get("targetPort", port["port"])
    ports = (one for container in pod["spec"]["containers"] for one in container.get("ports") or ())
    return isinstance(target, int) or any(
        one.get("name") == target and one.get("protocol", "TCP") == port.get("protocol", "TCP") for one in ports
    )


def _is_ready(pod: Json) -> bool:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])
    return ready and "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"


def _selects(selector: Mapping[str, str], pod: Json) -> bool:
    labels = pod["metadata"]["labels"]
    return all(labels.get(key) == value for key, value in selector.items())


@dataclass
class Proxy:
    """`failing`: told at which Service requests of users begin to fail, and why. `sees`: told what users get, whenever it may have
    changed. `seen`: the part of the requests of newcomers that pods of another version than v1 get. `copied`: that of which a copy goes
    somewhere."""

    timeline: Timeline
    store: Store
    lags: Lags
    chance: random.Random
    failing: Callable[[str, str], None]
    sees: Callable[[Served], None]
    # What the Ingresses that it knows are as one route (nginx.py), and what one object of another kind is (istio.py, grpc.py, alb.py).
    reads: Callable[[str, Mapping[str, Json]], Json]
    translates: Mapping[str, Callable[[Json], Json]]
    seen: list[tuple[float, Fraction]] = field(default_factory=list)
    copied: list[tuple[float, Fraction]] = field(default_factory=list)
    _users: dict[str, Users] = field(default_factory=dict)
    _routes: dict[str, Json] = field(default_factory=dict)
    _ingresses: dict[str, Json] = field(default_factory=dict)
    _endpoints: dict[str, list[str]] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _asking: set[str] = field(default_factory=set)
    # At which requests fail, and did at the look before.
    _out: set[str] = field(default_factory=set)
    _out_before: set[str] = field(default_factory=set)
    # The last request, and the rule that it was for, until routes change.
    _asked: Knock | None = None
    _matching: Json | None = None
    # The first pods are Ready, and users come.
    _have_begun: bool = False

    def __post_init__(self) -> None:
        self.store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if change.kind == "pods" and change.after is not None:
            self._versions[change.name] = change.after["spec"]["containers"][0]["image"]
        deaf = self.timeline.now >= self.lags.deaf_from and self.lags.deaf_to in ("", change.name)
        if change.kind in ("httproutes", *self.translates) and not deaf:
            self._later(change, self.lags.routes, partial(self._takes_route, change))
        elif change.kind == "ingresses" and not deaf:
            self._later(change, self.lags.routes, partial(self._takes_ingress, change))
        if change.kind == "endpointslices":
            self._later(change, self.lags.endpoints, partial(self._takes_endpoints, change))

    def _later(self, change: Change, most: float, happens: Callable[[], None]) -> None:
        """Each object in its own order; one object may overtake another. Ingresses come by one watch, all in their order."""
        moment = max(self.timeline.now + most * self.chance.random(), self._heard.get(_order(change), 0.0))
        self.hears_of(change, moment)
        self.timeline.at(moment, happens)

    def hears_of(self, change: Change, moment: float) -> None:
        """Then, and of no later change of this object before that."""
        self._heard[_order(change)] = moment

    def _takes_route(self, change: Change) -> None:
        if change.after is not None:
            known = _named(self._routes.get(change.name))
            after = self.translates.get(change.kind, _as_it_is)(change.after)
            self._routes[change.name] = after
            self._asked = None
            for service in _named(after) - known if self.lags.forgets else ():
                self._asking.add(service)
                self.timeline.after(self.lags.endpoints * self.chance.random(), partial(self._is_told, service))
            if change.kind in ("httproutes", "grpcroutes"):
                self._report(change.kind, change.after)
        self._look()

    def _takes_ingress(self, change: Change) -> None:
        self._ingresses.pop(change.name, None)
        if change.after is not None:
            self._ingresses[change.name] = change.after
        self._routes[NAME] = self.reads(NAME, self._ingresses)
        self._look()

    def _is_told(self, service: str) -> None:
        self._asking.discard(service)
        self._look()

    def _endpoints_of(self, service: str) -> list[str]:
        return [] if service in self._asking else self._endpoints.get(service, [])

    def _report(self, kind: str, route: Json) -> None:
        live = self.store.get(kind, route["metadata"]["name"])
        if live is None:
            return
        said = [
            {"type": name, "status": "True", "observedGeneration": route["metadata"]["generation"]}
            for name in ("Accepted", "ResolvedRefs")
        ]
        parents = route["spec"].get("parentRefs") or ()
        ours = [{"parentRef": ref, "controllerName": self.lags.controller, "conditions": said} for ref in parents]
        there = (live.get("status") or {}).get("parents") or []
        reports = [*(one for one in there if one["controllerName"] != self.lags.controller), *ours]
        if reports != there:
            self.store.put(kind, {**live, "status": {"parents": reports}}, PROXY)

    def _takes_endpoints(self, change: Change) -> None:
        if change.after is None and self.store.get(change.kind, change.name) is not None:
            return  # made again meanwhile: whoever goes by what is there never sees it gone
        self._endpoints[change.name] = (
            [] if change.after is None else [one["addresses"][0] for one in change.after["endpoints"]]
        )
        self._look()

    def _look(self) -> None:
        self._out, self._out_before = set(), self._out
        for name, route in self._routes.items():
            rules = [rule for rule in route["spec"]["rules"] if not _is_for_probes(rule)]
            shares = [self._shares(route, rule) for rule in rules]
            served = self._users.setdefault(name, Users()).ask(rules, shares, plain=self.lags.plain)
            self.sees(served)
            self.copied.append((self.timeline.now, sum(served.copies.values(), Fraction(0))))
            newer = (share for pod, share in served.newcomers.items() if not self._versions[pod].endswith(":v1"))
            self.seen.append((self.timeline.now, sum(newer, Fraction(0))))

    def _shares(self, route: Json, rule: Json) -> dict[str, Fraction]:
        refs = [ref for ref in rule.get("backendRefs") or () if ref["weight"]]
        whole, shares = sum(ref["weight"] for ref in refs), dict[str, Fraction]()
        if refs and not self.lags.copies and copies(rule):
            told = f"a rule of route {route['metadata']['name']} has a filter that the proxy does not know"
            self._fails(refs[0]["name"], told)
        for ref in refs:
            pods = self._endpoints_of(ref["name"])
            self._have_begun = self._have_begun or bool(pods)
            if not pods and self._have_begun:
                told = (
                    f"a rule of route {route['metadata']['name']} sends to Service {ref['name']}, which has no endpoint"
                )
                self._fails(ref["name"], told)
            for pod in pods:
                shares[pod] = shares.get(pod, Fraction(0)) + Fraction(ref["weight"], whole * len(pods))
        return shares

    def _fails(self, service: str, told: str) -> None:
        self._out.add(service)
        if service not in self._out_before:
            self.failing(service, told)

    def knock(self, asked: Knock) -> Knocked:
        if self.lags.hidden:
            return Knocked(0, "No route to host")
        if self.lags.only not in (None, asked.entry.port):
            return Knocked(404)
        # Whoever waits for a route asks the same again and again.
        if self._asked is not asked:
            self._asked, self._matching = asked, self._rule_of(asked)
        return self._answer(self._matching) if self._matching is not None else Knocked(404)

    def _rule_of(self, asked: Knock) -> Json | None:
        return rule_of(self._routes.values(), asked, plain=self.lags.plain)

    def _answer(self, rule: Json) -> Knocked:
        if not self.lags.copies and copies(rule):
            return Knocked(500)
        return answer(rule, self._endpoints_of, plain=self.lags.plain)


def rule_of(routes: Iterable[Json], asked: Knock, *, plain: bool = False) -> Json | None:
    rules = (rule for route in routes for rule in route["spec"]["rules"])
    return next((rule for rule in rules if _matches(rule, asked, plain=plain)), None)


def answer(rule: Json, endpoints_of: Callable[[str], Sequence[str]], *, plain: bool = False) -> Knocked:
    """What whoever meets this rule is told. `endpoints_of`: a Service."""
    for one in rule.get("filters") or ():
        if one["type"] == "RequestRedirect":
            return Knocked(302, f"http://{one['requestRedirect']['hostname']}/")
    refs = rule.get("backendRefs") or []
    alive = any(endpoints_of(ref["name"]) for ref in refs if ref["weight"])
    return Knocked(200, cookies="" if plain else cookies(refs)) if alive else Knocked(503)


def _order(change: Change) -> str:
    return change.kind if change.kind == "ingresses" else f"{change.kind}/{change.name}"


def _as_it_is(route: Json) -> Json:
    return route


def _named(route: Json | None) -> set[str]:
    rules = route["spec"]["rules"] if route else ()
    return {ref["name"] for rule in rules for ref in rule.get("backendRefs") or ()}


def _is_for_probes(rule: Json) -> bool:
    return any(match["path"]["value"].startswith(PROBE_PATH) for match in rule.get("matches") or ())


def _matches(rule: Json, asked: Knock, *, plain: bool) -> bool:
    for match in rule.get("matches") or ():
        path, headers = match["path"], match.get("headers") or ()
        same = asked.path == path["value"] if path["type"] == "Exact" else asked.path.startswith(path["value"])
        if path["type"] == "PathPrefix" and asked.headers:
            same = False
        if same and all(has(asked.headers, one, plain=plain) for one in headers):
            return True
    return False
