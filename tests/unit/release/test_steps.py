# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a release as a plan."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.steps import shrinks, still_to_judge

JUDGED, ONLY_HELD = True, False


@pytest.mark.parametrize(
    ("steps", "guarded", "expected"),
    [
        ([ONLY_HELD], False, 0),
        ([ONLY_HELD], True, 0),
        ([JUDGED], False, 0),
        ([JUDGED], True, 1),
        ([JUDGED, ONLY_HELD, JUDGED], False, 1),
        ([JUDGED, JUDGED, JUDGED], True, 3),
    ],
)
def test_one_promise_holds_for_all_judgements(steps, guarded, expected):
    assert still_to_judge(steps, guarded) == expected


@pytest.mark.parametrize(("planned", "expected"), [([1], None), ([1, 1, 4], None), ([1, 3, 2], 2), ([2, 1, 3], 1)])
def test_a_canary_only_grows(planned, expected):
    assert shrinks(planned) == expected
