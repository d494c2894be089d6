# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for a lock learns who has it: the process that holds it now, which need not be the one that took it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.locks import LockTimeout, exclusive, holder, is_held
from tests.toolchain.venvs import ROOT

# Takes the lock, hands it to a program of its own, says which one, and ends.
TAKER = """
import subprocess, sys
from pathlib import Path
from tests.cluster.locks import exclusive
with exclusive(Path(sys.argv[1])) as descriptor:
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    print(subprocess.Popen(["sleep", "120"], pass_fds=[descriptor], **silent).pid)
"""

PATIENCE_SECONDS = 60.0


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "machine.lock"


@pytest.fixture
def heir(lock: Path) -> Iterator[int]:
    """The process that holds the lock after the one that took it has ended."""
    done = subprocess.run(
        [sys.executable, "-c", TAKER, str(lock)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pid = int(done.stdout)
    yield pid
    subprocess.run(["kill", str(pid)], check=True)


pytestmark = pytest.mark.skipif(not Path("/proc/self/fdinfo").exists(), reason="only Linux tells who holds a lock")


def test_the_holder_is_the_heir_of_the_process_that_took_it(lock: Path, heir: int) -> None:
    assert is_held(lock)
    assert holder(lock) == f"process {heir} (sleep 120)"


def test_who_only_waits_is_not_named(lock: Path, heir: int) -> None:
    """It has the same file open, and is told once; the timeout repeats it."""
    heard: list[str] = []
    told = rf"is held by process {heir} \(sleep 120\); waited 0 s"
    with pytest.raises(LockTimeout, match=told), exclusive(lock, timeout=0, waiting=heard.append):
        raise AssertionError("taken although it is held")
    assert heard == [f"process {heir} (sleep 120)"]


def test_of_a_fleeting_lock_no_file_is_left_and_who_waited_for_it_keeps_others_away(lock: Path) -> None:
    """Whoever waits has open what is removed: that is no lock for those who come later."""
    taken, waits, has, ends = (threading.Event() for _ in range(4))

    def first() -> None:
        with exclusive(lock, fleeting=True):
            taken.set()
            waits.wait(PATIENCE_SECONDS)

    def second() -> None:
        with exclusive(lock, waiting=lambda who: waits.set(), fleeting=True):
            has.set()
            ends.wait(PATIENCE_SECONDS)

    threads = [threading.Thread(target=one) for one in (first, second)]
    threads[0].start()
    assert taken.wait(PATIENCE_SECONDS)
    threads[1].start()
    assert has.wait(PATIENCE_SECONDS)
    with pytest.raises(LockTimeout), exclusive(lock, timeout=0):
        raise AssertionError("taken although it is held")
    ends.set()
    for one in threads:
        one.join(PATIENCE_SECONDS)
    assert not lock.exists()


def test_several_holders_are_counted(lock: Path) -> None:
    with exclusive(lock) as descriptor:
        child = subprocess.Popen(["sleep", "120"], pass_fds=[descriptor])
        try:
            assert "and 1 more of the same" in holder(lock)
        finally:
            child.kill()
            child.wait()
