# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs as a whole process, with all processes that it starts and waits for."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KIB_A_MIB = 1024
# As users have it, Python keeps what it has compiled; and it reads a module, which Ansible pipes into it, in blocks, and not byte by byte with a
# system call for each.
UNUSUAL = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


class CommandFailed(RuntimeError):
    """What is measured must work; the text is what it printed."""


@dataclass(frozen=True)
class Cost:
    """`cpu` and `wall` in seconds; `mib`: the peak resident memory of the largest process; `lines` of output."""

    cpu: float
    wall: float
    mib: float
    lines: int

    def beyond(self, bare: Cost) -> Cost:
        """What it costs more than that."""
        return Cost(self.cpu - bare.cpu, self.wall - bare.wall, self.mib - bare.mib, self.lines - bare.lines)

    def split(self, parts: int) -> Cost:
        """One of so many equal parts."""
        return Cost(self.cpu / parts, self.wall / parts, self.mib, self.lines)


def cost_of(command: Sequence[str | Path], environment: Mapping[str, str], directory: Path) -> Cost:
    """Runs it once. Raises CommandFailed."""
    usual = {name: value for name, value in environment.items() if name not in UNUSUAL}
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=directory, env=usual, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _pid, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        told = output.read().decode(errors="replace")
    if process.returncode:
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{told}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / KIB_A_MIB, len(told.splitlines()))


def median(costs: Sequence[Cost]) -> Cost:
    """Figure by figure."""
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.mib for cost in costs),
        round(statistics.median(cost.lines for cost in costs)),
    )
