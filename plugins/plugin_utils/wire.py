# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the workers that run tasks to the one process that draws: datagrams through a socket that they inherit.

A datagram comes whole or not at all, and who sends never waits: what is drawn is for the eye, and the next one tells more.
This module is private to the collection.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any, Callable


class Wire:
    """Nobody draws until `listen` was called, which has to be before ansible-playbook forks its workers."""

    def __init__(self) -> None:
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def listen(self) -> None:
        if self._ends is None:
            self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            for end in self._ends:
                end.setblocking(False)

    def shower(self, host: str) -> Callable[[dict[str, Any]], None] | None:
        """What passes news of a task of this host on to whoever draws; None where nobody does."""
        if self._ends is None:
            return None
        out = self._ends[1]

        def show(news: dict[str, Any]) -> None:
            with suppress(OSError):  # it is full, or larger than a datagram may be
                out.send(json.dumps([host, news]).encode())

        return show

    def received(self) -> list[tuple[str, dict[str, Any]]]:
        """What has come since the last call: host and news."""
        found: list[tuple[str, dict[str, Any]]] = []
        while self._ends is not None:
            try:
                host, news = json.loads(self._ends[0].recv(1 << 20))
            except BlockingIOError:
                break
            found.append((host, news))
        return found


WIRE = Wire()
