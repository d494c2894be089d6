# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that everything above the API server goes by. It is given, not taken: tests bring one of their own.

This module is private to the collection.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Protocol


class Clock(Protocol):
    """Seconds. Waits and durations go by `monotonic`, which nobody sets; what others have counted on meanwhile by `boottime`; records
    and queries by `wall`."""

    def monotonic(self) -> float:
        """Since some moment in the past. It may stand while the machine is suspended."""

    def boottime(self) -> float:
        """The same, and it goes on while the machine is suspended."""

    def wall(self) -> float:
        """Since 1970-01-01T00:00:00Z."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """This machine's."""

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        # Linux has one of its own for that (clock_gettime(2)); the monotonic one of macOS is it already.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM = SystemClock()


def stamp(moment: float) -> str:
    """A moment of `wall` as RFC 3339, UTC, in whole seconds: as Kubernetes writes its own."""
    return datetime.fromtimestamp(int(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_the_microsecond(moment: float) -> str:
    """The same as Kubernetes writes a MicroTime: with six digits, and takes no other (apimachinery, meta/v1/micro_time.go)."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> float | None:
    """RFC 3339 -> `wall`; None for what is none."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def moment_of_date(header: str | None) -> float | None:
    """A Date header (RFC 9110, section 6.6.1) -> `wall`; None for what is none. What names no zone, as the format of asctime, is in
    UTC (section 5.6.7)."""
    try:
        moment = parsedate_to_datetime(str(header))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (OverflowError, TypeError, ValueError):
        return None
