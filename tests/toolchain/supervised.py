# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that ends with the run that started it, however that run ends.

    python -I -S tests/toolchain/supervised.py LIFELINE NICE COMMAND...

Ctrl-C reaches what is in the foreground of a terminal, SIGTERM one process, and SIGKILL can be passed on by nobody. So each command of a
run is the child of a supervisor, which reads from a pipe of which the run alone has the other end: the kernel closes it when the run dies.
Then the supervisor ends whatever is left of the command.

The command is a session of its own. Linux shares the cores out between sessions first, and `nice` counts within each (sched(7), autogroup):
what steps back has the same number for both.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# Of a command that is interrupted: to remove what it made. Clusters are removed by watchdogs of their own.
GRACE_SECONDS = 20
POLL_SECONDS = 0.05
# Asks only whether anybody is left (kill(2)).
NOTHING = 0
INTERRUPTED, NOT_FOUND, LOWEST_PRIORITY = 130, 127, 19
AUTOGROUP = Path("/proc/self/autogroup")


class Lifeline:
    """The pipe. Its far end is handed to supervisors, and nothing is ever written to it."""

    def __init__(self) -> None:
        self.far_end, self._held = os.pipe()

    @property
    def is_cut(self) -> bool:
        return self._held < 0

    def cut(self) -> None:
        """Ends every command that hangs on it; none can be started any more. Can be called again."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def command(self, command: Sequence[str], nice: int) -> tuple[str, ...]:
        """The command under a supervisor, to be started with the far end passed on."""
        return (sys.executable, "-I", "-S", __file__, str(self.far_end), str(nice), *command)


def supervise(lifeline: int, command: Sequence[str]) -> int:
    """Runs the command to its end, or to that of the run; its exit status, as a shell tells it."""
    if select.select([lifeline], [], [], 0)[0]:
        return INTERRUPTED
    # What a shell has started in the background ignores Ctrl-C, and so would the command.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        child = subprocess.Popen(command, process_group=0)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    early = threading.Event()

    def end_with_the_run() -> None:
        os.read(lifeline, 1)
        early.set()
        end(child.pid)

    ending = threading.Thread(target=end_with_the_run, daemon=True)
    ending.start()
    status = child.wait()
    if early.is_set():
        ending.join()
        return INTERRUPTED
    return status if status >= 0 else 128 - status


def end(group: int) -> None:
    """Interrupts a group of processes, and kills what is left of it after a while."""
    deadline = time.monotonic() + GRACE_SECONDS
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGINT)
        while _is_alive(group) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        os.killpg(group, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    """Somebody of it lives. A zombie does not, and the first process of a container may never reap it."""
    if not Path("/proc/self/stat").exists():
        os.killpg(group, NOTHING)
        return True
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # proc(5): what follows the command in parentheses begins with the state, the parent and the group.
            state, _parent, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def step_back(nice: int) -> None:
    """A session of this priority, relative to that of the run."""
    before = _autogroup()
    os.setsid()
    os.nice(nice)
    with suppress(OSError):
        AUTOGROUP.write_text(str(min(before + nice, LOWEST_PRIORITY)), encoding="ascii")


def _autogroup() -> int:
    """The priority of this session; 0 where sessions have none. The file says `/autogroup-NUMBER nice PRIORITY`."""
    try:
        return int(AUTOGROUP.read_text(encoding="ascii").split()[-1])
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    step_back(int(sys.argv[2]))
    sys.exit(supervise(int(sys.argv[1]), sys.argv[3:]))
