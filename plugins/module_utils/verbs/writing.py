# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that hold only for what was read: read, decide, write; refused means read and decide again.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

from ..cluster.errors import ApiError, Conflict, Invalid
from ..rollout.patches import Plan
from ..rollout.phase import Situation, diagnose
from ..rollout.refusal import Code, Refusal
from ..rollout.views import Picture
from .site import Site

ATTEMPTS = 5

Decide = Callable[[Situation], "Plan | None"]
Look = Callable[[], Picture]


@dataclass(frozen=True)
class Written:
    """`plan` is what was sent (None: nothing had to be), `picture` the state after it, its other objects as read before.

    A plan whose answer was lost counts as sent when, looked at again, nothing is left to do.
    """

    plan: Plan | None
    picture: Picture

    @property
    def situation(self) -> Situation:
        return diagnose(self.picture)


def write(site: Site, picture: Picture, decide: Decide, look: Look | None = None) -> Written:
    """Sends what `decide` says of the situation, and decides anew whenever somebody was faster.

    A write whose answer was lost may have been done: looking again tells. Raises Refusal when others never let it through.
    """
    look = look or site.look
    unanswered: Plan | None = None
    for attempt in range(1, ATTEMPTS + 1):
        plan = decide(diagnose(picture))
        if plan is None:
            return Written(unanswered, picture)
        try:
            return Written(plan, replace(picture, deployment=site.apply(plan)))
        except ApiError as error:
            if not worth_another_look(error) or (error.outcome_unknown and attempt == ATTEMPTS):
                raise
            unanswered = plan if error.outcome_unknown else unanswered
            picture = _looked_again(look, error)
    raise _never_let_through(site)


def _never_let_through(site: Site) -> Refusal:
    return Refusal(
        Code.BUSY,
        f'Deployment "{site.target.name}" was changed by somebody else {ATTEMPTS} times while this was decided',
        "Find out who keeps writing to it (kubectl get deployment --show-managed-fields), then run this again",
    )


def _looked_again(look: Look, after: ApiError) -> Picture:
    try:
        return look()
    except ApiError as error:
        # That something may have been written weighs more than that it cannot be read.
        raise after if after.outcome_unknown else error from error


def worth_another_look(error: ApiError) -> bool:
    """Somebody was faster, or nobody knows whether it was written: what stands there now decides."""
    return overtaken(error) or error.outcome_unknown


def overtaken(error: ApiError) -> bool:
    """Somebody was faster: the object is no longer what the patch was made for, and nothing was written."""
    return isinstance(error, Conflict) or (isinstance(error, Invalid) and error.bare)


def rehearse(
    site: Site, picture: Picture, decide: Decide, look: Look | None = None, *, foretold: bool = False
) -> Written:
    """Check mode: the same decision, sent as a dry run so that admission errors show. Nothing is written.

    The picture that comes back is as it would be after the write. A picture that is itself `foretold` is of a state that
    the server does not have, so that no dry run can stand on it.
    """
    look = look or site.look
    for _attempt in range(ATTEMPTS):
        plan = decide(diagnose(picture))
        if plan is None or foretold:
            return Written(plan, picture)
        try:
            return Written(plan, replace(picture, deployment=site.apply(plan, dry_run=True)))
        except ApiError as error:
            if not overtaken(error):
                raise
            picture = look()
    raise _never_let_through(site)
