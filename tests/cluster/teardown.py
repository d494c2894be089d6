# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes a cluster from what its directory says: of use after a crash of its starter as well as in the ordinary case."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import processes
from .layout import Layout

WATCHDOG = "watchdog"


def tear_down(directory: Path) -> None:
    """Ends every process of the cluster, takes back what it changed on this machine and removes its directory.

    Can be called again, and on a cluster that only half came up.
    """
    if not directory.exists():
        return
    layout = Layout(directory)
    if os.getpid() != _pid(layout.record(WATCHDOG)):
        # first of all, or it would tear down the same at the same time
        processes.end_all([layout.record(WATCHDOG)])
    processes.end_all(record for record in layout.records() if record.stem != WATCHDOG)
    layout.journal.undo()
    shutil.rmtree(directory)


def _pid(record: Path) -> int | None:
    try:
        recorded = processes.Recorded.read(record)
    except FileNotFoundError:
        return None
    return recorded.pid if recorded else None
