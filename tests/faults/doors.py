# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another address of the API server, that can be closed, and whose bytes may take their time."""

from __future__ import annotations

import math
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.cluster.controlplane import LOOPBACK

_PIECE = 65536


@dataclass(frozen=True)
class Line:
    """`delay`: seconds from one end to the other. `rate`: bytes a second, of each connection and each way."""

    delay: float = 0.0
    rate: float = math.inf


PROMPT = Line()


def arriving(source: socket.socket, line: Line) -> Iterator[bytes]:
    """What is read from there, piece by piece, each as late as this line makes it."""
    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_collect, args=(source, pieces), daemon=True).start()
    free = 0.0
    while (found := pieces.get())[1]:
        came, piece = found
        free = max(free, came + line.delay) + len(piece) / line.rate
        time.sleep(max(0.0, free - time.monotonic()))
        yield piece


def _collect(source: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    """With the moment at which each came; the last one is empty."""
    piece = b"more to come"
    while piece:
        piece = b""
        with suppress(OSError):
            piece = source.recv(_PIECE)
        pieces.put((time.monotonic(), piece))


class Door:
    """An address of `server` (https://host:port), until it is closed: with it every connection ends."""

    def __init__(self, server: str, line: Line = PROMPT) -> None:
        host, _colon, port = server.removeprefix("https://").rpartition(":")
        self._server, self._line = (host, int(port)), line
        self._listener = socket.create_server((LOOPBACK, 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._lets_in, daemon=True).start()

    @property
    def address(self) -> str:
        return f"https://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _lets_in(self) -> None:
        with suppress(OSError):
            while True:
                ends = self._listener.accept()[0], socket.create_connection(self._server)
                self._open += ends
                for one, other in (ends, ends[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            for piece in arriving(source, self._line):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
