# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one API server by raw path: one call, one request, no discovery; JSON in, JSON out.

This module is private to the collection.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Generic, Iterator, Mapping, Sequence, TypeVar

from ..foreign import printable
from ..values import dataclass
from .asked import Asked, asked
from .client import KEPT_OPEN_OF_A_FLEET, Session
from .clock import SYSTEM, Clock, moment_of_date
from .errors import (
    ApiError,
    Gone,
    Invalid,
    ServerError,
    Timeout,
    TooManyRequests,
    Unreachable,
    UntrustedServer,
    from_answer,
)
from .exchange import READ_SECONDS, Exchange, Request, send
from .processes import SYSTEM as SYSTEM_PROCESSES
from .processes import Processes

# What few calls need is imported where it is used: a module is compiled anew for each.
if TYPE_CHECKING:
    from concurrent.futures import Future

    from .entry import Knock, Knocked
    from .lists import Object, Page
    from .stream import WatchStream
    from .tunnel import Tunnel
    from .watch import Streams, Watched

__all__ = ["FIELD_MANAGER", "Api", "PatchKind", "RawResponse"]

FIELD_MANAGER = "coalmine.canary"
TRIES = 3
# After this many seconds a request is not tried again, and longer pauses than this are not waited through.
RETRY_SECONDS = 6.0
PAUSES = (0.2, 0.8)
# A long list is not thrown away because the server is busy for a while in the middle of it.
PATIENT_SECONDS = 60.0
PATIENT_PAUSES = (0.2, 0.8, 2.0, 4.0, 8.0, 15.0, 15.0)
PAGE_TURNS_LOST = 3
# A Kubernetes Status is short; what is longer is none.
LARGEST_REFUSAL = 1 << 20
# Different ones that are passed on: a server has few, and what has no end is noise.
MOST_WARNINGS = 50
# The text in a Warning header, RFC 7234 section 5.5: 299 - "text".
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_Answer = TypeVar("_Answer")


class PatchKind(Enum):
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class RawResponse:
    """`truncated`: the body was longer than was asked for, and `data` is its beginning."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    truncated: bool = False


# What Go's encoder escapes beside what JSON asks for (encoding/json, appendString).
_ESCAPED_BY_GO = str.maketrans(
    {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def as_go_writes(body: Any) -> bytes:
    """JSON with its strings as the API server writes them: `test` of a JSON patch compares them byte by byte
    (evanphx/json-patch, lazyNode.equal), so that "a & b" written otherwise is never what is there."""
    return json.dumps(body, ensure_ascii=False).translate(_ESCAPED_BY_GO).encode("utf-8", "backslashreplace")


class Api:
    """One server and one identity. Its connections stay open between requests; threads may share it.

    `requests` counts what was sent, repeats too, and `received` the bytes of whole bodies that came. `warnings` are the
    texts that the server sent along (unknown fields, deprecations, policies), each once, printable, in the order of arrival, and no
    more than MOST_WARNINGS.
    `seconds`: the longest silence before Timeout. `clock`: what pauses, and everybody who asks through this, goes by.
    `processes`: which one this is.
    """

    def __init__(
        self,
        session: Session,
        *,
        seconds: float = READ_SECONDS,
        clock: Clock = SYSTEM,
        processes: Processes = SYSTEM_PROCESSES,
    ) -> None:
        self.clock, self.processes = clock, processes
        self._session = session
        self._seconds = seconds
        self._lock = threading.Lock()
        self.requests = 0
        self.received = 0
        self.warnings: list[str] = list(session.warnings)
        # The Date of the last successful answer, and when that came.
        self._date, self._dated = "", 0.0

    def __repr__(self) -> str:
        return f"Api({self.server})"

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def sibling(self) -> Api:
        """Over the same connections, with its own counts and warnings. Only one of them is to be closed."""
        return Api(self._session, seconds=self._seconds, clock=self.clock, processes=self.processes)

    def serve_many(self) -> None:
        """Before the first request: works that go on side by side are to share its connections."""
        self._session.keep_open(KEPT_OPEN_OF_A_FLEET)

    @property
    def server(self) -> str:
        """Scheme, host and port."""
        return self._session.server

    @property
    def cluster(self) -> tuple[str, ...]:
        """As of a session (client.py): to be compared, and not to be told."""
        return self._session.cluster

    @property
    def context(self) -> str:
        """The one of a kubeconfig by which this server was found, whether anybody named it or not; empty: by none."""
        return self._session.context

    def close(self) -> None:
        self._session.close()

    def server_time(self) -> float | None:
        """Seconds since 1970 by the server's clock, which says them in each answer; None where it does not.

        A second early at most, and never late: Date has whole seconds, and the way of the answer is not counted.
        """
        said = moment_of_date(self._date)
        return None if said is None else said + self.clock.boottime() - self._dated

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._object(self._reading(path, query))

    def list(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The whole list object in one request: {"items": [...], "metadata": {...}}."""
        return self.get(path, query)

    def pages(self, path: str, query: Mapping[str, str] | None = None, limit: int = 500) -> Iterator[dict[str, Any]]:
        """List objects of at most `limit` items each, all from one moment.

        When the server has forgotten that moment (410, after about five minutes), the list goes on at the same key in
        today's state: no item comes twice, and none that existed all the time is missing. Where the server cannot do
        that, or after it happened three times, Gone is raised.
        """
        book = _Book(lambda position: self.get(path, {**(query or {}), "limit": str(limit), **position}))
        token = ""
        while True:
            page = book.turn(token)
            yield page
            meta = page.get("metadata") or {}
            token = (meta.get("continue") if isinstance(meta, dict) else None) or ""
            if not isinstance(token, str):
                raise ServerError(_ask("GET", path), f"{self.server} does not answer like a Kubernetes API server")
            if not token:
                return

    def read(
        self, path: str, wanted: type, query: Mapping[str, str] | None = None, limit: int = 500
    ) -> Iterator[tuple[str, Iterator[Object]]]:
        """A list too large to be kept, as `pages` reads it: of each page its resourceVersion and its objects, to be looked at once.

        `wanted` is a TypedDict of the fields that are read (lists.py). One request at a time; while a page is looked at the next
        one is unpacked and the one after it on its way. A server that is busy is waited for, up to a minute a page.
        """
        book = _Book(lambda position: self._page(path, {**(query or {}), "limit": str(limit), **position}))

        def after(page: Page | None) -> Page | None:
            return book.turn(page.position) if page is not None and page.position else None

        first = book.turn("")
        if not first.position:
            yield first.moment, self._objects(path, first, wanted)
            return
        from .aside import Aside

        page: Page | None = first
        with Aside("next page") as reader, Aside("unpacking") as unpacker:
            coming = reader.ask(partial(after, first))
            while page is not None:
                ready = unpacker.ask(partial(_unpacked, coming))
                coming = reader.ask(partial(_then, coming, after))
                yield page.moment, self._objects(path, page, wanted)
                page = ready.result()

    def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        return self._object(self._writing("POST", path, body, "application/json", dry_run, FIELD_MANAGER))

    def patch(
        self, path: str, body: Any, kind: PatchKind, *, dry_run: bool = False, field_manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        return self._object(self._writing("PATCH", path, body, kind.value, dry_run, field_manager))

    def try_patch(self, path: str, body: Any, kind: PatchKind) -> dict[str, Any]:
        """What the patch would make of the object; nothing is written. Fields that the server does not know are refused, as
        kubectl lets it, and not left out."""
        request = self._writing("PATCH", path, body, kind.value, True, FIELD_MANAGER)
        return self._object(replace(request, query={**request.query, "fieldValidation": "Strict"}))

    def delete(self, path: str, uid: str, version: str = "", *, dry_run: bool = False) -> None:
        """Deletes the object of this uid, as it was read where its resourceVersion is given. Raises NotFound where it is gone, Conflict
        where another has its name, or it was changed."""
        preconditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        self._object(self._writing("DELETE", path, body, "application/json", dry_run, FIELD_MANAGER))

    def knock(self, asked: Knock) -> Knocked:
        """One request to the address of a gateway, and not to the API server. Any answer, or none, is told and never raised."""
        from .entry import knock

        return knock(asked)

    def text(self, path: str, query: Mapping[str, str] | None = None, *, max_bytes: int) -> str:
        """The first `max_bytes` bytes of a text such as a pod's log; what is not UTF-8 is shown as U+FFFD."""
        headers = {"Accept": "*/*"}
        request = Request(_ask("GET", path), "GET", path, query or {}, headers, seconds=self._seconds)

        def start(exchange: Exchange) -> str:
            return exchange.start(max_bytes, self._seconds)[0].decode("utf-8", "replace")

        return self._answered(request, start)

    def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = READ_SECONDS,
        max_bytes: int = 1 << 20,
    ) -> RawResponse:
        """One request, sent once, for something behind the server such as a pod; any HTTP status is an answer.

        `timeout`: seconds to the head of the answer, and then again to the end of its body. Raises Unreachable and its
        kinds, or Timeout.
        """
        request = Request(_ask(method, path), method, path, query or {}, headers or {}, body, timeout)
        with self._send(request) as exchange:
            data, truncated = exchange.start(max_bytes, timeout)
            return RawResponse(exchange.status, dict(exchange.headers), data, truncated)

    @contextmanager
    def tunnel(self, namespace: str, pod: str, port: int, *, seconds: float) -> Iterator[Tunnel]:
        """A connection to a port of a pod, for at most so many seconds. The with statement ends it at once.

        Raises what a GET raises, without trying again; while it is used: Timeout, ConnectionLost, PodRefused. Needs the
        right to get, and from Kubernetes 1.35 on to create, pods/portforward.
        """
        from .tunnel import open_tunnel

        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        request = Request(_ask("GET", path), "GET", path, {"ports": str(port)}, seconds=seconds)
        with self._lock:
            self.requests += 1
        with open_tunnel(self._session, request) as opened:
            yield opened

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str] | None = None, *, seconds: int) -> Iterator[WatchStream]:
        """A stream of events, which the server ends after `seconds`. Without resourceVersion in `query` it begins with
        ADDED for everything that exists. The with statement ends it at once.

        Raises what a GET raises, without trying again; while it is iterated: Gone, Timeout, ConnectionLost.
        """
        from .stream import WatchStream

        timed = {**(query or {}), "watch": "1", "timeoutSeconds": str(seconds)}
        accept = {"Accept": "application/json"}
        request = Request(_ask("GET", path, watch=True), "GET", path, timed, accept, seconds=seconds + 5.0)
        with self._send(request) as exchange:
            if exchange.status >= 400:
                raise self._refusal(request, exchange)
            yield WatchStream(request.asked, exchange)

    def streams(self, watches: Sequence[Watched]) -> Streams:
        """Several watches at once, each in a thread of its own."""
        from .watch import Streams

        return Streams(self, watches)

    def _reading(self, path: str, query: Mapping[str, str] | None) -> Request:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        return Request(_ask("GET", path), "GET", path, query or {}, headers, seconds=self._seconds)

    def _writing(
        self, method: str, path: str, body: Any, content_type: str, dry_run: bool, field_manager: str
    ) -> Request:
        query = {"fieldManager": field_manager, **({"dryRun": "All"} if dry_run else {})}
        headers = {"Accept": "application/json", "Content-Type": content_type}
        asked = _ask(method, path)
        if dry_run:
            asked = replace(asked, dry_run=True)
        return Request(asked, method, path, query, headers, as_go_writes(body), self._seconds)

    def _object(self, request: Request) -> dict[str, Any]:
        found = self._json(request)
        if not isinstance(found, dict):
            raise ServerError(request.asked, f"{self.server} does not answer like a Kubernetes API server")
        return found

    def _json(self, request: Request) -> Any:
        """None where the answer is none."""
        body = self._answered(request, Exchange.read)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def _page(self, path: str, query: Mapping[str, str]) -> Page:
        from .lists import Page

        request = self._reading(path, query)
        body = self._answered(request, Exchange.body, PATIENT_PAUSES, PATIENT_SECONDS)
        with self._only_lists(request.asked):
            return Page(body)

    def _objects(self, path: str, page: Page, wanted: type) -> Iterator[Object]:
        with self._only_lists(_ask("GET", path)):
            yield from page.objects(wanted)

    @contextmanager
    def _only_lists(self, asked: Asked) -> Iterator[None]:
        from .lists import NotAList

        try:
            yield
        except NotAList as error:
            raise ServerError(asked, f"{self.server} does not answer like a Kubernetes API server") from error

    def _answered(
        self,
        request: Request,
        take: Callable[[Exchange], _Answer],
        pauses: tuple[float, ...] = PAUSES,
        patience: float = RETRY_SECONDS,
    ) -> _Answer:
        """What `take` makes of a successful answer. Tries again what may be tried again, else raises."""
        begun = self.clock.monotonic()
        for pause in (*pauses, None):
            try:
                with self._send(request) as exchange:
                    if exchange.status < 300:
                        # An error may be of a proxy before the server, which has a clock of its own, or none.
                        self._date, self._dated = exchange.headers.get("Date", ""), self.clock.boottime()
                        taken = take(exchange)
                        with self._lock:
                            self.received += exchange.received
                        return taken
                    wait = exchange.headers.get("Retry-After", "")
                    error = self._refusal(request, exchange)
            except (Unreachable, Timeout) as failure:
                error, wait = failure, ""
            seconds = float(wait) if wait.isascii() and wait.isdigit() else (pause or 0.0)
            if pause is None or not _again(error) or self.clock.monotonic() - begun + seconds > patience:
                raise error
            self.clock.sleep(seconds)
        raise AssertionError("unreachable: the last round returns or raises")

    def _send(self, request: Request) -> Exchange:
        with self._lock:
            self.requests += 1
        exchange = send(self._session, request)
        for text in _WARNING.findall(exchange.headers.get("Warning", "")):
            plain = printable(exchange.without_echo(re.sub(r"\\(.)", r"\1", text)))
            if plain not in self.warnings and len(self.warnings) < MOST_WARNINGS:
                self.warnings.append(plain)
        return exchange

    def _refusal(self, request: Request, exchange: Exchange) -> ApiError:
        return from_answer(request.asked, exchange.status, exchange.refusal(LARGEST_REFUSAL, self._seconds))


class _Book(Generic[_Answer]):
    """A list that is read page after page. `ask` gets the parameter that says where to go on, none for the first page."""

    def __init__(self, ask: Callable[[Mapping[str, str]], _Answer]) -> None:
        self._ask = ask
        self._lost = 0

    def turn(self, token: str) -> _Answer:
        """The page at `token`; where the server has forgotten the list's moment, in today's state."""
        while True:
            try:
                return self._ask({"continue": token} if token else {})
            except Gone as gone:
                self._lost += 1
                if not gone.continue_token or self._lost > PAGE_TURNS_LOST:
                    raise
                token = gone.continue_token


def _then(coming: Future[_Answer], work: Callable[[_Answer], _Answer]) -> _Answer:
    """What `work` makes of what is coming, once it is there."""
    return work(coming.result())


def _unpacked(coming: Future[Page | None]) -> Page | None:
    """The page that is coming, ready to be looked at."""
    page = coming.result()
    if page is not None:
        page.unpack()
    return page


def _again(error: ApiError) -> bool:
    """Whether the same request may be sent again without asking anybody.

    A 429 was not carried out. Anything else that failed in between may have been, so only reading is repeated; and
    what failed for trust or time fails again.
    """
    if isinstance(error, TooManyRequests):
        return True
    if error.asked.writes or isinstance(error, UntrustedServer):
        return False
    return isinstance(error, Unreachable) or error.status in (503, 504)


def _ask(method: str, path: str, *, watch: bool = False) -> Asked:
    try:
        return asked(method, path, watch=watch)
    except ValueError as error:
        raise Invalid(Asked(verb=method.lower(), resource=path), str(error)) from error
