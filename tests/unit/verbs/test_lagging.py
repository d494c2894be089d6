# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon it is noticed what lags behind a write, and how often somebody is asked for that."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing.lagging import OF_A_PROXY, until
from tests.clocks import Leaps

# A proxy may be asked as often for a write that never comes into force, in a minute.
MOST_IN_VAIN = 500


@pytest.mark.parametrize("comes", [0.0, 0.069, 0.119, 1.29, 20.0])
def test_what_a_proxy_has_taken_is_seen_later_by_a_hundredth_of_the_time_that_it_took(comes: float) -> None:
    clock = Leaps()
    assert until(clock, 60.0, lambda: clock.monotonic() >= comes, OF_A_PROXY)
    assert comes <= clock.monotonic() <= comes * 1.01 + OF_A_PROXY.first < comes * 1.01 + 0.01


def test_a_proxy_that_never_takes_it_is_asked_seldomer_and_once_more_when_the_time_is_over() -> None:
    clock, asked = Leaps(), list[float]()

    def never() -> bool:
        asked.append(clock.monotonic())
        return False

    assert not until(clock, 60.0, never, OF_A_PROXY)
    assert asked[-1] >= 60.0
    assert len(asked) <= MOST_IN_VAIN
