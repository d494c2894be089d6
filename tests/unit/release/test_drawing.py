# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/release.md shows the rulings and the stages as the code has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import RULES, Act, Stage
from tests.toolchain.venvs import ROOT

PAGE = Path(ROOT, "docs", "release.md")

# What a call that goes well does at each stage, and how each stage may end it.
WAYS = (
    (Stage.ASKED, Stage.HELD, "every step is planned and there is room"),
    (Stage.HELD, Stage.HELD, "the next step"),
    (Stage.HELD, Stage.PROMOTING, "every step has stood bake and judgement"),
    (Stage.PROMOTING, Stage.PROMOTED, "all pods run the version that was judged"),
)
ENDINGS = {
    Stage.ASKED: (Ending.ALREADY_RELEASED, Ending.PLANNED, Ending.REFUSED),
    Stage.HELD: (Ending.HELD, Ending.UNDONE, Ending.FAILED),
    Stage.PROMOTING: (Ending.UNDONE, Ending.FAILED),
    Stage.PROMOTED: (Ending.RELEASED, Ending.ROLLED_BACK, Ending.FAILED),
}


def drawing() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Stage.ASKED.value}"]
    lines += [f"    {one.value} --> {other.value}: {why}" for one, other, why in WAYS]
    lines += [f"    {stage.value} --> [*]: {' / '.join(e.value for e in ends)}" for stage, ends in ENDINGS.items()]
    return "\n".join([*lines, "```"])


def table() -> str:
    rows = ["| the first of these that holds | what is done |", "|---|---|"]
    for rule in RULES:
        act = rule.ruling.act
        rows.append(f"| {rule.when} | {f'left: {rule.ruling.why}' if act is Act.LEAVE else act.value} |")
    return "\n".join(rows)


@pytest.mark.parametrize("part", [drawing(), table()], ids=["drawing", "table"])
def test_the_page_shows_what_the_code_does(part: str) -> None:
    assert part in PAGE.read_text(encoding="utf-8"), f"replace that part of {PAGE.name} by this:\n{part}"
