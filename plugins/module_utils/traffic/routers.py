# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users can be split by: one row for each kind of `traffic`. This module is private to the collection."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Protocol

from ..values import dataclass
from . import httproute, selector
from .exposure import Exposure, Stage, Versions, Wanted
from .route import Route, RoutePlan
from .services import HASH_LABEL, version_in

GATEWAY_API, SERVICE_SELECTOR = "gateway_api", "service_selector"


class Planner(Protocol):
    def __call__(
        self, route: Route, versions: Versions, wanted: Wanted, *, owner: str, token: str
    ) -> RoutePlan | None: ...


@dataclass(frozen=True)
class Router:
    """`kind`: of the objects that are rewritten, and `field` of their spec. `state` is total but for what was kept, `plan` raises
    Unroutable, and `check` does before anything is written; `sends_to` says whether users of an object can get this Service."""

    kind: str
    field: str
    parse: Callable[[Any], Route]
    state: Callable[[Route, Versions], tuple[Stage, Wanted]]
    plan: Planner
    sends_to: Callable[[Route, str], bool]
    check: Callable[[Route, Versions, Exposure, bool], None]


def _by_selector(route: Route, service: str) -> bool:
    return bool(route.rules[0].get(HASH_LABEL) == version_in(service))


ROUTERS: Mapping[str, Router] = {
    GATEWAY_API: Router(
        "HTTPRoute", ".spec.rules", Route.parse, httproute.state, httproute.plan, httproute.sends_to, httproute.check
    ),
    SERVICE_SELECTOR: Router(
        "Service", ".spec.selector", selector.parse, selector.state, selector.plan, _by_selector, selector.check
    ),
}
