# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of `make test`: all stages run, the exit status tells, and the last lines name what failed."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain import stages, unchanged, unstable
from tests.toolchain.stages import STAGES, TIMES_ALONE, Stage, main
from tests.toolchain.supervised import Lifeline
from tests.toolchain.venvs import ROOT


def python(code: str) -> tuple[str, ...]:
    """Without what the environment would import at the start."""
    return (sys.executable, "-I", "-S", "-c", code)


GOOD = Stage("good", 60, (python("print('good speaks')"),), "together")
BAD = Stage("bad", 60, (python("print('bad speaks'); raise SystemExit(3)"), python("print('bad goes on')")), "together")
LAST = Stage("last", 60, (python(""),))


@pytest.fixture(autouse=True)
def lifeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each test: who fails cuts it."""
    monkeypatch.setattr(stages, "LIFELINE", Lifeline())


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


def test_what_looks_at_files_only_is_run_again_when_one_has_changed_or_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    files = Stage("files", 60, (python("print('it reads')"),), files_only=True)
    bad = replace(BAD, files_only=True)
    monkeypatch.setattr(stages, "STAGES", (files, bad, GOOD))
    digests = {"value": "1"}
    monkeypatch.setattr(unchanged, "digest", lambda commands: digests["value"])

    def seen(*names: str) -> tuple[int, int]:
        main(names)
        shown = capfd.readouterr().out
        return shown.count("it reads\n"), shown.count("bad speaks\n")

    assert [seen(), seen(), seen("files")] == [(1, 1), (0, 1), (1, 0)]
    digests["value"] = "2"
    assert [seen(), seen()] == [(1, 1), (0, 1)]


def test_stages_that_step_back_are_shown_after_the_one_that_is_seen_live(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    live = Stage("live", 60, (("sh", "-c", "sleep 0.3; echo live $(nice)"),), "waits")
    patient = Stage("patient", 60, (("sh", "-c", "echo patient $(nice)"),), "waits", nice=19)
    monkeypatch.setattr(stages, "STAGES", (live, patient))
    assert main([]) == 0
    shown = [line.split() for line in capfd.readouterr().out.splitlines()]
    (first, priority), (second, lower) = [
        words for words in shown if words[:1] in (["live"], ["patient"]) and len(words) == 2
    ]
    assert (first, second, lower, int(priority)) == ("live", "patient", "19", os.nice(0))


def test_two_that_step_back_are_under_way_beside_the_one_that_does_not(tmp_path: Path) -> None:
    """Two of them wait for what the last one does."""
    done = tmp_path / "done"
    waits = (("sh", "-c", f"for look in $(seq 1000); do test -e {done} && exit 0; sleep 0.05; done; exit 1"),)
    live, first = Stage("live", 60, waits, "waits"), Stage("first", 60, waits, "waits", nice=1)
    last = Stage("last", 60, (("touch", str(done)),), "waits", nice=1)
    assert all(result.passed for result in stages.run_group([live, first, last]))


def test_a_stage_that_is_alone_is_seen_live_also_where_it_would_step_back(capfd: pytest.CaptureFixture[str]) -> None:
    alone = Stage("alone", 60, (python("print('it speaks')"),), "waits", nice=19)
    (result,) = stages.run_group([alone])
    assert result.passed and result.output == "" and "it speaks" in capfd.readouterr().out


TEST, REASON = "tests/integration/test_bake.py::test_it[a b]", "call: AssertionError: 1.6 s"
ONCE_MORE, FAILS_AGAIN = python("print('once more')"), python("print('once more'); raise SystemExit(1)")
ALLOWED = f"2026-11-20 {TEST} -- waits for two clocks"


@dataclass(frozen=True)
class Unstable:
    """A stage whose one command writes down that TEST failed, and a machine on which that may be allowed."""

    stage: Stage
    allowed: Path
    traces: Path

    def traced(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.traces.iterdir())]


@pytest.fixture
def flaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unstable:
    written = json.dumps({"load": [1, 1, 1], "tests": {TEST: {"seconds": 2.5, "reason": REASON}}})
    recorded = tmp_path / "outcomes.json"
    code = f"import pathlib; pathlib.Path({str(recorded)!r}).write_text({written!r}); raise SystemExit(1)"
    it = Unstable(
        Stage("flaky", 60, (python(code),), outcomes=recorded), tmp_path / "unstable.txt", tmp_path / "traces"
    )
    it.allowed.write_text("# nothing is allowed\n")
    it.traces.mkdir()
    monkeypatch.setattr(unstable, "LISTED", it.allowed)
    monkeypatch.setattr(unstable, "TRACES", it.traces)
    return it


@pytest.mark.parametrize(
    ("again", "ci", "allowed", "status", "remark"),
    [
        (None, "", "", 1, ""),
        (FAILS_AGAIN, "", "", 1, ""),
        (ONCE_MORE, "", "", 0, f"unstable: {TEST}"),
        (ONCE_MORE, "true", "", 1, f"unstable: {TEST}, which tests/unstable.txt does not allow"),
        (ONCE_MORE, "true", ALLOWED, 0, f"unstable: {TEST}"),
        (FAILS_AGAIN, "true", ALLOWED, 1, ""),
    ],
    ids=["not run again", "fails again", "passes then", "passes in CI", "passes in CI, listed", "fails, listed"],
)
def test_what_is_run_again_decides_and_is_told(
    again: tuple[str, ...] | None,
    ci: str,
    allowed: str,
    status: int,
    remark: str,
    flaky: Unstable,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UNSTABLE_FAILS", ci)
    monkeypatch.setattr(stages, "STAGES", (replace(flaky.stage, again=again),))
    flaky.allowed.write_text(allowed)
    assert main([]) == status
    shown = capfd.readouterr().out
    assert [line.strip() for line in shown.splitlines() if "unstable: " in line] == [remark] * bool(remark)
    if again:
        assert shown.index(f"  {TEST}\n    {REASON}") < shown.index("once more\n"), "told before it is run again"
        assert shown.count("once more\n") == (1 if again is FAILS_AGAIN else TIMES_ALONE)
        (traced,) = flaky.traced()
        assert traced["failed"] == {TEST: REASON} and len(traced["load"]) == 3 and traced["stage"] == "flaky"
    else:
        assert flaky.traced() == []


def test_only_what_failed_is_run_again_and_a_second_failure_is_one_too_many(
    flaky: Unstable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A test that passes alone, and fails when it is run alone once more."""
    been = tmp_path / "been"
    code = f"""
import pathlib, sys
print(sys.argv[1:])
been = pathlib.Path({str(been)!r})
fails = been.exists()
been.touch()
sys.exit(fails)
"""
    now_and_then = python(code)
    monkeypatch.setattr(stages, "STAGES", (replace(flaky.stage, again=now_and_then),))
    assert main([]) == 1
    assert capfd.readouterr().out.count(f"['{TEST}']\n") == 2


def test_what_passed_is_not_run_again(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stages, "STAGES", (replace(GOOD, again=ONCE_MORE),))
    assert main([]) == 0
    assert "once more" not in capfd.readouterr().out


def test_a_run_that_wrote_nothing_down_is_not_run_again(
    flaky: Unstable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It broke before any test ended; what an earlier run wrote is not taken for its own."""
    assert flaky.stage.outcomes
    flaky.stage.outcomes.write_text(json.dumps({"tests": {TEST: {"seconds": 1, "reason": "an earlier run"}}}))
    broken = replace(flaky.stage, commands=(python("raise SystemExit(3)"),), again=python("print('twice')"))
    monkeypatch.setattr(stages, "STAGES", (broken,))
    assert main([]) == 1
    shown = capfd.readouterr().out
    assert "twice\n" not in shown and "run alone now" not in shown and flaky.traced() == []


@pytest.mark.parametrize(("ci", "runs"), [("true", ["coverage"]), ("", ["unit"])])
def test_what_tests_cover_is_measured_in_continuous_integration(
    ci: str, runs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    either = [stage for stage in STAGES if stage.name in ("unit", "coverage")]
    monkeypatch.setattr(stages, "STAGES", tuple(replace(stage, commands=(python(""),)) for stage in either))
    assert main([]) == 0
    assert re.findall(r"^=== (\w+):", capsys.readouterr().out, re.MULTILINE) == runs
    tests = [{argument for argument in stage.commands[0] if "--cov" not in argument} for stage in either]
    assert tests[0] == tests[1], "the same tests"


def test_the_budgets_of_a_warm_run_are_what_it_may_take() -> None:
    run = [stage for stage in STAGES if stage.in_ci is not True and not stage.files_only]
    # What steps back takes what the others leave of the cores.
    taken = [sum(stage.budget for stage in members if not stage.nice) for members in stages.groups_of(run)]
    assert sum(taken) <= stages.WARM and all(stage.budget <= stages.WARM for stage in run)


@pytest.mark.parametrize("ci", ["true", ""])
def test_whatever_runs_beside_others_is_of_one_group(ci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    groups = [members[0].group for members in stages.groups_of(filter(stages.part_of_make_test, STAGES))]
    assert sorted(filter(None, groups)) == sorted({stage.group for stage in STAGES if stage.group})


def test_every_integration_test_is_of_one_stage() -> None:
    commands = {stage.name: " ".join(stage.commands[0]) for stage in STAGES}
    assert f"--ignore-glob {stages.OF_THE_TEST_CLUSTER} " in commands["integration"]
    assert commands["test-cluster"].endswith(f" {stages.OF_THE_TEST_CLUSTER}")
    assert len(list(ROOT.glob(stages.OF_THE_TEST_CLUSTER))) > 1


def test_every_stage_has_a_target_of_its_name_in_the_makefile() -> None:
    (targets,) = re.findall(r"^STAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(targets.split()) == {stage.name for stage in STAGES}
