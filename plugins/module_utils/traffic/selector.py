# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service that sends everybody to one version, by its selector: blue and green without any gateway.

    {app: web}  ->  {app: web, pod-template-hash: <stable or canary>}

The selector without that one key is its owner's at any time, so that nothing else has to be put back, and whatever somebody changes
in the rest of it meanwhile stays. Each version has a Service of its own besides (services.py), at which it can be looked at, and by whose
endpoints it is seen that the switch is done. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Mapping

from ..rollout.fields import Fields
from .exposure import Exposure, Json, Kept, Stage, Unroutable, Versions, Wanted
from .route import Route, RoutePlan, kept_of, kept_operations
from .services import HASH_LABEL, version_in


def parse(item: Any) -> Route:
    """Raises Malformed."""
    found = Fields(item, "Service")
    return Route.read(found, (found.required("spec").texts("selector"),), "f:selector")


def named(route: Route) -> frozenset[str]:
    """It sends to no Service but itself."""
    return frozenset((route.name,))


def sends_to(route: Route, service: str) -> bool:
    return bool(route.rules[0].get(HASH_LABEL) == version_in(service))


def owners(route: Route) -> Json:
    """The selector without what a release has pinned there."""
    return {key: value for key, value in route.rules[0].items() if key != HASH_LABEL}


def selected(wanted: Wanted, versions: Versions) -> str:
    """The Service of the version that everybody gets; empty for the owner's own selector. Raises Unroutable for a share."""
    if wanted.stage is Stage.OWN:
        return ""
    exposure = wanted.exposure
    if exposure.mirror:
        raise Unroutable("a Service copies no requests", "Leave out traffic.mirror")
    if wanted.stage is Stage.SPLIT and (
        exposure.header is not None or exposure.weight not in (Fraction(0), Fraction(1))
    ):
        raise Unroutable("a Service selects one version at a time: the weight is 0 or 100, and there is no header")
    return versions.canary if wanted.stage is Stage.SPLIT and exposure.weight else versions.stable


def check(route: Route, versions: Versions, exposure: Exposure, marks: bool) -> None:
    """Raises Unroutable for a share, and for copies."""
    del route, marks
    selected(Wanted(Stage.SPLIT, exposure), versions)


def state(route: Route, versions: Versions) -> tuple[Stage, Wanted]:
    """As of an HTTPRoute (httproute.py)."""
    del versions
    kept, pinned = kept_of(route), route.rules[0].get(HASH_LABEL, "")
    if kept is None:
        return (Stage.LOST if pinned else Stage.OWN), Wanted(Stage.OWN)
    same = pinned == version_in(selected(kept.wanted, kept.versions))
    return (kept.wanted.stage if same else Stage.CONTESTED), kept.wanted


def plan(route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str) -> RoutePlan | None:
    """As of an HTTPRoute. A Service has no rule for probes: `warm` and `mark` are left out.

    Guarded by its version: a selector that was switched and switched back is what it was, and a write that comes too late must not
    find it so."""
    kept, wanted = kept_of(route), replace(wanted, warm=(), mark=None)
    if kept is not None and kept.owner != owner:
        raise Unroutable("a release of another Deployment has changed this Service, and has not ended yet")
    own, service = owners(route), selected(wanted, versions)
    after = {**own, HASH_LABEL: version_in(service)} if service else own
    there = Kept(owner, versions, kept.token if kept else token, wanted, {"selector": [own]}) if service else None
    annotation = there.encode() if there else None
    if after == route.rules[0] and annotation == route.annotation:
        return None
    operations: tuple[Json, ...] = (
        {"op": "test", "path": "/metadata/uid", "value": route.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": route.version},
        {"op": "replace", "path": "/spec/selector", "value": after},
        *kept_operations(route, annotation),
    )
    return RoutePlan(operations, _told(route.rules[0]), _told(after), there)


def _told(selector: Mapping[str, str]) -> dict[str, str]:
    return {"selector": ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))}
