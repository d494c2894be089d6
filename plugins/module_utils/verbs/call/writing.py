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
from ...rollout import kept
from ...rollout.intstr import resolve_fenceposts
from ...rollout.patches import Fields, Plan, freeze, stop
from ...rollout.patches import plan as plan_of
from ...rollout.phase import Phase, Situation, diagnose, holds
from ...rollout.record import Record
from ...rollout.refusal import Code, Refusal
from ...rollout.template import changed_paths, digest
from ...rollout.views import Deployment, Picture
from ...rollout.words import WORDS
from ...values import dataclass
from ...wording import ended
from .guarded import ATTEMPTS, guarded, worth_another_look
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
    """What becomes of a write that keeps the pod template, and is answered with another one, or without what holds the canary: a webhook or policy
    of the cluster acts otherwise by now than when that was stored."""

    TRIED = "the server is asked first what it would make of it, and nothing is written"
    FAILS = "it is written, fails, and whatever moves is stopped"
    IS_TOLD = "it is a warning of the plan, where the next step goes on from any template"


class Replaced(Refusal):
    """Another pod template came with `plans`, or would come, where there are none because it was only tried; or (`unheld`) other fields than those by
    which a canary is held. `picture` is the state after them, or without them. `remedy`: where it is another than for any release in that phase."""

    def __init__(
        self, what: str, picture: Picture, plans: tuple[Plan, ...], remedy: str = "", *, unheld: bool = False
    ) -> None:
        code = Code.FOREIGN if plans else Code.ADMISSION
        super().__init__(code, what, remedy or WORDS[diagnose(picture).phase].remains)
        self.picture, self.plans, self.unheld = picture, plans, unheld

    def and_then(self, what: str, picture: Picture, *plans: Plan) -> Replaced:
        return Replaced(f"{self.what}, and {what}", picture, (*self.plans, *plans), self.remedy, unheld=self.unheld)


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


def ask(site: Site, picture: Picture, *, ends_hold: bool = False) -> None:
    """Before users are sent elsewhere for a write that keeps the pod template, which is to come only after that: whether it would be kept, and
    (unless that write `ends_hold`) what holds the canary too. No request where this call knows. Raises Replaced."""
    before = picture.deployment
    if site.let_pass:
        return
    answer = site.try_deployment(before.template)
    if replaced := _replaced(picture, replace(picture, deployment=replace(before, template=answer.template)), None):
        raise replaced
    if not ends_hold and kept.lost(kept.asked(before, None), answer):
        # By admission; or somebody was faster, whom this one stands in no way, and what is written after it finds.
        try:
            sent(site, picture, plan_of(before, Fields(), "try whether the canary would stay held"), dry_run=True)
        except ApiError as error:
            if not worth_another_look(error):
                raise
            return
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
        if replaced := _replaced(before, after, plan, was_written=not tried):
            if otherwise is not Otherwise.IS_TOLD:
                raise stopped(site, replaced)
            tell(replaced.what)
    site.let_pass = site.let_pass or (plan.keeps_template and not dry_run)
    return after


def stopped(site: Site, replaced: Replaced) -> Replaced:
    """No more pods come of a template that came with a write, once the controller has seen that. Nothing where nothing was written, and of a
    release that is over. Where no canary is held as it was to be, nothing tells in which phase that is, but that nobody has written since."""
    generation = replaced.picture.deployment.generation

    def decide(now: Situation) -> Plan | None:
        unheld = replaced.unheld and (now.deployment.generation == generation or now.phase is Phase.DAMAGED)
        if now.deployment.paused or not (unheld or now.phase is Phase.FOREIGN):
            return None
        frozen = freeze(now.deployment, paused=True)
        return frozen if holds(now.deployment) else stop(now) or (frozen if unheld else None)

    if not replaced.plans:
        return replaced
    try:
        written = write(site, replaced.picture, decide, otherwise=Otherwise.IS_TOLD)
    except (ApiError, Refusal) as error:
        return replaced.and_then(f"the Deployment could not be paused ({error})", replaced.picture)
    if written.plan is None:
        return replaced
    if not written.picture.deployment.paused:
        return replaced.and_then("takes back that the Deployment is paused, too", written.picture, written.plan)
    said = "the Deployment was paused at once"
    if replaced.unheld and _outlasts_a_pause(written.picture.deployment):
        said += ", which keeps no stable pod once all pods of the canary are available: run canary_undo now"
    return replaced.and_then(said, written.picture, written.plan)


def _outlasts_a_pause(deployment: Deployment) -> bool:
    """A rollout that nothing holds any more, of as many pods as replicas. Once these are available the controller takes all others away,
    paused or not (pkg/controller/deployment/sync.go, scale, IsSaturated)."""
    rolling, replicas = deployment.strategy, deployment.replicas
    may = resolve_fenceposts(rolling.max_surge or 0, rolling.max_unavailable or 0, replicas)
    return not holds(deployment) and may.surge + may.unavailable >= replicas


def _replaced(before: Picture, after: Picture, plan: Plan | None, *, was_written: bool = False) -> Replaced | None:
    """`plan`: what was sent; None where nothing was to change."""
    old, new = before.deployment, after.deployment
    what, lost = "", ""
    if (plan is None or plan.keeps_template) and digest(old.template) != digest(new.template):
        where = ", ".join(changed_paths(old.template, new.template))
        what = (
            f"an admission webhook or policy {'changed' if was_written else 'would change'} the pod template of Deployment "
            f'"{new.name}" with a write that leaves it as it is ({where}), so its pods would not be the ones that were looked at'
        )
    elif lost := kept.lost(kept.asked(old, plan), new):
        what = kept.words(lost, new.name)
    if not what:
        return None
    picture, plans = (after, (plan,)) if was_written and plan else (before, ())
    remedy = f"{ended(kept.EXEMPT)} {WORDS[diagnose(picture).phase].remains}" if lost else ""
    return Replaced(what, picture, plans, remedy, unheld=bool(lost))


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
