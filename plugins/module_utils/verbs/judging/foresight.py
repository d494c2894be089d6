# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run can decide at all, and how long it will take: told before it begins, and again when more is known.

This module is private to the collection.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

from ...judgement.checks import BoundCheck, RateCheck
from ...judgement.evidence import BUCKETS_THAT_MUST_SPEAK, Promise
from ...judgement.forecast import Forecast, Reach, Traffic, forecast
from ...judgement.samples import Sample
from ...probes.choices import Via
from ...probes.source import NoAnswer, Sides
from ...probes.traffic import Expected, expected_of_counters, expected_of_pods, expected_of_requests
from ...values import dataclass
from ..call.outcome import Report
from .checks import CheckAsked, HttpAsked, LogsAsked, PodsAsked, PrometheusAsked, VerifyRequest
from .loads import OF_THE_OWNER

# Traffic and stable's rate are known well enough for a second forecast after so long.
FORECAST_AFTER_SECONDS = 15.0


def blind_to_versions(asked: CheckAsked) -> str:
    """Of a guard beside routes that are their owner's again. Empty of a check that asks nobody by a URL."""
    by_url = isinstance(asked.source, HttpAsked) and asked.source.via is Via.URL
    return f"{asked.check.name} sees nothing while this is promoted by pods: {OF_THE_OWNER}" if by_url else ""


def blind_in_the_end(asked: CheckAsked, seconds: float) -> str:
    """Of a guard, which ends no sooner for what it has seen: a check whose requests are used up before that. They are sent as long as both
    versions serve, and nobody knows yet how long that is. Empty of any other."""
    source = asked.source
    if not isinstance(source, HttpAsked) or source.rate * seconds <= source.most:
        return ""
    return (
        f"{asked.check.name}: at a rate of {source.rate:g} all {source.most} requests are sent after {source.most / source.rate:.0f} of the "
        f"{seconds:.0f} seconds of the guard, and it sees nothing more of a promotion that takes longer; make max_requests "
        f"{math.ceil(source.rate * seconds)}, or rate smaller"
    )


@dataclass
class _Seen:
    """What one check has counted since its first data. `begun`: when that was."""

    begun: float
    canary: float = 0.0
    stable: float = 0.0
    stable_bad: float = 0.0
    told: bool = False


class Foresight:
    """`warn` is for what a person should change, `report` for the rest; forecasts are kept in `told` by check."""

    def __init__(self, request: VerifyRequest, report: Report, warn: Callable[[str], None]) -> None:
        self._request = request
        self._report = report
        self._warn = warn
        self._seen: dict[str, _Seen] = {}
        self.told: dict[str, Mapping[str, Any]] = {}

    def before(self, asked: CheckAsked, sides: Sides | None) -> None:
        """What can be known before the first look: the window, and traffic where the source can tell it. `sides` is None
        where the source does not answer."""
        check = asked.check
        if self._request.guard and (said := blind_in_the_end(asked, self._request.duration)):
            self._warn(said)
        if isinstance(check, BoundCheck):
            self._warn_of_few_looks(check)
            return
        if self._passes(check):
            self._warn_of_a_short_window(check, asked.source.lateness if isinstance(asked.source, LogsAsked) else 0.0)
        if sides is None:
            return
        try:
            expected = _expected(asked, sides)
        except NoAnswer as error:
            self._report(f"{check.name}: no forecast yet, as the traffic is not known: {error}")
            return
        if expected is not None:
            self._tell(check, expected, len(sides.canary.pods) + len(sides.stable.pods))

    def _passes(self, check: RateCheck) -> bool:
        """Whether anybody waits for its pass. Of a guard nobody does."""
        return check.must_pass and not self._request.guard

    def _warn_of_few_looks(self, check: BoundCheck) -> None:
        warm = max(0.0, self._request.duration - self._request.warmup)
        looks = int(warm // self._request.interval)
        if looks < check.in_a_row:
            after = f", {self._request.warmup:g} of them the warmup," if self._request.warmup else ""
            self._warn(
                f"{check.name}: {self._request.duration:g} seconds{after} cannot decide anything: it needs {check.in_a_row} "
                f"values in a row, and there will be {looks}; make duration longer, or interval or in_a_row smaller"
            )

    def _warn_of_a_short_window(self, check: RateCheck, late: float) -> None:
        request = self._request
        least = request.warmup + late + BUCKETS_THAT_MUST_SPEAK * max(check.buckets.at_least, request.interval)
        if request.duration < least:
            self._warn(
                f"{check.name}: {request.duration:g} seconds cannot decide anything: "
                f"three looks and the warmup take {least:g}"
                + (f", {late:g} of them until a line has arrived" if late else "")
                + "; make duration longer"
            )

    def _tell(self, check: RateCheck, expected: Expected, pods: int) -> None:
        window = max(0.0, self._request.duration - self._request.warmup - expected.late)
        if expected.seconds is not None:
            window = min(window, expected.seconds)
        stable_rate = expected.stable_rate or 0.0
        traffic = Traffic(expected.canary, expected.stable, pods)
        told = forecast(check.tolerance, traffic, stable_rate, window, Promise(self._request.confidence), check.buckets)
        text = (
            f"{_basis(expected)}: {told.message if self._passes(check) else f'in {window:.0f} seconds {told.to_fail}'}"
        )
        self.told[check.name] = _as_result(told, expected, text)
        doubtful = self._passes(check) and told.reach is not Reach.LIKELY
        (self._warn if doubtful else self._report)(f"{check.name}: {text}")

    def saw(self, check: RateCheck, sample: Sample) -> None:
        """Tells it once more, as soon as traffic and stable's rate have been seen, if one of them was not known before."""
        seen = self._seen.setdefault(check.name, _Seen(sample.at))
        seconds = sample.at - seen.begun
        if seconds > 0:
            seen.canary += sample.canary.total
            seen.stable += sample.stable.total
            seen.stable_bad += sample.stable.bad
        known = self.told.get(check.name, {}).get("stable_rate") is not None
        if seen.told or known or seconds < FORECAST_AFTER_SECONDS:
            return
        seen.told = True
        rate = seen.stable_bad / seen.stable if seen.stable else 0.0
        self._tell(check, Expected(seen.canary / seconds, seen.stable / seconds, rate, seen=True), sample.pods)


def _expected(asked: CheckAsked, sides: Sides) -> Expected | None:
    """None for samples, which are there already."""
    source = asked.source
    if isinstance(source, HttpAsked):
        return expected_of_requests(source)
    if isinstance(source, PrometheusAsked):
        return expected_of_counters(source, sides)
    if isinstance(source, LogsAsked):
        return expected_of_pods(sides, late=source.lateness)
    return expected_of_pods(sides) if isinstance(source, PodsAsked) else None


def _basis(expected: Expected) -> str:
    rates = f"{expected.canary:.3g} a second in the canary and {expected.stable:.3g} in stable"
    if expected.seconds is not None:
        rates += f" (for {expected.seconds:.0f} seconds, then all that are allowed are sent)"
    if expected.stable_rate is None:
        return f"expecting {rates}, and nothing bad in stable, whose rate is not known yet"
    bad = f"{100 * expected.stable_rate:.3g} % of stable's bad"
    return f"{'seeing' if expected.seen else 'expecting, from the last minutes,'} {rates}, {bad}"


def _as_result(told: Forecast, expected: Expected, text: str) -> dict[str, Any]:
    return {
        "reach": told.reach.value,
        "seconds_to_pass": told.seconds_to_pass,
        "samples_to_pass": told.samples_to_pass,
        "excess_seen": told.excess_seen,
        "rate_seen": told.rate_seen,
        "canary_a_second": expected.canary,
        "stable_a_second": expected.stable,
        "stable_rate": expected.stable_rate,
        "text": text,
    }
