# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between processes. The kernel lets go of them when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

RETRY_SECONDS = 0.2


class LockTimeout(RuntimeError):
    """Somebody else kept the lock for longer than the caller wanted to wait."""


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, created when missing; programs started by this process do not inherit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(
    path: Path, *, timeout: float | None = None, waiting: Callable[[str], None] | None = None
) -> Iterator[int]:
    """Holds `path` exclusively. `timeout` in seconds (None: for ever); `waiting` is told once who holds it meanwhile."""
    descriptor = open_lock(path)
    try:
        _acquire(descriptor, path, timeout, waiting)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared(path: Path) -> Iterator[int]:
    """Holds `path` together with others; a program that inherits the descriptor holds it for as long as it runs."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Somebody holds the lock, in whichever way."""
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout: float | None, waiting: Callable[[str], None] | None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    told = False
    while not try_lock(descriptor, fcntl.LOCK_EX):
        holder = os.pread(descriptor, 200, 0).decode() or "another process"
        if waiting and not told:
            waiting(holder)
            told = True
        if deadline is not None and time.monotonic() > deadline:
            raise LockTimeout(f"{path} is held by {holder}; waited {timeout:g} s for it")
        time.sleep(RETRY_SECONDS)


def try_lock(descriptor: int, kind: int) -> bool:
    """Takes the lock (fcntl.LOCK_SH or LOCK_EX) if nobody is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
