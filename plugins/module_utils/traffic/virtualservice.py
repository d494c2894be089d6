# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VirtualService of Istio, rewritten in place: of its owner's http rules only the destinations change.

    [web W, legacy V]  at the share w  ->  [web-<stable> W*(1-w), web-<canary> W*w, legacy V]      all times the least that makes them whole

Of the rules that match a request Istio takes the first. So those for probes come before all, and the copies of a rule for a header and for
cookies right before that rule, where they take nothing that another rule gets. A destination may name its Service in any of the ways that Kubernetes
has, and keeps its way. A rule that copies requests to the canary has `mirror` and `mirrorPercentage` besides, which no rule of an owner may have.
Source: HTTPRoute, HTTPRouteDestination and Destination, networking/v1alpha3/virtual_service.proto, istio.io/api. This module is private to the
collection.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Iterator, Mapping, Sequence

from ..rollout.fields import Fields
from .cookies import canary_cookie, stable_cookie
from .copies import check_alone, check_port
from .destinationrule import service_of
from .exposure import Exposure, Json, Kept, Stage, Sticky, Unroutable, Versions, Wanted
from .istio_cookies import COOKIE, asks_for, check_headers, is_asked_for, telling, tells, untold
from .kinds import Header
from .probe import MARK_DOMAIN, PROBE_HEADER, PROBE_PATH, probe_of
from .route import Route, RoutePlan, by_hand, holds, kept_of, kept_operations, paired

# A weight is an int32; a rule that has one destination needs none.
_LARGEST_WEIGHT, _ALONE = 2**31 - 1, 100
# Of a match: what picks out no request at one gateway.
_SAYS_NOTHING = frozenset(
    {"name", "uri", "ignoreUriCase", "gateways", "port", "sourceLabels", "sourceNamespace", "statPrefix"}
)
# In place of the name of a gateway: the sidecars. It is meant, too, where no gateway is given.
_MESH = "mesh"
# What a rule copies, and how much of it; and a list of further destinations, which is never ours.
_MIRROR, _MIRRORED, _FURTHER = "mirror", "mirrorPercentage", "mirrors"
# The same in other words of the API, some of them old.
_MIRRORS = (_MIRROR, _FURTHER, _MIRRORED, "mirrorPercent", "mirror_percent")


def parse(item: Any) -> Route:
    """Raises Malformed."""
    found = Fields(item, "VirtualService")
    spec = found.required("spec")
    route = Route.read(found, (rule.raw for rule in spec.each("http")), "f:http")
    others = (ref for kind in ("tls", "tcp") for rule in spec.each(kind) for ref in rule.each("route"))
    more = {
        "not http": tuple(ref.within("destination").text("host") for ref in others),
        "gateways": frozenset(_gateways(spec, route.namespace)),
    }
    return replace(route, hostnames=tuple(spec.words("hosts")), more=more)


def _gateways(spec: Fields, namespace: str) -> Iterator[str]:
    """Each as namespace/name, and those of single matches."""
    matches = (match for rule in spec.each("http") for match in rule.each("match"))
    for name in (*(spec.words("gateways") or (_MESH,)), *(one for match in matches for one in match.words("gateways"))):
        place, slash, own = name.rpartition("/")
        yield name if name == _MESH else f"{place if slash and place != '.' else namespace}/{own}"


def unseen(route: Route) -> str:
    """Whose proxies an answer at a gateway says nothing of, in words; empty where there are none."""
    return "the sidecars of its mesh" if _MESH in route.more["gateways"] else ""


def _host(ref: Mapping[str, Any]) -> str:
    return str((ref.get("destination") or {}).get("host") or "")


def _refs(rule: Mapping[str, Any]) -> list[Json]:
    return list(rule.get("route") or ())


def _services(rule: Mapping[str, Any], namespace: str) -> list[str]:
    return [service_of(_host(ref), namespace) for ref in _refs(rule)]


def _names(rule: Mapping[str, Any], service: str, namespace: str) -> bool:
    return bool(service) and service in _services(rule, namespace)


def _is_whole(ref: Mapping[str, Any], service: str, namespace: str) -> bool:
    """The Service, and no subset of it: one that somebody has added since a release began stays, because Services of versions have none."""
    return service_of(_host(ref), namespace) == service and not ref["destination"].get("subset")


def named(route: Route) -> frozenset[str]:
    """As of an HTTPRoute (httproute.py). Those of its tls and tcp routes, too, for `check` to refuse it."""
    of_http = (name for rule in route.rules for name in _services(rule, route.namespace))
    others = (service_of(host, route.namespace) for host in route.more["not http"])
    return frozenset(filter(None, (*of_http, *others)))


def sends_to(route: Route, service: str) -> bool:
    return any(_names(rule, service, route.namespace) and not _for_probes(rule) for rule in route.rules)


def copies_to(route: Route, service: str) -> bool:
    """A rule copies requests to this Service."""
    return any(service_of(host, route.namespace) == service for rule in route.rules for host, _percent in _copied(rule))


def _for_probes(rule: Mapping[str, Any]) -> bool:
    matches = rule.get("match") or ()
    return any(str((match.get("uri") or {}).get("exact", "")).startswith(PROBE_PATH) for match in matches)


def _ours(rule: Mapping[str, Any], versions: Versions, namespace: str) -> bool:
    """Added, and not its owner's: for probes, for cookies, or for a header. Where users are split the stable Service is always named."""
    services = _services(rule, namespace)
    only_canary = bool(versions.canary) and bool(services) and set(services) == {versions.canary}
    return _for_probes(rule) or is_asked_for(rule) or only_canary


def _keys(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """As of an HTTPRoute: the name of a rule, else what it matches."""
    keys: list[str] = []
    for rule in rules:
        matches = json.dumps(rule.get("match") or [], sort_keys=True)
        key = str(rule.get("name") or hashlib.sha256(matches.encode()).hexdigest()[:12])
        keys.append(key if key not in keys else f"{key}#{len(keys)}")
    return keys


def _to(ref: Json, service: str, weight: int) -> Json:
    """The same destination, of another Service, named in the same way."""
    _name, dot, rest = _host(ref).partition(".")
    return {**ref, "destination": {**ref["destination"], "host": f"{service}{dot}{rest}"}, "weight": weight}


def _weight(ref: Mapping[str, Any], refs: Sequence[Json]) -> int:
    """One alone gets all; of several, one without a weight nothing."""
    weight = int(ref.get("weight") or 0)
    return weight or _ALONE if len(refs) == 1 else weight


def _base(route: Route, kept: Kept | None) -> list[Json]:
    """The owner's rules, with the owner's destinations. Where somebody put other ones, those are the owner's now."""
    if kept is None:
        return list(route.rules)
    versions = kept.versions
    rules = (_uncopied(rule, versions, route.namespace) for rule in route.rules)
    theirs = [rule for rule in rules if not _ours(rule, versions, route.namespace)]
    found = []
    for key, rule in zip(_keys(theirs), theirs, strict=True):
        if not any(_names(rule, service, route.namespace) for service in (versions.stable, versions.canary)):
            found.append(_untold(rule))
            continue
        refs = kept.rules.get(key) or _put_together(_refs(_untold(rule)), versions, route.namespace)
        found.append({**rule, "route": list(refs)})
    return found


def _untold(rule: Json) -> Json:
    """Whatever somebody made of the rule, no destination of it sets a cookie that nobody asks for."""
    refs = _refs(rule)
    return {**rule, "route": [untold(ref) for ref in refs]} if any(map(tells, refs)) else rule


def _copies(rule: Mapping[str, Any], versions: Versions, namespace: str) -> list[str]:
    """The versions to which it copies requests, by their Services."""
    services = (service_of(host, namespace) for host, _percent in _copied(rule))
    return [service for service in services if service and service in (versions.stable, versions.canary)]


def _copied(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """To whom it copies requests, and how many per cent of them: all where it says none."""
    if rule.get(_MIRROR):
        yield str(rule[_MIRROR].get("host") or ""), (rule.get(_MIRRORED) or {}).get("value", 100)
    for one in rule.get(_FURTHER) or ():
        host = (one.get("destination") or {}).get("host")
        yield str(host or ""), (one.get("percentage") or {}).get("value", 100)


def _uncopied(rule: Json, versions: Versions, namespace: str) -> Json:
    """Without copies to one of the versions; a list that has nothing else goes."""
    if not _copies(rule, versions, namespace):
        return rule
    rest = {name: value for name, value in rule.items() if name not in (_MIRROR, _MIRRORED, _FURTHER)}
    kept = () if _copies({_MIRROR: rule.get(_MIRROR)}, versions, namespace) else (_MIRROR, _MIRRORED)
    further = [one for one in rule.get(_FURTHER) or () if not _copies({_FURTHER: [one]}, versions, namespace)]
    return {**rest, **{name: rule[name] for name in kept if name in rule}, **({_FURTHER: further} if further else {})}


def _copying(rule: Json, kept: Kept, namespace: str) -> Json:
    """With copies to the canary, of no more than the owner's Service gets of the rule."""
    if kept.wanted.stage is not Stage.SPLIT or not kept.wanted.exposure.mirror:
        return rule
    part, own = _part_of(rule, kept.versions.own, namespace), kept.versions.own
    ref = next(ref for ref in _refs(rule) if service_of(_host(ref), namespace) == own)
    amount = 100 * kept.wanted.exposure.mirror * part
    value = int(amount) if amount.denominator == 1 else float(amount)
    canary = _to(ref, kept.versions.canary, 0)["destination"]
    return {**rule, _MIRROR: canary, _MIRRORED: {"value": value}} if value else rule


def _part_of(rule: Mapping[str, Any], service: str, namespace: str) -> Fraction:
    """Of the requests of a rule, that which goes to this Service."""
    refs = _refs(rule)
    whole = sum(_weight(ref, refs) for ref in refs)
    ours = sum(_weight(ref, refs) for ref in refs if service_of(_host(ref), namespace) == service)
    return Fraction(ours, whole) if whole else Fraction(0)


def _mirrored(rule: Mapping[str, Any], versions: Versions, namespace: str) -> Fraction:
    """What part of the requests for the stable version comes to the canary as a copy."""
    part = _part_of(rule, versions.stable, namespace)
    host, value = next(_copied(rule), ("", 0))
    known = isinstance(value, (int, float)) and 0 <= value <= 100
    if not part or not known or service_of(host, namespace) not in (versions.stable, versions.canary):
        return Fraction(0)
    # As it was written: the nearest number of a computer is not.
    return min(Fraction(1), Fraction(f"{value:.6f}") / 100 / part)


def _put_together(refs: list[Json], versions: Versions, namespace: str) -> list[Json]:
    """Of a rule whose destinations nobody kept: what the versions have, its owner's Service has."""

    def named(ref: Json) -> str:
        return service_of(_host(ref), namespace)

    def alike(ref: Json) -> Json:
        return _to(ref, versions.own, 0)

    found = [
        _to(group[0], versions.own, sum(_weight(ref, refs) for ref in group))
        if named(group[0]) in (versions.stable, versions.canary)
        else group[0]
        for group in paired(refs, named, alike, versions)
    ]
    least = gcd(*(_weight(ref, found) for ref in found)) or 1
    if len(found) == 1:
        return [{name: value for name, value in found[0].items() if name != "weight"}]
    return [{**ref, "weight": _weight(ref, found) // least} for ref in found]


def _shared(refs: Sequence[Json], weight: Fraction, stage: Stage, versions: Versions, namespace: str) -> list[Json]:
    """Raises Unroutable."""
    own = [ref for ref in refs if _is_whole(ref, versions.own, namespace)]
    times = lcm(*((_weight(ref, refs) * weight).denominator for ref in own))
    found: list[Json] = []
    for ref in refs:
        whole = _weight(ref, refs) * times
        if ref not in own:
            found.append({**ref, "weight": whole})
            continue
        part = int(whole * weight)
        found.append(_to(ref, versions.stable, whole - part))
        if stage is Stage.SPLIT:
            found.append(_to(ref, versions.canary, part))
    if max(int(ref["weight"]) for ref in found) > _LARGEST_WEIGHT:
        raise Unroutable(f"weight {float(100 * weight):g} would need a larger number than a destination takes")
    return found


def _rewritten(base: Sequence[Json], kept: Kept, namespace: str) -> list[Json]:
    """All rules, in their order. Raises Unroutable."""
    wanted, versions = kept.wanted, kept.versions
    found = list(_probes(kept, namespace))
    for rule in base:
        if not any(_is_whole(ref, versions.own, namespace) for ref in _refs(rule)):
            found.append(rule)
            continue
        header = wanted.exposure.header
        if header is not None and wanted.stage is not Stage.ISOLATED:
            found.append(_for_header(rule, header, versions, namespace))
        if wanted.stage is Stage.OWN:
            found.append(rule)
            continue
        sticky = wanted.exposure.sticky if wanted.stage is Stage.SPLIT else None
        weight = wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0)
        # Where everybody gets the canary, whatever they have seen, no rule with users may name the version that goes.
        if sticky is not None and weight < 1:
            found.extend(_by_cookie(rule, kept, sticky, namespace))
        shared = _shared(_refs(rule), weight, wanted.stage, versions, namespace)
        shared = shared if sticky is None else _telling(shared, kept, sticky, namespace)
        found.append({**_copying(rule, kept, namespace), "route": shared})
    return found


def _telling(refs: Sequence[Json], kept: Kept, sticky: Sticky, namespace: str) -> list[Json]:
    """Destinations among which a user is drawn, and told which it was."""
    cookies = {
        kept.versions.canary: canary_cookie(kept.token),
        kept.versions.stable: stable_cookie(kept.token, sticky.step),
    }
    named = ((ref, service_of(_host(ref), namespace)) for ref in refs)
    return [telling(ref, cookies[service]) if service in cookies else ref for ref, service in named]


def _by_cookie(rule: Json, kept: Kept, sticky: Sticky, namespace: str) -> Iterator[Json]:
    """As of an HTTPRoute. Raises Unroutable."""
    token, remedy = kept.token, "Leave out traffic.sticky"

    def drawn(weight: Fraction) -> list[Json]:
        return _shared(_refs(rule), weight, Stage.SPLIT, kept.versions, namespace)

    yield _narrowed(rule, COOKIE, asks_for(canary_cookie(token)), drawn(Fraction(1)), remedy)
    yield _narrowed(rule, COOKIE, asks_for(stable_cookie(token, sticky.step)), drawn(Fraction(0)), remedy)
    if sticky.step:
        told = _telling(drawn(sticky.drawn), kept, sticky, namespace)
        yield _narrowed(rule, COOKIE, asks_for(stable_cookie(token, None)), told, remedy)


def _probes(kept: Kept, namespace: str) -> Iterator[Json]:
    """Rules that only a probe meets."""
    token, refs = kept.token, [ref for refs in kept.rules.values() for ref in refs]
    mine = [ref for ref in refs if service_of(_host(ref), namespace) == kept.versions.own]
    # Of several ways to name it always the same one, in whatever order they are kept.
    own = min(mine, key=_host, default=None)
    for service, port in _reached(kept, namespace):
        plain = _to(own, service, 0)["destination"] if own else {"host": service}
        destination = {name: value for name, value in plain.items() if name != "port"}
        if port:
            destination["port"] = {"number": port}
        ref = {"destination": destination}
        ref = telling(ref, canary_cookie(token)) if kept.shows_cookies else ref
        yield {"match": [_probe_match(token, probe_of(kept, service, port))], "route": [ref]}
    if kept.wanted.mark is not None:
        yield _told_by_proxy(_probe_match(token, token), f"g{kept.wanted.mark}")
        if kept.shows_cookies:
            asked = _probe_match(token, f"{token}-cookie")
            with_cookie = {**asked, "headers": {**asked["headers"], COOKIE: asks_for(canary_cookie(token))}}
            yield _told_by_proxy(with_cookie, f"c{kept.wanted.mark}")


def _told_by_proxy(match: Json, name: str) -> Json:
    return {"match": [match], "redirect": {"authority": f"{name}.{MARK_DOMAIN}", "redirectCode": 302}}


def _probe_match(token: str, value: str) -> Json:
    return {"uri": {"exact": PROBE_PATH + token}, "headers": {PROBE_HEADER: {"exact": value}}}


def reached(kept: Kept, route: Route) -> list[tuple[str, int]]:
    """As of an HTTPRoute; a destination that names no port has 0."""
    return _reached(kept, route.namespace)


def _reached(kept: Kept, namespace: str) -> list[tuple[str, int]]:
    refs = (ref for refs in kept.rules.values() for ref in refs)
    own = (ref["destination"] for ref in refs if service_of(_host(ref), namespace) == kept.versions.own)
    ports = sorted({int((destination.get("port") or {}).get("number") or 0) for destination in own})
    return [(service, port) for service in kept.wanted.warm for port in ports]


def _for_header(rule: Json, header: Header, versions: Versions, namespace: str) -> Json:
    """Raises Unroutable."""
    ref = next(ref for ref in _refs(rule) if _is_whole(ref, versions.own, namespace))
    alone = {key: value for key, value in _to(ref, versions.canary, 0).items() if key != "weight"}
    return _narrowed(rule, header.name.lower(), {"exact": header.value}, [alone], "Give traffic.header another name")


def _narrowed(rule: Json, name: str, asked: Json, refs: Sequence[Json], remedy: str) -> Json:
    """The same rule once more for requests with this header, and with these destinations. Raises Unroutable, with the remedy."""
    matches = []
    for match in rule.get("match") or [{}]:
        there = {**(match.get("headers") or {}), **(match.get("withoutHeaders") or {})}
        if any(one.lower() == name for one in there):
            raise Unroutable(
                f"a rule matches the header {name} already, and one header cannot be asked for twice", remedy
            )
        matches.append({**match, "headers": {**(match.get("headers") or {}), name: asked}})
    return {**{key: value for key, value in rule.items() if key != "name"}, "match": matches, "route": list(refs)}


def state(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """As of an HTTPRoute."""
    kept = kept_of(route)
    if kept is None:
        return _left(route, versions)
    base = _base(route, kept)
    if not any(_names(rule, kept.versions.own, route.namespace) for rule in base):
        return Stage.CONTESTED, kept.wanted
    try:
        written = _rewritten(base, kept, route.namespace)
        same = holds(list(route.rules), written) and all(
            _copies(one, kept.versions, route.namespace) == _copies(other, kept.versions, route.namespace)
            for one, other in zip(route.rules, written, strict=True)
        )
    except Unroutable:
        same = False  # beside what somebody has written since, what was wanted cannot even be said
    return (kept.wanted.stage if same else Stage.CONTESTED), kept.wanted


def _left(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """Of one that keeps nothing: whether something of ours is there, and what its destinations tell then."""
    users = [rule for rule in route.rules if not _ours(rule, versions, route.namespace)]
    for rule in users:
        refs, services = _refs(rule), _services(rule, route.namespace)
        if versions.stable in services:
            weights: dict[str, int] = {versions.stable: 0, versions.canary: 0}
            for ref, service in zip(refs, services, strict=True):
                if service in weights:
                    weights[service] += _weight(ref, refs)
            split = sum(weights.values()) if versions.canary in services else 0
            share = Fraction(weights[versions.canary], split) if split else Fraction(0)
            mirror = Fraction(0) if share else _mirrored(rule, versions, route.namespace)
            return Stage.LOST, Wanted(Stage.SPLIT, Exposure(share, mirror=mirror)) if split else Wanted(Stage.ISOLATED)
    told = any(tells(ref) for rule in users for ref in _refs(rule))
    left = told or len(users) < len(route.rules) or any(_copies(rule, versions, route.namespace) for rule in users)
    return (Stage.LOST if left else Stage.OWN), Wanted(Stage.OWN)


def plan(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """As of an HTTPRoute."""
    kept = kept_of(route)
    if kept is not None and kept.owner != owner:
        raise Unroutable("a release of another Deployment has changed this VirtualService, and has not ended yet")
    base = _base(route, kept or _as_if_kept(route, versions, owner))
    rules = _own(route, base, versions)
    if wanted.nothing:
        kept_after, after = None, base
    else:
        _check_sent(route, base, versions)
        if wanted.gives:
            _check(route, base, versions, wanted.exposure)
        kept_after = Kept(owner, versions, kept.token if kept else token, wanted, rules)
        after = _rewritten(base, kept_after, route.namespace)
    annotation = kept_after.encode() if kept_after else None
    if list(route.rules) == after and annotation == route.annotation:
        return None
    if kept is not None and kept.versions == versions and state(route, versions) == (wanted.stage, wanted):
        return None
    operations: tuple[Json, ...] = (
        {"op": "test", "path": "/metadata/uid", "value": route.uid},
        {"op": "test", "path": "/metadata/generation", "value": route.generation},
        {"op": "replace", "path": "/spec/http", "value": after},
        *kept_operations(route, annotation),
    )
    return RoutePlan(operations, _told(route.rules), _told(after), kept_after)


def _as_if_kept(route: Route, versions: Versions, owner: str) -> Kept | None:
    """Of one that has lost its annotation while a Service of ours is named."""
    lost = state(route, versions)[0] is Stage.LOST
    return Kept(owner, versions, "", Wanted(Stage.OWN), {}) if lost else None


def _own(route: Route, base: Sequence[Json], versions: Versions) -> dict[str, list[Json]]:
    """The owner's destinations, by the key of their rule."""
    keyed = zip(_keys(base), base, strict=True)
    return {key: _refs(rule) for key, rule in keyed if _names(rule, versions.own, route.namespace)}


def _check(route: Route, base: Sequence[Json], versions: Versions, exposure: Exposure) -> None:
    """Raises Unroutable for what is not rewritten here."""
    check_alone(exposure)
    for rule in base if exposure.sticky is not None else ():
        if _names(rule, versions.own, route.namespace):
            check_headers(rule)
    if any(service_of(host, route.namespace) == versions.own for host in route.more["not http"]):
        raise Unroutable(
            f"a tls or tcp route of it sends to Service {versions.own}, too, and those have no requests that could be split",
            "Give them a Service of their own",
        )
    _check_sent(route, base, versions)
    copying = (rule for rule in base if _names(rule, versions.own, route.namespace) and any(map(rule.get, _MIRRORS)))
    if exposure.mirror and next(copying, None):
        raise Unroutable("a rule copies its requests already, and takes one such Service", "Set traffic.mirror to 0")
    for refs in _own(route, base, versions).values() if exposure.mirror else ():
        ours = (ref["destination"] for ref in refs if service_of(_host(ref), route.namespace) == versions.own)
        check_port((one.get("port") or {}).get("number") for one in ours)
    refs = [ref for refs in _own(route, base, versions).values() for ref in refs]
    mine = [ref["destination"] for ref in refs if service_of(_host(ref), route.namespace) == versions.own]
    subset = next((one["subset"] for one in mine if one.get("subset")), "")
    if subset:
        raise Unroutable(
            f"a rule of it names the subset {subset} of Service {versions.own}, and the Services of the two versions "
            "have no subsets",
            "Leave the subset out: each version gets a Service of its own",
        )


def _check_sent(route: Route, base: Sequence[Json], versions: Versions) -> None:
    """Raises Unroutable."""
    if not _own(route, base, versions):
        raise Unroutable(
            f"no http rule of it sends to Service {versions.own}",
            by_hand(route, versions.own, state(route, versions)[0]),
        )


def check(route: Route, versions: Versions, exposure: Exposure, marks: bool) -> None:
    """Raises Unroutable where this exposure, or one on the way to it, could not be written."""
    kept = kept_of(route)
    base = _base(route, kept or _as_if_kept(route, versions, ""))
    _check(route, base, versions, exposure)
    # Users are asked for their cookies for as long as not everybody gets the canary.
    for weight in dict.fromkeys((exposure.weight, Fraction(0))):
        wanted = Wanted(Stage.SPLIT, replace(exposure, weight=weight), mark=1 if marks else None)
        _rewritten(base, Kept("", versions, "", wanted, _own(route, base, versions)), route.namespace)


def looks_beside(exposure: Exposure) -> bool:
    """Whether rules are copied for this, so that those of others count."""
    return exposure.header is not None or exposure.sticky is not None


def check_beside(route: Route, routes: Sequence[Route], others: Sequence[Route], own: str, exposure: Exposure) -> None:
    """Raises Unroutable where the copy of a rule, for a header or for cookies, could take requests from another VirtualService of the namespace.

    At a gateway Istio makes one list of the rules of all VirtualServices of a host, by their age, and moves what matches every request to
    its end. A copy that asks for a header, as a cookie is one, is not moved, and so comes before rules that its original comes after. Those of sidecars are
    not put together.
    Source: buildGatewayHTTPRouteConfig, pilot/pkg/networking/core/gateway.go, and SortVHostRoutes, core/route/route.go, istio.io/istio.
    """
    if not looks_beside(exposure):
        return
    copied = [rule for rule in _base(route, kept_of(route)) if _names(rule, own, route.namespace)]
    if not any(map(_catches_all, copied)):
        return
    for other in (*routes, *others):
        if other.uid != route.uid and _meet(route, other):
            raise Unroutable(
                f'VirtualService "{other.name}" has a host and a gateway of it, too, and a rule of "{route.name}" that matches every request '
                "would come before the rules of the other one as soon as it asked for a header",
                "Put the rules of both into one VirtualService, or leave out traffic.header and traffic.sticky",
            )


def _meet(one: Route, other: Route) -> bool:
    """At a gateway, of a host."""

    def hosts(route: Route) -> set[str]:
        return {(service_of(host, route.namespace) or host).lower() for host in route.hostnames}

    shared = one.more["gateways"] & other.more["gateways"]
    return bool(shared - {_MESH} and hosts(one) & hosts(other))


def _catches_all(rule: Mapping[str, Any]) -> bool:
    """One of its matches is what Istio moves to the end."""
    return any(_catches(match) for match in rule.get("match") or [{}])


def _catches(match: Mapping[str, Any]) -> bool:
    uri = match.get("uri") or {"prefix": "/"}
    every = uri.get("prefix") == "/" or uri.get("regex") in ("*", ".*")
    return every and not any(text for name, text in match.items() if name not in _SAYS_NOTHING)


def _told(rules: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The destinations of each rule with their weights; rules for probes and cookies are not told."""
    told = {}
    for number, rule in enumerate(rule for rule in rules if not _for_probes(rule) and not is_asked_for(rule)):
        refs = _refs(rule)
        words = [f"{_host(ref)} {_weight(ref, refs)}" for ref in refs]
        words += [f"a copy of {percent} % to {host}" for host, percent in _copied(rule)]
        told[f"rule {rule.get('name') or number}"] = ", ".join(words)
    return told
