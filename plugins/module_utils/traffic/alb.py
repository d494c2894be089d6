# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ingress as the AWS Load Balancer Controller serves it, rewritten in place: of its owner's paths only what they forward to changes.

    path /, Service web, port 80        ->  path /, web, port use-annotation
                                            actions.web: web-<stable> W*(1-w), web-<canary> W*w, others as they were

A path whose port is use-annotation does what the annotation actions.<name> says, and whoever has written that so keeps his name. A path
that names the Service itself keeps it as that name, so that its annotation conditions.<name> goes on to hold.

A load balancer takes the first rule that matches: those of one Ingress in the order of its rules, and of each the exact paths, the
prefixes by their length, and then the rest. So what only a probe meets has rules before all, and the copy of a path for a header stands right
before that path, where it takes nothing that another one gets. Rules without users reach the owner's Service and those of the versions for
as long as anything of ours is there: the target groups stay, and with them the readiness gates of pods that were made for them.
Source: enhanced_backend_builder.go, model_build_listener_rules.go and config_types.go in pkg/ingress, sigs.k8s.io/aws-load-balancer-controller.
This module is private to the collection.
"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Iterator, Mapping, Sequence

from ..rollout.fields import Fields
from ..values import dataclass
from .alb_annotations import (
    ACTIONS,
    BY_ANNOTATION,
    CONDITIONS,
    LARGEST_WEIGHT,
    PREFIX,
    asked,
    backend,
    checked,
    compared,
    conditions,
    forwards,
    read,
    services,
    written,
)
from .exposure import Exposure, Json, Kept, Stage, Unroutable, Versions, Wanted
from .ingress import paths
from .kinds import Header
from .probe import MARK_DOMAIN, PROBE_HEADER, PROBE_PATH, probe_of
from .route import Route, RoutePlan, by_hand, holds, kept_of, kept_operations, paired

_CLASS, _TARGET_TYPE = "kubernetes.io/ingress.class", f"{PREFIX}target-type"
# The names of actions that are ours.
_OURS = "coalmine-canary-"
# What an Application Load Balancer takes: Quotas for your Application Load Balancers, and the API's TargetGroupTuple and HttpHeaderConditionConfig.
_MOST_GROUPS, _MOST_VALUES, _LONGEST_HEADER, _LONGEST_VALUE = 5, 5, 40, 128
# The part after the slash of a key of an annotation has 63 characters at most.
_LONGEST_NAME = 63 - len("actions.")


@dataclass(frozen=True)
class _Face:
    """The rules of an Ingress, and its annotations for actions and conditions."""

    rules: list[Json]
    annotations: dict[str, str]


def parse(item: Any) -> Route:
    """Raises Malformed."""
    found = Fields(item, "Ingress")
    spec = found.required("spec")
    route = Route.read(found, (rule.raw for rule in spec.each("rules")), "f:rules")
    annotations = found.required("metadata").texts("annotations")
    said = {key: text for key, text in annotations.items() if key == _CLASS or key.startswith(PREFIX)}
    default = {"backend": dict(spec.within("defaultBackend").raw)}
    return replace(route, more={"annotations": said, "class": spec.text("ingressClassName"), "default": default})


def _kept(route: Route) -> Kept | None:
    """Raises Unroutable."""
    kept = kept_of(route)
    return kept and checked(kept)


def _face(route: Route) -> _Face:
    said = route.more["annotations"].items()
    return _Face(list(route.rules), {key: text for key, text in said if key.startswith((ACTIONS, CONDITIONS))})


def _is_ours(path: Mapping[str, Any]) -> bool:
    """Added, and not its owner's: for probes or for a header."""
    return backend(path)[0].startswith(_OURS)


def named(route: Route) -> frozenset[str]:
    """The Services that its paths send to. That of its defaultBackend, too, for `check` to refuse it."""
    face = _face(route)
    every = [*(path for _host, path in paths(face.rules)), route.more["default"]]
    return frozenset(filter(None, (one for path in every for one in services(forwards(path, face.annotations)))))


def sends_to(route: Route, service: str) -> bool:
    """Users can get it; what only a probe meets does not count."""
    face = _face(route)
    users = (path for _host, path in paths(face.rules) if not _for_probes(path))
    return any(service in services(forwards(path, face.annotations)) for path in users)


def _for_probes(path: Mapping[str, Any]) -> bool:
    return str(path.get("path") or "").startswith(PROBE_PATH)


def _key(host: str, path: Mapping[str, Any]) -> str:
    return f"{host} {path.get('pathType')} {path.get('path') or ''}"


def _base(face: _Face, kept: Kept | None) -> _Face:
    """The owner's own. Where somebody put other backends or actions, those are the owner's now."""
    if kept is None:
        return face
    versions = kept.versions
    ours = {key for key, text in face.annotations.items() if _names(read(text), versions)}
    annotations = {key: text for key, text in face.annotations.items() if key not in ours and not _is_of_ours(key)}
    for key in ours:
        if key in kept.rules:
            annotations[key] = kept.rules[key][0]["text"]
    rules = []
    for rule in face.rules:
        there = (rule.get("http") or {}).get("paths") or []
        theirs = [
            _given_back(str(rule.get("host") or ""), one, face, kept, annotations) for one in there if not _is_ours(one)
        ]
        if theirs:
            rules.append({**rule, "http": {**rule["http"], "paths": theirs}})
        elif not there:
            rules.append(rule)
    return _Face(rules, annotations)


def _is_of_ours(key: str) -> bool:
    return key.startswith((f"{ACTIONS}{_OURS}", f"{CONDITIONS}{_OURS}"))


def _names(config: Mapping[str, Any] | None, versions: Versions) -> bool:
    return bool({versions.stable, versions.canary} - {""} & set(services(config)))


def _given_back(host: str, path: Json, face: _Face, kept: Kept, annotations: dict[str, str]) -> Json:
    """The path with its owner's backend, also where somebody deleted the action that it has by our write. What nobody kept of an action is
    put together, and written to `annotations`."""
    name, port = backend(path)
    action, before = f"{ACTIONS}{name}", kept.rules.get(_key(host, path))
    if port != BY_ANNOTATION:
        return path
    if action not in face.annotations:
        if action in kept.rules:
            annotations[action] = kept.rules[action][0]["text"]
        return {**path, "backend": before[0]} if before and backend({"backend": before[0]})[0] == name else path
    config = forwards(path, face.annotations)
    if config is None or not _names(config, kept.versions):
        return path
    if before:
        return {**path, "backend": before[0]}
    if action in annotations:
        return path
    back = _put_together(config, kept.versions)
    if name == kept.versions.own and services(back) == [name]:
        port = back["targetGroups"][0]["servicePort"]
        service = {"name": name, "port": {"number" if isinstance(port, int) else "name": port}}
        return {**path, "backend": {"service": service}}
    annotations[action] = written(back)
    return path


def _put_together(config: Json, versions: Versions) -> Json:
    """What the versions have, their owner's Service has."""

    def named(group: Json) -> str:
        return str(group.get("serviceName") or "")

    def alike(group: Json) -> Json:
        return {**group, "serviceName": "", "weight": 0}

    groups = [
        {**group[0], "serviceName": versions.own, "weight": sum(one["weight"] for one in group)}
        if named(group[0]) in (versions.stable, versions.canary)
        else group[0]
        for group in paired(config["targetGroups"], named, alike, versions)
    ]
    return {**config, "targetGroups": _least(groups)}


def _least(groups: Sequence[Json]) -> list[Json]:
    """In the smallest numbers."""
    least = gcd(*(int(group["weight"]) for group in groups)) or 1
    return [{**group, "weight": int(group["weight"]) // least} for group in groups]


def _originals(base: _Face, versions: Versions, known: Mapping[str, list[Json]]) -> dict[str, list[Json]]:
    """What is rewritten, as it was: backends by their path, and texts by their annotation."""
    kept: dict[str, list[Json]] = {}
    for host, path in _own(base, versions, known):
        name, port = backend(path)
        if port == BY_ANNOTATION:
            kept[f"{ACTIONS}{name}"] = [{"text": base.annotations[f"{ACTIONS}{name}"]}]
        else:
            kept[_key(host, path)] = [path["backend"]]
    return kept


def _sending(base: _Face, versions: Versions) -> list[tuple[str, Json]]:
    """The paths that send to the owner's Service, each with its host."""
    every = paths(base.rules)
    return [(host, path) for host, path in every if versions.own in services(forwards(path, base.annotations))]


def _own(base: _Face, versions: Versions, known: Mapping[str, list[Json]]) -> list[tuple[str, Json]]:
    """Those of them that are rewritten. One action says one way to send to a Service: that of `known` originals, else the first. Paths with
    another one, which somebody has added since a release began, stay as they are."""
    ways: dict[str, Any] = dict(backend({"backend": one}) for (one,) in known.values() if "text" not in one)

    def is_said(path: Json) -> bool:
        name, port = backend(path)
        return port == BY_ANNOTATION or (
            f"{ACTIONS}{name}" not in base.annotations and ways.setdefault(name, port) == port
        )

    return [(host, path) for host, path in _sending(base, versions) if is_said(path)]


def _known(kept: Kept | None) -> Mapping[str, list[Json]]:
    return kept.rules if kept else {}


def _rewritten(base: _Face, kept: Kept) -> _Face:
    """Raises Unroutable."""
    wanted, versions, annotations = kept.wanted, kept.versions, dict(base.annotations)
    header = wanted.exposure.header if wanted.stage is not Stage.ISOLATED else None
    own = _own(base, versions, kept.rules)
    rewritten = {id(path) for _host, path in own}
    numbers = {name: number for number, name in enumerate(sorted({backend(path)[0] for _host, path in own}))}

    def each(path: Json) -> Iterator[Json]:
        config, name = forwards(path, base.annotations), backend(path)[0]
        if config is None or id(path) not in rewritten:
            yield path
            return
        if header is not None:
            copy = f"{_OURS}header-{numbers[name]}"
            annotations.update(_for_header(copy, config, header, versions, base.annotations.get(f"{CONDITIONS}{name}")))
            yield {**path, "backend": _by_annotation(copy)}
        if wanted.stage is Stage.OWN:
            yield path
            return
        annotations[f"{ACTIONS}{name}"] = written(_shared(config, wanted, versions))
        yield {**path, "backend": _by_annotation(name)}

    rules = [_with(rule, [one for path in _paths_of(rule) for one in each(path)]) for rule in base.rules]
    probes = list(_probes(kept))
    for name, action, value in probes:
        annotations[f"{ACTIONS}{name}"] = json.dumps(action, separators=(",", ":"))
        annotations[f"{CONDITIONS}{name}"] = asked(PROBE_HEADER, value)
    at = {"path": f"{PROBE_PATH}{kept.token}", "pathType": "Exact"}
    met = [{**at, "backend": _by_annotation(name)} for name, _action, _value in probes]
    hosts = dict.fromkeys(host for host, _path in own)
    first = [{**({"host": host} if host else {}), "http": {"paths": met}} for host in hosts]
    return _Face([*first, *rules], annotations)


def _paths_of(rule: Mapping[str, Any]) -> list[Json]:
    return list((rule.get("http") or {}).get("paths") or ())


def _with(rule: Json, there: list[Json]) -> Json:
    return {**rule, "http": {**rule["http"], "paths": there}} if there else rule


def _by_annotation(name: str) -> Json:
    return {"service": {"name": name, "port": {"name": BY_ANNOTATION}}}


def _shared(config: Json, wanted: Wanted, versions: Versions) -> Json:
    """Raises Unroutable."""
    weight = wanted.exposure.weight if wanted.stage is Stage.SPLIT else Fraction(0)
    own = [group for group in config["targetGroups"] if group.get("serviceName") == versions.own]
    times = lcm(*((group["weight"] * weight).denominator for group in own))
    groups: list[Json] = []
    for group in config["targetGroups"]:
        whole = group["weight"] * times
        part = int(whole * weight)
        if group not in own:
            groups.append({**group, "weight": whole})
            continue
        groups.append({**group, "serviceName": versions.stable, "weight": whole - part})
        if wanted.stage is Stage.SPLIT:
            groups.append({**group, "serviceName": versions.canary, "weight": part})
    groups = _least(groups)
    if max(group["weight"] for group in groups) > LARGEST_WEIGHT:
        raise Unroutable(
            f"weight {float(100 * weight):g} would need a larger number than {LARGEST_WEIGHT}, which a target group takes",
            "Give a traffic.weight of fewer decimals",
        )
    if len(groups) > _MOST_GROUPS:
        raise Unroutable(
            f"one of its actions would have {len(groups)} target groups, and a load balancer takes {_MOST_GROUPS}",
            "Leave some of them out of the action",
        )
    # Where everybody gets the canary nobody is to be kept by a cookie at pods that go.
    rest = {key: value for key, value in config.items() if weight < 1 or key != "targetGroupStickinessConfig"}
    return {**rest, "targetGroups": groups}


def _for_header(
    name: str, config: Json, header: Header, versions: Versions, beside: str | None
) -> Iterator[tuple[str, str]]:
    """The annotations of the copy of a path. Raises Unroutable."""
    own, *_more = (group for group in config["targetGroups"] if group.get("serviceName") == versions.own)
    only = {**own, "serviceName": versions.canary, "weight": 1}
    yield f"{ACTIONS}{name}", written({"targetGroups": [only]})
    yield f"{CONDITIONS}{name}", asked(header.name, header.value, *conditions(beside))


def _probes(kept: Kept) -> Iterator[tuple[str, Json, str]]:
    """The name, the action, and the value of the header of each rule that only a probe meets."""
    versions, token = kept.versions, kept.token
    if kept.wanted.mark is not None:
        redirect = {"host": f"g{kept.wanted.mark}.{MARK_DOMAIN}", "path": "/", "query": "", "statusCode": "HTTP_302"}
        yield f"{_OURS}mark", {"type": "redirect", "redirectConfig": redirect}, token
    for version, service in (("own", versions.own), ("stable", versions.stable), ("canary", versions.canary)):
        for number, port in enumerate(_ports(kept)) if service else ():
            group = {"serviceName": service, "servicePort": port, "weight": 1}
            action = {"type": "forward", "forwardConfig": {"targetGroups": [group]}}
            yield f"{_OURS}{version}-{number}", action, probe_of(kept, service, number)


def _ports(kept: Kept) -> list[Any]:
    """Those of the owner's Service that are sent to. A probe asks for one by its number in this list."""
    ones = (one for (one,) in kept.rules.values())
    configs = (read(one["text"]) if "text" in one else forwards({"backend": one}, {}) for one in ones)
    groups = (group for config in configs for group in (config or {"targetGroups": ()})["targetGroups"])
    found = {group.get("servicePort") for group in groups if group.get("serviceName") == kept.versions.own}
    # 80 and "80" are two: every process has to number them alike, and each hashes texts in its own way.
    return sorted(found, key=lambda port: (str(port), isinstance(port, str)))


def reached(kept: Kept, route: Route) -> list[tuple[str, int]]:
    """As of an HTTPRoute; a port is told by its number among those that are sent to."""
    del route
    return [(service, number) for service in kept.wanted.warm for number in range(len(_ports(kept)))]


def state(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """As of an HTTPRoute."""
    kept, face = _kept(route), _face(route)
    if kept is None:
        return _left(face, versions)
    base = _base(face, kept)
    if not _sending(base, kept.versions):
        return Stage.CONTESTED, kept.wanted
    try:
        after = _rewritten(base, kept)
        same = holds(face.rules, after.rules) and face.annotations == after.annotations
    except Unroutable:
        same = False  # beside what somebody has written since, what was wanted cannot even be said
    return (kept.wanted.stage if same else Stage.CONTESTED), kept.wanted


def _left(face: _Face, versions: Versions) -> tuple[Stage, Wanted]:
    """Of one that keeps nothing: whether something of ours is there, and what its actions tell then."""
    every = list(paths(face.rules))
    users = [forwards(path, face.annotations) for _host, path in every if not _is_ours(path)]
    for config in users:
        if config is not None and versions.stable in services(config):
            weights = {versions.stable: 0, versions.canary: 0}
            for group in config["targetGroups"]:
                if group.get("serviceName") in weights:
                    weights[group["serviceName"]] += group["weight"]
            split = sum(weights.values()) if versions.canary in services(config) else 0
            share = Fraction(weights[versions.canary], split) if split else Fraction(0)
            return Stage.LOST, Wanted(Stage.SPLIT, Exposure(share)) if split else Wanted(Stage.ISOLATED)
    clean = len(users) == len(every) and not any(map(_is_of_ours, face.annotations))
    return (Stage.OWN if clean else Stage.LOST), Wanted(Stage.OWN)


def plan(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """As of an HTTPRoute."""
    kept, face = _kept(route), _face(route)
    if kept is not None and kept.owner != owner:
        raise Unroutable("a release of another Deployment has changed this Ingress, and has not ended yet")
    base = _base(face, kept or _as_if_kept(route, versions, owner))
    if wanted.nothing:
        kept_after, after = None, base
    else:
        _check_sent(route, _sending(base, versions), versions)
        if wanted.gives:
            _check(route, base, versions, wanted.exposure)
        kept_after = Kept(
            owner, versions, kept.token if kept else token, wanted, _originals(base, versions, _known(kept))
        )
        after = _rewritten(base, kept_after)
    annotation = kept_after.encode() if kept_after else None
    if face == after and annotation == route.annotation:
        return None
    if kept is not None and kept.versions == versions and state(route, versions) == (wanted.stage, wanted):
        return None
    return RoutePlan(_operations(route, face, after, annotation), _told(face), _told(after), kept_after)


def _as_if_kept(route: Route, versions: Versions, owner: str) -> Kept | None:
    """Of one that has lost its annotation while a Service of ours is named."""
    lost = state(route, versions)[0] is Stage.LOST
    return Kept(owner, versions, "", Wanted(Stage.OWN), {}) if lost else None


def _operations(route: Route, face: _Face, after: _Face, annotation: str | None) -> tuple[Json, ...]:
    """Guarded by the version, because annotations raise no generation."""
    found: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": route.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": route.version},
        *kept_operations(route, annotation),
    ]
    if face.rules != after.rules:
        found.append({"op": "replace", "path": "/spec/rules", "value": after.rules})
    for key in sorted({*face.annotations, *after.annotations}):
        was, now = face.annotations.get(key), after.annotations.get(key)
        member = "/metadata/annotations/" + key.replace("/", "~1")
        if now is None:
            found.append({"op": "remove", "path": member})
        elif now != was:
            found.append({"op": "add" if was is None else "replace", "path": member, "value": now})
    return tuple(found)


def check(route: Route, versions: Versions, exposure: Exposure, marks: bool) -> None:
    """Raises Unroutable where this exposure could not be written."""
    kept = _kept(route)
    base = _base(_face(route), kept or _as_if_kept(route, versions, ""))
    _check(route, base, versions, exposure)
    wanted = Wanted(Stage.SPLIT, exposure, mark=1 if marks else None)
    _rewritten(base, Kept("", versions, "", wanted, _originals(base, versions, _known(kept))))


def _check(route: Route, base: _Face, versions: Versions, exposure: Exposure) -> None:
    """Raises Unroutable."""
    own = _sending(base, versions)
    if not route.more["annotations"].keys() - {_CLASS} and "alb" not in str(class_of(route)):
        raise Unroutable(
            f"nothing of it says that the AWS Load Balancer Controller serves it: it has no annotation {PREFIX}..., and its class is {class_of(route)}",
            "Name those that it serves in traffic.routes",
        )
    if versions.own in services(forwards(route.more["default"], base.annotations)):
        raise Unroutable(
            f"its defaultBackend sends to Service {versions.own}, too, and users of it would get the canary by its pods",
            "Give it rules with a path instead",
        )
    _check_sent(route, own, versions)
    actions: dict[str, Any] = {}
    for _host, path in own:
        name, port = backend(path)
        if actions.setdefault(name, port) != port or (port != BY_ANNOTATION and f"{ACTIONS}{name}" in base.annotations):
            raise Unroutable(
                f"its paths send to {name} in several ways, by different ports or by an action of that name, and one action can say one",
                "Let all of them send to it in one way",
            )
        if len(name) > _LONGEST_NAME:
            raise Unroutable(f"{name} has more than {_LONGEST_NAME} characters, and no annotation can say its action")
    if exposure.sticky is not None:
        raise Unroutable(
            "a load balancer has one cookie for all its rules, of which each that has several target groups sets its own, and AWS does not say "
            "what becomes of one that names a target group without weight: that nobody goes back cannot be promised",
            "Leave out traffic.sticky, and give its action a targetGroupStickinessConfig, which is kept",
        )
    if exposure.mirror:
        raise Unroutable("a load balancer copies no requests", "Leave out traffic.mirror")
    if exposure.header is not None:
        _check_header(exposure.header, base, own)


def _check_sent(route: Route, own: Sequence[tuple[str, Json]], versions: Versions) -> None:
    """Raises Unroutable."""
    if not own:
        raise Unroutable(
            f"no path of it sends to Service {versions.own}", by_hand(route, versions.own, state(route, versions)[0])
        )


def _check_header(header: Header, base: _Face, own: Sequence[tuple[str, Json]]) -> None:
    """Raises Unroutable."""
    if len(header.name) > _LONGEST_HEADER or len(header.value) > _LONGEST_VALUE or set(header.value) & set("*?\\"):
        raise Unroutable(
            f"a load balancer takes {_LONGEST_HEADER} characters as the name of a header and {_LONGEST_VALUE} as its value, of which *, ? and \\ "
            "mean something else",
            "Give traffic.header another name and value",
        )
    for host, path in own:
        found = conditions(base.annotations.get(f"{CONDITIONS}{backend(path)[0]}"))
        patterns = 2 if path.get("pathType") == "Prefix" and path.get("path") != "/" else 1
        values = 1 + bool(host) + patterns + sum(map(compared, found))
        if values > _MOST_VALUES:
            raise Unroutable(
                f"with the header a rule of it would compare {values} values, and a load balancer takes {_MOST_VALUES}",
                f"Leave out traffic.header, or some of the conditions of {backend(path)[0]}",
            )


def check_service(service: Mapping[str, Any], routes: Sequence[Route]) -> None:
    """Raises Unroutable for a Service of which there can be no copies for the versions."""
    meta, spec = service["metadata"], service.get("spec") or {}
    said = meta.get("annotations") or {}
    if any(key.startswith(f"{PREFIX}auth-") for key in said):
        raise Unroutable(
            f"Service {meta['name']} has annotations {PREFIX}auth-..., which the controller goes by only where all go to one Service: its users would "
            "not be asked who they are any more"
        )
    by_ip = spec.get("type") in (None, "ClusterIP")
    for route in routes:
        kind = said.get(_TARGET_TYPE) or route.more["annotations"].get(_TARGET_TYPE)
        if kind == "instance" or (kind is None and not by_ip):
            raise Unroutable(
                f"Ingress {route.name} may send to nodes (target-type: instance), and the Services of the two versions have no ports there"
            )


def class_of(route: Route) -> str:
    """In words. The annotation is the older way to say it."""
    return str(route.more["class"] or route.more["annotations"].get(_CLASS) or "none")


def _told(face: _Face) -> dict[str, str]:
    """What each path forwards to, with weights; rules for probes are not told."""
    told = {}
    for host, path in paths(face.rules):
        config = forwards(path, face.annotations)
        if _for_probes(path) or config is None:
            continue
        header = " with the header" if _is_ours(path) else ""
        groups = config["targetGroups"]
        told[f"path {host or '*'}{path.get('path') or ''}{header}"] = ", ".join(
            f"{group.get('serviceName') or group.get('targetGroupARN')} {group['weight']}" for group in groups
        )
    return told
