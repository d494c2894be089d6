# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of a release, by its record; or, where that is lost, by what is kept on them. This module is private to the collection."""

from __future__ import annotations

from typing import Sequence

from ...cluster.errors import Forbidden, NotFound
from ...rollout.record import Record, RouteRef, Traffic
from ...traffic.route import Route
from ...traffic.routers import ROUTERS
from ...traffic.services import release_in, version_in
from ...values import dataclass
from ..call.ending import Account
from ..call.outcome import Report
from .network import Network
from .reclaiming import left_on
from .routes import Routes, release_of


def of_record(account: Account, record: Record, report: Report) -> Routes | None:
    """None for a release without traffic."""
    return Routes(account, record.traffic, record.stable.hash, release_of(record), report) if record.traffic else None


@dataclass(frozen=True)
class Lost:
    """The traffic of a release whose record is lost, as its routes still tell it, with the hash of the version they call stable, and
    what the names of its Services end with."""

    traffic: Traffic
    stable_hash: str
    release: str


def found_again(account: Account) -> Lost | None:
    """None where nothing keeps anything of this Deployment. Reads what each kind of traffic rewrites in the namespace, and tells what may not be
    read."""
    unread: dict[str, Forbidden] = {}
    for kind, router in ROUTERS.items():
        try:
            lost = _found_again(account, kind)
        except NotFound:
            continue
        except Forbidden as error:
            unread[router.kind] = error
            continue
        if lost is not None:
            return lost
    if unread:
        kinds, why = " or ".join(unread), next(iter(unread.values()))
        account.warn(f"whether a {kinds} is left as the lost release wrote it is not known: {why}")
    return None


def _found_again(account: Account, kind: str) -> Lost | None:
    """Raises ApiError."""
    site = account.site
    network = Network(site.api, site.target.namespace, kind, site.version)
    return lost_of(network, network.routes(), account.seen.deployment.uid)


def lost_of(network: Network, found: Sequence[Route], uid: str) -> Lost | None:
    """By what routes of this kind keep of this Deployment; None where that is nothing."""
    ours = [
        (route, kept)
        for route in found
        if (kept := left_on(route)) and kept.owner == uid and network.router.is_keeper(kept)
    ]
    if not ours:
        return None
    kept = ours[0][1]
    refs = tuple(RouteRef(route.name, route.uid) for route, _kept in ours)
    proof = "prefer" if any(kept.wanted.mark is not None for _route, kept in ours) else "none"
    traffic = Traffic(kept.versions.own, refs, proof=proof, kind=network.kind)
    return Lost(traffic, version_in(kept.versions.stable), release_in(kept.versions.stable))


def of_lost(account: Account, lost: Lost | None, report: Report) -> Routes | None:
    return Routes(account, lost.traffic, lost.stable_hash, lost.release, report) if lost else None
