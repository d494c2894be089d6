# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request and its answer, with every way in which the network can fail turned into our own errors.

This module is private to the collection.
"""

from __future__ import annotations

import json
import socket
import threading
import zlib
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import Any, Callable, Iterator, Mapping, TypeVar
from urllib.parse import urlencode

from .. import threads
from ..values import dataclass
from .asked import Asked
from .client import Session
from .errors import ApiError, ConnectionLost, ServerError, Timeout, TlsFailed, Unreachable, UntrustedServer, status_of
from .secrets import confided_in, without

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
_PIECE, _LARGE_PIECE = 65536, 1 << 20
# Of one answer, packed or not: a page of 500 objects of the size that etcd takes is smaller.
LARGEST_ANSWER = 1 << 30
# RFC 1952: deflate; and nothing told about a file, as Go writes it.
_GZIP = b"\x1f\x8b\x08"
_PLAIN_GZIP = _GZIP + b"\x00"
_GZIP_HEAD, _GZIP_TAIL = 10, 8
_Said = TypeVar("_Said")
# OpenSSL's words, and those of urllib3 1.26, for a certificate that is not accepted.
_DISTRUST = ("CERTIFICATE_VERIFY_FAILED", "doesn't match")


@dataclass(frozen=True)
class Request:
    """`seconds`: the longest silence that is waited through, once the connection stands. Body and headers stay out of
    the repr."""

    asked: Asked
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    seconds: float = READ_SECONDS

    @property
    def target(self) -> str:
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


class TooLarge(Exception):
    """An answer that nobody can mean."""


class Exchange:
    """An answer whose body has not been read yet. Use it in `with`: leaving returns or closes the connection."""

    def __init__(self, session: Session, request: Request, response: Any) -> None:
        self._session = session
        self._request = request
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._complete = False
        # Bytes of the body as they came over the wire, compressed where they were.
        self.received = 0

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._complete:
            self._response.release_conn()
        else:
            self._response.close()

    def read(self) -> bytes:
        """The whole body."""
        return self.body().whole()

    def body(self) -> Body:
        """The whole body as it came over the wire."""
        with network_errors(self._session, self._request):
            data = self._bounded()
        self.received = len(data)
        if len(data) > LARGEST_ANSWER:
            raise _unreadable(self._session, self._request, TooLarge())
        self._complete = True
        is_packed = self.headers.get("Content-Encoding", "").lower() == "gzip"
        return Body(data, is_packed, partial(_unreadable, self._session, self._request))

    def _bounded(self) -> bytes:
        """Of a body that is too large, a little more than may be."""
        announced = self.headers.get("Content-Length", "")
        if announced.isascii() and announced.isdigit() and int(announced) <= LARGEST_ANSWER:
            return bytes(self._response.read(decode_content=False))
        got = bytearray()
        for piece in self._response.stream(_LARGE_PIECE, decode_content=False):
            got += piece
            if len(got) > LARGEST_ANSWER:
                break
        return bytes(got)

    def start(self, max_bytes: int, seconds: float) -> tuple[bytes, bool]:
        """The first `max_bytes` of the body, and whether there was more. Raises Timeout when reading takes longer than
        `seconds` in all, however often a byte drips in."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.hang_up()

        watchdog = threading.Timer(seconds, give_up)
        watchdog.daemon = True
        threads.start(watchdog)
        got = bytearray()
        try:
            with network_errors(self._session, self._request, late):
                # Not more at a time than is wanted: a piece is handed out when it is full.
                for piece in self._response.stream(min(_PIECE, max_bytes + 1), decode_content=False):
                    got += piece
                    if len(got) > max_bytes:
                        break
        finally:
            watchdog.cancel()
        self._complete = len(got) <= max_bytes
        return bytes(got[:max_bytes]), not self._complete

    def refusal(self, max_bytes: int, seconds: float) -> Mapping[str, Any]:
        """The Kubernetes `Status` in the body, without what it repeats of the request; {} when the body is something else."""
        return self.without_echo(status_of(self.start(max_bytes, seconds)[0]))

    def without_echo(self, said: _Said) -> _Said:
        """What the server said, without our credentials and what we sent in confidence, such as values of variables."""
        return without(said, self._session.secrets | confided_in(_parsed(self._request.body)))

    def lines(self) -> Iterator[bytes]:
        """Each line of the body as soon as it has arrived."""
        with network_errors(self._session, self._request):
            yield from _chunked_lines(self._response) if self._response.chunked else iter(self._response.readline, b"")
        self._complete = True

    def upgraded(self) -> tuple[Any, Any]:
        """After a 101: whom to read from (it may have read on already), and the socket to write to."""
        return self._response._fp.fp, self._response.connection.sock

    def hang_up(self) -> None:
        """Ends the connection from any thread: whoever reads from it sees it end."""
        wire = _wire(self._response)
        if wire is not None:
            try:
                # Not SSLSocket's own shutdown, which pulls the TLS state from under the reader.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
            except OSError:
                return  # it had ended by itself


@dataclass(frozen=True)
class Body:
    """`data` came over the wire. It is unpacked only when it is asked for; raises what `broken` makes of the error."""

    data: bytes = field(repr=False)
    is_packed: bool = False
    broken: Callable[[Exception], Exception] = field(default=lambda error: error, repr=False)

    def beginning(self, count: int) -> bytes:
        """At most so many bytes of it."""
        if not self.is_packed:
            return self.data[:count]
        with self._unpacking():
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(self.data, count)

    def whole(self) -> bytes:
        """All of it."""
        if not self.is_packed:
            return self.data
        with self._unpacking():
            return _unzipped(self.data)

    @contextmanager
    def _unpacking(self) -> Iterator[None]:
        try:
            yield
        except (zlib.error, EOFError, TooLarge) as error:
            raise self.broken(error) from error


def _unzipped(body: bytes) -> bytes:
    """In one go: the last four bytes of gzip tell the size. Never more than LARGEST_ANSWER, whatever it would become.

    The checksum before them is not compared: TLS has done as much, and it would take another third of the time.
    """
    if not body.startswith(_PLAIN_GZIP) or body.find(_GZIP, _GZIP_HEAD) >= 0:
        # Something is told about a file, or there may be several parts.
        return _part_by_part(body)
    told = int.from_bytes(body[-4:], "little")
    packed, unpacker = memoryview(body)[_GZIP_HEAD:-_GZIP_TAIL], zlib.decompressobj(-zlib.MAX_WBITS)
    whole = unpacker.decompress(packed, min(told, LARGEST_ANSWER) + 1)
    return whole if len(whole) == told and unpacker.eof else _part_by_part(body)


def _part_by_part(body: bytes) -> bytes:
    got = bytearray()
    while body:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        got += unpacker.decompress(body, LARGEST_ANSWER - len(got) + 1)
        if len(got) > LARGEST_ANSWER:
            raise TooLarge
        if not unpacker.eof:
            raise EOFError
        # What fills up the last block of a tape (RFC 1952, appendix).
        body = unpacker.unused_data.lstrip(b"\0")
    return bytes(got)


def _parsed(body: bytes | None) -> Any:
    """What we sent, where it was JSON."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _wire(response: Any) -> socket.socket | None:
    """The socket below an answer; None when it has ended, or when a TLS proxy's own layer hides it."""
    wire = getattr(response.connection, "sock", None)
    if wire is None:
        # After "Connection: close" http.client forgets the socket; only its reader still holds it.
        reader = getattr(getattr(response, "_fp", None), "fp", None)
        wire = getattr(getattr(reader, "raw", None), "_sock", None)
    return wire if isinstance(wire, socket.socket) else None


def _chunked_lines(response: Any) -> Iterator[bytes]:
    # stream() hands out each HTTP chunk as it comes; the API server sends each event as one.
    rest = b""
    for piece in response.stream(_PIECE, decode_content=False):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


def send(session: Session, request: Request) -> Exchange:
    """Sends `request` and waits for the head of the answer. Raises Unreachable (and its kinds), Timeout or ConfigError.

    Where the server does not know us any more and there are newer credentials, it is sent once more: it was not carried out.
    """
    exchange = _sent(session, request)
    # Behind a proxy subresource it may be somebody else who does not know us.
    if exchange.status != 401 or request.asked.resource.endswith("/proxy") or not session.renew():
        return exchange
    with exchange:
        pass
    return _sent(session, request)


def _sent(session: Session, request: Request) -> Exchange:
    import urllib3

    headers = session.headers()
    headers.update(request.headers)
    if not session.compress:
        headers.discard("Accept-Encoding")
    timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, request.seconds), read=request.seconds)
    with network_errors(session, request):
        response = session.request(
            request.method,
            request.target,
            headers=headers,
            body=request.body,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
            enforce_content_length=True,
        )
    return Exchange(session, request, response)


@contextmanager
def network_errors(session: Session, request: Request, late: threading.Event | None = None) -> Iterator[None]:
    """Turns urllib3's exceptions into ours. `late` is set by who ended the connection because time was up; that looks
    like an error, or like the regular end of a body of unknown length."""
    import urllib3.exceptions as theirs

    failure: Exception | None = None
    try:
        yield
    except (theirs.HTTPError, OSError) as error:
        failure = error
    if late is not None and late.is_set():
        raise Timeout(request.asked, f"{session.server} did not finish its answer in time") from failure
    if failure is not None:
        raise _ours(session, request, failure) from failure


def _ours(session: Session, request: Request, error: Exception) -> ApiError:
    import urllib3.exceptions as theirs

    server, said = session.server, _plain(error)
    if isinstance(error, theirs.ProxyError):
        return Unreachable(request.asked, f"the proxy before {server} does not let us through: {said}")
    if isinstance(error, theirs.SSLError):
        kind = UntrustedServer if any(words in said for words in _DISTRUST) else TlsFailed
        return kind(request.asked, f"TLS with {server} failed: {said}")
    if isinstance(error, (theirs.NewConnectionError, theirs.LocationParseError)):
        return Unreachable(request.asked, f"{server} cannot be reached: {said}")
    if isinstance(error, theirs.ConnectTimeoutError):
        return Unreachable(request.asked, f"{server} did not accept a connection in time")
    if isinstance(error, theirs.ReadTimeoutError):
        return Timeout(request.asked, f"{server} gave no answer for {request.seconds:g} s")
    if isinstance(error, (theirs.ProtocolError, OSError)):
        return ConnectionLost(request.asked, f"the connection to {server} broke ({said})")
    return _unreadable(session, request, error)


def _unreadable(session: Session, request: Request, error: Exception) -> ServerError:
    if isinstance(error, TooLarge):
        return ServerError(request.asked, f"{session.server} answers with more than {LARGEST_ANSWER >> 20} MiB")
    return ServerError(request.asked, f"the answer of {session.server} cannot be read ({type(error).__name__})")


def _plain(error: BaseException) -> str:
    """What the operating system, OpenSSL or the comparison of host names said, else a name: other texts may quote what
    was received. urllib3 wraps it once or several times, each version in its own way."""
    for inner in _inside(error):
        if isinstance(inner, OSError):
            return str(inner.strerror or inner)
        if type(inner).__name__ == "CertificateError":
            return str(inner)
    return type(inner).__name__


def _inside(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was made from, the outermost first."""
    import urllib3.exceptions as theirs

    yield error
    wrapped = [part for part in error.args if isinstance(part, BaseException)]
    inner = wrapped[-1] if wrapped else error.__cause__
    if inner is None and isinstance(error, theirs.HTTPError):
        inner = error.__context__
    if inner is not None:
        yield from _inside(inner)
