# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes a cluster from what its directory says: of use after a crash of its starter as well as in the ordinary case."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import processes
from .layout import Layout
from .locks import LockTimeout, exclusive, is_held, shared
from .paths import cache_root, labs_root

WATCHDOG = "watchdog"
# How the name of a cluster begins that no later run comes back to.
OF_A_RUN = "pytest-"


def tear_down(directory: Path) -> None:
    """Ends every process of the cluster, takes back what it changed on this machine and removes its directory.

    Can be called again, and on a cluster that only half came up.
    """
    if not directory.exists():
        return
    layout = Layout(directory)
    # It counts as alive until it is gone, or whoever starts another one would sweep it away at the same time.
    with shared(layout.alive):
        if os.getpid() != _pid(layout.record(WATCHDOG)):
            # first of all, or it would tear down the same at the same time
            processes.end_all([layout.record(WATCHDOG)])
        processes.end_all(record for record in layout.records() if record.stem != WATCHDOG)
        layout.journal.undo()
        shutil.rmtree(directory)


@contextlib.contextmanager
def room_for(directory: Path) -> Iterator[None]:
    """Makes the directory of a new cluster, which counts as alive within this context; dead ones are removed first."""
    with contextlib.ExitStack() as stack:
        with _births():
            _sweep()
            directory.mkdir(mode=0o700, parents=True)
            os.write(stack.enter_context(shared(Layout(directory).alive)), _network().encode())
        yield


def _births() -> contextlib.AbstractContextManager[int]:
    """Within it nobody else begins a cluster, or sweeps: one that has no process yet is not taken for a dead one."""
    return exclusive(cache_root() / "locks" / "birth")


def sweep() -> None:
    """Removes clusters of which nothing lives any more: who kills every process, kills the watchdog too."""
    with _births():
        _sweep()


def _sweep() -> None:
    """Within `_births`.

    Only those of our own network: what another one has of them cannot be taken back from here.
    """
    for directory in labs_root().glob("*"):
        if _is_dead(Layout(directory).alive):
            tear_down(directory)
    for lock in (cache_root() / "locks").glob(f"{OF_A_RUN}*"):
        with contextlib.suppress(LockTimeout), exclusive(lock, timeout=0, fleeting=True):
            pass  # whoever left it was killed


def _is_dead(alive: Path) -> bool:
    """Not of one that is gone, or not there yet."""
    try:
        return not is_held(alive) and alive.read_text() == _network()
    except FileNotFoundError:
        return False


def _network() -> str:
    """The network namespace of this process; empty where there is but one."""
    try:
        return os.readlink("/proc/self/ns/net")
    except FileNotFoundError:
        return ""


def _pid(record: Path) -> int | None:
    try:
        recorded = processes.Recorded.read(record)
    except FileNotFoundError:
        return None
    return recorded.pid if recorded else None
