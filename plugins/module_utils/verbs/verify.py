# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_verify: looks at canary and stable side by side until the evidence decides, or the window ends.

It reads, and writes nothing. This module is private to the collection.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Mapping

from ..cluster.api import Api
from ..judgement.checks import RateCheck
from ..judgement.evidence import BUCKETS_THAT_MUST_SPEAK, Promise
from ..judgement.forecast import Reach, Traffic, forecast
from ..judgement.report import as_result, history_of
from ..judgement.samples import Count, NoData, Reading, Sample
from ..judgement.tolerance import JudgementError
from ..judgement.trial import Trial
from ..judgement.verdicts import RunVerdict, Verdict
from ..probes.source import Counted, NoAnswer, ProbedPod, Sides, Source, Value, Version
from ..rollout.phase import Situation, diagnose
from ..rollout.refusal import Code, Refusal
from ..rollout.views import Picture, Pod, ReplicaSet
from .checks import CheckAsked, OnNoData, SamplesAsked, VerifyRequest, open_source, plan_of
from .ending import Account, accounted
from .outcome import Outcome, Report
from .site import Site
from .waiting import AWAY

JUDGED_FAIL, JUDGED_INCONCLUSIVE = "judged_fail", "judged_inconclusive"
# A person who waits wants a sign of life.
REPORT_SECONDS = 15.0
# Traffic and stable's rate are known well enough for a forecast after so long.
FORECAST_AFTER_SECONDS = 15.0
# With on_no_data: stop, so many looks in a row without data end the run: one may be an accident.
SILENT_LOOKS = 3


def verify(api: Api, request: VerifyRequest, report: Report) -> Outcome:
    """Raises VerbFailure on a fail, and on inconclusive unless that is allowed; both carry the whole verdict."""
    site = Site(api, request.call.target)
    with accounted(site) as account:
        situation = account.looked(diagnose(site.look(pods=True)))
        sides = _sides_or_refusal(situation)
        try:
            run = _Run(site, request, sides, report)
        except JudgementError as error:
            raise Refusal(Code.INVALID, str(error), "Nothing was judged") from error
        try:
            if request.call.check:
                return _rehearsed(account, run)
            verdict = run.until_decided()
        finally:
            run.close()
        account.warn(*run.warnings)
        return _concluded(account, run, verdict)


def _rehearsed(account: Account, run: _Run) -> Outcome:
    """Every source was reached once."""
    gaps = run.begin()
    account.warn(*(f"{name}: {reason}" for name, reason in gaps.items()), *run.warnings)
    names = [asked.check.name for asked in run.request.checks]
    answered = ", ".join(name for name in names if name not in gaps) or "none"
    verify = {"verdict": None, "reached": [name for name in names if name not in gaps], "unreached": gaps}
    return replace(
        account.outcome(f"nothing was judged in check mode; sources that answered: {answered}"), verify=verify
    )


def _concluded(account: Account, run: _Run, verdict: RunVerdict) -> Outcome:
    result = run.result(verdict)
    name = account.site.target.name
    message = (
        f'canary of Deployment "{name}": {verdict.verdict.value} after {verdict.after:.0f} seconds. {verdict.reason}'
    )
    if verdict.verdict is Verdict.PASS or (verdict.verdict is Verdict.INCONCLUSIVE and run.request.inconclusive_ok):
        return replace(account.outcome(message), verify=result)
    code = JUDGED_FAIL if verdict.verdict is Verdict.FAIL else JUDGED_INCONCLUSIVE
    failure = account.failure(message, code)
    failure.verify = result
    raise failure


def _sides_or_refusal(situation: Situation) -> Sides:
    sides = _sides(situation)
    if sides is None:
        raise Refusal(
            Code.NO_CANARY_READY,
            f'Deployment "{situation.deployment.name}" has no canary beside the stable version '
            f"(phase {situation.phase.value}), so there is nothing to compare",
            "Start a canary with canary_start, and verify it while it is held",
        )
    return sides


def _sides(situation: Situation) -> Sides | None:
    """None when one of the two versions has no pod."""
    canary, stable = (_version(situation.picture, rs) for rs in (situation.canary, situation.stable))
    if canary is None or stable is None or not canary.pods or not stable.pods:
        return None
    return Sides(situation.deployment.namespace, canary, stable)


def _version(picture: Picture, replica_set: ReplicaSet | None) -> Version | None:
    if replica_set is None:
        return None
    alive = tuple(_probed(pod) for pod in picture.pods_of(replica_set) if not pod.terminating)
    failed = tuple(
        _probed(pod) for pod in picture.pods or () if pod.owner_uid == replica_set.uid and pod.phase == "Failed"
    )
    return Version(replica_set.hash, alive, failed)


def _probed(pod: Pod) -> ProbedPod:
    return ProbedPod(pod.name, pod.uid, pod.ip, pod.ready, sum(container.restarts for container in pod.containers))


@dataclass
class _Seen:
    """What one check has counted since its first data, for the forecast. `begun`: when that was."""

    begun: float
    canary: float = 0.0
    stable: float = 0.0
    stable_bad: float = 0.0
    told: bool = False


class _Run:
    """One call's looks. Times are seconds since the run began, which may have been in a call before."""

    def __init__(self, site: Site, request: VerifyRequest, sides: Sides, report: Report) -> None:
        self.request = request
        self.warnings: list[str] = []
        self._site = site
        self._sides = sides
        self._report = report
        history = history_of(request.history)
        self._trial = Trial(plan_of(request), history)
        self._offset = max((bucket.end for buckets in history.values() for bucket in buckets), default=0.0)
        if history:
            self._trial.begin_step(self._offset)
        self._sources = {asked.check.name: open_source(site.api, asked.source) for asked in request.checks}
        self._looked_at: dict[str, float] = {}
        self._silent: dict[str, int] = {}
        self._seen: dict[str, _Seen] = {}
        self._forecasts: dict[str, dict[str, Any]] = {}
        self._ended_because = ""
        self._began = time.monotonic()

    def _now(self) -> float:
        return self._offset + time.monotonic() - self._began

    def close(self) -> None:
        for source in self._sources.values():
            if source is not None:
                source.close()

    def begin(self) -> dict[str, str]:
        """Reaches every source; returns what did not answer, by check."""
        self._warn_of_a_short_window()
        gaps = {}
        for asked in self.request.checks:
            source = self._sources[asked.check.name]
            if isinstance(asked.source, SamplesAsked):
                for sample in asked.source.samples:
                    self._trial.observe(asked.check.name, replace(sample, at=sample.at + self._offset))
            elif source is not None:
                try:
                    source.begin(self._sides)
                    self._looked_at[asked.check.name] = self._now()
                except NoAnswer as error:
                    gaps[asked.check.name] = str(error)
        return gaps

    def _warn_of_a_short_window(self) -> None:
        for check in (asked.check for asked in self.request.checks):
            if isinstance(check, RateCheck) and check.must_pass:
                least = self.request.warmup + BUCKETS_THAT_MUST_SPEAK * max(
                    check.buckets.at_least, self.request.interval
                )
                if self.request.duration < least:
                    self._warn(
                        f"{check.name}: {self.request.duration:g} seconds cannot decide anything: "
                        f"three looks and the warmup take {least:g}; make duration longer"
                    )

    def until_decided(self) -> RunVerdict:
        self._began = time.monotonic()
        for name, reason in self.begin().items():
            self._trial.observe(name, NoData(self._now(), reason))
            self._report(f"{name}: {reason}")
        until, told = self._offset + self.request.duration, self._now()
        decided = self._trial.look(self._now())
        while decided is None and not self._ended_because and self._now() < until:
            time.sleep(max(0.0, min(self.request.interval, until - self._now())))
            self._look()
            decided = self._trial.look(self._now())
            if decided is None and self._now() - told >= REPORT_SECONDS:
                told = self._now()
                self._report(f"{told - self._offset:.0f} of {self.request.duration:.0f} seconds: {self._progress()}")
        verdict = self._trial.report(self._now())
        if self._ended_because and verdict.verdict is not Verdict.FAIL:
            why = f"{self._ended_because}; {verdict.reason}".rstrip("; ")
            verdict = replace(verdict, verdict=Verdict.INCONCLUSIVE, reason=why)
        return verdict

    def _progress(self) -> str:
        evidence = self._trial.evidence
        promise = Promise(self.request.confidence)
        counts = "; ".join(
            f"{name} canary {seen.canary:.0f}, stable {seen.stable:.0f} counted" for name, seen in self._seen.items()
        )
        told = "plain bounds only" if evidence is None else f"evidence {evidence:.3g} of {promise.limit:.3g} to fail"
        return f"{told}; {counts}" if counts else told

    def _look(self) -> None:
        """One round over all sources, with the pods as they are now."""
        try:
            situation = diagnose(self._site.look(pods=True))
        except AWAY as error:
            self._report(f"the API server does not answer, still looking: {error.message}")
        else:
            sides = _sides(situation)
            if sides is None or (sides.canary.hash, sides.stable.hash) != (
                self._sides.canary.hash,
                self._sides.stable.hash,
            ):
                self._ended_because = f"the canary no longer stands beside stable (phase {situation.phase.value})"
                return
            self._sides = sides
        for asked in self.request.checks:
            source = self._sources[asked.check.name]
            if source is not None:
                self._ask(asked, source)

    def _ask(self, asked: CheckAsked, source: Source) -> None:
        name, now = asked.check.name, self._now()
        seconds = now - self._looked_at.get(name, now)
        try:
            answers = source.look(self._sides, seconds)
            for stream, answer in answers.items():
                self._take(asked, stream, answer)
        except (NoAnswer, JudgementError) as gap:
            self._miss(name, str(gap))
            return
        self._looked_at[name] = now
        self._silent[name] = 0

    def _miss(self, name: str, reason: str) -> None:
        self._trial.observe(name, NoData(self._now(), reason))
        self._silent[name] = self._silent.get(name, 0) + 1
        if self._silent[name] in (1, SILENT_LOOKS):
            self._report(f"{name}: no data: {reason}")
        if self._silent[name] >= SILENT_LOOKS and self.request.on_no_data is OnNoData.STOP:
            self._ended_because = f"{name} gave no data {SILENT_LOOKS} times in a row"

    def _take(self, asked: CheckAsked, stream: str, answer: Counted | Value) -> None:
        now = self._now()
        if isinstance(answer, Value):
            self._trial.observe(asked.check.name, Reading(now, answer.value), stream)
            return
        sample = Sample(
            at=now,
            canary=Count(answer.canary.bad, answer.canary.total),
            stable=Count(answer.stable.bad, answer.stable.total),
            stable_pods=answer.stable.by_pod,
            pods=len(self._sides.canary.pods) + len(self._sides.stable.pods),
        )
        self._trial.observe(asked.check.name, sample, stream)
        if isinstance(asked.check, RateCheck) and stream == asked.check.streams[0]:
            self._foresee(asked.check, sample)

    def _foresee(self, check: RateCheck, sample: Sample) -> None:
        """Once, as soon as traffic and stable's rate are known: can this window decide, and how long will it take."""
        seen = self._seen.setdefault(check.name, _Seen(sample.at))
        seconds = sample.at - seen.begun
        if seconds > 0:
            seen.canary += sample.canary.total
            seen.stable += sample.stable.total
            seen.stable_bad += sample.stable.bad
        if seen.told or seconds < FORECAST_AFTER_SECONDS or not check.must_pass:
            return
        seen.told = True
        told = forecast(
            check.tolerance,
            Traffic(seen.canary / seconds, seen.stable / seconds, sample.pods),
            seen.stable_bad / seen.stable if seen.stable else 0.0,
            self.request.duration - self.request.warmup,
            Promise(self.request.confidence),
            check.buckets,
        )
        self._forecasts[check.name] = {
            "reach": told.reach.value,
            "seconds_to_pass": told.seconds_to_pass,
            "samples_to_pass": told.samples_to_pass,
            "excess_seen": told.excess_seen,
            "text": told.message,
        }
        self._report(f"{check.name}: {told.message}")
        if told.reach is not Reach.LIKELY:
            self._warn(f"{check.name}: {told.message}")

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self._report(text)

    def result(self, verdict: RunVerdict) -> Mapping[str, Any]:
        """The whole verdict as plain values, with what the looking cost."""
        costs = {name: dict(source.costs()) for name, source in self._sources.items() if source and source.costs()}
        return {**as_result(verdict), "forecasts": self._forecasts, "costs": costs}
