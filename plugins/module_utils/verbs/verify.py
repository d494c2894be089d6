# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_verify: looks at canary and stable side by side until the evidence decides, or the window ends.

It reads, and writes nothing but routes that would send users to a canary that is gone. This module is private to the collection.
"""

from __future__ import annotations

from contextlib import closing

from ..cluster.api import Api
from ..judgement.tolerance import JudgementError
from ..judgement.verdicts import RunVerdict, Verdict
from ..probes.source import Misasked, Sides
from ..rollout.notices import several_builds
from ..rollout.phase import Phase, Situation, diagnose, ready_pods
from ..rollout.refusal import Code, Refusal
from .call.ending import Account, accounted
from .call.outcome import Outcome, Report
from .call.site import Site
from .judging.checks import VerifyRequest
from .judging.comparing import Comparison
from .judging.guard import guard
from .judging.judged import JUDGED_FAIL, JUDGED_INCONCLUSIVE, check_judges, failed, rehearsed, unjudged
from .judging.loads import loads_of
from .judging.looking import Ended
from .judging.sides import sides_of
from .routing.exposed import Exposed
from .routing.sparing import spare_users


def verify(api: Api, request: VerifyRequest, report: Report) -> Outcome:
    """Raises VerbFailure on a fail, and on inconclusive unless that is allowed; both carry the whole verdict."""
    site = Site(api, request.call.target, request.call)
    with accounted(site, request.call.meant.run) as account:
        situation = account.looked(diagnose(site.look(pods=True)))
        site.rejoin()
        try:
            if request.guard:
                return guard(account, situation, request, report)
            if nothing := request.call.nothing_held(situation):
                return unjudged(account, nothing)
            return _judged(account, situation, request, report)
        except (JudgementError, Misasked) as error:
            raise Refusal(Code.INVALID, str(error), "Nothing was judged") from error


def _judged(account: Account, situation: Situation, request: VerifyRequest, report: Report) -> Outcome:
    request.call.meant.check(situation)
    sides = _sides_or_refusal(situation)
    check_judges(situation, sides.canary.hash, request)
    meant = request.call.meant.bound(situation)
    exposed = Exposed(account, situation, report)
    unanswered = 0

    def ends(now: Situation) -> Ended | None:
        nonlocal unanswered
        other = "" if now.phase is Phase.NONE else meant.differs(now)
        if other:
            return Ended(other)
        exposed.check(now)
        # What its pods did is counted at the first of these looks.
        unanswered = unanswered + 1 if _answers_nobody(now) else 0
        return Ended("no canary pod is Ready any more, so that nobody answers its users") if unanswered > 1 else None

    def rests(seconds: float) -> None:
        exposed.rest(seconds, lambda: ends(diagnose(account.site.look(pods=True))))

    loads = loads_of(account.site, situation, request)
    run = Comparison(account.site, request, sides, report, loads=loads, ends=ends, stops_at_pass=True, rests=rests)
    with closing(run), closing(exposed):
        if request.call.check:
            return rehearsed(account, run)
        exposed.check(situation, last=True)
        verdict = run.until_decided()
    cut_short = run.ended is not None and not run.ended.expected
    spares = run.seen is not None and (cut_short or _answers_nobody(run.seen))
    if run.seen is not None and spares:
        spare_users(account, run.seen, report)
    account.warn(*run.warnings, *filter(None, [several_builds(run.seen or situation)]))
    if run.ended is None and not spares and verdict.verdict is not Verdict.FAIL:
        exposed.check(run.seen or situation, last=True)
    return _concluded(account, run, verdict)


def _answers_nobody(situation: Situation) -> bool:
    """Of a canary that may have users by routes."""
    record, canary = situation.record, situation.canary
    is_routed = record is not None and record.traffic is not None
    return is_routed and canary is not None and not ready_pods(situation.picture, canary)


def _concluded(account: Account, run: Comparison, verdict: RunVerdict) -> Outcome:
    result = run.result(verdict)
    name = account.site.target.name
    message = (
        f'canary of Deployment "{name}": {verdict.verdict.value} after {verdict.after:.0f} seconds. {verdict.reason}'
    )
    if verdict.verdict is Verdict.PASS or (verdict.verdict is Verdict.INCONCLUSIVE and run.request.inconclusive_ok):
        return account.outcome(message).returning(verify=result)
    code = JUDGED_FAIL if verdict.verdict is Verdict.FAIL else JUDGED_INCONCLUSIVE
    raise failed(account, message, code, result)


def _sides_or_refusal(situation: Situation) -> Sides:
    sides = sides_of(situation)
    if sides is None:
        raise Refusal(
            Code.NO_CANARY_READY,
            f'Deployment "{situation.deployment.name}" has no canary beside the stable version '
            f"(phase {situation.phase.value}), so there is nothing to compare",
            "Start a canary with canary_start, and verify it while it is held",
        )
    return sides
