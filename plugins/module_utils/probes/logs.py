# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the `logs` check asks: seconds in which a pod logged a line that matches, out of pod-seconds.

One error may print a hundred lines of a stack; a second with a match counts once. Lines come from the API (podlogs.py), or from
Loki by URL (loki.py).

This module is private to the collection.
"""

from __future__ import annotations

import re

from ..values import dataclass
from .matching import must_be_pattern
from .placeholders import tells_versions_apart
from .source import Misasked
from .web import Web

# To Loki, collectors send in batches. Of a pod, two streams are written side by side.
SETTLED_SECONDS, SETTLED_SECONDS_IN_LOKI = 2.0, 15.0
LONGEST_SETTLING = 600.0
# For how long an application may log nothing at all before that looks like a log that nobody writes or collects.
QUIET_SECONDS = 120.0
# Braces may stand in the quoted or backquoted values of labels, too; <pods> and the like are filled in later.
_SELECTOR = re.compile(r"""\{(?:[^{}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}""")


@dataclass(frozen=True)
class LogsAsked:
    """`pattern`: a regular expression. From the API: of `container` (empty: the pod's only or default one). From Loki,
    with `web`: lines that the LogQL `query` selects, which names <pods> or <hash> and filters by itself. `settled_after`:
    seconds after which all lines have arrived that ever will (None: as is usual for either)."""

    pattern: str = ""
    container: str = ""
    web: Web | None = None
    query: str = ""
    settled_after: float | None = None

    def __post_init__(self) -> None:
        if self.web is None and (not self.pattern or self.query):
            raise Misasked(
                "pattern is needed for logs from the API, and query goes with the url of Loki: give one or the other"
            )
        if self.web is not None and (not self.query or self.pattern):
            raise Misasked(
                'query is needed for logs from Loki, such as {pod=~"<pods>"} |= "ERROR", and pattern is for logs from the API: give the query'
            )
        if self.query and not tells_versions_apart(self.query):
            raise Misasked(f'query is "{self.query}", the same for both versions: use <pods> or <hash> in it')
        if self.query and not stream_selector(self.query):
            raise Misasked(f'query is "{self.query}", which selects no streams: begin it with labels in {{}}')
        if self.settled_after is not None and not 0 <= self.settled_after <= LONGEST_SETTLING:
            raise Misasked(f"settled_after is {self.settled_after:g}: give 0 to {LONGEST_SETTLING:g} seconds")
        must_be_pattern(self.pattern, "pattern")

    @property
    def lateness(self) -> float:
        if self.settled_after is not None:
            return self.settled_after
        return SETTLED_SECONDS if self.web is None else SETTLED_SECONDS_IN_LOKI


def stream_selector(query: str) -> str:
    """The labels in braces by which a LogQL query chooses its streams; nothing where it has none."""
    found = _SELECTOR.search(query)
    return found[0] if found else ""
