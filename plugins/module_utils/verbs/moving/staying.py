# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a canary for a while: whatever happens to it is noticed at once. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace

from ...display.news import news
from ...display.pods import marks
from ...rollout.identity import Meant
from ...rollout.notices import several_builds
from ...rollout.phase import Situation
from ...rollout.progress import Going, Progress, Stuck
from ...rollout.steady import FirstLook, steady
from ...rollout.words import WORDS
from ..call.ending import Account
from ..call.outcome import Kind, News, Report
from ..call.pacing import Patience
from ..call.waiting import Waited, wait
from ..routing.exposed import Exposed
from ..routing.sparing import spare_users


def stays(
    account: Account,
    situation: Situation,
    meant: Meant,
    seconds: float,
    report: Report,
    since: Situation | None = None,
    stood: FirstLook | None = None,
) -> Waited:
    """After so many seconds in which the canary stayed as it is in `situation`, which has its pods, or as it was `since` an earlier look,
    with all that `stood` before, and got what it gets of its users. Raises VerbFailure, once nobody is sent any more to a canary that is
    gone, and Refusal where somebody else decides what it gets."""
    first, exposed = FirstLook.of(since or situation).and_what(stood), Exposed(account, situation, report)
    waited = (
        _watched(account, situation, first, exposed, meant.bound(situation), seconds, report)
        if seconds
        else Waited(situation, steady(situation, first))
    )
    _must_go_on(account, waited, meant.bound(situation), report)
    if said := several_builds(waited.situation):
        account.warn(said)
    exposed.check(waited.situation, last=True)
    return waited


def stands(account: Account, situation: Situation, meant: Meant, report: Report) -> Situation:
    """As `stays`, at one look, and whatever the canary gets of its users."""
    progress = steady(situation, FirstLook.of(situation))
    _must_go_on(account, Waited(situation, progress), meant, report)
    return situation


def _must_go_on(account: Account, waited: Waited, meant: Meant, report: Report) -> None:
    if isinstance(waited.progress, Going):
        return
    if not account.check:
        spare_users(account, waited.situation, report)
    meant.check(waited.situation)
    raise account.unsuccessful(replace(waited, timed_out=False), WORDS[waited.situation.phase].remains)


def _watched(
    account: Account,
    situation: Situation,
    first: FirstLook,
    exposed: Exposed,
    meant: Meant,
    seconds: float,
    report: Report,
) -> Waited:
    def judge(now: Situation) -> Progress:
        other = meant.differs(now)
        found = Stuck(other) if other else steady(now, first)
        if isinstance(found, Going):
            exposed.check(now)
        return found

    def tell(told: str) -> None:
        heard = news(told)
        report(replace(heard, text=f"watching the canary: {told}") if heard.kind is Kind.STATE else told)

    # At once, and not a moment later with the first look.
    now = steady(situation, first).why
    tell(News(now, Kind.STATE, pods=marks(situation), elapsed=0.0, total=seconds))
    return wait(
        account.site,
        situation.picture,
        judge=judge,
        hint=lambda now: False,
        patience=Patience(seconds),
        report=tell,
        beside=exposed,
    )
