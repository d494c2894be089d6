# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says of the time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM, moment_of_date


@pytest.mark.parametrize(
    "header",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_a_servers_clock_is_read_whatever_time_zone_this_machine_is_in(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three formats of RFC 9110 section 5.6.7, and one that mail has."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moment_of_date(header) == 784111777
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_time_of_a_suspended_machine_goes_on() -> None:
    """As proc_uptime(5) counts it."""
    before = SYSTEM.boottime()
    up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    assert before - 0.02 <= up <= SYSTEM.boottime()


def test_where_there_is_no_such_clock_the_monotonic_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    before, now = time.clock_gettime(time.CLOCK_MONOTONIC), SYSTEM.boottime()
    assert before <= now <= time.clock_gettime(time.CLOCK_MONOTONIC)
