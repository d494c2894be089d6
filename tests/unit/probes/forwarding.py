# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of a forwarded port: a WebSocket as a kubelet speaks it, or worse."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from tests.unit.probes.serving import Respond

PORT = 8080
CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10


def frame(opcode: int, payload: bytes, *, final: bool = True, masked: bool = False) -> bytes:
    length = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    mark = 0x80 if masked else 0
    if length < 126:
        head += bytes([mark | length])
    elif length < 1 << 16:
        head += bytes([mark | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([mark | 127]) + length.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + payload


def read_frame(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    """What a client sent, which must be masked."""
    first, second = request.rfile.read(2)
    assert second & 0x80, "a client masks its frames"
    length = second & 0x7F
    if length > 125:
        length = int.from_bytes(request.rfile.read(2 if length == 126 else 8), "big")
    mask = request.rfile.read(4)
    masked = request.rfile.read(length)
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))


def accepting(talk: Respond, wrong: str = "") -> Respond:
    """Opens the WebSocket, announces both channels as a kubelet does, and goes on as it is told."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        key = request.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        request.protocol_version = "HTTP/1.1"
        request.send_response(101)
        request.send_header("Connection", "Upgrade")
        request.send_header("Upgrade", "websocket")
        request.send_header("Sec-WebSocket-Accept", wrong or base64.b64encode(hashlib.sha1(key).digest()).decode())
        request.end_headers()
        with suppress(OSError):
            for channel in (0, 1):
                request.wfile.write(frame(BINARY, bytes([channel]) + PORT.to_bytes(2, "little")))
            talk(request)
        request.close_connection = True

    return respond


def data(payload: bytes) -> bytes:
    return frame(BINARY, b"\0" + payload)
