# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever takes a release over from another run makes it his in its record, so that the other is refused whenever it comes back: the
Lease tells of him no longer than his task goes on. Of a release with routes he does so before any of its routes is written.

A write whose answer never came may be carried out at any time after that, as long as the Deployment is the one that it was
made for. A start that finds the hold as it wants it writes nothing there, and sends users to its pods: an undo of the run before,
which comes late, would take those. Each change of the record has a generation of its own, so that whatever was sent before is
refused. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...rollout import patches
from ...rollout.patches import Plan
from ...rollout.phase import Situation, diagnose
from ..call.ending import Account
from ..call.writing import Otherwise, write
from .routes import Routes


def take_over(account: Account, routes: Routes | None, otherwise: Otherwise = Otherwise.TRIED) -> Situation | None:
    """Takes the Lease of a release with routes, and of another where a run is to be taken over that has it. What there is then, where the
    release was made this run's; None where it needs not be. Raises Refusal where the other has gone on with it."""
    site, situation = account.site, account.seen
    if site.holding is None or situation.record is None:
        return None
    if routes is not None:
        routes.mine()
    elif site.holding.would_take_over(situation.deployment.uid):
        site.mine()
    if not site.holding.taken_over:
        return None
    known, ours = situation.record, replace(situation.record, run=account.run)

    def decide(now: Situation) -> Plan | None:
        if now.record not in (known, ours):
            raise site.gone_on()
        return None if now.record == ours else patches.corrected(now.deployment, ours, "take the canary over")

    written = write(site, situation.picture, decide, otherwise=otherwise)
    site.holding.taken_over = False
    account.wrote(written.plan)
    return None if written.plan is None else account.looked(diagnose(site.look(pods=True)))
