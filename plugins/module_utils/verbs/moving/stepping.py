# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until a canary is held at its size, and writes the steps on the way there.

This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ...cluster.errors import ApiError
from ...rollout import start as rollout_start
from ...rollout.identity import Meant
from ...rollout.patches import Plan
from ...rollout.phase import HOLDING, Situation, diagnose, ready_pods
from ...rollout.progress import Done, Progress, Stuck, tells_of_canary, towards_hold
from ...rollout.refusal import Refusal
from ...rollout.start import Start
from ...rollout.steady import FirstLook, lost
from ...rollout.views import Picture
from ...rollout.words import WORDS
from ..call.ending import Account
from ..call.orders import Wait
from ..call.outcome import Report
from ..call.pacing import Patience
from ..call.site import PODS
from ..call.waiting import AWAY, wait
from ..call.writing import sent
from ..routing.sparing import spare_users

_UNANSWERED = " A step of this call that got no answer may have been carried out after that: canary_info tells the size"


def await_hold(
    account: Account, begun: Start, picture: Picture, patience: Wait, report: Report, stood: FirstLook | None = None
) -> Situation:
    """Raises VerbFailure where the pods do not become Ready, or somebody takes the canary away; and where one that `stood` at an earlier step
    does so no more. Nobody is sent meanwhile to a canary of which no pod is Ready."""
    account.tell_way_back(report)
    begun_at, mine = picture.deployment.replicas, _mine(begun)
    unanswered: list[Plan] = []
    first = stood if stood and stood.replicas <= begun_at else None
    serves = stood is not None or _serves(diagnose(picture))

    def judge(current: Situation) -> Progress:
        nonlocal serves
        other = mine.differs(current) if current.phase in HOLDING else ""
        if other:
            return Stuck(other)
        if serves and current.picture.pods and current.phase in HOLDING and not _serves(current):
            serves = not _spared(account, report)
        return falls(current, of_those_shown=True) or towards_hold(current, begun.goal, begun.record, begun_at)

    def falls(current: Situation, *, of_those_shown: bool) -> Stuck | None:
        """Streams begin with some of the pods: whether one is gone the last look tells."""
        if first is None or current.phase not in HOLDING or current.deployment.replicas != begun_at:
            return None
        shown = {pod.uid for pod in current.picture.pods or ()}
        pods = {uid: pod for uid, pod in first.pods.items() if uid in shown or not of_those_shown}
        return lost(current, replace(first, pods=pods))

    try:
        waited = wait(
            account.site,
            picture,
            judge=judge,
            hint=lambda current: _worth_a_look(current, begun),
            patience=Patience(patience.timeout, nodes=patience.for_nodes),
            report=report,
            kinds=(PODS,),
            advance=lambda current: _stepped(account, current, begun, unanswered, report),
        )
    except (ApiError, Refusal) as error:
        error.may_have_written = error.may_have_written or bool(unanswered)
        raise
    situation = account.looked(waited.situation)
    if isinstance(waited.progress, Done) and (stuck := falls(situation, of_those_shown=False)):
        waited = replace(waited, progress=stuck)
    for plan in unanswered:
        # It was carried out although its answer was lost, or was written again since, or may be where no look comes after this one.
        account.wrote(plan)
    unknown = any(not plan.is_overtaken_by(situation.deployment) for plan in unanswered)
    if not isinstance(waited.progress, Done):
        if situation.phase in HOLDING:
            mine.check(situation)
        spare_users(account, situation, report)
        remains = WORDS[situation.phase].remains
        raise account.unsuccessful(waited, f"{remains}{_UNANSWERED}" if unknown else remains)
    return situation


def _stepped(
    account: Account, situation: Situation, begun: Start, unanswered: list[Plan], report: Report
) -> Picture | None:
    """Writes the next step once the pods of the one before are Ready.

    What the streams tell suffices here, once the canary's ReplicaSet is known: the patch is guarded by the generation, and its pods
    that are Ready are proof that the controller has seen the patch before. Surplus stable pods that it has not taken yet must not count.
    """
    hold, replicas = situation.hold, situation.deployment.replicas
    if (
        hold is None
        or hold == begun.goal.at(replicas)
        or situation.phase not in HOLDING
        or _mine(begun).differs(situation)
    ):
        return None
    if situation.canary is None or situation.stable is None:
        return None
    stable, canary = (ready_pods(situation.picture, version) for version in (situation.stable, situation.canary))
    if canary < hold.canary(replicas):
        return None
    plan = rollout_start.step(situation, begun, min(stable, hold.stable(replicas)) + canary)
    if plan is None:
        return None
    account.site.mine()
    try:
        picture = sent(account.site, situation.picture, plan)
    except ApiError as error:
        unanswered.extend([plan] if error.may_have_written else [])
        raise
    account.wrote(plan)
    report(plan.why)
    return picture


def _spared(account: Account, report: Report) -> bool:
    """Once a fresh look tells what streams did, which begin with some of the pods."""
    with suppress(*AWAY):
        now = diagnose(account.site.look(pods=True))
        if not _serves(now):
            spare_users(account, now, report)
            return True
    return False


def _serves(situation: Situation) -> bool:
    return situation.canary is not None and ready_pods(situation.picture, situation.canary) > 0


def _mine(begun: Start) -> Meant:
    """What this call began, or went on with: no other release, and nobody has taken it over since."""
    return Meant(run=begun.record.run, template=begun.record.canary)


def _worth_a_look(situation: Situation, begun: Start) -> bool:
    """The canary may be at its goal; or only a look tells whether the next step can be taken, since its ReplicaSet is not known yet."""
    hold, replicas = situation.hold, situation.deployment.replicas
    if hold is None or (situation.canary is not None and hold != begun.goal.at(replicas)):
        return False
    return tells_of_canary(situation, hold.canary(replicas))
