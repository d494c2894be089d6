# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of `make test`: all stages run, the exit status tells, and the last lines name what failed."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest

from tests.toolchain import stages
from tests.toolchain.stages import STAGES, Stage, main
from tests.toolchain.venvs import ROOT


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


GOOD = Stage("good", 60, (python("print('good speaks')"),), "together")
BAD = Stage("bad", 60, (python("print('bad speaks'); raise SystemExit(3)"), python("print('bad goes on')")), "together")
LAST = Stage("last", 60, (python(""),))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", (GOOD, BAD, LAST))


@pytest.mark.usefixtures("table")
def test_every_stage_runs_and_the_last_line_names_the_failed_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    shown = capsys.readouterr().out
    assert {"good speaks", "bad speaks", "bad goes on"} <= set(shown.splitlines())
    assert re.search(r"^last +passed", shown, re.MULTILINE)
    assert shown.splitlines()[-1].endswith("failed: bad")


@pytest.mark.usefixtures("table")
def test_some_stages_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["good", "last"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("all 2 stages passed")


@pytest.mark.usefixtures("table")
def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["god"])


def test_a_stage_over_its_budget_is_marked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stages, "STAGES", (Stage("late", 0, (python(""),)),))
    assert main([]) == 0
    assert "over budget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("again", "status", "remark"),
    [(None, 1, False), (python("raise SystemExit(1)"), 1, False), (python("print('once more')"), 0, True)],
    ids=["not run again", "fails again", "passes then"],
)
def test_what_is_run_again_decides_and_is_told(
    again: tuple[str, ...] | None,
    status: int,
    remark: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(stages, "STAGES", (GOOD, replace(BAD, again=again)))
    assert main([]) == status
    assert ("unstable" in capsys.readouterr().out) == remark


def test_what_passed_is_not_run_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stages, "STAGES", (replace(GOOD, again=python("print('once more')")),))
    assert main([]) == 0
    assert "once more" not in capsys.readouterr().out


def test_every_stage_has_a_target_of_its_name_in_the_makefile() -> None:
    (targets,) = re.findall(r"^STAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(targets.split()) == {stage.name for stage in STAGES}
