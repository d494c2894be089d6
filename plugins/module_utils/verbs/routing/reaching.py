# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the Services that users are sent to reach the pods of their version, and no others: somebody who deletes one, or changes its selector
or a label of pods, leaves every pod Ready and every route as it was. This module is private to the collection.
"""

from __future__ import annotations

from ...rollout.phase import Situation
from ...values import dataclass
from ...wording import count_of
from .routes import Routes

# How long the endpoints of a Service may lag behind its pods before that is somebody's doing, in seconds: those of pods that were there at the
# look before, and of one more that has just come, which a controller adds that may be starting anew itself.
ONE_LOOK, A_NEW_POD = 2.0, 20.0


@dataclass(frozen=True)
class Astray:
    """`why`, in words. `lasts`: for how many seconds it may be so. `serves_nobody`: whoever is sent to the canary gets errors."""

    why: str
    lasts: float
    serves_nobody: bool = False


def astray(routes: Routes, situation: Situation, *, canary_gets: bool) -> Astray | None:
    """None where each reaches its pods: the Service of the stable version, and the canary's where it gets some; or the one whose selector is
    switched. A request."""
    canary = situation.canary
    of_canary = {routes.service_of(canary.hash): True} if canary and canary_gets else {}
    services = {routes.traffic.service: canary_gets} if routes.router.switches else {**of_canary, routes.stable: False}
    reached = zip(services, routes.network.ready(*services), strict=True)
    found = (_of(situation, name, pods, of_canary=services[name]) for name, pods in reached)
    return next(filter(None, found), None)


def _of(situation: Situation, name: str, reached: frozenset[str], *, of_canary: bool) -> Astray | None:
    service = f'Service "{name}", by which {"the canary gets" if of_canary else "stable pods get"} requests,'
    version = situation.canary if of_canary else situation.stable
    if situation.picture.pods is None or version is None:
        return None
    own = situation.picture.pods_of(version)
    ready = {pod.uid for pod in own if pod.serving}
    others = {pod.uid for pod in situation.picture.pods} - {pod.uid for pod in own}
    if others & reached:
        return Astray(f"{service} sends them to pods of another version", ONE_LOOK)
    if ready and not ready & reached:
        return Astray(f"{service} reaches none of its Ready pods", ONE_LOOK, of_canary)
    if of_canary and (missing := len(ready - reached)):
        return Astray(f"{service} does not reach {count_of(missing, 'Ready pod')} of it", A_NEW_POD)
    return None
