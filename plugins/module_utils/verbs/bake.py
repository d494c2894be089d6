# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake: the canary stays held for a while, and whatever happens to it meanwhile is noticed at once.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..display.news import news
from ..display.pods import marks
from ..rollout.phase import Situation, diagnose
from ..rollout.progress import Going, Progress, Stuck
from ..rollout.steady import FirstLook, steady
from ..rollout.words import WORDS
from .call.ending import Account, accounted
from .call.orders import BakeRequest
from .call.outcome import Kind, News, Outcome, Report
from .call.pacing import Patience
from .call.site import Site
from .call.waiting import Waited, wait
from .routing.course import spare_users


def bake(api: Api, request: BakeRequest, report: Report) -> Outcome:
    """Raises VerbFailure as soon as a canary pod restarts, is gone or not Ready, or somebody interferes. Changes nothing but routes
    that would send users to a canary that nobody answers for any more."""
    site = Site(api, request.call.target)
    with accounted(site) as account:
        situation = account.looked(diagnose(site.look(pods=True)))
        if nothing := request.call.nothing_held(situation):
            return account.outcome(f"{nothing}; nothing to watch", situation)
        request.call.meant.check(situation)
        first = FirstLook.of(situation)
        # Nothing to compare with at the first look, but what it shows counts as well.
        once = request.call.check or not request.seconds
        waited = (
            Waited(situation, steady(situation, first))
            if once
            else _watched(account, situation, first, request, report)
        )
        if not isinstance(waited.progress, Going):
            if not request.call.check:
                spare_users(account, waited.situation, report)
            request.call.meant.bound(situation).check(waited.situation)
            raise account.unsuccessful(replace(waited, timed_out=False), WORDS[waited.situation.phase].remains)
        seen = waited.progress.why
        if request.call.check:
            return account.outcome(f"would watch the canary for {request.seconds:g} s; now: {seen}", waited.situation)
        return account.outcome(f"{seen}, for {request.seconds:g} s", waited.situation)


def _watched(account: Account, situation: Situation, first: FirstLook, request: BakeRequest, report: Report) -> Waited:
    meant = request.call.meant.bound(situation)

    def judge(now: Situation) -> Progress:
        other = meant.differs(now)
        return Stuck(other) if other else steady(now, first)

    def tell(told: str) -> None:
        heard = news(told)
        report(replace(heard, text=f"watching the canary: {told}") if heard.kind is Kind.STATE else told)

    # At once, and not a moment later with the first look.
    now = steady(situation, first).why
    tell(News(now, Kind.STATE, pods=marks(situation), elapsed=0.0, total=request.seconds))
    return wait(
        account.site,
        situation.picture,
        judge=judge,
        hint=lambda now: False,
        patience=Patience(request.seconds),
        report=tell,
    )
