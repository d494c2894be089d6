# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `logs` check by Loki: lines that a LogQL query selects.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..values import dataclass
from .counters import pod_of
from .logs import QUIET_SECONDS, LogsAsked, stream_selector
from .placeholders import filled
from .source import Answers, Counted, NoAnswer, Sides, Tally, Version
from .web import Web, ask, json_of

# Loki's own default limit of a query (limits_config.max_entries_limit_per_query).
_MOST_LINES = 5000
# For so long a stable version that logs seldom keeps what the canary has logged from being counted.
_STABLE_WAITS = 30.0
# How often a query is asked at a look where an answer is full. What is left then is read at the next one.
_MOST_PAGES = 4
_PATH = "/loki/api/v1/query_range"


@dataclass(frozen=True)
class _Lines:
    """Pod and time of each line, in seconds since the epoch. `now`: Loki's own, in whole seconds, when it answered."""

    found: Sequence[tuple[str, float]]
    now: float


@dataclass(frozen=True)
class _Read:
    """Lines that match, up to a whole second, `until`."""

    found: Sequence[tuple[str, float]]
    until: int


class LokiLogs:
    """Reads, at each look, the whole seconds since the look before, up to a moment that has settled. All moments are Loki's.

    Loki says nothing of a log that nobody collects, and nothing of one without errors. So what it has not shown a line after
    (any line of the query's streams) was not read: such seconds are counted once a later line has come, or never. Both versions
    have to show one: the collector of one node may be behind while that of another is on time. A stable version is waited for only
    a while, because one that logs seldom would keep the errors of a canary from being counted.
    """

    def __init__(self, asked: LogsAsked, web: Web) -> None:
        self._asked = asked
        self._web = web
        self._since = 0

    def begin(self, sides: Sides) -> None:
        _until, now = self._settled(sides)
        for version in (sides.canary, sides.stable):
            self._page(version, sides, now - 1, now)
        self._since = now

    def look(self, sides: Sides, seconds: float) -> Answers:
        if not self._since:
            self.begin(sides)
            return {}
        until, now = self._settled(sides)
        if until <= self._since:
            return {}
        canary, stable = (self._matching(version, sides, until) for version in (sides.canary, sides.stable))
        until = min(canary.until, stable.until)
        counted = Counted(
            _tally(sides.canary, canary.found, self._since, until),
            _tally(sides.stable, stable.found, self._since, until),
            ago=float(now - until),
        )
        self._since = until
        return {"": counted}

    def _settled(self, sides: Sides) -> tuple[int, int]:
        """The end of what can be read now, a whole second: a second with a match counts once; and now. Raises NoAnswer when
        the canary has logged nothing for long."""
        canary, stable = (self._newest(version, sides) for version in (sides.canary, sides.stable))
        now = stable.now
        newest = [
            max((moment for _pod, moment in lines.found if moment >= now - self._looked_back), default=None)
            for lines in (canary, stable)
        ]
        if newest[0] is None:
            whose = "of either version" if newest[1] is None else "of the canary, and some of stable,"
            raise NoAnswer(
                f"{self._web.name} has no line at all {whose} in the last {self._looked_back:.0f} seconds: "
                f"check the labels in {stream_selector(self._asked.query)}, whether the pods' logs are collected, and the "
                "clocks of the nodes"
            )
        until = min(now - self._asked.lateness, newest[0] + 1)
        return int(min(until, max((newest[1] or 0.0) + 1, until - _STABLE_WAITS))), int(now)

    def _newest(self, version: Version, sides: Sides) -> _Lines:
        """The newest line of any kind, of the hour that Loki looks back by itself."""
        query = filled(stream_selector(self._asked.query), version, sides.namespace)
        return _lines(self._web, query, version, {"limit": "1", "direction": "backward"})

    @property
    def _looked_back(self) -> float:
        return QUIET_SECONDS + self._asked.lateness

    def doubt(self) -> str:
        return ""

    def _matching(self, version: Version, sides: Sides, until: int) -> _Read:
        """An answer that is full is read on from the second of its last line: the rest of a second with a match says nothing new of that
        pod."""
        found: list[tuple[str, float]] = []
        at = self._since
        for _page in range(_MOST_PAGES):
            lines = self._page(version, sides, at, until).found
            found += lines
            if len(lines) < _MOST_LINES:
                return _Read(found, until)
            at = max(at + 1, int(max(moment for _pod, moment in lines)))
        return _Read(found, at)

    def _page(self, version: Version, sides: Sides, since: int, until: int) -> _Lines:
        span = {"start": str(since * 10**9), "end": str(until * 10**9)}
        query = filled(self._asked.query, version, sides.namespace)
        return _lines(self._web, query, version, {**span, "limit": str(_MOST_LINES), "direction": "forward"})

    def close(self) -> None:
        pass

    def costs(self) -> Mapping[str, float]:
        return {}


def _tally(version: Version, lines: Sequence[tuple[str, float]], since: int, until: int) -> Tally:
    seconds_by_pod: dict[str, set[int]] = {name: set() for name in version.names}
    for pod, moment in lines:
        if since <= moment < until:
            seconds_by_pod.setdefault(pod, set()).add(int(moment))
    by_pod = {name: float(len(seconds)) for name, seconds in seconds_by_pod.items()}
    exposure = float(version.exposed(by_pod) * (until - since))
    return Tally(min(sum(by_pod.values()), exposure), exposure, by_pod)


def _lines(web: Web, query: str, version: Version, more: Mapping[str, str]) -> _Lines:
    """Raises NoAnswer, also where no label names the pod of a line. All labels cannot stand for it: Loki adds some of single lines to
    those of a stream, such as detected_level."""
    pods = {pod.name: pod.uid for pod in version.pods}
    answer = ask(web, _PATH, {"query": query, **more})
    data: Any = json_of(web, answer, plain_refusals=True).get("data")
    if answer.date is None:
        raise NoAnswer(f"{web.name} does not say what time it is: its answers lack the header Date")
    if not isinstance(data, dict) or data.get("resultType") != "streams" or not isinstance(data.get("result"), list):
        raise NoAnswer(f"{web.name} does not answer with lines: is it Loki, and does the query select lines?")
    found: list[tuple[str, float]] = []
    for stream in data["result"]:
        try:
            pod = pod_of(tuple((str(label), str(text)) for label, text in stream["stream"].items()), pods)
            found += [(pod, int(value[0]) / 1e9) for value in stream["values"]]
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise NoAnswer(f"{web.name} answers with lines that Loki would not write: is the url right?") from None
        if not pod:
            raise NoAnswer(
                f"{web.name} has lines without a label that names their pod, so that seconds cannot be counted for each: keep such a label, "
                "whatever it is called"
            )
    return _Lines(found, answer.date)
