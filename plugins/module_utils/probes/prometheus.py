# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `prometheus` check: counters of both versions, a histogram against bounds, or one query with plain bounds.

This module is private to the collection.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

from ..foreign import printable
from ..values import dataclass
from .counters import Counters, Grown, Series, pod_of
from .placeholders import filled, filled_both, tells_versions_apart
from .replicas import once
from .source import Answers, Counted, Misasked, NoAnswer, Sides, Tally, Value, Version
from .web import Web, ask_json

_QUERY = "/api/v1/query"
_TWICE = "series came twice, told apart by a label of replicas alone, and were counted once"


@dataclass(frozen=True)
class PrometheusAsked:
    """Exactly one of: `bad` and `total` (selectors of counters), `histogram` (a selector without _bucket) and
    `slower_than` (bounds that the histogram has, seconds), `query` (gives one value).
    """

    web: Web
    bad: str = ""
    total: str = ""
    histogram: str = ""
    slower_than: tuple[float, ...] = ()
    query: str = ""

    def __post_init__(self) -> None:
        given = [bool(self.bad or self.total), bool(self.histogram or self.slower_than), bool(self.query)]
        if sum(given) != 1:
            raise Misasked("exactly one is needed of: bad and total; histogram and slower_than; query")
        if given[0] and not (self.bad and self.total):
            raise Misasked("bad and total are needed together: the bad events and all events")
        if given[1] and not (self.histogram and self.slower_than):
            raise Misasked("histogram and slower_than are needed together: a histogram and the bounds in seconds")
        if not all(bound > 0 for bound in self.slower_than):
            raise Misasked("slower_than has a bound that is not above 0: give seconds")
        if len({stream_of(bound) for bound in self.slower_than}) < len(self.slower_than):
            raise Misasked("slower_than has a bound twice: give each once")
        for option, query in (("bad", self.bad), ("total", self.total), ("histogram", self.histogram)):
            if query and not tells_versions_apart(query):
                raise Misasked(f'{option} is "{query}", the same for both versions: use <pods> or <hash> in it')


class PerVersion:
    """A counter of canary and stable, each with a memory of its own. `of_all`: the counter of every event of which these are some; it is
    read of a look after them."""

    def __init__(self, of_all: PerVersion | None = None) -> None:
        self._canary: Counters = Counters(of_all._canary if of_all else None)
        self._stable: Counters = Counters(of_all._stable if of_all else None)
        self.twice = False

    def grown(self, values: Sequence[Mapping[Series, float]], sides: Sides) -> list[Grown]:
        """Of the canary's values and of stable's, in this order. Raises NoAnswer."""
        canary, stable = (once(side) for side in values)
        self.twice = self.twice or canary.twice or stable.twice
        return [self._canary.grown(canary.values, sides.canary), self._stable.grown(stable.values, sides.stable)]


class PrometheusCounters:
    """Increases of two counters, per version, pod and look."""

    def __init__(self, asked: PrometheusAsked) -> None:
        self._asked = asked
        self._total = PerVersion()
        self._bad = PerVersion(of_all=self._total)
        self._bad_matched = False
        self._unseen: Sequence[str] = ()

    def begin(self, sides: Sides) -> None:
        self._read(sides)

    def look(self, sides: Sides, seconds: float) -> Answers:
        canary, stable = (
            _tally(bad.by_series, total.by_series, version)
            for version, bad, total in zip((sides.canary, sides.stable), *self._read(sides), strict=True)
        )
        return {"": Counted(canary, stable)}

    def _read(self, sides: Sides) -> tuple[list[Grown], list[Grown]]:
        """Increases of bad and of total, of canary and stable each, all as they were at one moment."""
        versions = (sides.canary, sides.stable)
        queries = [
            filled(query, version, sides.namespace)
            for query in (self._asked.total, self._asked.bad)
            for version in versions
        ]
        read = at_one_moment(self._asked.web, queries)
        total, bad = read[:2], read[2:]
        if not any(total):
            raise NoAnswer("the query total gives no series for either version: check its labels and the pods' scrape")
        self._bad_matched = self._bad_matched or any(bad)
        self._unseen = _unseen(total[0], sides.canary)
        more_bad, more = self._bad.grown(bad, sides), self._total.grown(total, sides)
        _must_be_clear(*more_bad, *more)
        return more_bad, more

    def close(self) -> None:
        pass

    def doubt(self) -> str:
        unmatched = (
            "bad has matched no series in either version, so check its labels unless nothing has gone wrong anywhere"
        )
        told = [
            _TWICE if self._bad.twice or self._total.twice else "",
            "" if self._bad_matched else unmatched,
            f"total has no series of {', '.join(self._unseen)}, so check the scrape unless nobody asks them anything"
            if self._unseen
            else "",
        ]
        return "; ".join(filter(None, told))

    def costs(self) -> Mapping[str, float]:
        return {}


class PrometheusHistogram:
    """Requests slower than each bound, a stream a bound."""

    def __init__(self, asked: PrometheusAsked) -> None:
        self._asked = asked
        self._buckets = PerVersion()

    def begin(self, sides: Sides) -> None:
        self._read(sides)

    def look(self, sides: Sides, seconds: float) -> Answers:
        canary, stable = (grown.by_series for grown in self._read(sides))
        return {
            stream_of(bound): Counted(_slower(canary, bound, sides.canary), _slower(stable, bound, sides.stable))
            for bound in self._asked.slower_than
        }

    def _read(self, sides: Sides) -> list[Grown]:
        query = with_suffix(self._asked.histogram, "_bucket")
        queries = [filled(query, version, sides.namespace) for version in (sides.canary, sides.stable)]
        read = at_one_moment(self._asked.web, queries)
        if not any(read):
            raise NoAnswer("the histogram gives no series for either version: check its labels and the pods' scrape")
        for side in read:
            self._must_have_bounds(side)
        grown = self._buckets.grown(read, sides)
        _must_be_clear(*grown)
        return grown

    def _must_have_bounds(self, buckets: Mapping[Series, float]) -> None:
        """Each series by itself: one that lacks a bound would look as if all its requests were slower."""
        there: dict[Series, set[float]] = {}
        for series in buckets:
            there.setdefault(_without_bound(series), set()).add(_bound_of(series))
        for bounds in there.values():
            missing = [bound for bound in self._asked.slower_than if bound not in bounds]
            if missing or math.inf not in bounds:
                known = ", ".join(f"{bound:g}" for bound in sorted(bounds - {math.inf}))
                raise NoAnswer(
                    f"the histogram has no bound {', '.join(f'{bound:g}' for bound in missing) or '+Inf'}; it has {known}"
                )

    def close(self) -> None:
        pass

    def doubt(self) -> str:
        return _TWICE if self._buckets.twice else ""

    def costs(self) -> Mapping[str, float]:
        return {}


class PrometheusValue:
    """One query, one value, at each look. What is of the same moment as the answer before it, or of an earlier one, is no new reading: a
    cache has repeated it, or the server's clock stands still."""

    def __init__(self, asked: PrometheusAsked) -> None:
        self._asked = asked
        self._moment: float | None = None

    def begin(self, sides: Sides) -> None:
        self._value(sides)

    def look(self, sides: Sides, seconds: float) -> Answers:
        return {"": Value(self._value(sides))}

    def _value(self, sides: Sides) -> float:
        answer = vector(self._asked.web, filled_both(self._asked.query, sides))
        values, before, self._moment = answer.values, self._moment, answer.moment
        if before is not None and answer.moment is not None and answer.moment <= before:
            raise NoAnswer(
                f"{self._asked.web.name} answers as of the same moment again, or of an earlier one: look for a cache before it that keeps "
                "answers, and at its clock"
            )
        if len(values) != 1:
            found = f"{len(values)} series" if values else "an empty vector"
            raise NoAnswer(f"the query gives {found} where one value is needed: aggregate it, for example with sum()")
        return next(iter(values.values()))

    def close(self) -> None:
        pass

    def doubt(self) -> str:
        return ""

    def costs(self) -> Mapping[str, float]:
        return {}


def prometheus(
    asked: PrometheusAsked,
) -> PrometheusCounters | PrometheusHistogram | PrometheusValue:
    if asked.query:
        return PrometheusValue(asked)
    return PrometheusHistogram(asked) if asked.histogram else PrometheusCounters(asked)


def stream_of(bound: float) -> str:
    return f"slower than {bound:g} s"


@dataclass(frozen=True)
class Vector:
    """`moment`: of which the values are, in the server's seconds since the epoch; None when there are none."""

    values: Mapping[Series, float]
    moment: float | None


def at_one_moment(web: Web, queries: Sequence[str]) -> list[Mapping[Series, float]]:
    """The answers to several queries, all of the moment at which the first of them that gives anything was answered. The
    server's clock says when that was, and not ours, which may be wrong. Raises NoAnswer."""
    moment: float | None = None
    answers = []
    for query in queries:
        answer = vector(web, query, moment)
        moment = answer.moment if moment is None else moment
        answers.append(answer.values)
    return answers


def vector(web: Web, query: str, moment: float | None = None) -> Vector:
    """An instant vector (or scalar), series by their labels, of now as the server sees it, unless `moment` is given. Raises
    NoAnswer for anything else, NaN included."""
    data = data_of(web, query, {} if moment is None else {"time": f"{moment:.3f}"})
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        moment, value = _point(result)
        return Vector({(): value}, moment)
    if kind != "vector" or not isinstance(result, list):
        raise NoAnswer(f"the query gives a {_short(kind)} where an instant vector is needed: leave the range [..] out")
    found: dict[Series, float] = {}
    evaluated: float | None = None
    for row in result:
        if not isinstance(row, dict) or not isinstance(row.get("metric"), dict):
            raise NoAnswer(f"{web.name} answers with a series that has no labels: is the url that of its API?")
        series = series_of(row["metric"])
        if series in found:
            raise NoAnswer(f"{web.name} answers with the same series twice, of which nobody knows which one is right")
        evaluated, found[series] = _point(row.get("value"))
    return Vector(found, evaluated)


def data_of(web: Web, query: str, more: Mapping[str, str]) -> Mapping[str, Any]:
    """What an instant query gives. Raises NoAnswer."""
    answer = ask_json(web, _QUERY, {"query": query, **more})
    data = answer.get("data")
    if answer.get("status") != "success" or not isinstance(data, dict):
        raise NoAnswer(f"{web.name} does not answer as Prometheus does: is the url that of its API?")
    return data


def series_of(labels: Mapping[str, Any]) -> Series:
    """Raises NoAnswer."""
    if not all(isinstance(text, str) for text in labels.values()):
        raise NoAnswer("the query gives a series with a label that is no text: is the url that of Prometheus' API?")
    return tuple(sorted(labels.items()))


def _point(pair: Any) -> tuple[float, float]:
    """Moment and value."""
    if not isinstance(pair, list) or len(pair) != 2:
        raise NoAnswer("the query gives a value that is none")
    try:
        moment, number = float(pair[0]), float(pair[1])
    except (OverflowError, TypeError, ValueError):
        raise NoAnswer("the query gives a value that is not a number") from None
    if not (math.isfinite(number) and math.isfinite(moment)):
        raise NoAnswer(f"the query gives {_short(pair[1])}: nothing was counted, or a division by zero")
    return moment, number


def _short(given: Any) -> str:
    return printable(str(given))[:40]


def _unseen(values: Mapping[Series, float], version: Version) -> Sequence[str]:
    """Pods without a series, where others have some: what is not scraped has no errors either."""
    pods = {pod.name: pod.uid for pod in version.pods}
    seen = {pod_of(series, pods) for series in values}
    return tuple(name for name in sorted(pods) if seen & set(pods) and name not in seen)


def _must_be_clear(*grown: Grown) -> None:
    if any(one.unclear for one in grown):
        raise NoAnswer(
            "the pods changed since the look before, and the query sums over them, so what was added cannot be told: "
            "keep the pods apart, sum by (pod)"
        )


def _tally(bad: Mapping[Series, float], total: Mapping[Series, float], version: Version) -> Tally:
    pods = {pod.name: pod.uid for pod in version.pods}
    by_pod: dict[str, float] = {pod_of(series, pods): 0.0 for series in total}
    for series, increase in bad.items():
        pod = pod_of(series, pods)
        by_pod[pod] = by_pod.get(pod, 0.0) + increase
    # Scrapes of two counters may fall between the same request's increments: an event is exposure, too.
    seen = sum(bad.values())
    return Tally(seen, max(seen, sum(total.values())), by_pod)


def _slower(buckets: Mapping[Series, float], bound: float, version: Version) -> Tally:
    """Of cumulative buckets: all requests, less those within the bound."""
    total: dict[Series, float] = {}
    within: dict[Series, float] = {}
    for series, increase in buckets.items():
        counted = {math.inf: total, bound: within}.get(_bound_of(series))
        if counted is not None:
            counted[_without_bound(series)] = increase
    bad = {series: max(0.0, every - within.get(series, 0.0)) for series, every in total.items()}
    return _tally(bad, total, version)


def _without_bound(series: Series) -> Series:
    return tuple(label for label in series if label[0] != "le")


def _bound_of(series: Series) -> float:
    text = next((text for name, text in series if name == "le"), "")
    try:
        return float(text)
    except ValueError:
        return math.nan


def with_suffix(selector: str, suffix: str) -> str:
    name, brace, rest = selector.partition("{")
    return f"{name.strip()}{suffix}{brace}{rest}"
