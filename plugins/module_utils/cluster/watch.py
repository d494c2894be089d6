# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several watches in one queue: what the server tells as it happens.

A stream alone is never trusted: it may end or fall behind at any time. It says when to look again.

This module is private to the collection.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import ContextManager, Mapping, Protocol, Sequence

from .. import threads
from ..values import dataclass
from .errors import ApiError, Gone, ServerError, Timeout, TooManyRequests, Unreachable
from .stream import WatchEvent, WatchStream

# As client-go's reflectors do (tools/cache/reflector.go, minWatchTimeout): each new stream tells of everything that exists.
WATCH_SECONDS = 300
# What ends a stream without being anybody's fault: the caller reads afresh, and meets the error there if it stays.
_ENDINGS = (Gone, ServerError, Timeout, TooManyRequests, Unreachable)


class Watches(Protocol):
    """Who opens a watch: Api, as its method says."""

    def watch(
        self, path: str, query: Mapping[str, str] | None = None, *, seconds: int
    ) -> ContextManager[WatchStream]: ...


@dataclass(frozen=True)
class Watched:
    """What to watch under which name. `query` holds selectors, and no resourceVersion: the stream then begins with
    ADDED for everything that exists."""

    name: str
    path: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class _Ended:
    """The last thing that a stream puts into the queue; `error` is what the caller has to know."""

    error: ApiError | None = None


class Streams:
    """Several watches, read by daemon threads into one queue.

    `ended` names the streams that are over (their time is up, the connection broke, the server forgot the position):
    read afresh and open new ones. A stream is named there only after its last event was handed out.
    """

    def __init__(self, api: Watches, watches: Sequence[Watched], *, seconds: int = WATCH_SECONDS) -> None:
        self.ended: frozenset[str] = frozenset()
        self._api = api
        self._seconds = seconds
        self._names = frozenset(watched.name for watched in watches)
        # Not SimpleQueue: in Python 3.10 its get() may wait for ever when the time left is nearly none.
        self._queue: queue.Queue[tuple[str, WatchEvent | _Ended]] = queue.Queue()
        self._open: dict[str, WatchStream] = {}
        self._lock = threading.Lock()
        self._closed = False
        for watched in watches:
            threads.begin(self._read, watched, name=f"watch {watched.name}")

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def batch(self, timeout: float) -> list[tuple[str, WatchEvent]]:
        """Waits up to `timeout` seconds for an event and returns it with all that are queued already, in order.

        [] when nothing came, or when a stream ended (see `ended`). Raises what the server refused, such as Forbidden.
        """
        events: list[tuple[str, WatchEvent]] = []
        wait = 0.0 if self.ended == self._names else max(timeout, 0.0)
        deadline = time.monotonic() + wait
        while True:
            try:
                name, arrived = self._queue.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                return events
            if isinstance(arrived, WatchEvent):
                events.append((name, arrived))
            elif arrived.error is not None:
                raise arrived.error
            else:
                self.ended |= {name}
            deadline = 0.0

    def close(self) -> None:
        """Ends all streams, without waiting for their threads."""
        with self._lock:
            self._closed = True
            streams = list(self._open.values())
        for stream in streams:
            stream.close()

    def _read(self, watched: Watched) -> None:
        end = _Ended()
        try:
            with self._api.watch(watched.path, watched.query, seconds=self._seconds) as stream:
                if self._adopt(watched.name, stream):
                    for event in stream:
                        self._queue.put((watched.name, event))
        except _ENDINGS:
            pass
        except ApiError as error:
            end = _Ended(error)
        finally:
            self._queue.put((watched.name, end))

    def _adopt(self, name: str, stream: WatchStream) -> bool:
        """False when close() came first."""
        with self._lock:
            if not self._closed:
                self._open[name] = stream
            return not self._closed
