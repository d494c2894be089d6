# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What splits users, as it was read: an object of the API, what is kept on it, what its status says, and a guarded write of it.

This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from ..rollout.fields import Fields
from ..values import dataclass
from .exposure import Json, Kept, Stage, Versions
from .kinds import KEPT


@dataclass(frozen=True)
class Parent:
    """A Gateway that the route is attached to, or what else has this kind; `section` names a listener, `port` its port, where they are given."""

    name: str
    namespace: str
    section: str = ""
    port: int | None = None
    kind: str = "Gateway"


@dataclass(frozen=True)
class Route:
    """An HTTPRoute, a GRPCRoute, a VirtualService, an Ingress, or a Service that sends on by its selector, which is its one rule then (selector.py).

    `annotation` is the text that is kept there, `managers` whoever else wrote to the rules, the latest first. `created`: as the server
    writes it, in RFC 3339. `version`: its resourceVersion, which every write changes, also one of a status. `parents`: Gateways, and
    `others` whatever else it is attached to, as a Service whose clients' sidecars go by it, or a ListenerSet. `companion`: an object of
    ours that belongs to it, and `more` what else of it counts for that (ingress.py)."""

    name: str
    namespace: str
    uid: str
    generation: int
    rules: tuple[Json, ...]
    hostnames: tuple[str, ...]
    parents: tuple[Parent, ...]
    annotation: str | None
    annotated: bool
    managers: tuple[str, ...]
    status: Mapping[str, Any]
    kind: str = "HTTPRoute"
    created: str = ""
    version: str = ""
    companion: Json | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Parent, ...] = ()

    @classmethod
    def read(cls, found: Fields, rules: Iterable[Mapping[str, Any]], managed: str) -> Route:
        """What every kind of them has. `managed`: the field of its rules, as managedFields tell it. Raises Malformed."""
        meta = found.required("metadata")
        annotations = meta.texts("annotations")
        return cls(
            name=meta.name("name"),
            namespace=meta.name("namespace"),
            uid=meta.text("uid"),
            generation=meta.count("generation") or 0,
            rules=tuple(map(dict, rules)),
            hostnames=(),
            parents=(),
            annotation=annotations.get(KEPT),
            annotated=bool(annotations),
            managers=tuple(managers(meta, managed)),
            status={},
            kind=found.path,
            created=meta.text("creationTimestamp"),
            version=meta.text("resourceVersion"),
        )

    @classmethod
    def parse(cls, item: Any) -> Route:
        """Raises Malformed."""
        found = Fields(item, "HTTPRoute")
        spec = found.required("spec")
        route = cls.read(found, (rule.raw for rule in spec.each("rules")), "f:rules")
        every = tuple(_parents(spec, route.namespace))
        return replace(
            route,
            hostnames=tuple(spec.words("hostnames")),
            parents=tuple(one for one in every if one.kind == "Gateway"),
            others=tuple(one for one in every if one.kind != "Gateway"),
            status=found.within("status").raw,
        )


def _parents(spec: Fields, namespace: str) -> Iterator[Parent]:
    """A group of its own is told with the kind."""
    for ref in spec.each("parentRefs"):
        named = _kind(ref)
        where = ref.text("namespace") or namespace
        name = ref.name("name") if named == "Gateway" else ref.text("name")
        yield Parent(name, where, ref.text("sectionName"), ref.count("port"), named)


def _kind(ref: Fields) -> str:
    kind, group = ref.text("kind") or "Gateway", ref.text("group")
    return f"{kind}.{group}" if group not in ("", "gateway.networking.k8s.io") else kind


def managers(meta: Fields, field: str) -> Iterator[str]:
    """Whoever else wrote to this field of the spec, the latest first."""
    found = [(entry.text("time"), entry.text("manager")) for entry in meta.each("managedFields")
             if field in json.dumps(dict(entry.within("fieldsV1").raw)) and not entry.text("subresource")]  # fmt: skip
    for _at, name in sorted(found, reverse=True):
        if name and name != "coalmine.canary":
            yield name


@dataclass(frozen=True)
class CompanionPlan:
    """What is to become of the companion. `first`: its manifest before the route itself is written, None where it stays as it is. `last`:
    after that, None where it goes."""

    first: Json | None
    last: Json | None

    @property
    def changes_last(self) -> bool:
        return self.first is None or self.last != self.first


@dataclass(frozen=True)
class RoutePlan:
    """One guarded write of the route, where there are operations, and one of its companion, where that changes. `before` and `after`: the
    backends of each rule that changes, in words."""

    operations: tuple[Json, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]
    kept: Kept | None
    companion: CompanionPlan | None = None


def kept_of(route: Route) -> Kept | None:
    """Raises Unroutable."""
    return None if route.annotation is None else Kept.decode(route.annotation)


def by_hand(route: Route, own: str, stage: Stage) -> str:
    """The remedy where nothing of a route sends to the owner's Service: of one that a release has changed, nobody else can put that back. Empty
    for any other."""
    if route.annotation is None and stage is not Stage.LOST:
        return ""
    return f"Let it send to Service {own} again (kubectl edit {route.kind.lower()} {route.name}), then run this again"


def kept_operations(route: Route, annotation: str | None) -> list[Json]:
    """The guarded change of the annotation from what it is to this."""
    member = "/metadata/annotations/" + KEPT.replace("/", "~1")
    if route.annotation is not None:
        test = {"op": "test", "path": member, "value": route.annotation}
        remove, change = {"op": "remove", "path": member}, {"op": "replace", "path": member, "value": annotation}
        return [test, remove if annotation is None else change]
    if annotation is None:
        return []
    if route.annotated:
        return [{"op": "test", "path": member, "value": None}, {"op": "add", "path": member, "value": annotation}]
    whole = "/metadata/annotations"
    return [{"op": "test", "path": whole, "value": None}, {"op": "add", "path": whole, "value": {KEPT: annotation}}]


def holds(stored: Any, written: Any) -> bool:
    """What was written stands there; a server may have filled in more."""
    if isinstance(written, dict):
        return isinstance(stored, dict) and all(holds(stored.get(key), value) for key, value in written.items())
    if isinstance(written, list):
        return isinstance(stored, list) and len(stored) == len(written) and all(map(holds, stored, written))
    return bool(stored == written)


def _reports(route: Route) -> list[Fields]:
    """What its status says that counts: of a parent that it has, and where another controller has seen this generation of the same one, by that.
    No controller may take away what another one has written (RouteStatus in sigs.k8s.io/gateway-api/apis/v1/shared_types.go), so that what one
    that was uninstalled said stays there, and so may that of a Gateway that the route has left."""
    has = {(one.kind, one.namespace, one.name) for one in (*route.parents, *route.others)}
    found: list[tuple[Fields, tuple[Any, ...]]] = []
    for report in Fields(route.status, "status").each("parents"):
        ref = report.within("parentRef")
        parent = (_kind(ref), ref.text("namespace") or route.namespace, ref.text("name"))
        if parent in has:
            found.append((report, (*parent, ref.text("sectionName"), ref.count("port"))))
    heard = {parent for report, parent in found if _of_this(route, report)}
    return [report for report, parent in found if parent not in heard or _of_this(route, report)]


def _of_this(route: Route, report: Fields) -> list[Fields]:
    """The conditions that are of this generation."""
    every = report.each("conditions")
    return [one for one in every if (one.integer("observedGeneration") or 0) >= route.generation]


def stated(route: Route) -> str:
    """Why its own status says that this generation is not in force; empty where it says nothing against it, which is no proof."""
    for report in _reports(route):
        for condition in _of_this(route, report):
            if condition.text("type") in ("Accepted", "ResolvedRefs") and condition.text("status") == "False":
                return f"{condition.text('type')} is False: {condition.text('reason')}: {condition.text('message')}"
    return ""


def observed(route: Route) -> bool:
    """Every controller that reports has seen this generation and accepts it."""
    return bool(_reports(route)) and not _late(route)


def unaccepted(route: Route) -> str:
    """Whose report `observed` lacks, in words."""
    names = sorted({report.text("controllerName") for report in _late(route)})
    return f"not accepted by {' and '.join(names)}" if names else "no controller has accepted it"


def controllers(route: Route) -> frozenset[str]:
    """Those that report, by name."""
    return frozenset(report.text("controllerName") for report in _reports(route))


def _late(route: Route) -> list[Fields]:
    return [report for report in _reports(route) if not _accepts(_of_this(route, report))]


# By the domain of a controller's name: load balancers of clouds, of which a status is ahead by far. Users of GKE and of AWS tell of 8 to
# 36 seconds until rules, endpoints and targets are there (issues 4710 of argo-rollouts and 2061 of aws-load-balancer-controller).
_SLOW: Mapping[str, float] = {
    "networking.gke.io": 60.0,
    "gateway.k8s.aws": 60.0,
    "application-networking.k8s.aws": 60.0,
}


def settles(route: Route, usual: float) -> float:
    """Seconds after which a write that nothing proves counts as in force: as `usual`, or as the slowest of the controllers that report."""
    slow = (_SLOW.get(name.partition("/")[0], usual) for name in controllers(route))
    return max([usual, *slow])


def _accepts(conditions: Sequence[Fields]) -> bool:
    return {"Accepted", "ResolvedRefs"} <= {one.text("type") for one in conditions if one.text("status") == "True"}


def paired(
    refs: Sequence[Json], named: Callable[[Json], str], alike: Callable[[Json], Json], versions: Versions
) -> list[list[Json]]:
    """Backends as their owner had them, where nobody kept those: what a share has made of one of his, the stable version's and right behind
    it the canary's of the same port and filters, is together, and any other is alone. `named`: the Service of a backend; `alike`: a backend
    but for its Service and weight."""
    found: list[list[Json]] = []
    for ref in refs:
        before = found[-1] if found else []
        follows = named(ref) == versions.canary and len(before) == 1 and named(before[0]) == versions.stable
        if follows and alike(ref) == alike(before[0]):
            before.append(ref)
        else:
            found.append([ref])
    return found
