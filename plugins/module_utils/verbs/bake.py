# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake: the canary stays held for a while, and whatever happens to it meanwhile is noticed at once.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..rollout.phase import Situation, diagnose
from ..rollout.progress import Going
from ..rollout.steady import FirstLook, steady
from .ending import Account, accounted
from .outcome import Outcome, Report
from .pacing import Patience
from .requests import BakeRequest
from .site import Site
from .waiting import Waited, wait

REMEDY = "The canary was left as it is: canary_info shows it, canary_undo brings the stable version back."


def bake(api: Api, request: BakeRequest, report: Report) -> Outcome:
    """Changes nothing. Raises VerbFailure as soon as a canary pod restarts, is gone or not Ready, or somebody interferes."""
    site = Site(api, request.call.target)
    with accounted(site) as account:
        situation = account.looked(diagnose(site.look(pods=True)))
        first = FirstLook.of(situation)
        if request.call.check or not request.seconds:
            # Nothing to compare with yet, but what the first look shows counts as well.
            waited = Waited(situation, steady(situation, first))
        else:
            waited = _watched(account, situation, first, request.seconds, report)
        if not isinstance(waited.progress, Going):
            raise account.unsuccessful(replace(waited, timed_out=False), REMEDY)
        seen = waited.progress.why
        if request.call.check:
            return account.outcome(f"would watch the canary for {request.seconds:g} s; now: {seen}", waited.situation)
        return account.outcome(f"{seen}, for {request.seconds:g} s", waited.situation)


def _watched(account: Account, situation: Situation, first: FirstLook, seconds: float, report: Report) -> Waited:
    report(f"watching the canary for {seconds:g} s")
    return wait(
        account.site,
        situation.picture,
        judge=lambda now: steady(now, first),
        hint=lambda now: False,
        patience=Patience(seconds),
        report=report,
    )
