# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `http` check: requests of our own to canary and stable pods in turn, as a share of the traffic chosen by us.

This module is private to the collection.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import field
from typing import Any, Mapping

from .. import threads
from ..cluster.api import Api
from ..cluster.clock import SYSTEM, Clock
from ..values import dataclass
from .choices import Via
from .matching import STUCK_SECONDS, Matcher, must_be_pattern
from .source import Answers, Counted, Misasked, NoAnswer, ProbedPod, Sides, Tally, Version
from .ways import Aim, Blocked, ask_pod, status_message
from .web import Web, WebAnswer

_WORKERS = 4
_GIGABYTE = 1e9
_FIRST_TRIES = 3
# To the API server these say who we are, so it would take the pod's credentials for ours; no pod behind it gets to see them.
_WHO_WE_ARE = re.compile(r"authorization|impersonate-.*", re.IGNORECASE)


@dataclass(frozen=True)
class HttpAsked:
    """What is sent and what is good. `rate`: requests a second, over both versions; `most`: in all. `slow_ms`: an answer
    that takes longer is bad. `body`: a regular expression that the answer must hold. `price_per_gb`: of bytes in and out.
    For `Via.URL`, `web` is required and the two headers tell the versions apart.
    """

    path: str = "/"
    port: int = 8080
    scheme: str = "http"
    via: Via = Via.PROXY
    status: tuple[int, ...] = (200,)
    body: str = ""
    slow_ms: float | None = None
    timeout: float = 5.0
    rate: float = 10.0
    most: int = 5000
    price_per_gb: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    canary_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    stable_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    web: Web | None = None

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise Misasked("path does not begin with /: give one that does")
        if not 1 <= self.port <= 65535:
            raise Misasked(f"port is {self.port}: give 1 to 65535")
        if not self.status or not all(100 <= status <= 599 for status in self.status):
            raise Misasked("status is empty, or has one that is none: give the good status codes, of 100 to 599")
        self._must_be_in_bounds()
        if self.via is Via.URL and self.web is None:
            raise Misasked("url is not given, and via is url: give the url that is asked")
        if self.via is not Via.URL and self.web is not None:
            raise Misasked(f"url is given, and via is {self.via.value}: set via to url, or leave url out")
        if self.via is Via.URL and self.canary_headers == self.stable_headers:
            raise Misasked("canary_headers and stable_headers are the same: they must tell the versions apart")
        if Via.PROXY in self.via.ways:
            self._must_not_say_who_we_are()
        must_be_pattern(self.body, "body")

    def _must_be_in_bounds(self) -> None:
        if self.slow_ms is not None and self.slow_ms <= 0:
            raise Misasked(f"slow_ms is {self.slow_ms:g}: give milliseconds, above 0")
        if self.price_per_gb is not None and self.price_per_gb < 0:
            raise Misasked(f"price_per_gb is {self.price_per_gb:g}: it must be 0 or more")
        if not 0 < self.rate <= 1000:
            raise Misasked(f"rate is {self.rate:g}: give requests a second, above 0 and up to 1000")
        if self.most < 1:
            raise Misasked(f"max_requests is {self.most}: it must be 1 or more")
        if not 0 < self.timeout <= 60:
            raise Misasked(f"timeout is {self.timeout:g}: give seconds, above 0 and up to 60")

    def sent_to(self, is_canary: bool) -> dict[str, str]:
        """The headers of a request to a pod of that version."""
        return {**self.headers, **(self.canary_headers if is_canary else self.stable_headers)}

    def _must_not_say_who_we_are(self) -> None:
        given = {"headers": self.headers, "canary_headers": self.canary_headers, "stable_headers": self.stable_headers}
        for option, named in given.items():
            wrong = sorted(name for name in named if _WHO_WE_ARE.fullmatch(name.strip()))
            if wrong:
                raise Misasked(
                    f"{option} has {wrong[0]}, which the API server would read in place of our own and no pod would get, with via: "
                    f"{self.via.value}. Use via: port_forward or via: pod"
                )


class HttpRequests:
    """Sends in the background from `begin` to `close`. A request counts when it is sent; whatever does not come back
    good, a timeout too, is bad."""

    def __init__(self, api: Api, asked: HttpAsked, clock: Clock = SYSTEM) -> None:
        self._api = api
        self._clock = clock
        self._asked = asked
        self._matchers: list[Matcher] = []  # that no worker uses at the moment
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sides: Sides | None = None
        self._sent: Counter[tuple[bool, str]] = Counter()
        self._bad: Counter[tuple[bool, str]] = Counter()
        self._turn = 0
        self._spent: Counter[str] = Counter()
        self._blocked = ""
        self._workers: list[threading.Thread] = []
        self._next_at = 0.0
        self._ways = asked.via.ways
        self._via = self._ways[0]

    def begin(self, sides: Sides) -> None:
        """Sends up to three requests to stable pods, so that a way that is blocked, or a wrong path, is told before
        anybody waits; none of them is counted."""
        self._sides = sides
        if not sides.stable.pods:
            raise NoAnswer("there is no stable pod to send requests to")
        self._find_a_way(sides)
        if not self._workers:
            self._next_at = self._clock.monotonic()
            self._workers = [threads.begin(self._work) for _worker in range(_WORKERS)]

    def _find_a_way(self, sides: Sides) -> None:
        """The first way that is not blocked is kept for the whole run."""
        blocked = []
        for way in self._ways:
            self._via = way
            try:
                self._try(sides)
            except Blocked as reason:
                blocked.append(str(reason))
            else:
                self._ways = (way,)
                return
        raise NoAnswer("; ".join(blocked))

    def _try(self, sides: Sides) -> None:
        """Raises Blocked, and NoAnswer when a stable pod was reached but gave no good answer."""
        for attempt in range(_FIRST_TRIES):
            pod = sides.stable.pods[attempt % len(sides.stable.pods)]
            told = self._first(pod)
            if not told:
                return
        raise NoAnswer(f"stable pod {pod.name} {told}: check path, port, scheme, status and body, or try another via")

    def _first(self, pod: ProbedPod) -> str:
        """What is wrong with the answer of a stable pod; nothing when it is good. Raises Blocked."""
        with self._lock:
            self._spent["requests"] += 1
        begun = self._clock.monotonic()
        answer = self._answer(False, pod)
        if answer is None:
            return f"does not answer within {self._asked.timeout:g} seconds, or refuses the connection"
        self._pay(answer)
        if self._is_good(answer, self._clock.monotonic() - begun):
            return ""
        return f"answers {answer.status}{_passed_on(answer.body, self._asked.sent_to(False))}, which is not what a good answer was said to be"

    def look(self, sides: Sides, seconds: float) -> Answers:
        if not self._workers:
            self.begin(sides)
            return {}
        with self._lock:
            self._sides = sides
            # What was sent meanwhile waits for a look at which the way is open.
            self._must_not_be_blocked()
            all_sent = _of(sides, self._sent)
            sent = +all_sent
            self._sent = Counter({key: owed for key, owed in all_sent.items() if owed < 0})
            self._bad = _of(sides, self._bad)
            # A bad answer may come after the look in which its request counted; where nothing was sent since, it waits.
            served = {of_canary for (of_canary, _uid), count in sent.items() if count}
            bad = Counter({key: count for key, count in self._bad.items() if key[0] in served})
            self._bad -= bad
            used_up = self._spent["requests"] >= self._asked.most
        if used_up and not sent:
            raise NoAnswer(
                f"all {self._asked.most} requests that were allowed have been sent: allow more, or send slower"
            )
        return {"": Counted(_tally(sent, bad, True, sides.canary), _tally(sent, bad, False, sides.stable))}

    def _must_not_be_blocked(self) -> None:
        blocked, self._blocked = self._blocked, ""
        if blocked:
            raise NoAnswer(blocked)

    def _work(self) -> None:
        while not self._ended.wait(self._pause()):
            turn = self._next_turn()
            if turn is not None:
                self._send(*turn)

    def _pause(self) -> float:
        """Seconds until this worker's turn; turns are handed out evenly in time."""
        with self._lock:
            now = self._clock.monotonic()
            self._next_at = max(self._next_at, now - 1.0) + 1.0 / self._asked.rate
            return max(0.0, self._next_at - now)

    def _next_turn(self) -> tuple[bool, ProbedPod] | None:
        """Canary and stable in turn, and the pods of each in turn; None when there is none, or the total is used up."""
        with self._lock:
            sides = self._sides
            if sides is None or not (sides.canary.pods and sides.stable.pods):
                return None
            if self._spent["requests"] >= self._asked.most:
                return None
            is_canary = self._turn % 2 == 0
            pods = sides.canary.pods if is_canary else sides.stable.pods
            pod = pods[self._turn // 2 % len(pods)]
            self._turn += 1
            return is_canary, pod

    def _send(self, is_canary: bool, pod: ProbedPod) -> None:
        key = (is_canary, pod.uid)
        with self._lock:
            self._sent[key] += 1
            self._spent["requests"] += 1
        begun = self._clock.monotonic()
        try:
            answer = self._answer(is_canary, pod)
            if answer is not None:
                self._pay(answer)
            good = answer is not None and self._is_good(answer, self._clock.monotonic() - begun)
        except (Blocked, NoAnswer) as ours:
            with self._lock:
                self._blocked = str(ours)
                self._sent[key] -= 1  # also where a look has counted it already
            return
        if not good:
            with self._lock:
                self._bad[key] += 1

    def _pay(self, answer: WebAnswer) -> None:
        with self._lock:
            self._spent["bytes_in"] += answer.bytes_in
            self._spent["bytes_out"] += answer.bytes_out

    def _is_good(self, answer: WebAnswer, seconds: float) -> bool:
        """Raises NoAnswer where nothing can be searched for."""
        slow = self._asked.slow_ms is not None and seconds * 1000 > self._asked.slow_ms
        return not slow and answer.status in self._asked.status and self._holds_the_body(answer.body)

    def _holds_the_body(self, body: bytes) -> bool:
        """Not either where the pattern takes too long over it."""
        if not self._asked.body:
            return True
        with self._lock:
            matcher = self._matchers.pop() if self._matchers else Matcher(self._asked.body)
        try:
            told = matcher.found([body.decode("utf-8", "replace")], STUCK_SECONDS)
            if not told:
                raise NoAnswer("this machine is too busy to search an answer for the body pattern")
            return told[0] is True
        finally:
            with self._lock:
                self._matchers.append(matcher)
            if self._ended.is_set():
                self._close_matchers()

    def _close_matchers(self) -> None:
        with self._lock:
            matchers, self._matchers = self._matchers, []
        for matcher in matchers:
            matcher.close()

    def _answer(self, is_canary: bool, pod: ProbedPod) -> WebAnswer | None:
        """As ask_pod."""
        asked, namespace = self._asked, self._sides.namespace if self._sides else ""
        headers = asked.sent_to(is_canary)
        aim = Aim(namespace, asked.path, asked.port, asked.scheme, asked.timeout, headers, asked.web)
        return ask_pod(self._api, self._via, aim, pod)

    def close(self) -> None:
        self._ended.set()
        self._close_matchers()

    def doubt(self) -> str:
        return ""

    def costs(self) -> Mapping[str, Any]:
        """With `via`: the way that was taken."""
        with self._lock:
            spent: dict[str, Any] = {name: self._spent[name] for name in ("requests", "bytes_in", "bytes_out")}
        spent["via"] = self._via.value
        if self._asked.price_per_gb is not None:
            spent["price"] = (spent["bytes_in"] + spent["bytes_out"]) / _GIGABYTE * self._asked.price_per_gb
        return spent


def _of(sides: Sides, counts: Counter[tuple[bool, str]]) -> Counter[tuple[bool, str]]:
    """Only of pods, by uid, that are still there: one that a rollout takes away refuses what it is sent between two looks, and
    is left out with everything that it was sent, good and bad."""
    there = {(True, pod.uid) for pod in sides.canary.pods} | {(False, pod.uid) for pod in sides.stable.pods}
    return Counter({key: count for key, count in counts.items() if key in there})


def _tally(
    sent: Mapping[tuple[bool, str], int], bad: Mapping[tuple[bool, str], int], is_canary: bool, version: Version
) -> Tally:
    by_pod = {pod.name: float(bad.get((is_canary, pod.uid), 0)) for pod in version.pods}
    total = sum(sent.get((is_canary, pod.uid), 0) for pod in version.pods)
    return Tally(sum(by_pod.values()), float(total), by_pod)


def _passed_on(body: bytes, sent: Mapping[str, str]) -> str:
    said = status_message(body, sent)
    return f" ({said})" if said else ""
