# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call's looks at both versions, side by side, until something ends it.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence

from ...display.news import Rate
from ...judgement.checks import RateCheck
from ...judgement.evidence import Promise
from ...judgement.report import as_result, history_of, marks_of
from ...judgement.samples import Count, NoData, Reading, Sample, mark_of, not_counted_yet
from ...judgement.trial import Trial
from ...judgement.verdicts import RunVerdict, Verdict
from ...probes.source import Answers, Counted, Sides, Value
from ...rollout.phase import Situation
from ..call.outcome import Kind, News, Report
from ..call.pacing import REPORT_SECONDS
from ..call.site import Site
from .asking import Asking
from .checks import CheckAsked, HttpAsked, LogsAsked, SamplesAsked, SourceAsked, VerifyRequest, Via, plan_of
from .foresight import Foresight
from .loads import EQUAL, UNPROVEN, Loads, Worth
from .looking import Ended, Looking, Rests
from .sides import sides_of

COUNTED_BEFORE = "these samples were judged at a step before, so they say nothing of this one: hand over what was counted since, with its own times"


class Comparison(Looking):
    """`ends` says of a situation why nothing can be compared any more. `stops_at_pass`: a pass ends it as a fail does. `loads`: what a
    pod's second is worth, which only counts by time need."""

    def __init__(
        self,
        site: Site,
        request: VerifyRequest,
        sides: Sides,
        report: Report,
        *,
        loads: Loads,
        ends: Callable[[Situation], Ended | None],
        stops_at_pass: bool,
        rests: Rests | None = None,
    ) -> None:
        history = history_of(request.history)
        before = max((bucket.end for buckets in history.values() for bucket in buckets), default=0.0)
        super().__init__(
            site, Asking(site.api, request.checks, sides, request.on_no_data, report), report, before, rests
        )
        self.request = request
        self.warnings: list[str] = []
        self._sides = sides
        self._loads = loads
        self._ends = ends
        self._stops_at_pass = stops_at_pass
        self._trial = Trial(plan_of(request), history)
        self._marks = marks_of(request.history) if request.history else ()
        if history:
            self._trial.begin_step(before)
        self._foresight = Foresight(request, report, self._warn)

    def begin(self) -> dict[str, str]:
        """Reaches every source, and says what the window can decide; returns what did not answer, by check."""
        gaps = {}
        for name, doubt in self._unproven().items():
            self._warn(f"{name}: {doubt}")
        for asked in self._asking.checks:
            why = self._asking.begin(asked, self._now())
            if why:
                gaps[asked.check.name] = why
            self._foresight.before(asked, None if why else self._asking.sides_for(asked))
        # A guard comes after the steps that were told what the user has counted.
        given = () if self.request.guard else self.request.checks
        for asked in given:
            if isinstance(asked.source, SamplesAsked):
                self._count(asked.check.name, asked.source.samples)
        return gaps

    def _count(self, name: str, samples: Sequence[Sample]) -> None:
        """What the user has counted says something of the step that it was counted at, and of no later one."""
        new = not_counted_yet(samples, self._marks)
        if samples and not new:
            self._trial.observe(name, NoData(self._offset, COUNTED_BEFORE))
            self._report(f"{name}: {COUNTED_BEFORE}")
        for sample in new:
            self._trial.observe(name, replace(sample, at=sample.at + self._offset))

    def until_decided(self) -> RunVerdict:
        self._restart()
        for name, reason in self.begin().items():
            self._trial.observe(name, NoData(self._now(), reason))
            self._report(f"{name}: {reason}")
        until, told = self._offset + self.request.duration, self._now()
        decided = self._decided()
        if not self._asking.checks:
            self.ended = Ended("there was nothing to ask: samples were counted at once", expected=True)
        while not decided and self.ended is None and self._now() < until:
            self._rest(self.request.interval, until)
            self._look()
            decided = self._decided()
            # The last look is told by the verdict.
            if not decided and told + REPORT_SECONDS <= self._now() < until:
                told = self._now()
                self._report(self._progress(told))
        return self._concluded(self._doubted(self._trial.report(self._now())))

    def _doubted(self, verdict: RunVerdict) -> RunVerdict:
        """The same verdict; whoever reads it also reads what its sources are not sure of."""
        fails = verdict.verdict is Verdict.FAIL
        doubts = {**({} if fails else self._unproven()), **self._asking.doubts()}
        for name, doubt in doubts.items():
            self._warn(f"{name}: {doubt}")
        checks = tuple(
            replace(check, reason=f"{check.reason}; {doubts[check.name]}") if check.name in doubts else check
            for check in verdict.checks
        )
        told = [verdict.reason, *(f"{name}: {doubt}" for name, doubt in doubts.items())]
        return replace(verdict, reason="; ".join(filter(None, told)), checks=checks)

    def _decided(self) -> bool:
        verdict = self._trial.look(self._now())
        return verdict is Verdict.FAIL or (verdict is Verdict.PASS and self._stops_at_pass)

    def _concluded(self, verdict: RunVerdict) -> RunVerdict:
        if self.ended is None or self.ended.expected or verdict.verdict is Verdict.FAIL:
            return verdict
        why = f"{self.ended.why}; {verdict.reason}".rstrip("; ")
        return replace(verdict, verdict=Verdict.INCONCLUSIVE, reason=why)

    def _progress(self, now: float) -> News:
        trial = self._trial
        limit = Promise(self.request.confidence).limit
        return News(
            "guarding the promotion" if self.request.guard else "judging",
            Kind.STATE,
            pods=self._pods,
            elapsed=now - self._offset,
            total=self.request.duration,
            rates=tuple(Rate(*counted) for counted in trial.counted),
            readings=trial.readings,
            evidence=None if trial.evidence is None else (trial.evidence, trial.least_to_pass, limit),
        )

    def _sees(self, situation: Situation) -> Ended | None:
        return self._ends(situation) or self._changed(situation)

    def _changed(self, situation: Situation) -> Ended | None:
        sides, before = sides_of(situation), self._sides
        if sides is None or (sides.canary.hash, sides.stable.hash) != (before.canary.hash, before.stable.hash):
            return Ended(f"the canary no longer stands beside stable (phase {situation.phase.value})")
        self._sides = sides
        self._asking.sees(sides)
        self._loads.sees(sides)
        for caveat in self._loads.caveats:
            self._warn(caveat)
        return None

    def _takes(self, asked: CheckAsked, answers: Answers) -> None:
        for stream, answer in answers.items():
            self._take(asked, stream, answer)

    def _lacks(self, asked: CheckAsked, gap: NoData) -> None:
        self._trial.observe(asked.check.name, gap)

    def _take(self, asked: CheckAsked, stream: str, answer: Counted | Value) -> None:
        now = self._now()
        if isinstance(answer, Value):
            self._trial.observe(asked.check.name, Reading(now, answer.value), stream)
            return
        worth = self._worth(asked.source)
        if isinstance(worth, str):
            self._lacks(asked, NoData(now, worth))
            return
        sides = self._asking.sides_for(asked)
        sample = Sample(
            at=max(self._offset, now - answer.ago),
            canary=Count(answer.canary.bad, answer.canary.total * float(worth)),
            stable=Count(answer.stable.bad, answer.stable.total),
            stable_pods=answer.stable.by_pod,
            pods=len(sides.canary.pods) + len(sides.stable.pods),
        )
        self._trial.observe(asked.check.name, sample, stream)
        if isinstance(asked.check, RateCheck) and stream == asked.check.streams[0]:
            self._foresight.saw(asked.check, sample)

    def _worth(self, source: SourceAsked) -> Worth:
        """Of what the source counts."""
        if isinstance(source, LogsAsked):
            return self._loads.worth
        if isinstance(source, HttpAsked) and source.via is Via.URL:
            return self._loads.reached(source.sent_to(True), source.sent_to(False))
        return EQUAL

    def _unproven(self) -> dict[str, str]:
        """By check, what speaks against its good answers, and is known beforehand."""
        sources = {} if self._loads.has_routes else {one.check.name: one.source for one in self.request.checks}
        return {name: UNPROVEN for name, one in sources.items() if isinstance(one, HttpAsked) and one.via is Via.URL}

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
            self._report(News(text, Kind.WARNING))

    @property
    def forecasts(self) -> Mapping[str, Any]:
        return self._foresight.told

    def result(self, verdict: RunVerdict) -> dict[str, Any]:
        """The whole verdict as plain values, with what the looking cost."""
        given = (asked.source.samples for asked in self.request.checks if isinstance(asked.source, SamplesAsked))
        about = {
            "hash": self._sides.canary.hash,
            "samples": sorted({*self._marks, *(mark_of(samples) for samples in given if samples)}),
            "forecasts": dict(self.forecasts),
            "costs": self._asking.costs(),
        }
        return {**as_result(verdict), **about}
