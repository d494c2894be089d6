# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says of the time."""

from __future__ import annotations

import time

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import moment_of_date


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
