# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done next with a wave: rows of a table, and laws that hold for every wave there can be."""

from __future__ import annotations

from itertools import chain, combinations, product
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.fleet import (
    MOVES,
    RULES,
    Act,
    FleetEnding,
    Standing,
    Wave,
    decide,
    ending_of,
    standing,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Gate
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release
from tests.toolchain.venvs import ROOT

ASKED, PLANNED, HELD, WAITS, OUT, OVER, LEFT, FAILED = Standing
EVERY = [
    Wave(frozenset(standings), failures, 0, together, check, cut_off)
    for standings in chain.from_iterable(combinations(Standing, size) for size in range(1, len(Standing) + 1))
    for failures, together, check, cut_off in product((0, 1), (True, False), (True, False), (True, False))
    if (failures > 0) == (not {LEFT, FAILED}.isdisjoint(standings))
]


@pytest.mark.parametrize(
    ("standings", "failures", "together", "act"),
    [
        ([ASKED], 0, True, Act.PLAN),
        ([PLANNED, OVER], 0, True, Act.HOLD),
        ([PLANNED, OVER], 0, False, Act.RELEASE),
        ([HELD, OVER], 0, True, Act.PROMOTE),
        ([HELD, WAITS], 0, True, Act.END),
        ([OUT, WAITS], 0, False, Act.END),
        ([OUT, OVER], 0, True, Act.NEXT_WAVE),
        ([HELD, FAILED], 1, True, Act.WITHDRAW),
        ([OUT, FAILED], 1, True, Act.WITHDRAW),
        ([WAITS, FAILED], 1, True, Act.WITHDRAW),
        ([OUT, LEFT], 1, True, Act.WITHDRAW),
        ([OVER, LEFT, FAILED], 1, True, Act.RECLAIM),
        ([OUT, FAILED], 1, False, Act.END),
        ([OUT, LEFT], 1, False, Act.END),
        ([OVER, FAILED], 1, True, Act.END),
    ],
)
def test_what_is_done_next(standings: list[Standing], failures: int, together: bool, act: Act) -> None:
    assert decide(Wave(frozenset(standings), failures, 0, together)) is act


def test_laws_of_every_wave() -> None:
    for wave in EVERY:
        act = decide(wave)
        if act is Act.PROMOTE:
            assert not wave.has(ASKED, PLANNED, WAITS) and not wave.failed, f"none before all have stood: {wave}"
        if act in (Act.PROMOTE, Act.HOLD, Act.RELEASE, Act.NEXT_WAVE):
            assert not wave.failed, f"nothing new begins after a failure: {wave}"
            assert not wave.check or act is Act.NEXT_WAVE, f"check mode changes nothing: {wave}"
        if act is Act.END:
            assert wave.failed or wave.has(WAITS), wave
        if act in MOVES:
            assert wave.has(*MOVES[act][0]), f"it would change nothing, for ever: {wave}"
        if act in (Act.WITHDRAW, Act.RECLAIM):
            assert wave.failed and wave.together, wave


def drawing() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {ASKED.value}"]
    for act, (whom, become) in MOVES.items():
        lines += [f"    {one.value} --> {other.value}: {act.value}" for one in whom for other in become]
    return "\n".join([*lines, "```"])


def table() -> str:
    rows = ["| the first of these that holds | what is done |", "|---|---|"]
    return "\n".join([*rows, *(f"| {rule.when} | {rule.act.value} |" for rule in RULES)])


@pytest.mark.parametrize("part", [drawing(), table()], ids=["drawing", "table"])
def test_the_page_shows_what_the_code_does(part: str) -> None:
    page = Path(ROOT, "docs", "fleets.md")
    assert part in page.read_text(encoding="utf-8"), f"replace that part of {page.name} by this:\n{part}"


def test_every_rule_decides_something() -> None:
    decided = {next(rule.when for rule in RULES if rule.applies(wave)) for wave in EVERY}
    assert decided == {rule.when for rule in RULES}


def test_every_act_leads_to_the_end() -> None:
    """No release comes back to where an act found it, so that a wave comes to an end."""
    order = (ASKED, PLANNED, HELD, WAITS, OUT, OVER, LEFT, FAILED)
    for whom, become in MOVES.values():
        assert max(map(order.index, whom)) < min(map(order.index, become))


@pytest.mark.parametrize(
    ("standings", "together", "act"),
    [
        ([ASKED], True, Act.END),
        ([PLANNED, OVER], True, Act.END),
        ([HELD, OUT], True, Act.WITHDRAW),
        ([WAITS, OUT], True, Act.WITHDRAW),
        ([PLANNED, OUT], False, Act.END),
        ([OUT, OVER], True, Act.NEXT_WAVE),
    ],
)
def test_what_is_done_when_time_is_up(standings: list[Standing], together: bool, act: Act) -> None:
    assert decide(Wave(frozenset(standings), together=together, cut_off=True)) is act


def test_a_tolerated_failure_stops_nothing() -> None:
    assert decide(Wave(frozenset({HELD, FAILED}), 1, 1)) is Act.PROMOTE
    assert decide(Wave(frozenset({OUT, LEFT}), 1, 1)) is Act.NEXT_WAVE
    assert decide(Wave(frozenset({HELD, FAILED}), 2, 1)) is Act.WITHDRAW


@pytest.mark.parametrize(
    ("release", "gate", "stands"),
    [
        (None, Gate.NONE, ASKED),
        (Release("r"), Gate.NONE, PLANNED),
        (Release("r", outcome=Ending.HELD, reached=2), Gate.NONE, HELD),
        (Release("r", outcome=Ending.HELD, reached=2), Gate.STOP, WAITS),
        (Release("r", outcome=Ending.HELD, reached=1), Gate.NONE, WAITS),
        (Release("r", outcome=Ending.RELEASED), Gate.NONE, OUT),
        (Release("r", outcome=Ending.CREATED), Gate.NONE, OVER),
        (Release("r", outcome=Ending.ALREADY_RELEASED), Gate.NONE, OVER),
        (Release("r", outcome=Ending.REFUSED), Gate.NONE, FAILED),
        (Release("r", outcome=Ending.UNDONE), Gate.NONE, FAILED),
        (Release("r", outcome=Ending.FAILED), Gate.NONE, LEFT),
    ],
)
def test_how_a_release_stands(release: Release | None, gate: Gate, stands: Standing) -> None:
    assert standing(release, 2, gate) is stands


def test_every_ending_is_a_standing() -> None:
    for ending in Ending:
        assert standing(Release("r", outcome=ending), 1, Gate.NONE) in Standing


@pytest.mark.parametrize(
    ("standings", "stopped", "ending"),
    [
        ([OUT, OVER], False, FleetEnding.RELEASED),
        ([OVER, OVER], False, FleetEnding.ALREADY_RELEASED),
        ([PLANNED, OVER], False, FleetEnding.PLANNED),
        ([OUT, ASKED], True, FleetEnding.STOPPED),
        ([OUT, WAITS, ASKED], False, FleetEnding.HELD),
        ([OUT, FAILED], False, FleetEnding.FAILED),
        ([OUT, LEFT], False, FleetEnding.FAILED),
        ([HELD, FAILED, ASKED], False, FleetEnding.FAILED),
    ],
)
def test_how_a_fleet_ends(standings: list[Standing], stopped: bool, ending: FleetEnding) -> None:
    assert ending_of(standings, stopped=stopped) is ending
