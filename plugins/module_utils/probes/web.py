# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bounded HTTP request: a deadline for all of it, a limit for the body, no redirects, no secret in any error.

This module is private to the collection.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import field
from typing import Any, Mapping
from urllib.parse import SplitResult, urlencode, urlsplit

from .. import threads
from ..cluster.addresses import ClosedAddress, must_be_open
from ..cluster.clock import moment_of_date
from ..cluster.secrets import named_file
from ..foreign import printable
from ..values import dataclass
from .source import Misasked, NoAnswer

LARGEST_BODY = 4 << 20
# Of what a server says is wrong, in characters.
LONGEST_QUOTE = 300
USER_AGENT = "coalmine.canary"
# What a URL may hold on any way; some proxies refuse more than 4 KiB, with all headers. A query may name every pod.
LONGEST_QUERY = 2000
_PIECE = 65536
# Of a whole request, in seconds.
LONGEST_TIMEOUT = 600.0
_TELLS_OF_A_PART = re.compile(
    r"partial|incomplete|truncat|missing|unavailable|time.?out|timed out|deadline|fail|error|refused|limit|drop|skip",
    re.IGNORECASE,
)
# RFC 3986 section 2: what a URL is written with. RFC 9110 section 5.5: what a header holds.
_IN_A_URL = re.compile(r"[!-~]*")
_IN_A_HEADER = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True)
class Web:
    """How to reach an HTTP server. `ca_cert`: a PEM file to trust instead of the system's. `timeout`: seconds for a whole
    request. `token` is sent as a bearer token. Certificates are verified unless `validate_certs` is off. `named`: by the task, and not by what
    a pod says of itself.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    ca_cert: str = ""
    validate_certs: bool = True
    timeout: float = 10.0
    named: bool = True

    def __post_init__(self) -> None:
        if not _IN_A_URL.fullmatch(self.url):
            raise Misasked("url holds a blank or another character that must be percent-encoded (or xn-- in a host)")
        parts = self.parts
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misasked("url must begin with http:// or https:// and name a host")
        if parts.username is not None:
            raise Misasked(f"url ({self.name}) holds a user: give username and password as options of their own")
        if parts.query or parts.fragment:
            raise Misasked(f"url ({self.name}) goes on after its path: leave out ? or #, and what follows")
        if self.token and self.username:
            raise Misasked(f"token and username are both given for {self.name}: give one of them")
        for option, texts in (("token", (self.token,)), ("headers", (*self.headers, *self.headers.values()))):
            if not all(map(_IN_A_HEADER.fullmatch, texts)):
                raise Misasked(f"{option} for {self.name} holds a line break, or what else no header can hold")
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise Misasked(f"timeout is {self.timeout:g}: give seconds, above 0 and up to {LONGEST_TIMEOUT:g}")

    @property
    def parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            port_is_possible = parts.port != 0
        except ValueError:
            port_is_possible = False
        if not port_is_possible:
            raise Misasked("url cannot be read: check its host and port")
        return parts

    @property
    def name(self) -> str:
        """Scheme, host and port: what may be told."""
        parts = self.parts
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


@dataclass(frozen=True)
class WebAnswer:
    """`truncated`: the body was longer than allowed, and `body` is its beginning. Bytes as read and written. `date`: the
    server's clock when it answered, in whole seconds since the epoch; None where it does not say."""

    status: int
    body: bytes
    truncated: bool
    bytes_in: int
    bytes_out: int
    content_type: str = ""
    date: float | None = None


def ask(web: Web, path: str, query: Mapping[str, str] | None = None, largest: int = LARGEST_BODY) -> WebAnswer:
    """GET `path` below the url's own path; a query that is too long for a URL is sent as a form, which Prometheus and Loki take
    as well. Any status is an answer; raises NoAnswer when there was none in time."""
    target, headers = web.parts.path.rstrip("/") + path, _headers(web)
    text = urlencode(query or {})
    form = text.encode() if len(text) > LONGEST_QUERY else None
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif text:
        target += f"?{text}"
    connection = _connection(web)
    with _Alarm(connection, web.timeout) as alarm:
        try:
            host = web.parts.hostname or ""
            must_be_open(host, named=web.named)
            connection.connect()
            must_be_open(host, str(connection.sock.getpeername()[0]), named=web.named)
            alarm.socket = connection.sock
            connection.request("POST" if form else "GET", target or "/", body=form, headers=headers)
            response = connection.getresponse()
            body, truncated = bounded_body(response, largest)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"{web.name} {_failure(error, alarm.rang, web.timeout)}") from None
        if alarm.rang:
            raise NoAnswer(f"{web.name} {_failure(TimeoutError(), True, web.timeout)}")
    bytes_in = len(body) + sum(len(name) + len(text) + 4 for name, text in response.getheaders())
    bytes_out = len(target) + len(form or b"") + 16 + sum(len(name) + len(text) + 4 for name, text in headers.items())
    kind = response.headers.get_content_type()
    return WebAnswer(
        response.status, body, truncated, bytes_in, bytes_out, kind, moment_of_date(response.headers.get("Date"))
    )


class _Alarm:
    """Cuts a connection when its time is up.

    A server that drips a byte now and then satisfies every timeout of a socket; the clock has the last word. `socket`: the
    one to cut once it is connected, as http.client gives it away to the response.
    """

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self.rang = False
        self.socket: socket.socket | None = None
        self._connection = connection
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def __enter__(self) -> _Alarm:
        threads.start(self._timer)
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()
        self._connection.close()

    def _ring(self) -> None:
        self.rang = True
        connected = self.socket or self._connection.sock
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def ask_json(web: Web, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
    """As json_of."""
    return json_of(web, ask(web, path, query))


def json_of(web: Web, answer: WebAnswer, *, plain_refusals: bool = False) -> dict[str, Any]:
    """The whole JSON object that a 200 brings; everything else raises NoAnswer. `plain_refusals`: this kind of server says in
    plain text what is wrong with a question."""
    if answer.status in (401, 403):
        raise NoAnswer(f"{web.name} answers {answer.status}: check the token, user or headers and what they may read")
    if answer.status != 200:
        said = _error_of(answer.body)
        if plain_refusals and answer.status in (400, 429) and answer.content_type == "text/plain":
            said = answer.body.decode("utf-8", "replace")
        raise NoAnswer(f"{web.name} answers {answer.status}{_quoted(web, said)}")
    if answer.truncated:
        raise NoAnswer(f"{web.name} answers with more than {LARGEST_BODY >> 20} MiB: ask for less, aggregate the query")
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise NoAnswer(f"{web.name} does not answer with a JSON object: is the url right?")
    lacks = _lacks(parsed)
    if lacks is not None:
        raise NoAnswer(f"{web.name} answers with less than there is{_quoted(web, lacks)}")
    return parsed


def _lacks(answer: Mapping[str, Any]) -> str | None:
    """Why an answer is only a part of what was asked for, in the server's words; None when it is all.

    Thanos, Prometheus with remote reading, and Loki warn; VictoriaMetrics sets isPartial. PromQL's own warnings tell of series
    that were left out, its infos of names.
    """
    warnings, infos = (_texts(answer.get(name)) for name in ("warnings", "infos"))
    told = [
        *warnings,
        *(text for text in infos if _TELLS_OF_A_PART.search(text) and not text.startswith("PromQL info")),
    ]
    if told:
        return "; ".join(told)
    return "" if answer.get("isPartial") else None


def _texts(given: Any) -> list[str]:
    every = given if isinstance(given, list) else [given]
    return [str(text) for text in every if text]


def _error_of(body: bytes) -> str:
    """The error text of Prometheus; of anything else nothing, as it may hold what its owner would not show."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = parsed.get("error") if isinstance(parsed, dict) else None
    return text if isinstance(text, str) else ""


def _quoted(web: Web, text: str) -> str:
    """For the end of a sentence; nothing of a text that repeats a secret of ours."""
    secrets = [web.token, web.password, _basic(web), *web.headers.values()]
    if not text.strip() or any(secret and secret in text for secret in secrets):
        return ""
    return f": {printable(text, LONGEST_QUOTE)}"


def _headers(web: Web) -> dict[str, str]:
    headers = {"Accept": "*/*", "User-Agent": USER_AGENT, "Connection": "close", **web.headers}
    if web.token:
        headers["Authorization"] = f"Bearer {web.token}"
    elif web.username:
        headers["Authorization"] = f"Basic {_basic(web)}"
    return headers


def _basic(web: Web) -> str:
    return base64.b64encode(f"{web.username}:{web.password}".encode()).decode()


def _connection(web: Web) -> http.client.HTTPConnection:
    parts = web.parts
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=web.timeout)
    try:
        context = ssl.create_default_context(cafile=web.ca_cert or None)
    except (OSError, ValueError) as error:
        raise NoAnswer(
            f"ca_cert names the {named_file(web.ca_cert)}, which cannot be read: {type(error).__name__}"
        ) from None
    if not web.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=web.timeout, context=context)


def bounded_body(response: http.client.HTTPResponse, largest: int) -> tuple[bytes, bool]:
    """The first `largest` bytes, and whether there was more. Raises HTTPException when there was less than announced."""
    pieces, size = [], 0
    while size <= largest and (piece := response.read1(_PIECE)):
        pieces.append(piece)
        size += len(piece)
    body = b"".join(pieces)
    if size <= largest and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body[:largest], size > largest


def _failure(error: Exception, late: bool, timeout: float) -> str:
    if late or isinstance(error, TimeoutError):
        return f"did not answer within {timeout:g} seconds"
    if isinstance(error, ClosedAddress):
        return f"is not asked: {error}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not trusted ({error.verify_message}): give ca_cert"
    if isinstance(error, socket.gaierror):
        return "has a host name that cannot be resolved"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    return f"does not answer as HTTP does ({type(error).__name__})"
