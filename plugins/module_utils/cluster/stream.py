# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One watch: the events of one answer of the server, which goes on until the server ends it.

This module is private to the collection.
"""

from __future__ import annotations

import json
from typing import Any, Iterator

from ..values import dataclass
from .asked import Asked
from .errors import ConnectionLost, from_answer
from .exchange import Exchange


@dataclass(frozen=True)
class WatchEvent:
    """`type`: ADDED, MODIFIED, DELETED or BOOKMARK; `object`: as it is now (DELETED: as it was last)."""

    type: str
    object: dict[str, Any]


class WatchStream:
    """Iterates over the events of one watch until the server ends it."""

    def __init__(self, asked: Asked, exchange: Exchange) -> None:
        self._asked = asked
        self._exchange = exchange

    def __iter__(self) -> Iterator[WatchEvent]:
        for line in self._exchange.lines():
            if line.strip():
                yield self._event(line)

    def _event(self, line: bytes) -> WatchEvent:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            raise ConnectionLost(self._asked, "the stream of events broke in the middle of one") from None
        kind, found = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(found, dict):
            raise ConnectionLost(self._asked, "the stream of events has something in it that is not an event")
        if kind == "ERROR":
            status = self._exchange.without_echo(found)
            code = status.get("code")
            raise from_answer(self._asked, code if isinstance(code, int) else 500, status)
        return WatchEvent(kind, found)

    def close(self) -> None:
        """Ends the stream from any thread."""
        self._exchange.hang_up()
