# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""However `make test` is ended, everything that it has started ends with it, and nothing is started any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.processes import Recorded, started_at
from tests.situations import until
from tests.toolchain import supervised
from tests.toolchain.supervised import INTERRUPTED, LOWEST_PRIORITY, NOT_FOUND, Lifeline
from tests.toolchain.venvs import ROOT

# Two stages at once, each with a process of its own beside it, as pytest has workers; and what would come after them.
RUN = '''
import sys, time
from pathlib import Path
from tests.toolchain import stages
from tests.toolchain.stages import Stage

folder = Path(sys.argv[1])
waits = (sys.executable, "-c", """
import os, subprocess, sys
from pathlib import Path
with subprocess.Popen(["sleep", "300"]) as worker:
    for pid, file in zip([os.getpid(), worker.pid], map(Path, sys.argv[1:])):
        file.with_suffix(".partial").write_text(str(pid))
        file.with_suffix(".partial").rename(file)
""")
def stage(name, nice):
    after = ("touch", str(folder / "after"))
    return Stage(name, 60, ((*waits, str(folder / f"{name}.pid"), str(folder / f"{name}-worker.pid")), after), "both", nice)
stages.STAGES = (stage("live", 0), stage("patient", 2), Stage("last", 60, (("touch", str(folder / "after")),)))
stages.run_from_the_command_line([])
'''
# What starts the run waits for it, and tells it nothing.
MAKE = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[list[int]]:
    """To be filled with processes of a test; what is left of them is killed."""
    pids: list[int] = []
    yield pids
    for pid in filter(started_at, pids):
        os.kill(pid, signal.SIGKILL)


def started(tmp_path: Path, by_make: bool) -> subprocess.Popen[str]:
    run = ["-c", RUN, str(tmp_path)]
    command = [sys.executable, *(["-c", MAKE] if by_make else []), *run]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"MAKELEVEL": "1"} if by_make else {})}
    environment.pop("CI", None)
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize(
    ("sign", "by_make", "status"),
    [
        (signal.SIGINT, False, INTERRUPTED),
        (signal.SIGTERM, False, INTERRUPTED),
        (signal.SIGKILL, False, -signal.SIGKILL),
        (signal.SIGKILL, True, -signal.SIGKILL),
    ],
    ids=["Ctrl-C", "told to end", "killed", "make is killed"],
)
def test_whatever_ends_a_run_ends_all_of_it(
    sign: signal.Signals, by_make: bool, status: int, tmp_path: Path, under_way: list[int]
) -> None:
    files = [tmp_path / f"{name}.pid" for name in ("live", "live-worker", "patient", "patient-worker")]
    with started(tmp_path, by_make) as run:
        until(lambda: all(file.exists() for file in files), "both stages are under way")
        found = [Recorded(pid, str(started_at(pid))) for pid in (int(file.read_text()) for file in files)]
        under_way += [run.pid, *(process.pid for process in found)]
        assert all(process.is_alive() for process in found)
        run.send_signal(sign)
        until(lambda: not any(process.is_alive() for process in found), "nothing is left of it")
        # Its output ends when the last process that could write to it is gone.
        told, _ = run.communicate()
    assert run.returncode == status
    # It cannot say so where it was killed itself.
    assert ("interrupted: " in told) is (by_make or status == INTERRUPTED)
    assert not (tmp_path / "after").exists()


def supervised_run(lifeline: Lifeline, *command: str, nice: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        lifeline.command(command, nice),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[lifeline.far_end],
    )


def test_it_is_a_session_of_its_own_and_steps_back_as_far_as_it_is_told() -> None:
    told, _ = supervised_run(Lifeline(), "sh", "-c", "ps -o sid= -p $$; nice", nice=2).communicate()
    session, priority = told.split()
    assert int(session) != os.getsid(0) and int(priority) == min(os.nice(0) + 2, LOWEST_PRIORITY)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-command",), NOT_FOUND),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_its_status_is_that_of_the_command(command: tuple[str, ...], status: int) -> None:
    run = supervised_run(Lifeline(), *command)
    told, _ = run.communicate()
    assert run.returncode == status
    assert told.startswith("no-such-command: ") or not told


def test_nothing_is_started_after_the_run(tmp_path: Path) -> None:
    lifeline = Lifeline()
    lifeline.cut()
    run = supervised_run(lifeline, "touch", str(tmp_path / "started"))
    assert run.wait() == INTERRUPTED and not (tmp_path / "started").exists()


def test_what_does_not_heed_an_interrupt_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "GRACE_SECONDS", 0.2)
    deaf = [
        sys.executable,
        "-c",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); signal.pause()",
    ]
    with subprocess.Popen(deaf, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout
        process.stdout.readline()
        supervised.end(process.pid)
        assert process.wait() == -signal.SIGKILL
