# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ingress as ingress-nginx serves it, and beside it a canary Ingress of ours that has the canary's share.

    Ingress web: web  ->  web-<stable>                      everybody is on the stable version
    Ingress web-coalmine-canary: canary-weight 5            5 % get web-<canary>; 0 where nobody is to get it yet
    Ingress web: web  ->  web-<canary>                      all of them; a canary Ingress has nothing to draw any more

The canary Ingress alone would add its share to the one that web's own endpoints give, so that the user's Ingress sends to one version
meanwhile: of its paths only the name of the Service changes. What users get is read off both objects. Only the last that was kept from
them (`drained`), and whose release it is, stands in the annotation.

So each write leaves what the verbs know: to a version first the user's Ingress is written, back to its owner's Service last. And before
both the canary Ingress is made for nobody, because nothing guards a request that makes an object: one that comes too late leaves what
gives nobody anything. So where there is none, though users are split, somebody has deleted it, and the share with it.
Source: internal/ingress/annotations/canary and controller.go, mergeAlternativeBackends, k8s.io/ingress-nginx. This module is private to the
collection.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any, Iterator, Mapping, Sequence

from ..rollout.fields import Fields
from .exposure import NOBODY, Exposure, Json, Kept, Stage, Sticky, Unroutable, Versions, Wanted
from .kinds import Header
from .route import CompanionPlan, Route, RoutePlan, by_hand, kept_of, kept_operations
from .services import MANAGED_BY, MANAGER

_P = "nginx.ingress.kubernetes.io/"
_CANARY, _WEIGHT, _TOTAL = f"{_P}canary", f"{_P}canary-weight", f"{_P}canary-weight-total"
_HEADER, _VALUE = f"{_P}canary-by-header", f"{_P}canary-by-header-value"
_CLASS = "kubernetes.io/ingress.class"
# By the cookie of the controller itself. Said of a canary Ingress it is what holds without it, so that it tells what was asked for.
_AFFINITY, _BEHAVIOUR, _KEEPS = f"{_P}affinity", f"{_P}affinity-canary-behavior", "sticky"
# Whom it keeps, and at which step, the controller knows.
_KEPT = Sticky(0, Fraction(0))
# A canary Ingress has these of its own, and everything else from the one that it is a canary of.
_SAME = (_CLASS, f"{_P}affinity", f"{_P}session-cookie-", f"{_P}load-balance", f"{_P}upstream-hash-by")
_SUFFIX, _LONGEST_NAME = "-coalmine-canary", 253
# What the controller takes as a header: parser.BasicCharsRegex. It leaves out the whole Ingress otherwise.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~/:]+")
_PER_CENT = 100
# What the controller reads as true: parser.GetBoolAnnotation, by ParseBool of Go's strconv.
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


def companion_name(name: str) -> str:
    """The canary Ingress of this one."""
    return f"{name[: _LONGEST_NAME - len(_SUFFIX)].rstrip('-.')}{_SUFFIX}"


def is_companion(item: Mapping[str, Any]) -> bool:
    labels = Fields(item, "Ingress").within("metadata").texts("labels")
    return labels.get(MANAGED_BY) == MANAGER


def parse(item: Any) -> Route:
    """Raises Malformed."""
    found = Fields(item, "Ingress")
    spec, annotations = found.required("spec"), _annotations(found.raw)
    more = {
        "annotations": {key: text for key, text in annotations.items() if key == _CLASS or key.startswith(_P)},
        "class": spec.text("ingressClassName"),
        "default": spec.within("defaultBackend").within("service").text("name"),
    }
    return replace(Route.read(found, (rule.raw for rule in spec.each("rules")), "f:rules"), more=more)


def paths(rules: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Each path with its host."""
    for rule in rules:
        for path in (rule.get("http") or {}).get("paths") or ():
            yield str(rule.get("host") or ""), path


def _service(path: Mapping[str, Any]) -> str:
    return str(((path.get("backend") or {}).get("service") or {}).get("name") or "")


def named(route: Route) -> frozenset[str]:
    """None where it is somebody's canary Ingress itself. That of its defaultBackend, too, for `check` to refuse it."""
    if _is_canary(route):
        return frozenset()
    return frozenset(filter(None, (route.more["default"], *(_service(path) for _host, path in paths(route.rules)))))


def _is_canary(route: Route) -> bool:
    return _says(route, "canary")


def _says(route: Route, annotation: str) -> bool:
    return route.more["annotations"].get(f"{_P}{annotation}") in _TRUE


def sends_to(route: Route, service: str) -> bool:
    """Users can get it, by this Ingress or by its canary's."""
    return any(_service(path) == service for _host, path in (*paths(route.rules), *paths(_rules(route.companion))))


def _rules(companion: Json | None) -> list[Json]:
    return list(((companion or {}).get("spec") or {}).get("rules") or ())


def _renamed(rules: Sequence[Json], names: Mapping[str, str]) -> list[Json]:
    """The same paths, to other Services at the same ports."""

    def renamed(path: Json) -> Json:
        backend, name = path.get("backend") or {}, _service(path)
        if name not in names:
            return path
        return {**path, "backend": {**backend, "service": {**backend["service"], "name": names[name]}}}

    def each(rule: Json) -> Json:
        http = rule.get("http")
        return {**rule, "http": {**http, "paths": [*map(renamed, http.get("paths") or ())]}} if http else rule

    return [each(rule) for rule in rules]


def _base(route: Route, *known: Versions) -> list[Json]:
    """The owner's rules."""
    return _renamed(route.rules, {name: one.own for one in known for name in (one.stable, one.canary) if name})


def state(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """As of an HTTPRoute (httproute.py)."""
    kept = kept_of(route)
    if kept is None:
        told = _told_by_both(route, versions)
        return (Stage.OWN if told is None else Stage.LOST), told or Wanted(Stage.OWN)
    shown = _shown(route, kept)
    if shown is not None:
        return shown.stage, shown
    given = _given(route, kept.versions)
    return Stage.CONTESTED, kept.wanted if given is None else replace(kept.wanted, exposure=given)


def _sends(route: Route, versions: Versions) -> frozenset[str]:
    """To which of the three Services."""
    ours = {versions.own, versions.stable, versions.canary} - {""}
    return frozenset(_service(path) for _host, path in paths(route.rules)) & ours


def _shown(route: Route, kept: Kept) -> Wanted | None:
    """What both objects say, as far as it is something that is ever written; None for anything else."""
    wanted, versions = kept.wanted, kept.versions
    sends, given = _sends(route, versions), _given(route, versions)
    everybody = wanted.stage is Stage.SPLIT and wanted.exposure.weight == 1
    if route.companion is not None and given is None and not _is_begun(route):
        return None
    if sends == {versions.own}:
        if wanted.stage is not Stage.OWN or (given is not None and given.weight):
            return None
        return replace(wanted, exposure=given or NOBODY)
    if sends == {versions.canary}:
        return wanted if everybody else None
    if sends != {versions.stable} or wanted.stage is Stage.OWN or everybody:
        return None
    if given is None:
        return wanted if _drawn(wanted) is None else None
    if wanted.stage is Stage.ISOLATED and given == NOBODY:
        return wanted
    return Wanted(Stage.SPLIT, given, drained=wanted.drained)


def astray(route: Route) -> str:
    """What somebody has done to the canary Ingress, where the Ingress itself is as it was written; empty where it is not. Raises Unroutable."""
    kept = kept_of(route)
    if kept is None or _sends(route, kept.versions) != {_receiver(kept.wanted, kept.versions)}:
        return ""
    done = "deleted" if route.companion is None else "changed"
    beside = "" if route.companion is None else f', or Ingress "{route.name}" in what both have alike'
    return f'Ingress "{companion_name(route.name)}" of this release was {done} by somebody{beside}'


def _told_by_both(route: Route, versions: Versions) -> Wanted | None:
    """What users get of a route that has lost its annotation; None where it is its owner's."""
    sends, given = _sends(route, versions), _given(route, versions)
    if versions.canary in sends:
        return Wanted(Stage.SPLIT, Exposure(Fraction(1)))
    if given is not None and versions.stable in sends:
        return Wanted(Stage.SPLIT, given)
    if versions.stable in sends:
        return Wanted(Stage.ISOLATED)
    return None if route.companion is None or _gives_nothing(route.companion) else Wanted(Stage.OWN)


def _gives_nothing(companion: Json) -> bool:
    """As one is made: what came too late in another release leaves it so."""
    annotations = _annotations(companion)
    return is_companion(companion) and annotations.get(_WEIGHT) == "0" and _HEADER not in annotations


def _is_begun(route: Route) -> bool:
    """It was made for nobody, and what was to come after it was not written: as yet there is none."""
    return _is_marked(route, route.companion or {}) and _gives_nothing(route.companion or {})


def _given(route: Route, versions: Versions) -> Exposure | None:
    """What the canary Ingress gives; None where there is none, or somebody made something else of it."""
    found = route.companion
    if found is None:
        return None
    annotations = _annotations(found)
    try:
        weight = Fraction(int(annotations[_WEIGHT]), max(_PER_CENT, int(annotations.get(_TOTAL, "100"))))
    except (KeyError, ValueError):
        return None
    header = Header(annotations[_HEADER], annotations.get(_VALUE, "")) if _HEADER in annotations else None
    exposure = Exposure(weight, header, _KEPT if annotations.get(_BEHAVIOUR) == _KEEPS else None)
    ours = _is_ours(route, versions) and _is_as(found, _companion(route, versions, exposure))
    return exposure if ours and 0 <= weight < 1 else None


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    return Fields(item, "Ingress").within("metadata").texts("annotations")


def _is_as(found: Json, manifest: Json) -> bool:
    """The paths, the Service, the class, and all that makes it a canary of the Ingress as that stands now."""

    def told(item: Json, otherwise: Any = None) -> tuple[Json, Any, list[Json]]:
        said = {key: text for key, text in _annotations(item).items() if key.startswith((_CANARY, *_SAME))}
        return said, item["spec"].get("ingressClassName", otherwise), _rules(item)

    # What is made without a class the API server gives its default (admission DefaultIngressClass). The write of a share takes it away again.
    undrawn = _annotations(found).get(_WEIGHT) == "0"
    return told(found) == told(manifest, found["spec"].get("ingressClassName") if undrawn else None)


def _is_ours(route: Route, versions: Versions) -> bool:
    """As it was made, or it sends to nothing but a Service of the canary: that has its name from this release."""
    kept, companion = kept_of(route), route.companion or {}
    canaries = {one.canary for one in (versions, *([kept.versions] if kept else ()))} - {""}
    sends = {_service(path) for _host, path in paths(_rules(companion))}
    return _is_marked(route, companion) or (bool(sends) and sends <= canaries)


def _is_marked(route: Route, companion: Json) -> bool:
    """Told by its label and its owner, which somebody may take away."""
    owners = (companion.get("metadata") or {}).get("ownerReferences") or ()
    return is_companion(companion) and any(one.get("uid") == route.uid for one in owners)


def _numbers(share: Fraction) -> tuple[int, int]:
    """A share as a weight, and of which total. One below 100 counts as 100: balancer.lua, route_to_alternative_balancer."""
    total = _PER_CENT if _PER_CENT % share.denominator == 0 else share.denominator * ceil(_PER_CENT / share.denominator)
    return int(share * total), total


def _companion(route: Route, versions: Versions, exposure: Exposure) -> Json:
    """The manifest of the canary Ingress. It goes with the Ingress that it is a canary of."""
    weight, total = _numbers(exposure.weight)
    annotations = {key: text for key, text in route.more["annotations"].items() if key.startswith(_SAME)}
    if annotations.get(_BEHAVIOUR) == _KEEPS:
        del annotations[_BEHAVIOUR]
    annotations.update({_CANARY: "true", _WEIGHT: str(weight)})
    if exposure.sticky is not None:
        annotations[_BEHAVIOUR] = _KEEPS
    if total != _PER_CENT:
        annotations[_TOTAL] = str(total)
    if exposure.header is not None:
        annotations.update({_HEADER: exposure.header.name, _VALUE: exposure.header.value})
    reference = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": route.name, "uid": route.uid}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": companion_name(route.name),
            "namespace": route.namespace,
            "labels": {MANAGED_BY: MANAGER},
            "annotations": annotations,
            "ownerReferences": [{**reference, "controller": False, "blockOwnerDeletion": False}],
        },
        "spec": {
            **({"ingressClassName": route.more["class"]} if route.more["class"] else {}),
            "rules": list(_only(_base(route, versions), versions)),
        },
    }


def _only(rules: Sequence[Json], versions: Versions) -> Iterator[Json]:
    """The paths that send to the owner's Service, to the canary's."""
    for rule in rules:
        paths = [path for path in (rule.get("http") or {}).get("paths") or () if _service(path) == versions.own]
        if paths:
            yield from _renamed([{**rule, "http": {**rule["http"], "paths": paths}}], {versions.own: versions.canary})


def plan(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """As of an HTTPRoute. Nothing proves a write, so that `warm` and `mark` are left out."""
    kept = kept_of(route)
    if kept is not None and kept.owner != owner:
        raise Unroutable("a release of another Deployment has changed this Ingress, and has not ended yet")
    wanted = _possible(wanted)
    base = _base(route, versions, *([kept.versions] if kept else ()))
    if not wanted.nothing:
        _check_sent(route, base, versions)
    if wanted.gives:
        _check_paths(route, base, versions)
        _check_kept(route, wanted.exposure)
    after = _renamed(base, {versions.own: _receiver(wanted, versions)})
    drawn = _drawn(wanted)
    there = None if wanted.nothing else Kept(owner, versions, kept.token if kept else token, _kept(wanted), {})
    operations = _operations(route, after, there.encode() if there else None)
    companion = _changed(replace(route, rules=tuple(base)), versions, drawn, wanted.stage is Stage.OWN)
    if not operations and companion is None:
        return None
    told = _in_words(after, versions.canary if drawn else "", drawn)
    given = _given(route, kept.versions if kept else versions)
    before = _in_words(route.rules, versions.canary if given else "", given)
    return RoutePlan(operations, before, told, there, companion)


def _possible(wanted: Wanted) -> Wanted:
    """Raises Unroutable."""
    exposure = wanted.exposure
    if wanted.stage is Stage.ISOLATED:
        exposure = NOBODY
    if exposure.sticky is not None:
        exposure = replace(exposure, sticky=_KEPT)
    if exposure.header is not None and not (
        _PLAIN.fullmatch(exposure.header.name) and _PLAIN.fullmatch(exposure.header.value)
    ):
        raise Unroutable(
            "ingress-nginx takes letters, digits and -._~/: in a header that is matched",
            "Give traffic.header another name and value",
        )
    if wanted.stage is Stage.OWN:
        exposure = Exposure(header=exposure.header)
    return Wanted(wanted.stage, exposure, drained=wanted.drained)


def _receiver(wanted: Wanted, versions: Versions) -> str:
    """The Service of whoever is not drawn."""
    if wanted.stage is Stage.OWN:
        return versions.own
    return versions.canary if wanted.exposure.weight == 1 else versions.stable


def _drawn(wanted: Wanted) -> Exposure | None:
    """What the canary Ingress is to give; None where there is to be none. One that gives nothing is there while users are split, and
    goes while they were taken from the canary."""
    exposure, splits = wanted.exposure, wanted.stage is Stage.SPLIT and wanted.drained is None
    return None if exposure.weight == 1 or (exposure.nobody and not splits) else exposure


def _kept(wanted: Wanted) -> Wanted:
    """Without what the canary Ingress says, so that another share is one write."""
    return wanted if _drawn(wanted) is None else replace(wanted, exposure=NOBODY)


def _check_paths(route: Route, base: Sequence[Json], versions: Versions) -> None:
    """Raises Unroutable."""
    if route.more["default"] == versions.own:
        raise Unroutable(
            f"its defaultBackend sends to Service {versions.own}, too, and users of it would get the canary by its pods",
            "Give it rules with a path instead",
        )
    if _says(route, "ssl-passthrough"):
        raise Unroutable("with ssl-passthrough nobody but the pods sees a request, so that none can be split")
    _check_sent(route, base, versions)


def _check_sent(route: Route, base: Sequence[Json], versions: Versions) -> None:
    """Raises Unroutable."""
    if not any(_service(path) == versions.own for _host, path in paths(base)):
        raise Unroutable(
            f"no path of it sends to Service {versions.own}", by_hand(route, versions.own, state(route, versions)[0])
        )


def _check_kept(route: Route, exposure: Exposure) -> None:
    """Raises Unroutable where the controller would not keep users as they are to be kept. By canary-by-cookie it keeps nobody: it sets no
    such cookie."""
    if exposure.mirror:
        raise Unroutable("ingress-nginx copies every request or none, to an URL", "Leave out traffic.mirror")
    if exposure.sticky is None or exposure.weight == 1:
        return
    if route.more["annotations"].get(_AFFINITY) != "cookie":
        raise Unroutable(
            f"ingress-nginx keeps users by a cookie only where {_AFFINITY} of the Ingress is cookie",
            "Give the Ingress that annotation, or leave out traffic.sticky",
        )
    if exposure.header is not None:
        raise Unroutable(
            "ingress-nginx keeps whoever has the cookie of the stable version there, also with the header",
            "Leave out traffic.sticky or traffic.header",
        )


def _changed(route: Route, versions: Versions, drawn: Exposure | None, own: bool) -> CompanionPlan | None:
    """None where the canary Ingress is as it is to be. `own`: the Ingress is about to be its owner's again. Raises Unroutable for one that is
    somebody else's where there is to be one of ours."""
    manifest, found = _companion(route, versions, drawn or NOBODY), route.companion
    if found is not None and not _is_ours(route, versions):
        if drawn is None:
            return None
        raise _taken(route)
    last = None if drawn is None else manifest
    if found is None:
        # Testers of an Ingress that becomes its owner's are to have their header before that; of one that is, it would be nobody's.
        first = manifest if own and route.annotation is not None else _companion(route, versions, NOBODY)
        return CompanionPlan(first, last) if last else None
    same = _is_marked(route, found) and _is_as(found, manifest)
    if not versions.canary:
        manifest = {**manifest, "spec": {**manifest["spec"], "rules": _rules(found)}}
    return None if same and last else CompanionPlan(manifest if own and not same else None, last)


def _taken(route: Route) -> Unroutable:
    return Unroutable(
        f'Ingress "{companion_name(route.name)}" is there already, and is not of this release',
        "Look whose it is; if nobody needs it, delete it, then run this again",
    )


def _operations(route: Route, rules: Sequence[Json], annotation: str | None) -> tuple[Json, ...]:
    """Nothing where it is so. Guarded by the version, as in selector.py."""
    same = list(route.rules) == rules
    if same and annotation == route.annotation:
        return ()
    change = () if same else ({"op": "replace", "path": "/spec/rules", "value": rules},)
    return (
        {"op": "test", "path": "/metadata/uid", "value": route.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": route.version},
        *change,
        *kept_operations(route, annotation),
    )


def check(route: Route, versions: Versions, exposure: Exposure, marks: bool) -> None:
    """Raises Unroutable where this exposure could not be written."""
    del marks
    kept = kept_of(route)
    wanted = _possible(Wanted(Stage.SPLIT, exposure))
    base = _base(route, versions, *([kept.versions] if kept else ()))
    _check_paths(route, base, versions)
    _check_kept(route, wanted.exposure)
    if route.companion is not None and not _is_ours(replace(route, rules=tuple(base)), versions):
        raise _taken(route)


def check_beside(route: Route, routes: Sequence[Route], others: Sequence[Route], own: str, exposure: Exposure) -> None:
    """Raises Unroutable where somebody has a canary Ingress there already: the controller takes one for each path. One that sends to `own`
    gives its users the canary by its pods, whatever the path."""
    del exposure
    mine = {(host, path.get("path")) for host, path in paths(route.rules) if _service(path) == own}
    # Whose these are `check` has told, also where they have lost their label.
    companions = {companion_name(one.name) for one in (route, *routes)}
    for other in (one for one in others if _is_canary(one) and one.name not in companions):
        if any((host, path.get("path")) in mine for host, path in paths(other.rules)):
            raise Unroutable(
                f'Ingress "{other.name}" is a canary of one of its paths already, and ingress-nginx takes one for each path',
                "Delete it, then run this again",
            )
        if any(_service(path) == own for _host, path in paths(other.rules)):
            raise Unroutable(
                f'Ingress "{other.name}" is a canary that sends to Service {own} on a path of another Service, and its users would get the '
                "canary by its pods",
                "Delete it, or give it a Service of its own, then run this again",
            )


def class_of(route: Route) -> str:
    """In words. The annotation is the older way to say it."""
    return str(route.more["class"] or route.more["annotations"].get(_CLASS) or "none")


def _in_words(rules: Sequence[Json], canary: str, drawn: Exposure | None) -> dict[str, str]:
    """The Service of each path, and what the canary Ingress gives."""
    told = {f"path {host or '*'}{path.get('path') or ''}": _service(path) for host, path in paths(rules)}
    if drawn is not None:
        header = f", and requests with the header {drawn.header.name}" if drawn.header else ""
        told["canary Ingress"] = f"{canary} {float(100 * drawn.weight):g} %{header}"
    return told
