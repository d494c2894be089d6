# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when a Lease says that its holder will be back, whatever somebody has written there."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.lease import Claim
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.holding import in_words, until


@pytest.mark.parametrize(
    ("renewed", "seconds", "end"),
    [
        ("2026-01-01T00:00:00.000000Z", 120, "2026-01-01T00:02:00Z"),
        ("2026-01-01T00:00:00.000000Z", None, ""),
        ("", 120, ""),
        ("tomorrow", 120, ""),
        ("9999-12-31T23:59:59.000000Z", 120, ""),
        ("2026-01-01T00:00:00.000000Z", 10**15, ""),
    ],
)
def test_it_is_a_moment_that_there_is_or_none(renewed: str, seconds: int | None, end: str) -> None:
    claim = Claim("r1", renewed=renewed, seconds=seconds)
    assert until(claim) == end
    assert (f"back by {end}" if end else "does not say when") in in_words(claim)
