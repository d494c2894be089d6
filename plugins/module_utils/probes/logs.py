# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `logs` check: seconds in which a pod logged a line that matches, out of pod-seconds.

One error may print a hundred lines of a stack; a second with a match counts once. From the API, or from Loki by URL.

This module is private to the collection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterator, Mapping

from ..cluster.api import Api
from ..cluster.clock import SYSTEM, Clock, stamp
from ..cluster.errors import ApiError
from .placeholders import filled, tells_versions_apart
from .source import Answers, Counted, Misasked, NoAnswer, Sides, Tally, Version
from .web import Web, ask_json

LARGEST_LOG = 2 << 20
# Loki's own default limit of a query (limits_config.max_entries_limit_per_query).
_LOKI_LINES = 5000
# Time stamps come from the node or from Loki: what is younger than this may not have arrived. To Loki, collectors send in
# batches.
SETTLED_SECONDS, SETTLED_SECONDS_IN_LOKI = 2.0, 15.0
# For how long an application may log nothing at all before that looks like a log that nobody collects.
QUIET_SECONDS = 120.0
LONGEST_SETTLING = 600.0
# Braces may stand in the quoted or backquoted values of labels, too; <pods> and the like are filled in later.
_SELECTOR = re.compile(r"""\{(?:[^{}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}""")
_STAMP = re.compile(r"(?P<whole>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class LogsAsked:
    """`pattern`: a regular expression. From the API: of `container` (empty: the pod's only or default one). From Loki,
    with `web`: lines that the LogQL `query` selects, which names <pods> or <hash> and filters by itself. `settled_after`:
    seconds after which all lines have arrived that ever will (None: as is usual for either)."""

    pattern: str = ""
    container: str = ""
    web: Web | None = None
    query: str = ""
    settled_after: float | None = None

    def __post_init__(self) -> None:
        if self.web is None and (not self.pattern or self.query):
            raise Misasked("logs from the API need a pattern; a query goes with the url of Loki")
        if self.web is not None and (not self.query or self.pattern):
            raise Misasked('logs from Loki need a query, such as {pod=~"<pods>"} |= "ERROR", instead of a pattern')
        if self.query and not tells_versions_apart(self.query):
            raise Misasked(f'the query "{self.query}" is the same for both versions: use <pods> or <hash> in it')
        if self.query and not stream_selector(self.query):
            raise Misasked(f'the query "{self.query}" selects no streams: begin it with labels in {{}}')
        if self.settled_after is not None and not 0 <= self.settled_after <= LONGEST_SETTLING:
            raise Misasked(
                f"a logs check has settled_after {self.settled_after:g}: give 0 to {LONGEST_SETTLING:g} seconds"
            )
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise Misasked(f"the pattern of a logs check is no regular expression: {error}") from None

    @property
    def lateness(self) -> float:
        if self.settled_after is not None:
            return self.settled_after
        return SETTLED_SECONDS if self.web is None else SETTLED_SECONDS_IN_LOKI


class Logs:
    """Reads, at each look, the whole seconds since the look before, up to a moment that has settled.

    Loki says nothing of a log that nobody collects, and nothing of one without errors. So what it has not shown a line after
    (any line of the query's streams) was not read: such seconds are counted once a later line has come, or never.
    """

    def __init__(self, api: Api, asked: LogsAsked, clock: Clock = SYSTEM) -> None:
        self._api = api
        self._clock = clock
        self._asked = asked
        self._pattern = re.compile(asked.pattern)
        self._since = 0
        self._silent_canary = False

    def begin(self, sides: Sides) -> None:
        now = self._clock.wall()
        self._settled(sides, now)
        self._tallies(sides, now - 1, now)
        self._since = int(now)

    def look(self, sides: Sides, seconds: float) -> Answers:
        if not self._since:
            self.begin(sides)
            return {}
        now = self._clock.wall()
        until = self._settled(sides, now)
        if until <= self._since:
            return {}
        canary, stable = self._tallies(sides, self._since, until)
        self._since = until
        return {"": Counted(canary, stable, ago=now - until)}

    def _settled(self, sides: Sides, now: float) -> int:
        """The end of what can be read now, a whole second: a second with a match counts once. Raises NoAnswer when neither
        version has logged anything for long."""
        settled = now - self._asked.lateness
        if self._asked.web is None:
            return int(settled)
        canary, stable = (
            self._newest(self._asked.web, version, sides, now) for version in (sides.canary, sides.stable)
        )
        self._silent_canary = canary is None and stable is not None
        newest = max(canary or 0.0, stable or 0.0)
        if not newest:
            raise NoAnswer(
                f"{self._asked.web.name} has no line at all of either version in the last {self._looked_back:.0f} seconds: "
                f"check the labels in {stream_selector(self._asked.query)}, and whether the pods' logs are collected"
            )
        return int(min(settled, newest + 1))

    def _newest(self, web: Web, version: Version, sides: Sides, now: float) -> float | None:
        """When the newest line came, of any kind; None when there was none for long."""
        query = filled(stream_selector(self._asked.query), version, sides.namespace)
        since = now - self._looked_back
        moments = [moment for _pod, moment in _loki(web, query, since, now, newest=True) if since <= moment]
        return max(moments, default=None)

    @property
    def _looked_back(self) -> float:
        return QUIET_SECONDS + self._asked.lateness

    def doubt(self) -> str:
        if not self._silent_canary:
            return ""
        return (
            f"Loki has lines of stable in the last {self._looked_back:.0f} seconds and none at all of the canary, so check "
            "whether its pods' logs are collected"
        )

    def _tallies(self, sides: Sides, since: float, until: float) -> tuple[Tally, Tally]:
        return self._tally(sides.canary, sides, since, until), self._tally(sides.stable, sides, since, until)

    def _tally(self, version: Version, sides: Sides, since: float, until: float) -> Tally:
        seconds_by_pod: dict[str, set[int]] = {name: set() for name in version.names}
        if self._asked.web is not None:
            query = filled(self._asked.query, version, sides.namespace)
            for pod, moment in _loki(self._asked.web, query, since, until):
                if since <= moment < until:
                    seconds_by_pod.setdefault(pod, set()).add(int(moment))
        else:
            for name in version.names:
                seconds_by_pod[name] = self._from_api(sides.namespace, name, since, until)
        by_pod = {name: float(len(seconds)) for name, seconds in seconds_by_pod.items()}
        exposure = len(version.pods) * (until - since)
        return Tally(min(sum(by_pod.values()), exposure), exposure, by_pod)

    def _from_api(self, namespace: str, pod: str, since: float, until: float) -> set[int]:
        query = {"timestamps": "true", "sinceTime": stamp(since), "limitBytes": str(LARGEST_LOG)}
        if self._asked.container:
            query["container"] = self._asked.container
        try:
            text = self._api.text(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query, max_bytes=LARGEST_LOG)
        except ApiError as error:
            raise NoAnswer(f"the log of pod {pod} cannot be read: {error.message}") from None
        if len(text) >= LARGEST_LOG - 4096:
            raise NoAnswer(
                f"pod {pod} logs more than {LARGEST_LOG >> 20} MiB between two looks: look more often, or use Loki"
            )
        seconds = set()
        for line in text.splitlines():
            written, _space, logged = line.partition(" ")
            moment = _moment(written)
            if moment is not None and since <= moment < until and self._pattern.search(logged):
                seconds.add(int(moment))
        return seconds

    def close(self) -> None:
        pass

    def costs(self) -> Mapping[str, float]:
        return {}


def stream_selector(query: str) -> str:
    """The labels in braces by which a LogQL query chooses its streams; nothing where it has none."""
    found = _SELECTOR.search(query)
    return found[0] if found else ""


def _loki(web: Web, query: str, since: float, until: float, newest: bool = False) -> Iterator[tuple[str, float]]:
    """Pod and time (seconds) of each line that the query selects, or of the newest one; without a label pod, all labels stand
    for it. Raises NoAnswer, also when there are too many."""
    asked = {
        "query": query,
        "start": f"{since * 1e9:.0f}",
        "end": f"{until * 1e9:.0f}",
        "limit": "1" if newest else str(_LOKI_LINES),
        "direction": "backward" if newest else "forward",
    }
    answer = ask_json(web, "/loki/api/v1/query_range", asked, plain_refusals=True)
    data: Any = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "streams" or not isinstance(data.get("result"), list):
        raise NoAnswer(f"{web.name} does not answer with lines: is it Loki, and does the query select lines?")
    lines = 0
    for stream in data["result"]:
        try:
            labels = stream["stream"]
            pod = str(labels.get("pod") or sorted(labels.items()))
            moments = [int(value[0]) / 1e9 for value in stream["values"]]
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise NoAnswer(f"{web.name} answers with lines that Loki would not write: is the url right?") from None
        lines += len(moments)
        if lines >= _LOKI_LINES:
            raise NoAnswer(f"more than {_LOKI_LINES} lines match between two looks: look more often, or select less")
        yield from ((pod, moment) for moment in moments)


def _moment(text: str) -> float | None:
    """Seconds since the epoch of a kubelet's time stamp (RFC 3339 with up to nine digits of a second)."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    zone = "+00:00" if found["zone"] == "Z" else found["zone"]
    return datetime.fromisoformat(found["whole"] + zone).timestamp() + float(f"0{found['fraction'] or ''}")
