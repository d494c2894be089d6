# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes of a Deployment: a plan for what was read, sent or rehearsed, and planned anew whenever somebody was faster.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Callable

from ...cluster.errors import ApiError
from ...rollout.patches import Plan, freeze, stop
from ...rollout.phase import Phase, Situation, diagnose, holds
from ...rollout.record import Record
from ...rollout.refusal import Code, Refusal
from ...rollout.template import changed_paths, digest
from ...rollout.views import Picture
from ...rollout.words import WORDS
from ...values import dataclass
from .guarded import ATTEMPTS, guarded
from .outcome import Report, quietly
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


class Otherwise(Enum):
    """What becomes of a write that keeps the pod template, and is answered with another one: a webhook or policy of the cluster acts
    otherwise by now than when that template was stored."""

    TRIED = "the server is asked first what it would make of it, and nothing is written"
    FAILS = "it is written, fails, and whatever moves is stopped"
    IS_TOLD = "it is a warning of the plan, where the next step goes on from any template"


class Replaced(Refusal):
    """Another pod template came with `plans`, or would come, where there are none because it was only tried. `picture` is the state after
    them, or without them. `remedy`: where it is another than for any release in that phase."""

    def __init__(self, what: str, picture: Picture, plans: tuple[Plan, ...], remedy: str = "") -> None:
        code = Code.FOREIGN if plans else Code.ADMISSION
        super().__init__(code, what, remedy or WORDS[diagnose(picture).phase].remains)
        self.picture, self.plans = picture, plans


def write(
    site: Site, picture: Picture, decide: Decide, look: Look | None = None, otherwise: Otherwise = Otherwise.TRIED
) -> Written:
    """Sends what `decide` says of the situation. Raises Refusal when others never let it through, or another run holds it, and
    Replaced as `otherwise` says."""
    return _sent(site, picture, decide, look, otherwise, dry_run=False)


def rehearse(
    site: Site,
    picture: Picture,
    decide: Decide,
    look: Look | None = None,
    otherwise: Otherwise = Otherwise.TRIED,
    *,
    foretold: bool = False,
) -> Written:
    """Check mode: the same decision, sent as a dry run so that admission errors show. Nothing is written.

    The picture that comes back is as it would be after the write. A picture that is itself `foretold` is of a state that
    the server does not have, so that no dry run can stand on it.
    """
    if foretold:
        return Written(decide(diagnose(picture)), picture, picture)
    return _sent(site, picture, decide, look, otherwise, dry_run=True)


def as_long_as(record: Record, template: str, plan: Decide) -> Decide:
    """What is planned for a release with this record and this pod template (a digest), and nothing once somebody has changed either."""

    def decide(now: Situation) -> Plan | None:
        return plan(now) if now.record == record and digest(now.deployment.template) == template else None

    return decide


def busy(site: Site) -> Refusal:
    return Refusal(
        Code.BUSY,
        f'Deployment "{site.target.name}" was changed by somebody else {ATTEMPTS} times while this was decided',
        "Find out who keeps writing to it (kubectl get deployment --show-managed-fields), then run this again",
    )


def ask(site: Site, picture: Picture) -> None:
    """Before users are sent elsewhere for a write that keeps the pod template, which is to come only after that: whether it would be kept. No
    request where this call knows. Raises Replaced."""
    template = picture.deployment.template
    if site.let_pass:
        return
    stored = replace(picture, deployment=replace(picture.deployment, template=site.try_template(template)))
    if replaced := _replaced(picture, stored, None):
        raise replaced
    site.let_pass = True


def sent(
    site: Site,
    before: Picture,
    plan: Plan,
    otherwise: Otherwise = Otherwise.TRIED,
    tell: Report = quietly,
    *,
    dry_run: bool = False,
) -> Picture:
    """The picture after the plan, or (`dry_run`) as it would be, as the server answers it. Raises Replaced as `otherwise` says, and
    tells what is only to be told."""
    tries = otherwise is Otherwise.TRIED and plan.keeps_template and not dry_run
    for tried in (True, False) if tries else (dry_run,):
        after = replace(before, deployment=site.apply(plan, dry_run=tried))
        if plan.keeps_template and (replaced := _replaced(before, after, None if tried else plan)):
            if otherwise is not Otherwise.IS_TOLD:
                raise stopped(site, replaced)
            tell(replaced.what)
    site.let_pass = site.let_pass or (plan.keeps_template and not dry_run)
    return after


def stopped(site: Site, replaced: Replaced) -> Replaced:
    """No more pods come of a template that came with a write, once the controller has seen that. Nothing where nothing was written, and of a
    release that is over."""

    def decide(now: Situation) -> Plan | None:
        if now.phase is not Phase.FOREIGN or now.deployment.paused:
            return None
        return freeze(now.deployment, paused=True) if holds(now.deployment) else stop(now)

    if not replaced.plans:
        return replaced
    plans, remedy = replaced.plans, replaced.remedy
    try:
        written = write(site, replaced.picture, decide, otherwise=Otherwise.IS_TOLD)
    except (ApiError, Refusal) as error:
        what = f"{replaced.what}, and the Deployment could not be paused ({error})"
        return Replaced(what, replaced.picture, plans, remedy)
    if written.plan is None:
        return replaced
    what = f"{replaced.what}, and the Deployment was paused at once"
    return Replaced(what, written.picture, (*plans, written.plan), remedy)


def _replaced(before: Picture, after: Picture, plan: Plan | None) -> Replaced | None:
    """`plan`: what was written, and was to keep the pod template; None where it was only tried."""
    old, new = before.deployment.template, after.deployment.template
    if digest(old) == digest(new):
        return None
    where = ", ".join(changed_paths(old, new))
    what = (
        f"an admission webhook or policy {'changed' if plan else 'would change'} the pod template of Deployment "
        f'"{after.deployment.name}" with a write that leaves it as it is ({where}), so its pods would not be the ones that were looked at'
    )
    return Replaced(what, after, (plan,)) if plan else Replaced(what, before, ())


def _sent(
    site: Site, picture: Picture, decide: Decide, look: Look | None, otherwise: Otherwise, *, dry_run: bool
) -> Written:
    told: list[str] = []

    def send(before: Picture, plan: Plan) -> Picture:
        return sent(site, before, plan, otherwise, told.append, dry_run=dry_run)

    def ruled_out(plan: Plan, found: Picture) -> bool:
        return plan.is_ruled_out_by(found.deployment)

    permitted = site.rehearses if dry_run else site.mine
    done = guarded(
        picture,
        lambda read: decide(diagnose(read)),
        send,
        look or site.look,
        busy(site),
        ruled_out,
        permitted=permitted,
    )
    plan = done.change and replace(done.change, warnings=(*done.change.warnings, *told))
    return Written(plan, done.state, done.decided)
