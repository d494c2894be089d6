# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between verbs and server: the collection's own Api, all of it but the sockets, over a network that may fail."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from math import inf, nextafter
from typing import Any, cast

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import asked as asked_of
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.client import Session
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Knock, Knocked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    ApiError,
    ConnectionLost,
    Timeout,
    Unreachable,
    from_answer,
)
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Body, Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.processes import Processes
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.stream import WatchEvent
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import WATCH_SECONDS, Streams, Watched

from .faults import Fault, Faults, Planned, StreamFault
from .objects import Json, changed
from .refusals import Refused, broken, busy
from .server import Answer, Server, selects
from .store import Change
from .timeline import Actor, Killed

# From here to the server, and back.
_SOONEST, _LATEST = 0.001, 0.006
# Seconds between two of those that a stream begins with.
_ONE_AFTER_THE_OTHER = 0.001


class _Nowhere:
    """The session of nobody."""

    def __init__(self, host: str = "sim") -> None:
        self.server = f"https://{host}:6443"
        self.cluster = (self.server,)

    secrets: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    context = ""

    def close(self) -> None: ...


class _Arrived(Exchange):
    """An answer that has come as a whole, without a connection."""

    def __init__(self, request: Request, answer: Answer) -> None:
        self._session, self._request = cast(Session, _Nowhere()), request
        self.status, self.headers, self.received = answer.status, answer.headers, 0
        self.content = answer.content
        self._response = self

    @property
    def _body(self) -> bytes:
        return (self.content if isinstance(self.content, str) else json.dumps(self.content)).encode(errors="replace")

    def read(self, decode_content: bool = False) -> bytes:
        """As Exchange asks a response for it. Whoever reads a page takes the method of that class."""
        del decode_content
        return self._body

    def stream(self, amount: int, decode_content: bool = False) -> Iterator[bytes]:
        del amount, decode_content
        yield self._body

    def __exit__(self, *exc: object) -> None: ...

    def body(self) -> Body:
        return Body(self._body)

    def start(self, max_bytes: int, seconds: float) -> tuple[bytes, bool]:
        del seconds
        return self._body[:max_bytes], len(self._body) > max_bytes


class Network(Api):
    """One process's way to the server. `user`: as whom. Time passes in `actor`, which may be killed here."""

    def __init__(
        self,
        actor: Actor,
        server: Server,
        user: str,
        faults: Faults,
        chance: random.Random,
        processes: Processes,
        gateway: Callable[[Knock], Knocked] | None = None,
        host: str = "sim",
    ) -> None:
        super().__init__(cast(Session, _Nowhere(host)), clock=actor, processes=processes)
        self._gateway = gateway
        self.user, self.doubled = user, False
        self.hit: list[Fault | None] = []
        # Until then a request that nobody waits for any more may still be carried out.
        self.carried_out = 0.0
        # What happens right before a request of this number arrives, from 0.
        self.meanwhile: dict[int, Callable[[], None]] = {}
        self._sent = count()
        self._actor, self._server, self._faults, self._chance = actor, server, faults, chance

    def _send(self, request: Request) -> Exchange:
        self.requests += 1
        fault, happens = self._faults.of_request(), self.meanwhile.get(next(self._sent))
        self.travel()
        if happens:
            happens()
        answer = self._faulty(request, fault) if fault else self._server.answer(request, self.user)
        self.travel()
        return _Arrived(request, answer)

    def _json(self, request: Request) -> Any:
        """What the server has, as it is: nobody changes an object, so that nobody has to write it and to read it again."""
        return self._answered(request, lambda exchange: cast(_Arrived, exchange).content)

    def knock(self, asked: Knock) -> Knocked:
        self.travel()
        answer = self._gateway(asked) if self._gateway else Knocked(0, "Connection refused")
        self.travel()
        return answer

    def travel(self) -> None:
        self._actor.wait(self._actor.timeline.now + (_SOONEST + (_LATEST - _SOONEST) * self._chance.random()))

    def streams(self, watches: Sequence[Watched]) -> Streams:
        self.requests += len(watches)
        return cast(Streams, SimulatedStreams(self, self._actor, self._server, watches, self._faults))

    def _faulty(self, request: Request, fault: Planned) -> Answer:
        kind, server = fault.kind, self._server
        self.hit.append(kind if request.asked.writes else None)
        if kind is Fault.KILLED_BEFORE:
            self._die()
        if kind is Fault.REFUSED:
            raise Unreachable(request.asked, "https://sim:6443 cannot be reached: Connection refused")
        if kind is Fault.LOST_BEFORE:
            raise ConnectionLost(request.asked, "the connection to https://sim:6443 broke (RemoteDisconnected)")
        if kind is Fault.LATE:
            late, after = partial(server.answer, request, self.user), request.seconds + fault.seconds
            self._actor.timeline.after(after, late)
            self.carried_out = max(self.carried_out, self._actor.timeline.now + after)
            self._actor.sleep(request.seconds)
            raise Timeout(request.asked, f"https://sim:6443 gave no answer for {request.seconds:g} s")
        if kind is Fault.BUSY:
            return _refusal(busy())
        if kind is Fault.BROKEN_BEFORE:
            return _refusal(broken(fault.status))
        if kind is Fault.SLOW:
            self._actor.sleep(fault.seconds)
        answer = server.answer(request, self.user, fault.seconds if kind is Fault.STALE else 0.0)
        if kind is Fault.TWICE:
            self.doubled = self.doubled or request.asked.writes
            self.travel()
            return server.answer(request, self.user)
        if kind is Fault.KILLED_AFTER:
            self._die()
        if kind is Fault.LOST_AFTER:
            raise ConnectionLost(request.asked, "the connection to https://sim:6443 broke (RemoteDisconnected)")
        return _refusal(broken(fault.status)) if kind is Fault.BROKEN_AFTER else answer

    def _die(self) -> None:
        self._actor.killed = True
        raise Killed


def _refusal(refused: Refused) -> Answer:
    return Answer(refused.status, refused.body if refused.body["message"] else "", refused.headers)


class SimulatedStreams:
    """As cluster/watch.py: several watches in one queue, over when `ended` names them."""

    def __init__(
        self, network: Network, actor: Actor, server: Server, watches: Sequence[Watched], faults: Faults
    ) -> None:
        fault = faults.of_streams()
        self.ended: frozenset[str] = frozenset()
        self._actor, self._server, self._store, self._user = actor, server, server.store, network.user
        self._watches = {_kind(watched): watched for watched in watches}
        self._kind_of_fault = fault.kind if fault else None
        self._lag = fault.seconds if fault and fault.kind is StreamFault.BEHIND else _LATEST
        self._events: list[tuple[str, WatchEvent]] = []
        self._ending: frozenset[str] = frozenset()
        self._error: ApiError | None = None
        self._closed = False
        # Nothing is told before what came before it.
        self._not_before = 0.0
        self._stop_listening: Callable[[], None] = lambda: None
        ends = fault.seconds if fault and fault.kind is StreamFault.CUT else WATCH_SECONDS
        actor.timeline.after(self._lag / 2, self._begin)
        actor.timeline.after(ends, self._end)

    def _begin(self) -> None:
        """ADDED for everything that exists, by name and one after the other, and from then on what changes, in the order of etcd; all of
        it late by the lag (apiserver, storage/cacher/watch_cache_interval.go)."""
        if self._closed or self._kind_of_fault is StreamFault.SILENT:
            return
        self._stop_listening = self._store.listen(self._hear)
        for kind, watched in self._watches.items():
            asked = asked_of("GET", watched.path, watch=True)
            try:
                self._server.may(asked, self._user)
            except Refused as refused:
                self._error = from_answer(asked, refused.status, refused.body)
                self._actor.wake()
                return
            for _name, obj in sorted(self._store.of(kind).items()):
                if selects(watched.query, obj):
                    self._tell_later(watched, "ADDED", obj)
                    self._not_before += _ONE_AFTER_THE_OTHER

    def _hear(self, change: Change) -> None:
        watched = self._watches.get(change.kind)
        told = _told(change, watched.query) if watched is not None else None
        if watched is not None and told is not None:
            self._tell_later(watched, *told)

    def _tell_later(self, watched: Watched, type_: str, obj: Mapping[str, Any]) -> None:
        self._not_before = max(self._not_before, self._actor.timeline.now + self._lag)
        self._actor.timeline.at(self._not_before, lambda: self._tell(watched, type_, obj))

    def _tell(self, watched: Watched, type_: str, obj: Mapping[str, Any]) -> None:
        if self._closed:
            return
        times = 2 if self._kind_of_fault is StreamFault.TWICE else 1
        self._events.extend([(watched.name, WatchEvent(type_, dict(obj)))] * times)
        self._actor.wake()

    def _end(self) -> None:
        if not self._closed:
            self._ending = frozenset(watched.name for watched in self._watches.values())
            self._stop_listening()
            self._actor.wake()

    def batch(self, timeout: float) -> list[tuple[str, WatchEvent]]:
        if not (self._events or self._ending or self._error):
            # Whatever is waited for, time passes, be it by the least that a number can tell.
            now = self._actor.timeline.now
            self._actor.wait(max(now + timeout, nextafter(now, inf)) if timeout > 0 else now)
        if self._error:
            raise self._error
        events, self._events = self._events, []
        self.ended = self._ending
        return events

    def close(self) -> None:
        self._closed = True
        self._stop_listening()


def _told(change: Change, query: Mapping[str, str]) -> tuple[str, Json] | None:
    """Type and object as a stream of what this query selects tells it: what leaves it is deleted as far as that goes, and an object
    that is gone is as it was before, with the version of its end (apiserver, storage/cacher/cache_watcher.go)."""
    was, now = (side if side is not None and selects(query, side) else None for side in (change.before, change.after))
    if now is not None:
        return ("ADDED" if was is None else "MODIFIED"), now
    return None if was is None else ("DELETED", changed(was, metadata={"resourceVersion": str(change.revision)}))


def _kind(watched: Watched) -> str:
    return watched.path.rpartition("/")[2]
