# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands beside each cluster and removes it when nobody uses it any more: after a crash, a kill -9, a closed terminal.

    python -m tests.cluster.watchdog DIRECTORY

Every user holds a shared lock on one file; the kernel lets go of it when the user dies, however it dies. So the watchdog
sleeps in flock(2) until the last user is gone.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from . import processes
from .layout import Layout
from .locks import open_lock, shared
from .paths import REPOSITORY
from .teardown import WATCHDOG, tear_down


def start(layout: Layout) -> subprocess.Popen[bytes]:
    """Starts the watchdog of a cluster; the caller already holds its shared lock."""
    with shared(layout.alive) as alive:
        return processes.start(
            layout.record(WATCHDOG),
            [sys.executable, "-m", "tests.cluster.watchdog", layout.directory],
            log=layout.log(WATCHDOG),
            environment={"PYTHONPATH": str(REPOSITORY)},
            inherited=[alive],
        )


def watch(layout: Layout) -> None:
    """Returns when the cluster has been removed, or when it is to be kept."""
    os.chdir("/")
    descriptor = open_lock(layout.users)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if not layout.kept.exists():
        tear_down(layout.directory)


if __name__ == "__main__":
    watch(Layout(Path(sys.argv[1])))
