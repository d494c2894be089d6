# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source can tell of the traffic before anything was counted.

This module is private to the collection.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Mapping

from ..values import dataclass
from .counters import Counters, Series
from .placeholders import filled
from .prometheus import PrometheusAsked, data_of, series_of, with_suffix
from .replicas import once
from .requests import HttpAsked
from .source import NoAnswer, Sides
from .web import Web

# How far back counters are read, and how often: enough for a rate, little enough for any server.
PAST_SECONDS = 300.0
STEP_SECONDS = 15.0


@dataclass(frozen=True)
class Expected:
    """Exposure a second in all pods of each version. `stable_rate`: share of stable's that is bad, None where nobody knows.
    `seconds`: for how long it lasts, None for ever. `seen`: it was counted in this run. `late`: seconds until it is counted."""

    canary: float
    stable: float
    stable_rate: float | None = None
    seconds: float | None = None
    seen: bool = False
    late: float = 0.0


def expected_of_requests(asked: HttpAsked) -> Expected:
    """We send them ourselves: half to each version, until they are used up."""
    return Expected(asked.rate / 2, asked.rate / 2, seconds=asked.most / asked.rate)


def expected_of_pods(sides: Sides, late: float = 0.0) -> Expected:
    """Every pod gives a pod-second a second."""
    return Expected(float(len(sides.canary.pods)), float(len(sides.stable.pods)), late=late)


def expected_of_counters(asked: PrometheusAsked, sides: Sides) -> Expected:
    """From stable's last minutes. The canary is younger than that: its pods will get as much as stable's do, each.

    For a histogram, bad is what was slower than its first bound. Raises NoAnswer.
    """
    if asked.histogram:
        bad, total, seconds = _slower(asked, sides)
    else:
        bad, seconds = _increase(asked.web, asked.bad, sides)
        total, seconds = _increase(asked.web, asked.total, sides)
    if seconds <= 0 or total <= 0:
        raise NoAnswer(f"stable had no traffic in the last {PAST_SECONDS / 60:g} minutes")
    stable = total / seconds
    a_pod = stable / max(1, len(sides.stable.pods))
    return Expected(a_pod * len(sides.canary.pods), stable, min(1.0, bad / total))


def _increase(web: Web, query: str, sides: Sides) -> tuple[float, float]:
    increases, seconds = _increases(web, query, sides)
    return sum(increases.values()), seconds


def _slower(asked: PrometheusAsked, sides: Sides) -> tuple[float, float, float]:
    increases, seconds = _increases(asked.web, with_suffix(asked.histogram, "_bucket"), sides)
    by_bound: dict[float, float] = defaultdict(float)
    for series, increase in increases.items():
        by_bound[_bound(series)] += increase
    total = by_bound.get(math.inf, 0.0)
    return max(0.0, total - by_bound.get(asked.slower_than[0], 0.0)), total, seconds


def _bound(series: Series) -> float:
    try:
        return float(dict(series).get("le", "nan"))
    except ValueError:
        return math.nan


def _increases(web: Web, query: str, sides: Sides) -> tuple[dict[Series, float], float]:
    """What every series of stable grew by in the last minutes, as the server's clock has them, and over how many seconds there
    were values. Raises NoAnswer."""
    asked = f"({filled(query, sides.stable, sides.namespace)})[{PAST_SECONDS:g}s:{STEP_SECONDS:g}s]"
    moments = _by_moment(web, data_of(web, asked, {}))
    counters, grown = Counters(), defaultdict[Series, float](float)
    for moment in sorted(moments):
        for series, increase in counters.grown(once(moments[moment]).values, sides.stable).by_series.items():
            grown[series] += increase
    return grown, max(moments, default=0.0) - min(moments, default=0.0)


def _by_moment(web: Web, data: Mapping[str, Any]) -> dict[float, dict[Series, float]]:
    if data.get("resultType") != "matrix" or not isinstance(data.get("result"), list):
        raise NoAnswer(f"{web.name} does not answer with ranges: is it Prometheus?")
    moments: dict[float, dict[Series, float]] = defaultdict(dict)
    for row in data["result"]:
        try:
            series = series_of(row["metric"])
            values = [(float(moment), float(text)) for moment, text in row["values"]]
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise NoAnswer(
                f"{web.name} answers with ranges that Prometheus would not write: is the url right?"
            ) from None
        for moment, value in values:
            if math.isfinite(value):
                moments[moment][series] = value
    return moments
