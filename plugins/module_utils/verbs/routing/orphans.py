# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What releases that are over have left on routes to the pods of a Deployment: of this one, where somebody took the record away
(forgotten.py), or of one before it, which somebody deleted in the middle of its release. Found where no release is live. This module is
private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...cluster.errors import ApiError, Forbidden, NotFound
from ...rollout.fields import Malformed
from ...rollout.refusal import Refusal
from ...traffic.exposure import Unroutable
from ...traffic.route import Route
from ...traffic.routers import ROUTERS
from ...traffic.selector import owners
from ...traffic.services import check
from ...values import dataclass
from ..call.ending import Account
from ..call.outcome import Report
from .choosing import check_alone, labels_of
from .forgotten import recovered, tell_forgotten
from .network import Network
from .reclaiming import of_another, reclaimed


@dataclass(frozen=True)
class _Left:
    """`found`: all routes of a kind, among them what releases of this Deployment have left. `orphans`: what those of another one have, each with
    the Service of its owner, whose users it sends elsewhere."""

    network: Network
    found: Sequence[Route]
    orphans: Sequence[tuple[Route, str]]


def give_back_routes(account: Account, report: Report, *, tells: bool) -> None:
    """Check mode: as a dry run. Raises Refusal. `tells`: also what may not be read, which whoever has no such routes need not be told."""
    for left in _of_kinds(account, ROUTERS, tells=tells):
        recovered(account, left.network, left.found, report)
        for route, service in left.orphans:
            reclaimed(account, left.network, route, service)


def tell_routes(account: Account, kinds: Iterable[str]) -> None:
    """Nothing is written. `kinds`: of the traffic."""
    for left in _of_kinds(account, kinds, tells=False):
        tell_forgotten(account, left.network, left.found)
        for route, service in left.orphans:
            account.warn(
                f'{route.kind} "{route.name}" was left by a release of a Deployment that is gone, and its users may get errors: '
                f'canary_undo gives them back to Service "{service}"'
            )


def _of_kinds(account: Account, kinds: Iterable[str], *, tells: bool) -> Iterator[_Left]:
    """A list of each of these kinds of routes, and two requests for each route that keeps something of another Deployment."""
    site = account.site
    for kind in kinds:
        router = ROUTERS[kind]
        network = Network(site.api, site.target.namespace, kind, site.version)
        try:
            found = network.routes()
            left = _Left(network, found, tuple(_orphans(account, network, found)))
        except NotFound:
            continue
        except (ApiError, Malformed) as error:
            if tells or not isinstance(error, Forbidden):
                account.warn(f"whether a {router.kind} is left by a release that is over is not known: {error}")
        else:
            yield left


def _orphans(account: Account, network: Network, found: Sequence[Route]) -> Iterator[tuple[Route, str]]:
    for route in found:
        kept = of_another(route, account.seen.deployment.uid)
        if kept is not None and network.router.is_keeper(kept) and _is_ours(account, network, route, kept.versions.own):
            yield route, kept.versions.own


def _is_ours(account: Account, network: Network, route: Route, name: str) -> bool:
    """The Service selects pods of this Deployment, and of it alone: none of that other one is left, and its release is over. Of one that it
    shares with others it is told that it is left so."""
    situation = account.seen
    found = network.service(name)
    if found is None:
        return False
    selector = owners(route) if network.router.switches else found["spec"].get("selector") or {}
    own = {**found, "spec": {**found["spec"], "selector": selector}}
    try:
        check(own, labels_of(situation.deployment.template))
    except Unroutable:
        return False
    try:
        check_alone(network, own, situation)
    except Refusal as refusal:
        account.warn(
            f'{route.kind} "{route.name}" stands as a release of another Deployment left it, and stays so, because {refusal.what}'
        )
        return False
    return True
