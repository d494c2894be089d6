# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes to the pods of a Deployment that a release of one before it has left: whoever deleted that one in the middle of its release left
them as they were. Found where no release is live. This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...cluster.errors import ApiError, Forbidden, NotFound
from ...rollout.fields import Malformed
from ...rollout.phase import Situation
from ...rollout.refusal import Refusal
from ...traffic.route import Route
from ...traffic.routers import ROUTERS
from ...traffic.selector import owners
from ...values import dataclass
from ..call.ending import Account
from .choosing import check_service, labels_of
from .network import Network
from .reclaiming import of_another, reclaimed


@dataclass(frozen=True)
class _Orphan:
    """`service`: the owner's, whose users it sends elsewhere."""

    network: Network
    route: Route
    service: str


def give_back_routes(account: Account, *, tells: bool) -> None:
    """Check mode: as a dry run. Raises Refusal. `tells`: also what may not be read, which whoever has no such routes need not be told."""
    for orphan in _orphans(account, tells=tells):
        reclaimed(account, orphan.network, orphan.route, orphan.service)


def tell_routes(account: Account) -> None:
    """Nothing is written."""
    for one in _orphans(account, tells=False):
        account.warn(
            f'{one.route.kind} "{one.route.name}" was left by a release of a Deployment that is gone, and its users may get errors: '
            f'canary_undo gives them back to Service "{one.service}"'
        )


def _orphans(account: Account, *, tells: bool) -> Iterator[_Orphan]:
    """A list of each kind of routes, and two requests for each route that keeps something of another Deployment."""
    site, situation = account.site, account.seen
    for kind, router in ROUTERS.items():
        network = Network(site.api, site.target.namespace, kind, site.version)
        try:
            for route in network.routes():
                kept = of_another(route, situation.deployment.uid)
                if kept is None or not router.is_keeper(kept):
                    continue
                if _is_ours(network, route, kept.versions.own, situation):
                    yield _Orphan(network, route, kept.versions.own)
        except NotFound:
            continue
        except (ApiError, Malformed) as error:
            if tells or not isinstance(error, Forbidden):
                account.warn(f"whether a {router.kind} is left by a Deployment that is gone is not known: {error}")


def _is_ours(network: Network, route: Route, name: str, situation: Situation) -> bool:
    """The Service selects pods of this Deployment alone: none of that other one is left, and its release is over."""
    found = network.service(name)
    if found is None:
        return False
    selector = owners(route) if network.router.switches else found["spec"].get("selector") or {}
    labels = labels_of(situation.deployment.template)
    try:
        check_service(network, {**found, "spec": {**found["spec"], "selector": selector}}, [labels], situation)
    except Refusal:
        return False
    return True
