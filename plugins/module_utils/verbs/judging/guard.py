# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a promotion: a comparison as long as both versions serve, and plain bounds once the new one serves alone.

It reads, and writes nothing: so it never keeps the promotion from being finished (docs/decisions/0005-guard.md).
This module is private to the collection.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any, Mapping

from ...judgement.alone import LoneTrial
from ...judgement.report import as_result
from ...judgement.samples import Count, NoData
from ...judgement.verdicts import RunVerdict, Verdict
from ...probes.source import Answers, Counted, Sides, Version
from ...rollout.identity import Meant
from ...rollout.phase import HOLDING, Phase, Situation
from ...rollout.progress import Stuck, towards_rollout
from ...rollout.refusal import Code, Refusal
from ..call.ending import Account
from ..call.outcome import Kind, News, Outcome, Report
from ..call.pacing import REPORT_SECONDS, SCHEDULER_TRIES_AGAIN, Patience
from ..call.site import Site
from ..call.waiting import Housing
from .asking import Asking
from .checks import CheckAsked, VerifyRequest, needs_stable
from .comparing import Comparison
from .judged import JUDGED_FAIL, check_judges, failed, rehearsal, rehearsed, unjudged
from .loads import loads_of
from .looking import Ended, Looking
from .sides import NOBODY, sides_of, version_of

ALONE_NOW = "the new version serves alone now"
NO_WAY_BACK = (
    "spec.revisionHistoryLimit is 0: once the promotion is finished, there will be no ReplicaSet to roll back to, and the guard "
    "can then only report what it finds; make it 1 or more before a promotion that is guarded"
)


def guard(account: Account, situation: Situation, request: VerifyRequest, report: Report) -> Outcome:
    """Raises VerbFailure on a fail only: a guard that has seen nothing bad, or too little, lets the promotion go on."""
    if situation.deployment.revision_history_limit == 0:
        account.warn(NO_WAY_BACK)
        report(News(NO_WAY_BACK, Kind.WARNING))
    if situation.phase is not Phase.NONE:
        request.call.meant.check(situation)
    if situation.phase is Phase.PROMOTING:
        return _beside_stable(account, situation, request, report)
    if situation.phase is Phase.NONE and _is_out(situation):
        return _alone(account, situation, request, report)
    if request.call.check and situation.phase in HOLDING:
        return unjudged(account, "a canary is held, and its promotion is only planned")
    raise Refusal(
        Code.NOT_PROMOTED,
        f'no canary of Deployment "{situation.deployment.name}" is being promoted, or was (phase {situation.phase.value})',
        "A guard goes with a promotion: begin one with canary_promote and wait: false",
    )


def _is_out(situation: Situation) -> bool:
    """Not asked of the Deployment's status, which knows of the clean-up of the promotion a moment later."""
    stable = situation.stable
    return stable is not None and all(rs.uid == stable.uid for rs in situation.picture.active)


def _beside_stable(account: Account, situation: Situation, request: VerifyRequest, report: Report) -> Outcome:
    sides = sides_of(situation)
    hash_of_new = situation.canary_hash
    check_judges(situation, hash_of_new, request)
    if sides is None:
        told = {"verdict": Verdict.INCONCLUSIVE.value, "reason": ALONE_NOW, "seconds": 0.0, "checks": []}
        message = f'promotion of Deployment "{situation.deployment.name}": {ALONE_NOW}'
        return account.outcome(message).returning(verify=_told(told, True, hash_of_new, 0.0, request))
    meant = request.call.meant.bound(situation)
    # As the wait for its end is patient with a pod that finds no room, which may also have come since the last look.
    patience = Patience(request.duration, nodes=max(request.call.wait.for_nodes, SCHEDULER_TRIES_AGAIN))
    housing = Housing(account.site.clock, patience)
    run = Comparison(
        account.site,
        request,
        sides,
        report,
        loads=loads_of(account.site, situation, request),
        ends=lambda now: _promotion_ended(now, meant, housing),
        stops_at_pass=False,
    )
    with closing(run):
        if request.call.check:
            return rehearsed(account, run)
        verdict = run.until_decided()
    account.warn(*run.warnings)
    why = run.ended.why if run.ended else "the time was over"
    until = "" if verdict.verdict is Verdict.FAIL else f" until {why}"
    message = (
        f'promotion of Deployment "{situation.deployment.name}", guarded for {run.seconds:.0f} seconds{until}: '
        f"{verdict.verdict.value}. {verdict.reason}"
    )
    result = _told(run.result(verdict), True, sides.canary.hash, run.seconds, request)
    return _ended(account, message, verdict, result)


def _promotion_ended(situation: Situation, meant: Meant, housing: Housing) -> Ended | None:
    if meant.is_out(situation):
        return Ended(ALONE_NOW, expected=True)
    other = meant.differs(situation)
    if other:
        return Ended(other)
    if situation.phase is not Phase.PROMOTING:
        return Ended(f"the promotion is no longer under way (phase {situation.phase.value})")
    if situation.record is not None:
        progress = housing.housed(situation, towards_rollout(situation, situation.record.canary))
        if isinstance(progress, Stuck):
            return Ended(f"the promotion cannot go on: {progress.why}")
    stable = version_of(situation.picture, situation.stable)
    return Ended(ALONE_NOW, expected=True) if stable is None or not stable.pods else None


def _alone(account: Account, situation: Situation, request: VerifyRequest, report: Report) -> Outcome:
    name = situation.deployment.name
    new = _new_version(situation)
    check_judges(situation, new.hash, request)
    run = _Lone(account.site, request, new, situation.deployment.namespace, report)
    with closing(run):
        if request.call.check:
            return rehearsal(account, run.names, run.begin())
        verdict = run.until_failed()
    until = f", until {run.ended.why}" if run.ended else ""
    message = (
        f'new version of Deployment "{name}", guarded for {verdict.after:.0f} seconds{until}, with no stable pod beside it '
        f"and so without a promise about errors: {verdict.verdict.value}. {verdict.reason}"
    )
    return _ended(account, message, verdict, _told(run.result(verdict), False, new.hash, verdict.after, request))


def _new_version(situation: Situation) -> Version:
    """Where no release is live, the current ReplicaSet is the stable one."""
    return version_of(situation.picture, situation.stable) or NOBODY


def _ended(account: Account, message: str, verdict: RunVerdict, result: Mapping[str, Any]) -> Outcome:
    if verdict.verdict is Verdict.FAIL:
        raise failed(account, message, JUDGED_FAIL, result)
    return account.outcome(message).returning(verify=result)


def _told(
    result: Mapping[str, Any], beside_stable: bool, hash_of_new: str, seconds: float, request: VerifyRequest
) -> dict[str, Any]:
    guarded = {
        "beside_stable": beside_stable,
        "hash": hash_of_new,
        "seconds": seconds,
        "left": max(0.0, request.duration - seconds),
    }
    return {**result, "hash": hash_of_new, "guard": guarded}


class _Lone(Looking):
    """Looks at the new version alone."""

    def __init__(self, site: Site, request: VerifyRequest, new: Version, namespace: str, report: Report) -> None:
        going_on = tuple(asked for asked in request.checks if not needs_stable(asked.source))
        sides = Sides(namespace, new, NOBODY)
        super().__init__(site, Asking(site.api, going_on, sides, request.on_no_data, report), report)
        self.names = [asked.check.name for asked in going_on]
        self._request = request
        self._sides = sides
        self._trial = LoneTrial((asked.check for asked in request.checks), frozenset(self.names))

    def begin(self) -> dict[str, str]:
        """Reaches every source; returns what did not answer, by check."""
        gaps = {asked.check.name: self._asking.begin(asked, self._now()) for asked in self._asking.checks}
        return {name: why for name, why in gaps.items() if why}

    def until_failed(self) -> RunVerdict:
        self._restart()
        for name, why in self.begin().items():
            self._trial.miss(name, NoData(self._now(), why))
            self._report(f"{name}: {why}")
        duration, told = self._request.duration, 0.0
        while not self.ended and not self._trial.fails(self._now()) and self._now() < duration:
            self._rest(self._request.interval, duration)
            self._look()
            if told + REPORT_SECONDS <= self._now() < duration:
                told = self._now()
                self._report(
                    News("guarding the new version, alone", Kind.STATE, pods=self._pods, elapsed=told, total=duration)
                )
        return self._trial.report(self._now())

    def _sees(self, situation: Situation) -> Ended | None:
        new = _new_version(situation)
        if situation.phase is not Phase.NONE or new.hash != self._sides.canary.hash:
            return Ended(f"another release began (phase {situation.phase.value})")
        self._sides = replace(self._sides, canary=new)
        self._asking.sees(self._sides)
        self._trial.serves(self._now(), not situation.deployment.replicas or any(pod.ready for pod in new.pods))
        return None

    def _takes(self, asked: CheckAsked, answers: Answers) -> None:
        for answer in answers.values():
            seen = Count(answer.canary.bad, answer.canary.total) if isinstance(answer, Counted) else answer.value
            self._trial.observe(asked.check.name, self._now(), seen)

    def _lacks(self, asked: CheckAsked, gap: NoData) -> None:
        self._trial.miss(asked.check.name, gap)

    def result(self, verdict: RunVerdict) -> dict[str, Any]:
        return {**as_result(verdict), "costs": self._asking.costs()}
