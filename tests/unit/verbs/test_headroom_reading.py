# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long pods take to become Ready, by what the pods of today tell."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting.headroom_reading import usual_seconds

DAY = 86_400.0


@pytest.mark.parametrize(
    ("ready_after", "deadline", "usual"),
    [
        ([], 600, None),
        ([7.0], 600, 7.0),
        ([9.0, 7.0, 8.0, 30.0, 31.0], 600, 8.0),
        ([7.0, 8.0, DAY, DAY, DAY], 600, 7.0),  # most have flapped in the course of the day
        ([7.0, DAY, DAY, DAY, DAY, DAY, DAY, DAY, DAY], 600, 7.0),
        ([DAY, DAY], 600, None),
        ([900.0, 950.0], None, 900.0),
        ([600.0], 600, 600.0),
    ],
)
def test_pods_that_were_not_ready_for_a_while_do_not_make_the_others_slow(
    ready_after: list[float], deadline: int | None, usual: float | None
) -> None:
    assert usual_seconds(ready_after, deadline) == usual
