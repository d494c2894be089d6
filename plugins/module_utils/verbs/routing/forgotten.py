# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of this very Deployment has left on routes, of which its record tells nothing any more: somebody took that away, with
kubectl rollout undo, a replacement of the Deployment, or the lines for the hand. A release itself removes its record last, so that what is
found where no release is live belongs to none. This module is private to the collection.
"""

from __future__ import annotations

from typing import Sequence

from ...rollout.phase import diagnose
from ...traffic.route import Route
from ..call.ending import Account
from ..call.outcome import Report
from .finding import Lost, lost_of, of_lost
from .network import Network
from .reclaiming import reclaimed
from .returning import leave


def recovered(account: Account, network: Network, found: Sequence[Route], report: Report) -> bool:
    """Routes of this kind are their owner's again, in force, and no Service of ours is left; false where nothing of this Deployment is kept
    there, and in check mode, in which it is a dry run. Raises Refusal."""
    lost = lost_of(network, found, account.seen.deployment.uid)
    routes = of_lost(account, lost, report)
    if lost is None or routes is None:
        return False
    if account.check:
        for route in _of(lost, found):
            reclaimed(account, network, route, lost.traffic.service)
        return False
    routes.mine()
    # Whoever had the Lease until now may have begun a release with these very routes.
    if diagnose(account.site.look()).record is not None:
        raise account.site.gone_on()
    leave(routes)
    for route in _of(lost, found):
        account.warn(
            f'{route.kind} "{route.name}" was left by a release of which nobody has kept the record: this gave Service "{lost.traffic.service}" '
            "its users back"
        )
    return True


def tell_forgotten(account: Account, network: Network, found: Sequence[Route]) -> None:
    """Nothing is written."""
    lost = lost_of(network, found, account.seen.deployment.uid)
    if lost is None:
        return
    for route in _of(lost, found):
        account.warn(
            f'{route.kind} "{route.name}" was left by a release of which nobody has kept the record, and its users may get errors: '
            f'canary_undo gives them back to Service "{lost.traffic.service}"'
        )


def _of(lost: Lost, found: Sequence[Route]) -> list[Route]:
    names = {ref.name for ref in lost.traffic.routes}
    return [route for route in found if route.name in names]
