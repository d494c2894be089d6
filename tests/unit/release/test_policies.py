# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a call ends."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import End, Gate, Through, closed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("room", Through(End.ROOM)),
        ("plan", Through(End.PLAN)),
        ("step 1", Through(End.STEP, 1)),
        ("step 12", Through(End.STEP, 12)),
        ("promoted", Through()),
    ],
)
def test_where_a_call_ends(text, expected):
    assert Through.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "step", "step 0", "step -1", "step one", "step 1 2", "step ²", "plan 1", "Promoted", " plan"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is not one of room, plan, step N, promoted"):
        Through.parse(text)


@pytest.mark.parametrize(
    ("through", "step", "stops"), [("step 2", 1, False), ("step 2", 2, True), ("promoted", 2, False)]
)
def test_a_call_stops_after_its_step(through, step, stops):
    assert Through.parse(through).stops_after(step) is stops


@pytest.mark.parametrize(
    ("gate", "answer", "why"),
    [
        (Gate.NONE, None, ""),
        (Gate.STOP, "yes", "The gate is stop"),
        (Gate.PROMPT, "yes", ""),
        (Gate.PROMPT, " yes\r", ""),
        (Gate.PROMPT, "y", "The answer was not yes"),
        (Gate.PROMPT, "YES", "The answer was not yes"),
        (Gate.PROMPT, "", "Nobody answered; without a terminal nobody can"),
        (Gate.PROMPT, None, "Nobody answered; without a terminal nobody can"),
    ],
)
def test_a_gate_opens_only_for_a_plain_yes(gate, answer, why):
    assert closed(gate, answer) == why
