# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port-forward: a connection to a port of a pod, through the API server and the pod's kubelet, as a WebSocket.

The client library can forward ports too, and is not used for it: it sends no header but the token (so nobody can be
impersonated), waits without limit, buffers without limit, and wants certificates in files that are gone by then. What it
speaks is little: RFC 6455 with the subprotocol v4.channel.k8s.io, in which each message begins with the number of a channel
(0: the connection's bytes, 1: what the kubelet has to say about it), and the first message of each repeats the port.

This module is private to the collection.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import Iterator, Mapping

from .. import threads
from ..foreign import printable
from .client import Session
from .errors import (
    ApiError,
    ConnectionLost,
    Forbidden,
    PodRefused,
    ServerError,
    Timeout,
    from_answer,
)
from .exchange import Exchange, Request, network_errors, send

SUBPROTOCOL = "v4.channel.k8s.io"
# Servers send what they have read at once, which is at most 32 KiB.
LARGEST_MESSAGE = 1 << 20
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x2, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80
_DATA, _ERROR = 0, 1


class Tunnel:
    """A connection. It ends with the `with` of `open_tunnel`, or when its time is up."""

    def __init__(self, session: Session, request: Request, exchange: Exchange, late: threading.Event) -> None:
        self._session = session
        self._request = request
        self._reader, self._writer = exchange.upgraded()
        self._late = late
        self._announced: set[int] = set()
        self._ended = False

    def sendall(self, data: bytes) -> None:
        """Raises Timeout, ConnectionLost."""
        with self._errors():
            self._writer.sendall(_frame(_BINARY, bytes([_DATA]) + data))

    def receive(self) -> bytes:
        """What came next, as it came; b"" at the end. Raises Timeout, ConnectionLost, PodRefused."""
        while not self._ended:
            with self._errors():
                opcode, message = self._message()
            if opcode == _CLOSE:
                self._ended = True
            elif opcode == _PING:
                with self._errors():
                    self._writer.sendall(_frame(_PONG, message))
            elif opcode == _BINARY and message:
                data = self._of_channel(message[0], message[1:])
                if data:
                    return data
        return b""

    def _of_channel(self, channel: int, data: bytes) -> bytes:
        if channel not in self._announced:
            self._announced.add(channel)
            return b""
        if channel == _ERROR and data:
            raise PodRefused(self._request.asked, printable(data.decode("utf-8", "replace")))
        return data if channel == _DATA else b""

    def _message(self) -> tuple[int, bytes]:
        """One message, whole; a control frame may come in the middle of one only where servers cut messages up."""
        final, opcode, message = self._one_frame()
        while not final:
            final, continued, more = self._one_frame()
            if continued != _CONTINUATION:
                raise ConnectionLost(self._request.asked, "the WebSocket mixes messages up")
            message += more
            if len(message) > LARGEST_MESSAGE:
                raise ConnectionLost(self._request.asked, "the WebSocket brings a message that is too long")
        return opcode, message

    def _one_frame(self) -> tuple[bool, int, bytes]:
        first, second = self._exactly(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        if second & _MASKED or length > LARGEST_MESSAGE:
            raise ConnectionLost(self._request.asked, "the WebSocket brings what no API server sends")
        return bool(first & _FINAL), first & 0x0F, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = bytes(self._reader.read(count)) if count else b""
        if len(data) < count:
            raise ConnectionLost(self._request.asked, f"the tunnel through {self._session.server} ended unexpectedly")
        return data

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """A connection that was ended because time was up looks like one that broke; and the socket may be the first to
        notice that it is."""
        try:
            with network_errors(self._session, self._request, self._late):
                try:
                    yield
                except TimeoutError:
                    self._late.set()
                    raise
        except ConnectionLost:
            if self._late.is_set():
                raise Timeout(self._request.asked, "the time for this connection is up") from None
            raise


def _frame(opcode: int, payload: bytes) -> bytes:
    """A final frame as clients send it: masked."""
    length = len(payload)
    if length < 126:
        head = bytes([_FINAL | opcode, _MASKED | length])
    elif length < 1 << 16:
        head = bytes([_FINAL | opcode, _MASKED | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([_FINAL | opcode, _MASKED | 127]) + length.to_bytes(8, "big")
    mask = os.urandom(4)
    stretched = (mask * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head + mask + masked.to_bytes(length, "big")


@contextmanager
def open_tunnel(session: Session, request: Request) -> Iterator[Tunnel]:
    """`request`: a GET of a pod's portforward subresource; its `seconds` are for the whole life of the tunnel.

    Raises what a GET raises, and never tries again.
    """
    key = base64.b64encode(os.urandom(16))
    asked = replace(request, headers={**request.headers, **_handshake(key)})
    late = threading.Event()
    with send(session, asked) as exchange:
        if exchange.status != 101:
            raise _refusal(asked, exchange)
        accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        if exchange.headers.get("Sec-WebSocket-Accept") != accepted:
            raise ServerError(asked.asked, f"{session.server} does not open a WebSocket as RFC 6455 says")

        def give_up() -> None:
            late.set()
            exchange.hang_up()

        alarm = threading.Timer(asked.seconds, give_up)
        alarm.daemon = True
        threads.start(alarm)
        try:
            yield Tunnel(session, asked, exchange, late)
        finally:
            alarm.cancel()


def _handshake(key: bytes) -> Mapping[str, str]:
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
    }


def _refusal(request: Request, exchange: Exchange) -> ApiError:
    """Besides get, Kubernetes asks for create since 1.35 (pkg/registry/core/pod/rest/authorize.go); when that is missing, its
    message names neither, and says nothing more where RBAC gives no reason."""
    error = from_answer(request.asked, exchange.status, exchange.refusal(LARGEST_MESSAGE, request.seconds))
    if error.status == 403 and error.message.rstrip().endswith("is forbidden:"):
        return Forbidden(replace(request.asked, verb="create"), error.message, status=403, reason=error.reason)
    return error
