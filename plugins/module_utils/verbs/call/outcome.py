# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb answers: an `Outcome`, or a `VerbFailure` that says what was asked, found, already changed, and what to do next.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, Mapping

from ...display.news import Kind, News, Report
from ...rollout.describe import of_a_failure
from ...rollout.phase import Situation
from ...values import dataclass

__all__ = ["API_ERROR", "STUCK", "TIMEOUT", "Kind", "News", "Outcome", "Report", "VerbFailure"]


def quietly(line: str) -> None:
    """Of what nobody waits for."""


# Codes of failures that are no refusal: waiting longer would not help, the time was over, the server did not do its part.
STUCK, TIMEOUT, API_ERROR = "stuck", "timeout", "api_error"


@dataclass(frozen=True)
class Outcome:
    """`canary` is the documented return value; `before` and `after` hold only the fields that the verb owns (for diff mode).

    `extra`: what only some verbs return, by its documented name, as plain values. `seen`: what the verb has read last, with its pods
    unless it has only planned or cleaned up, where it has done nothing since but take the marks of its release off; whoever goes on at once need not
    read it again. `uid`: of the Deployment that it is about, where it has read one.
    """

    changed: bool
    message: str
    canary: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    seen: Situation | None = None
    uid: str = ""

    def returning(self, **extra: Any) -> Outcome:
        """The same with further return values."""
        return replace(self, extra={**self.extra, **extra})


class VerbFailure(Exception):
    """The verb did not reach what was asked.

    `code` tells kinds of failure apart: a refusal's own (rollout/refusal.py), or one of those above.
    `found` is what and why, and `advice` what to do about it; together they are the message. Who has dealt with a failure passes
    on what was found alone.
    `cause` is the reason alone: without log lines, which may hold secrets, and without advice. It may be kept.
    `changed` says whether anything had been written before. `extra` is as in `Outcome`.
    """

    def __init__(
        self,
        found: str,
        *,
        code: str,
        advice: str = "",
        cause: str = "",
        changed: bool = False,
        canary: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        warnings: tuple[str, ...] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        message = " ".join(filter(None, (found, advice)))
        super().__init__(message)
        self.message = message
        self.found = found
        self.advice = advice
        self.code = code
        self.cause = cause
        self.changed = changed
        self.canary = canary
        self.before = before or {}
        self.after = after or {}
        self.warnings = warnings
        self.extra = extra or {}

    @property
    def shown(self) -> dict[str, Any]:
        """What the result carries beside the message."""
        return {**({"canary": of_a_failure(self.canary)} if self.canary else {}), **self.extra}
