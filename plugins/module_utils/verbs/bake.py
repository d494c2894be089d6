# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake: the canary stays held for a while, and whatever happens to it meanwhile is noticed at once.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..rollout.notices import let_go, scaled
from ..rollout.phase import Situation, diagnose
from ..rollout.steady import FirstLook
from .call.ending import accounted
from .call.orders import BakeRequest
from .call.outcome import Outcome, Report
from .call.site import Site
from .moving.staying import stays

# Between two looks at a canary that stands while something else is waited for: a person, or other releases.
LOOK_SECONDS = 10.0


def bake(
    api: Api,
    request: BakeRequest,
    report: Report,
    seen: Situation | None = None,
    since: Situation | None = None,
    stood: FirstLook | None = None,
) -> Outcome:
    """Raises VerbFailure as soon as a canary pod restarts, is gone or not Ready, or somebody interferes. Changes nothing but routes
    that would send users to a canary that nobody answers for any more. `seen` takes the place of the first look. `since`: how it stood
    at an earlier look, and is to stand still; `stood`: which pods of it did before that, whoever has scaled it meanwhile. A new run of this
    verb knows neither."""
    site = Site(api, request.call.target, request.call)
    with accounted(site, request.call.meant.run, check=request.call.check) as account:
        situation = account.looked(diagnose(site.goes_on_from(seen.picture) if seen else site.look(pods=True)))
        if request.seconds:
            site.rejoin()
        site.keeps()
        if nothing := request.call.nothing_held(situation):
            return account.outcome(f"{nothing}; nothing to watch", situation)
        request.call.meant.check(situation)
        # Without an earlier look there is nothing to compare the first one with, but what it shows counts as well.
        seconds = 0.0 if request.call.check else request.seconds
        if situation.record is not None:
            account.warn(*scaled(situation.record, situation), *let_go(situation))
        waited = stays(account, situation, request.call.meant, seconds, report, since, stood)
        how = waited.progress.why
        if request.call.check:
            return account.outcome(f"would watch the canary for {request.seconds:g} s; now: {how}", waited.situation)
        return replace(account.outcome(f"{how}, for {request.seconds:g} s", waited.situation), seen=waited.situation)
