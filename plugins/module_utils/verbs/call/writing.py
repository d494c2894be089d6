# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes of a Deployment: a plan for what was read, sent or rehearsed, and planned anew whenever somebody was faster.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

from ...rollout.patches import Plan
from ...rollout.phase import Situation, diagnose
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Picture
from ...values import dataclass
from .guarded import ATTEMPTS, guarded
from .site import Site

Decide = Callable[[Situation], "Plan | None"]
Look = Callable[[], Picture]


@dataclass(frozen=True)
class Written:
    """`plan` is what was sent (None: nothing had to be), `picture` the state after it, its other objects as read before.
    `decided` is the state that was last decided about.

    A plan whose answer was lost counts as sent when, looked at again, nothing is left to do, unless somebody else's is there.
    """

    plan: Plan | None
    picture: Picture
    decided: Picture

    @property
    def situation(self) -> Situation:
        return diagnose(self.picture)


def write(site: Site, picture: Picture, decide: Decide, look: Look | None = None) -> Written:
    """Sends what `decide` says of the situation. Raises Refusal when others never let it through, or another run holds it."""
    return _sent(site, picture, decide, look, dry_run=False)


def rehearse(
    site: Site, picture: Picture, decide: Decide, look: Look | None = None, *, foretold: bool = False
) -> Written:
    """Check mode: the same decision, sent as a dry run so that admission errors show. Nothing is written.

    The picture that comes back is as it would be after the write. A picture that is itself `foretold` is of a state that
    the server does not have, so that no dry run can stand on it.
    """
    if foretold:
        return Written(decide(diagnose(picture)), picture, picture)
    return _sent(site, picture, decide, look, dry_run=True)


def busy(site: Site) -> Refusal:
    return Refusal(
        Code.BUSY,
        f'Deployment "{site.target.name}" was changed by somebody else {ATTEMPTS} times while this was decided',
        "Find out who keeps writing to it (kubectl get deployment --show-managed-fields), then run this again",
    )


def _sent(site: Site, picture: Picture, decide: Decide, look: Look | None, *, dry_run: bool) -> Written:
    def send(before: Picture, plan: Plan) -> Picture:
        return replace(before, deployment=site.apply(plan, dry_run=dry_run))

    def ruled_out(plan: Plan, found: Picture) -> bool:
        return plan.is_ruled_out_by(found.deployment)

    permitted = site.rehearses if dry_run else site.mine
    sent = guarded(
        picture,
        lambda read: decide(diagnose(read)),
        send,
        look or site.look,
        busy(site),
        ruled_out,
        permitted=permitted,
    )
    return Written(sent.change, sent.state, sent.decided)
