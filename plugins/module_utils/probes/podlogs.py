# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `logs` check by the API: lines of the pods' own logs.

This module is private to the collection.
"""

from __future__ import annotations

import math
import re
from dataclasses import field
from datetime import datetime
from typing import Iterator, Mapping, Sequence

from ..cluster.api import Api
from ..cluster.asked import asked as asked_of
from ..cluster.clock import SYSTEM, Clock, moment_of_date, stamp
from ..cluster.errors import ApiError, from_answer, status_of
from ..values import dataclass
from .logs import LONGEST_SETTLING, QUIET_SECONDS, LogsAsked
from .matching import Matcher
from .source import Answers, Counted, Misasked, NoAnswer, ProbedPod, Sides, Tally, Version

# Of one pod in one look, and of all; a pod is always read a little.
LARGEST_LOG = 4 << 20
_ALL_LOGS = 64 << 20
_LEAST_LOG = 256 << 10
# What is longer is cut before the pattern is searched for.
LONGEST_LINE = 4096
# For the head of one answer, and again for its body; and for one look at all pods.
_SECONDS = 10.0
_LOOK_SECONDS = 20.0
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)(?: |$)")
# A stamp is about 30 characters long.
_STAMP_ROOM = 64


@dataclass
class _Log:
    """How far the log of one container was read, in whole seconds of its node's clock.

    `floor`: what was there before, up to this second. `newest`: of the newest line that was read; `behind`: there were more
    lines. `done`: seconds in which nothing is searched for any more. `due`: with a match, and not handed over yet.
    """

    floor: int
    newest: int
    restarts: int
    behind: bool = False
    done: set[int] = field(default_factory=set)
    due: int = 0

    def since(self, lateness: int) -> int:
        return max(self.floor, self.newest if self.behind else self.newest - lateness)


@dataclass(frozen=True)
class _Lines:
    """Second and text of each line; whether there were `more`; the server's clock in seconds since the epoch (`now`)."""

    found: Sequence[tuple[int, str]]
    more: bool
    now: float | None


class PodLogs:
    """Reads on, at each look, where the look before ended in each log, by the time stamps of its own lines. So no clock of
    another machine decides what is new. What was found is handed over once every log was read to its end.

    A log in which nobody writes cannot be distinguished from one without errors. So lines of any kind must come now and then.
    """

    def __init__(self, api: Api, asked: LogsAsked, clock: Clock = SYSTEM) -> None:
        self._api = api
        self._clock = clock
        self._asked = asked
        self._matcher = Matcher(asked.pattern)
        self._logs: dict[str, _Log] = {}
        self._since: float | None = None
        self._heard: dict[str, float] = {}
        self._cut = False
        self._silent_canary = False

    def begin(self, sides: Sides) -> None:
        """Raises Misasked where nobody says which container is meant."""
        for pod in _pods(sides):
            container_of(self._asked.container, pod)
        self._read_all(sides)
        self._since = self._clock.monotonic()
        for log in self._logs.values():
            log.due = 0

    def look(self, sides: Sides, seconds: float) -> Answers:
        try:
            if self._since is None:
                self.begin(sides)
                return {}
            self._read_all(sides)
        except Misasked as wrong:
            raise NoAnswer(str(wrong)) from None
        now = self._clock.monotonic()
        elapsed, self._since = now - self._since, now
        return {"": Counted(self._tally(sides.canary, elapsed), self._tally(sides.stable, elapsed))}

    def _tally(self, version: Version, elapsed: float) -> Tally:
        by_pod = {}
        for pod in version.pods:
            if log := self._logs.get(pod.uid):
                by_pod[pod.name], log.due = float(log.due), 0
        exposure = version.exposed(by_pod) * elapsed
        return Tally(min(sum(by_pod.values()), exposure), exposure, by_pod)

    def _read_all(self, sides: Sides) -> None:
        """Raises NoAnswer for the first log that was not read to its end, after all were read on. Those of pods that are not Ready come
        last, and where one cannot be read, as on a node that is lost, it is read on when it can."""
        pods = _pods(sides)
        there = {pod.uid for pod in pods}
        self._logs = {uid: log for uid, log in self._logs.items() if uid in there}
        self._heard = {uid: moment for uid, moment in self._heard.items() if uid in there}
        deadline = self._clock.monotonic() + _LOOK_SECONDS
        largest = max(_LEAST_LOG, min(LARGEST_LOG, _ALL_LOGS // max(1, len(pods))))
        in_turn = sorted(pods, key=lambda pod: not pod.ready)
        lacks = [(pod, self._lack(sides.namespace, pod, largest, deadline)) for pod in in_turn]
        for lack in (lack for pod, lack in lacks if lack and pod.ready):
            raise NoAnswer(lack)
        canary, stable = (self._are_heard(version.pods) for version in (sides.canary, sides.stable))
        self._silent_canary = stable and not canary
        if not (canary or stable):
            raise NoAnswer(
                f"no pod of either version has logged a line in the last {QUIET_SECONDS:g} seconds, so a log without errors "
                "cannot be told from one that nobody writes: check which container logs"
            )

    def _are_heard(self, pods: Sequence[ProbedPod]) -> bool:
        earliest = self._clock.monotonic() - QUIET_SECONDS
        return any(self._heard.get(pod.uid, -math.inf) >= earliest for pod in pods)

    def _lack(self, namespace: str, pod: ProbedPod, largest: int, deadline: float) -> str:
        """What keeps this log from being read to its end; nothing where it was."""
        try:
            log = self._logs.get(pod.uid)
            if log is None:
                self._meet(namespace, pod, deadline)
                return ""
            return self._read_on(namespace, pod, log, largest, deadline)
        except NoAnswer as lack:
            return str(lack)

    def _meet(self, namespace: str, pod: ProbedPod, deadline: float) -> None:
        """What a log already holds when its pod is first seen is not counted."""
        lines = self._lines(namespace, pod, {"tailLines": "1"}, LONGEST_LINE, deadline)
        newest = max((second for second, _text in lines.found), default=0)
        self._logs[pod.uid] = _Log(newest, newest, pod.restarts)
        if lines.now is not None and abs(lines.now - newest) <= QUIET_SECONDS:
            self._heard[pod.uid] = self._clock.monotonic()

    def _read_on(self, namespace: str, pod: ProbedPod, log: _Log, largest: int, deadline: float) -> str:
        since = log.since(int(self._asked.lateness))
        query = {"sinceTime": stamp(since)} if since else {}
        # A container that began again has a new log; the end of the old one was not read.
        if pod.restarts > log.restarts:
            old = self._lines(namespace, pod, {**query, "previous": "true"}, largest, deadline)
            lack = self._search(pod, log, old, since, deadline)
            if lack:
                return lack
            log.restarts = pod.restarts
        return self._search(pod, log, self._lines(namespace, pod, query, largest, deadline), since, deadline)

    def _search(self, pod: ProbedPod, log: _Log, lines: _Lines, since: int, deadline: float) -> str:
        """Why not every line was searched; nothing where all were."""
        wanted = [(second, text) for second, text in lines.found if second > log.floor and second not in log.done]
        told = self._matcher.found([text for _second, text in wanted], deadline - self._clock.monotonic())
        for (second, _text), matches in zip(wanted, told, strict=False):
            log.due += int(matches is True and second not in log.done)
            log.done |= {second} if matches is not False else set()
        reached = wanted[len(told)][0] if len(told) < len(wanted) else max((one[0] for one in lines.found), default=0)
        if reached > log.newest:
            self._heard[pod.uid] = self._clock.monotonic()
        log.behind = lines.more or len(told) < len(wanted)
        # Where a single second is more than can be read or searched, its rest is passed over.
        log.newest = max(log.newest, reached + int(log.behind and reached <= since))
        log.done = {second for second in log.done if second >= log.newest - LONGEST_SETTLING}
        if None in told or len(told) < len(wanted):
            return f"the pattern takes too long over a line of pod {pod.name}: make the pattern simpler"
        return (
            f"pod {pod.name} logs more than can be read at a look: look more often, or use Loki" if lines.more else ""
        )

    def _lines(self, namespace: str, pod: ProbedPod, query: Mapping[str, str], largest: int, deadline: float) -> _Lines:
        """Raises NoAnswer."""
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise NoAnswer(f"the logs of all pods cannot be read within {_LOOK_SECONDS:g} seconds: use Loki")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}/log"
        container = container_of(self._asked.container, pod)
        wanted = {"timestamps": "true", "limitBytes": str(largest), **query}
        if container:
            wanted["container"] = container
        try:
            answer = self._api.raw(
                "GET",
                path,
                query=wanted,
                headers={"Accept": "*/*"},
                timeout=min(_SECONDS, left),
                max_bytes=largest,
            )
            if answer.status == 400 and "previous" in query:
                return _Lines((), False, None)  # of another container, or it is gone
            if answer.status >= 300:
                raise from_answer(asked_of("GET", path), answer.status, status_of(answer.data))
        except ApiError as error:
            raise NoAnswer(f"the log of pod {pod.name} cannot be read: {error.why}") from None
        more = "tailLines" not in query and len(answer.data) >= largest
        found = list(self._parsed(answer.data))
        if answer.data.strip() and not found:
            raise NoAnswer(f"the log of pod {pod.name} comes without time stamps: is it a kubelet that answers?")
        return _Lines(found, more, moment_of_date(answer.headers.get("Date")))

    def _parsed(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Only a line feed ends a line: a pod may write anything else, time stamps too."""
        for line in data.split(b"\n"):
            found = _STAMP.match(line[:_STAMP_ROOM])
            second = _second(found) if found else None
            if found is not None and second is not None:
                text = line[found.end() : found.end() + LONGEST_LINE]
                self._cut = self._cut or len(line) - found.end() > LONGEST_LINE
                yield second, text.decode("utf-8", "replace")

    def close(self) -> None:
        self._matcher.close()

    def doubt(self) -> str:
        told = [
            f"lines of more than {LONGEST_LINE} bytes were cut before the pattern was searched for"
            if self._cut
            else "",
            f"stable has logged lines in the last {QUIET_SECONDS:g} seconds and the canary none at all, so check which container logs"
            if self._silent_canary
            else "",
        ]
        return "; ".join(filter(None, told))

    def costs(self) -> Mapping[str, float]:
        return {}


def container_of(asked: str, pod: ProbedPod) -> str:
    """Whose log is read. Raises Misasked where that cannot be told."""
    named = ", ".join(pod.containers)
    if not pod.containers or asked in pod.containers:
        return asked
    if asked:
        raise Misasked(f"pod {pod.name} has no container {asked}, whose log a check asks for; it has {named}")
    if pod.default_container in pod.containers:
        return pod.default_container
    if len(pod.containers) == 1:
        return pod.containers[0]
    raise Misasked(
        f"pod {pod.name} has the containers {named}, and no annotation kubectl.kubernetes.io/default-container that names "
        "one: say in container of the logs check whose log is read"
    )


def _pods(sides: Sides) -> Sequence[ProbedPod]:
    return (*sides.canary.pods, *sides.stable.pods)


def _second(found: re.Match[bytes]) -> int | None:
    """Since the epoch, of a time stamp (RFC 3339)."""
    zone = b"+00:00" if found[2] == b"Z" else found[2]
    try:
        return int(datetime.fromisoformat((found[1] + zone).decode()).timestamp())
    except ValueError:
        return None
