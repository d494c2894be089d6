# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTPRoute of Gateway API, or a GRPCRoute, rewritten in place: of its owner's rules only the backends change.

    [web W, legacy V]  at the weight m/M  ->  [web-<stable> W*(M-m), web-<canary> W*m, legacy V*M]

Whoever is in a rule besides `web` keeps exactly its share. A rule that copies requests to the canary has a filter more (copies.py). What
stood there is kept in an annotation of the route, in the same patch, so that it comes back as it was. The server fills in defaults, so
what is written here has them already.
A GRPCRoute has no redirect, by which a proxy would answer a probe itself: what needs one is not asked of it.
Source: sigs.k8s.io/gateway-api/apis/v1/httproute_types.go and grpcroute_types.go. This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from math import gcd
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..rollout.fields import Fields
from .cookies import asks_for, canary_cookie, check_filters, is_asked_for, stable_cookie, telling, tells, untold
from .copies import check_alone, copied, copies, copying, uncopied
from .copies import told as told_copies
from .exposure import Exposure, Json, Kept, Stage, Sticky, Unroutable, Versions, Wanted
from .kinds import Header
from .precedence import check_routes, check_rules
from .probe import MARK_DOMAIN, PROBE_HEADER, PROBE_PATH, probe_of
from .route import Parent, Route, RoutePlan, by_hand, holds, kept_of, kept_operations, paired

# What the API takes: HTTPBackendRef.Weight; and of each list to which something is added, HTTPRouteSpec.Rules, HTTPRouteRule.Matches, .BackendRefs
# and .Filters, HTTPRouteMatch.Headers, HTTPBackendRef.Filters, HTTPHeaderFilter.Add.
LARGEST_WEIGHT = 1_000_000
MOST_RULES, MOST_MATCHES, MOST_OF_A_RULE, MOST_OF_A_LIST = 16, 128, 64, 16
_FEWER_RULES = "Move some of its rules into a route of their own, then run this again: a header, sticky and the probes take rules beside them"
_FEWER_BACKENDS = (
    "Move some of its backends into a rule or a route of their own: the canary takes one more in each rule"
)
_FEWER_HEADERS = "Leave out traffic.header and traffic.sticky, each of which asks for one header more"
_NO_COPIES = "Set traffic.mirror to 0"
_NO_COOKIES = "Leave out traffic.sticky, by which each of its backends sets a header more"
_EVERY_PATH = {"path": {"type": "PathPrefix", "value": "/"}}


def named(route: Route) -> frozenset[str]:
    """The Services of the route's own namespace that its rules send to."""
    refs = (ref for rule in route.rules for ref in rule.get("backendRefs") or ())
    return frozenset(str(ref.get("name")) for ref in refs if ref.get("name") and _is(ref, str(ref.get("name"))))


def names(rule: Mapping[str, Any], service: str) -> bool:
    """A rule that sends to this Service of the route's own namespace."""
    return any(_is(ref, service) for ref in rule.get("backendRefs") or ())


def _is(ref: Mapping[str, Any], service: str) -> bool:
    core = not ref.get("group") and (ref.get("kind") or "Service") == "Service"
    return core and not ref.get("namespace") and ref.get("name") == service


def sends_to(route: Route, service: str) -> bool:
    """Users of it can get this Service; what only a probe meets does not count."""
    return any(names(rule, service) and not _for_probes(rule) for rule in route.rules)


def governs(item: Mapping[str, Any], own: Mapping[str, Any], routes: Sequence[Route]) -> bool:
    """A BackendTLSPolicy for this Service, or for one of its ports to which a route sends."""
    name = own["metadata"]["name"]
    refs = (ref for route in routes for rule in route.rules for ref in rule.get("backendRefs") or ())
    used = {ref.get("port") for ref in refs if _is(ref, name)}
    sections = {"", *(port.get("name") for port in own["spec"].get("ports") or () if port.get("port") in used)}
    return any(
        target.text("kind") == "Service" and target.text("name") == name and target.text("sectionName") in sections
        for target in Fields(item, "BackendTLSPolicy").within("spec").each("targetRefs")
    )


def unseen(route: Route) -> str:
    """As of a VirtualService (virtualservice.py). A ListenerSet that stands alone is where `probe.url` asks."""
    if not route.parents and len(route.others) == 1 and route.others[0].kind.partition(".")[0].endswith("ListenerSet"):
        return ""
    return f'the clients of {route.others[0].kind} "{route.others[0].name}"' if route.others else ""


def spells_out(route: Route, service: str) -> bool:
    """A rule of it sends to this Service and says the route's own namespace, which a backend may leave out."""
    refs = (ref for rule in route.rules for ref in rule.get("backendRefs") or ())
    return any(ref.get("name") == service and ref.get("namespace") == route.namespace for ref in refs)


def copies_to(route: Route, service: str) -> bool:
    """A filter of a rule or of a backend copies requests to this Service."""
    return any(copies(one, [service]) for rule in route.rules for one in (rule, *(rule.get("backendRefs") or ())))


def _for_probes(rule: Mapping[str, Any]) -> bool:
    matches = rule.get("matches") or ()
    return any(str((match.get("path") or {}).get("value", "")).startswith(PROBE_PATH) for match in matches)


def _only(rule: Mapping[str, Any], service: str) -> bool:
    refs = rule.get("backendRefs") or ()
    return bool(service) and bool(refs) and all(_is(ref, service) for ref in refs)


def _ours(rule: Mapping[str, Any], versions: Versions) -> bool:
    """Added, and not its owner's: for probes, for cookies, or for a header. Where users are split the stable Service is always named."""
    return _for_probes(rule) or is_asked_for(rule) or _only(rule, versions.canary)


def _keys(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """A key for each rule: its name, else what it matches; so that it is found wherever it has moved."""
    keys: list[str] = []
    for rule in rules:
        matches = json.dumps(rule.get("matches") or [_EVERY_PATH], sort_keys=True)
        key = str(rule.get("name") or hashlib.sha256(matches.encode()).hexdigest()[:12])
        keys.append(key if key not in keys else f"{key}#{len(keys)}")
    return keys


def _base(rules: Sequence[Json], kept: Kept | None) -> list[Json]:
    """The owner's rules, with the owner's backends. Where somebody put other backends, those are the owner's now."""
    if kept is None:
        return list(rules)
    versions = kept.versions
    theirs = [uncopied(rule, _services(versions)) for rule in rules if not _ours(rule, versions)]
    found = []
    for key, rule in zip(_keys(theirs), theirs, strict=True):
        changed = any(names(rule, service) for service in _services(versions))
        if not changed:
            found.append(_untold(rule))
            continue
        refs = kept.rules.get(key)
        found.append(_put_together(_untold(rule), kept) if refs is None else _with(rule, refs))
    return found


def _services(versions: Versions) -> list[str]:
    """Those of the versions that have one."""
    return [service for service in (versions.stable, versions.canary) if service]


def _with(rule: Json, refs: Sequence[Json]) -> Json:
    return {**rule, "backendRefs": list(refs)}


def _untold(rule: Json) -> Json:
    """Whatever somebody made of the rule, no backend of it sets a cookie that nobody asks for."""
    refs = rule.get("backendRefs") or ()
    return _with(rule, [untold(ref) for ref in refs]) if any(map(tells, refs)) else rule


def _put_together(rule: Json, kept: Kept) -> Json:
    """Of a rule whose backends nobody kept, because its owner has given it another name or match: what the versions have, his Service has. A
    share has multiplied the weights; where nobody knows by what they come back in the smallest numbers."""
    versions = kept.versions

    def named(ref: Json) -> str:
        return next((service for service in _services(versions) if _is(ref, service)), "")

    refs = [
        {**refs[0], **({"name": versions.own} if named(refs[0]) else {}), "weight": sum(map(_weight, refs))}
        for refs in paired(rule["backendRefs"], named, _alike, versions)
    ]
    least = gcd(*map(_weight, refs)) or 1
    times = kept.wanted.exposure.weight.denominator if kept.wanted.stage is Stage.SPLIT else 1
    by = times if kept.rules and least % times == 0 else least
    return _with(rule, [{**ref, "weight": _weight(ref) // by} for ref in refs])


def _alike(ref: Json) -> Json:
    return {key: value for key, value in ref.items() if key not in ("name", "weight")}


def _weight(ref: Mapping[str, Any]) -> int:
    weight = ref.get("weight")
    return 1 if weight is None else int(weight)


def _split(refs: Sequence[Json], wanted: Wanted, versions: Versions) -> list[Json]:
    """Where no rule for probes can reach a Service before users do, it stands beside the owner's, and nobody gets it."""
    if wanted.stage is Stage.OWN:
        beside = wanted.warm if wanted.mark is None else ()
        ours = [{**ref, "name": service, "weight": 0} for ref in refs for service in beside if _is(ref, versions.own)]
        return [*refs, *ours]
    return _shared(refs, wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0), wanted.stage, versions)


def _shared(refs: Sequence[Json], weight: Fraction, stage: Stage, versions: Versions) -> list[Json]:
    whole, part = weight.denominator, weight.numerator
    found: list[Json] = []
    for ref in refs:
        if not _is(ref, versions.own):
            found.append({**ref, "weight": _weight(ref) * whole})
            continue
        found.append({**ref, "name": versions.stable, "weight": _weight(ref) * (whole - part)})
        if stage is Stage.SPLIT:
            found.append({**ref, "name": versions.canary, "weight": _weight(ref) * part})
    largest = max(_weight(ref) for ref in found)
    if largest > LARGEST_WEIGHT:
        raise Unroutable(
            f"weight {float(100 * weight):g} would need the number {largest}, and a backend takes {LARGEST_WEIGHT} at most",
            "Give a traffic.weight of fewer decimals",
        )
    return found


def _added(base: Sequence[Json], kept: Kept) -> list[Json]:
    """The rules that are ours: those of a header, those of cookies, then those for probes. Of rules that match as closely the proxy takes
    the first."""
    wanted, versions = kept.wanted, kept.versions
    added: list[Json] = []
    own = [rule for rule in base if names(rule, versions.own)]
    if wanted.stage is not Stage.ISOLATED and wanted.exposure.header is not None:
        added.extend(_for_header(rule, wanted.exposure.header, versions) for rule in own)
    sticky = wanted.exposure.sticky
    # Where everybody gets the canary, whatever they have seen, no rule with users may name the version that goes.
    if wanted.stage is Stage.SPLIT and sticky is not None and wanted.exposure.weight < 1:
        added.extend(one for rule in own for one in _by_cookie(rule, kept, sticky))
    for service, port in reached(kept):
        plain = {"group": "", "kind": "Service", "name": service, "port": port, "weight": 1}
        plain = telling(plain, canary_cookie(kept.token)) if kept.shows_cookies else plain
        rule = {"matches": [_probe_match(kept.token, probe_of(kept, service, port))], "backendRefs": [plain]}
        added.append(copying(rule, Fraction(wanted.copies), [plain], service))
    if wanted.mark is not None:
        added.append(_told_by_proxy(_probe_match(kept.token, kept.token), f"g{wanted.mark}"))
        if kept.shows_cookies:
            asked = _probe_match(kept.token, f"{kept.token}-cookie")
            with_cookie = {**asked, "headers": [*asked["headers"], asks_for(canary_cookie(kept.token))]}
            added.append(_told_by_proxy(with_cookie, f"c{wanted.mark}"))
    return added


def reached_by(kept: Kept, route: Route) -> list[tuple[str, int]]:
    """As `reached`; whichever route keeps it."""
    del route
    return reached(kept)


def reached(kept: Kept) -> list[tuple[str, int]]:
    """The Services that rules without users are to reach, at each port at which a rule of the owner sends to his."""
    if kept.wanted.mark is None:
        return []
    refs = (ref for refs in kept.rules.values() for ref in refs if _is(ref, kept.versions.own))
    ports = sorted({int(ref.get("port") or 0) for ref in refs})
    return [(service, port) for service in kept.wanted.warm for port in ports]


def _told_by_proxy(match: Json, name: str) -> Json:
    redirect = {"hostname": f"{name}.{MARK_DOMAIN}", "statusCode": 302}
    return {"matches": [match], "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}


def _drawing(refs: Sequence[Json], weight: Fraction, kept: Kept, sticky: Sticky) -> list[Json]:
    """Backends among which a user is drawn, and told which it was."""
    cookies = {
        kept.versions.canary: canary_cookie(kept.token),
        kept.versions.stable: stable_cookie(kept.token, sticky.step),
    }
    shared = _shared(refs, weight, Stage.SPLIT, kept.versions)
    return [telling(ref, cookies[ref["name"]]) if ref.get("name") in cookies else ref for ref in shared]


def _by_cookie(rule: Json, kept: Kept, sticky: Sticky) -> Iterator[Json]:
    """Who has seen the canary keeps it. Who was stable at this step stays so; who was so at an earlier one is drawn anew. Raises
    Unroutable."""
    check_filters(rule)
    refs, token = rule["backendRefs"], kept.token
    yield _narrowed(rule, asks_for(canary_cookie(token)), _shared(refs, Fraction(1), Stage.SPLIT, kept.versions))
    yield _narrowed(
        rule, asks_for(stable_cookie(token, sticky.step)), _shared(refs, Fraction(0), Stage.SPLIT, kept.versions)
    )
    if sticky.step:
        drawn = _drawing(refs, sticky.drawn, kept, sticky)
        yield _narrowed(rule, asks_for(stable_cookie(token, None)), drawn)


def _probe_match(token: str, value: str) -> Json:
    return {
        "path": {"type": "Exact", "value": PROBE_PATH + token},
        "headers": [{"type": "Exact", "name": PROBE_HEADER, "value": value}],
    }


def _exactly(header: Header) -> Json:
    return {"type": "Exact", "name": header.name, "value": header.value}


def _for_header(rule: Json, header: Header, versions: Versions) -> Json:
    ref = next(ref for ref in rule["backendRefs"] if _is(ref, versions.own))
    return _narrowed(rule, _exactly(header), [{**ref, "name": versions.canary, "weight": 1}])


def _narrowed(rule: Json, asked: Json, refs: Sequence[Json]) -> Json:
    """The same rule once more for requests with this header, so that the proxy prefers it, and with these backends."""
    narrowed = []
    # Where it has none the server fills in what a route of this kind matches then.
    for match in rule.get("matches") or [{}]:
        present = match.get("headers") or []
        if any(str(one.get("name", "")).lower() == asked["name"].lower() for one in present):
            raise Unroutable(
                f"a rule matches the header {asked['name']} already, and one header cannot be asked for twice",
                "Leave that rule to a route of its own, or give traffic.header another name",
            )
        narrowed.append({**match, "headers": [*present, asked]})
    rest = {name: value for name, value in rule.items() if name != "name"}
    return {**rest, "matches": narrowed, "backendRefs": list(refs)}


def _rewritten(base: Sequence[Json], kept: Kept) -> list[Json]:
    own, wanted = kept.versions.own, kept.wanted
    sticky = wanted.exposure.sticky if wanted.stage is Stage.SPLIT else None
    mirror = wanted.exposure.mirror if wanted.stage is Stage.SPLIT else Fraction(0)

    def shared(rule: Json) -> Json:
        refs = rule["backendRefs"]
        if sticky is not None:
            return _with(rule, _drawing(refs, wanted.exposure.weight, kept, sticky))
        ours = [ref for ref in refs if _is(ref, own)]
        rule = copying(rule, mirror * _part_of(ours, refs), ours, kept.versions.canary)
        return _with(rule, _split(refs, wanted, kept.versions))

    return [shared(rule) if names(rule, own) else rule for rule in base]


def _part_of(ours: Sequence[Json], refs: Sequence[Json]) -> Fraction:
    """Of the requests of a rule, that which these backends get. Where others are beside them no more than that is copied."""
    whole = sum(map(_weight, refs))
    return Fraction(sum(map(_weight, ours)), whole) if whole else Fraction(0)


def state(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """Where the route stands, and what was last wanted of it; where that is lost, as far as its backends tell. Total but for an annotation
    that cannot be read (Unroutable)."""
    kept = kept_of(route)
    if kept is None:
        services = _services(versions)
        lost = any(_left_by_us(rule, services) for rule in route.rules)
        return (Stage.LOST, _told_by_backends(route.rules, versions)) if lost else (Stage.OWN, Wanted(Stage.OWN))
    base = _base(route.rules, kept)
    if not any(names(rule, kept.versions.own) for rule in base):
        return Stage.CONTESTED, kept.wanted
    theirs = [rule for rule in route.rules if not _ours(rule, kept.versions)]
    ours = [rule for rule in route.rules if _ours(rule, kept.versions)]
    try:
        written = _rewritten(base, kept)
        stored, whole = [*theirs, *ours], [*written, *_added(base, kept)]
        same = len(theirs) == len(written) and holds(stored, whole) and _copy_alike(stored, whole, kept.versions)
    except Unroutable:
        same = False  # beside what somebody has written since, what was wanted cannot even be said
    return (kept.wanted.stage if same else Stage.CONTESTED), kept.wanted


def _copy_alike(stored: Sequence[Json], written: Sequence[Json], versions: Versions) -> bool:
    """What was written with no filter holds of a rule that has one, too, and a copy of all, which is written with no number, of one that has a
    number."""
    services = _services(versions)
    return all(copied(one, services) == copied(other, services) for one, other in zip(stored, written, strict=True))


def _told_by_backends(rules: Sequence[Mapping[str, Any]], versions: Versions) -> Wanted:
    """Whether users are split, and by which share; the rules for a header and for cookies tell too little."""
    for rule in rules:
        stable, canary = (
            sum(_weight(ref) for ref in rule.get("backendRefs") or () if service and _is(ref, service))
            for service in (versions.stable, versions.canary)
        )
        if names(rule, versions.stable) and not is_asked_for(rule):
            split = names(rule, versions.canary) and stable + canary
            weight = Fraction(canary, stable + canary) if split else Fraction(0)
            mirror = Fraction(0) if weight else _mirrored(rule, versions)
            return Wanted(Stage.SPLIT, Exposure(weight, mirror=mirror)) if split else Wanted(Stage.ISOLATED)
    return Wanted(Stage.OWN)


def _mirrored(rule: Mapping[str, Any], versions: Versions) -> Fraction:
    """What part of the requests for the stable version comes to the canary as a copy."""
    refs = rule["backendRefs"]
    part = _part_of([ref for ref in refs if _is(ref, versions.stable)], refs)
    return min(Fraction(1), sum(copied(rule, [versions.canary]), Fraction(0)) / part) if part else Fraction(0)


def _left_by_us(rule: Mapping[str, Any], services: Sequence[str]) -> bool:
    if _for_probes(rule) or is_asked_for(rule) or any(map(tells, rule.get("backendRefs") or ())):
        return True
    return copies(rule, services) or any(names(rule, one) for one in services)


def plan(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """The write that makes it so; None where it is so. Raises Unroutable.

    `owner` and `token` are of the release, and new only where the route keeps none yet.
    """
    check_alone(wanted.exposure)
    kept = kept_of(route)
    if kept is not None and kept.owner != owner:
        raise Unroutable("a release of another Deployment has changed this route, and has not ended yet")
    base = _base(route.rules, kept or _as_if_kept(route, versions, owner))
    rules = {key: rule["backendRefs"] for key, rule in zip(_keys(base), base, strict=True) if names(rule, versions.own)}
    if wanted.nothing:
        kept_after, after = None, base
    else:
        _check_sent(route, versions, rules)
        kept_after = Kept(owner, versions, kept.token if kept else token, wanted, rules)
        after = [*_rewritten(base, kept_after), *_added(base, kept_after)]
        _check_room(after)
        _check_precedence(base, kept_after)
    annotation = kept_after.encode() if kept_after else None
    if list(route.rules) == after and annotation == route.annotation:
        return None
    if state(route, versions) == (wanted.stage, wanted) and kept is not None and kept.versions == versions:
        return None
    return RoutePlan(_operations(route, after, annotation), _told(route.rules), _told(after), kept_after)


def _check_sent(route: Route, versions: Versions, rules: Mapping[str, Any]) -> None:
    """`rules`: those that send to the owner's Service. Raises Unroutable."""
    if not rules:
        raise Unroutable(
            f"no rule of it sends to Service {versions.own}",
            by_hand(route, versions.own, state(route, versions)[0]),
        )


def plan_unproven(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """The same, of a route in which nothing can be asked for. Raises Unroutable."""
    if wanted.exposure.sticky is not None:
        raise Unroutable("whether users are kept by a cookie cannot be seen there", "Leave out traffic.sticky")
    if wanted.exposure.mirror:
        raise Unroutable("whether a gateway copies calls of gRPC nothing says", "Leave out traffic.mirror")
    warm = wanted.warm if wanted.stage is Stage.OWN else ()
    plain = replace(wanted, warm=warm, mark=None, cookies=False, copies=False)
    return plan(route, versions, plain, owner=owner, token=token)


def _as_if_kept(route: Route, versions: Versions, owner: str) -> Kept | None:
    """Of a route that has lost its annotation while a Service of ours is named."""
    if state(route, versions)[0] is not Stage.LOST:
        return None
    return Kept(owner, versions, "", Wanted(Stage.OWN), {})


def check(route: Route, versions: Versions, exposure: Exposure, marks: bool) -> None:
    """Raises Unroutable where this exposure, or a later step of it with rules for probes, could not be written."""
    check_alone(exposure)
    kept = kept_of(route)
    base = _base(route.rules, kept or _as_if_kept(route, versions, ""))
    if looks_beside(exposure):
        _check_names(base, versions.own)
    rules = {key: rule["backendRefs"] for key, rule in zip(_keys(base), base, strict=True) if names(rule, versions.own)}
    _check_sent(route, versions, rules)
    # Where everybody gets the canary there are fewer rules than on the way there; from the second step on, one more for each that is sticky.
    sticky = exposure.sticky and replace(exposure.sticky, step=max(1, exposure.sticky.step))
    fullest = replace(exposure, weight=exposure.weight if exposure.weight < 1 else Fraction(0), sticky=sticky)
    wanted = Wanted(Stage.SPLIT, fullest, (versions.own,) if marks else (), 1 if marks else None)
    asked = Kept("", versions, "", wanted, rules)
    _check_room([*_rewritten(base, asked), *_added(base, asked)])
    _check_precedence(base, asked)


def _check_room(rules: Sequence[Mapping[str, Any]]) -> None:
    """Raises Unroutable where the API server would refuse one of these lists for its length."""
    matches = [rule.get("matches") or [_EVERY_PATH] for rule in rules]
    refs = [rule.get("backendRefs") or () for rule in rules]
    filters = [ref.get("filters") or () for some in refs for ref in some]
    added = [(one.get("responseHeaderModifier") or {}).get("add") or () for some in filters for one in some]
    for count, most, what, remedy in (
        (len(rules), MOST_RULES, "rules", _FEWER_RULES),
        (sum(map(len, matches)), MOST_MATCHES, "matches", _FEWER_RULES),
        (_longest(matches), MOST_OF_A_RULE, "matches in a rule", _FEWER_RULES),
        (_longest(refs), MOST_OF_A_LIST, "backends in a rule", _FEWER_BACKENDS),
        (_longest(rule.get("filters") or () for rule in rules), MOST_OF_A_LIST, "filters in a rule", _NO_COPIES),
        (
            _longest(one.get("headers") or () for some in matches for one in some),
            MOST_OF_A_LIST,
            "headers in a match",
            _FEWER_HEADERS,
        ),
        (_longest(filters), MOST_OF_A_LIST, "filters at a backend", _NO_COOKIES),
        (_longest(added), MOST_OF_A_LIST, "headers added by a filter", _NO_COOKIES),
    ):
        if count > most:
            raise Unroutable(f"it would have {count} {what}, and such a route takes {most}", remedy)


def _longest(lists: Iterable[Sequence[Any]]) -> int:
    return max(map(len, lists), default=0)


def _copied_for(kept: Kept) -> list[Json]:
    """The headers of which each rule has a copy of its own."""
    wanted, exposure = kept.wanted, kept.wanted.exposure
    asked: list[Json] = []
    if wanted.stage is not Stage.ISOLATED and exposure.header is not None:
        asked.append(_exactly(exposure.header))
    if wanted.stage is Stage.SPLIT and exposure.sticky is not None and exposure.weight < 1:
        asked.append(asks_for(canary_cookie(kept.token)))
    return asked


def _check_names(base: Sequence[Mapping[str, Any]], own: str) -> None:
    """A rule to be copied has no name: a route has each once, and a policy attached to it by that name would not hold for the copy. Raises
    Unroutable. Source: HTTPRouteRule.name, sigs.k8s.io/gateway-api/apis/v1/httproute_types.go; GEP-995."""
    for rule in base:
        if rule.get("name") and names(rule, own):
            raise Unroutable(
                f"its rule {rule['name']} would be copied without its name, and a policy that is attached to it by that name (sectionName), "
                "such as one of who may come in, would not hold for the copy",
                "Attach such a policy to the whole route and take the name from the rule, or leave out traffic.header and traffic.sticky",
            )


def _check_precedence(base: Sequence[Json], kept: Kept) -> None:
    named = _named(base)
    own = [(name, rule) for name, rule in named if names(rule, kept.versions.own)]
    check_rules(named, own, _copied_for(kept))


def looks_beside(exposure: Exposure) -> bool:
    """Whether rules are copied for this, so that those of others count."""
    return exposure.header is not None or exposure.sticky is not None


def check_beside(route: Route, routes: Sequence[Route], others: Sequence[Route], own: str, exposure: Exposure) -> None:
    """Raises Unroutable where copies of the rules of `route`, which send to the Service `own`, would take requests that `others` get, or
    others of `routes` by a rule that is not copied. As far as the routes of one namespace tell."""
    kept = Kept("", Versions(own, ""), "", Wanted(Stage.SPLIT, replace(exposure, weight=Fraction(0))), {})
    mine = [(name, rule) for name, rule in _named(_base(route.rules, kept_of(route))) if names(rule, own)]
    not_copied = {one.name: [rule for rule in _base(one.rules, kept_of(one)) if not names(rule, own)] for one in routes}
    for other in (*routes, *others):
        if other.uid == route.uid or not _meet(route, other):
            continue
        theirs = _named(not_copied.get(other.name, other.rules), f' of {other.kind} "{other.name}"')
        older = (other.created, other.name) < (route.created, route.name)
        check_routes(mine, theirs, _copied_for(kept), older=older)


def _named(rules: Sequence[Json], where: str = "") -> list[tuple[str, Json]]:
    numbered = enumerate(rules)
    return [(f"rule {rule.get('name') or number}{where}", rule) for number, rule in numbered if not _for_probes(rule)]


def _meet(one: Route, other: Route) -> bool:
    """Some request may come to both: by the same listener, for the same host, as far as the two say that."""
    hosts = not one.hostnames or not other.hostnames or not set(one.hostnames).isdisjoint(other.hostnames)
    return hosts and any(
        _same_way(mine, theirs) for mine in (*one.parents, *one.others) for theirs in (*other.parents, *other.others)
    )


def _same_way(one: Parent, other: Parent) -> bool:
    gateway = (one.kind, one.name, one.namespace) == (other.kind, other.name, other.namespace)
    section = not one.section or not other.section or one.section == other.section
    return gateway and section and (one.port is None or other.port is None or one.port == other.port)


def _operations(route: Route, rules: Sequence[Json], annotation: str | None) -> tuple[Json, ...]:
    """Guarded by uid and generation, which any change of the spec raises, and by the annotation, which raises none."""
    return (
        {"op": "test", "path": "/metadata/uid", "value": route.uid},
        {"op": "test", "path": "/metadata/generation", "value": route.generation},
        {"op": "replace", "path": "/spec/rules", "value": list(rules)},
        *kept_operations(route, annotation),
    )


def _told(rules: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The backends of each rule with their weights, by the position of the rule, and the copies that we add; rules for probes and cookies are
    not told."""
    told = {}
    for number, rule in enumerate(rule for rule in rules if not _for_probes(rule) and not is_asked_for(rule)):
        refs = rule.get("backendRefs") or ()
        label = str(rule.get("name") or number)
        words = [*(f"{ref.get('name')} {_weight(ref)}" for ref in refs), *told_copies(rule)]
        told[f"rule {label}"] = ", ".join(words)
    return told
