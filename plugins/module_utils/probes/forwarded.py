# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request over a forwarded port: plain, or encrypted as far as the pod.

This module is private to the collection.
"""

from __future__ import annotations

import http.client
import io
import ssl
from typing import Any, Callable, Mapping, Protocol

from .web import USER_AGENT, WebAnswer, bounded_body


class Line(Protocol):
    """A connection that is there already. Both methods raise what the connection raises."""

    def sendall(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """What came next; b"" at the end."""


def ask_forwarded(line: Line, encrypted: bool, path: str, headers: Mapping[str, str], largest: int) -> WebAnswer | None:
    """GET `path`; None when what comes back is no HTTP, or ends too early.

    The certificate of an encrypted pod is not verified: it would have to carry the name of a pod. The API server, which is
    verified, and the kubelet choose the pod; its proxy does not verify it either.
    """
    try:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = _Socket(_Tls(line) if encrypted else line)
        sent = {"Accept": "*/*", "User-Agent": USER_AGENT, "Connection": "close", **headers}
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        body, truncated = bounded_body(response, largest)
    except (http.client.HTTPException, ssl.SSLError, ValueError):
        return None
    bytes_in = len(body) + sum(len(name) + len(text) + 4 for name, text in response.getheaders())
    bytes_out = len(path) + 16 + sum(len(name) + len(text) + 4 for name, text in sent.items())
    return WebAnswer(response.status, body, truncated, bytes_in, bytes_out)


class _Socket:
    """As much of a socket as http.client uses."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.sendall = line.sendall

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._line))

    def close(self) -> None:
        """The line is its owner's to close."""


class _Reader(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or self._line.receive()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Tls:
    """TLS over a line, on whose far side there is no socket of ours."""

    def __init__(self, line: Line) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._line = line
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._until_done(self._tls.do_handshake)

    def sendall(self, data: bytes) -> None:
        self._until_done(lambda: self._tls.write(data))

    def receive(self) -> bytes:
        try:
            return bytes(self._until_done(lambda: self._tls.read(1 << 14)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._line.receive():
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
                continue
            self._flush()
            return done

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._line.sendall(data)
