# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/release.md shows the rulings and the stages as the code has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import ENDINGS
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import RULES, Act, Stage
from tests.toolchain.venvs import ROOT

PAGE = Path(ROOT, "docs", "release.md")

# What leads from one stage to the next.
WAYS = (
    (Stage.ASKED, Stage.WAITING, "there is no Deployment yet, or a rollout that is nobody's canary"),
    (Stage.ASKED, Stage.HELD, "every step is planned and there is room"),
    (Stage.ASKED, Stage.UNKNOWN, "the API server went away with the answer to the first write"),
    (Stage.UNKNOWN, Stage.HELD, "the next look finds its canary"),
    (Stage.HELD, Stage.HELD, "the next step"),
    (Stage.HELD, Stage.PROMOTING, "every step has stood bake and judgement"),
    (Stage.PROMOTING, Stage.PROMOTED, "all pods run the version that was judged"),
)


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


def test_each_stage_is_drawn() -> None:
    assert set(ENDINGS) == set(Stage) == {stage for one, other, _why in WAYS for stage in (one, other)}


@pytest.mark.parametrize("part", [drawing(), table()], ids=["drawing", "table"])
def test_the_page_shows_what_the_code_does(part: str) -> None:
    assert part in PAGE.read_text(encoding="utf-8"), f"replace that part of {PAGE.name} by this:\n{part}"
