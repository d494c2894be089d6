# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between processes. The kernel lets go of them when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

RETRY_SECONDS = 0.2
# Of a holder's command line: what it runs, and for which cluster.
COMMAND_LENGTH = 200


class LockTimeout(RuntimeError):
    """Somebody else kept the lock for longer than the caller wanted to wait."""


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, created when missing; programs started by this process do not inherit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(
    path: Path,
    *,
    timeout: float | None = None,
    waiting: Callable[[str], None] | None = None,
    fleeting: bool = False,
) -> Iterator[int]:
    """Holds `path` exclusively. `timeout` in seconds (None: for ever); `waiting` is told who holds it meanwhile.

    A program that inherits the descriptor holds the lock for as long as it runs; but not of a `fleeting` one, of which no file is left at the
    end, for names that nobody comes back to.
    """
    descriptor = _acquired(path, None if timeout is None else time.monotonic() + timeout, timeout, waiting)
    try:
        yield descriptor
    finally:
        if fleeting:
            # As long as it is held: whoever has it open by then finds another file, or none, at its place.
            path.unlink(missing_ok=True)
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
    """Somebody holds the lock, in whichever way. Raises FileNotFoundError where there is none: to look makes none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _acquired(path: Path, deadline: float | None, timeout: float | None, waiting: Callable[[str], None] | None) -> int:
    """The descriptor of the file that is there. One that somebody has removed while this waited keeps nobody else away."""
    while True:
        descriptor = open_lock(path)
        try:
            _acquire(descriptor, path, deadline, timeout, waiting)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _acquire(
    descriptor: int,
    path: Path,
    deadline: float | None,
    timeout: float | None,
    waiting: Callable[[str], None] | None,
) -> None:
    told = False
    while not try_lock(descriptor, fcntl.LOCK_EX):
        if waiting and not told:
            waiting(_holder(os.fstat(descriptor).st_ino))
            told = True
        if deadline is not None and time.monotonic() > deadline:
            raise LockTimeout(f"{path} is held by {_holder(os.fstat(descriptor).st_ino)}; waited {timeout:g} s for it")
        time.sleep(RETRY_SECONDS)


def holder(path: Path) -> str:
    """Who has the lock at this moment, for a person: processes and what they run.

    The one that took it may be long dead, and a child that inherited it keep it. Only the kernel knows, and only Linux tells
    (proc_pid_fdinfo(5)): a descriptor's locks, for every process that this user may look at.
    """
    return _holder(path.stat().st_ino)


def _holder(inode: int) -> str:
    held = re.compile(rf"^lock:.*FLOCK.*:{inode} ", re.MULTILINE)
    found = [
        f"process {pid.name} ({_command(pid)})"
        for pid in sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name))
        if any(held.search(_text(descriptor)) for descriptor in _descriptors(pid))
    ]
    more = [f"and {len(found) - 1} more of the same"] if len(found) > 1 else []
    return ", ".join(found[:1] + more) or "a process that cannot be seen from here"


def _descriptors(pid: Path) -> list[Path]:
    try:
        return list((pid / "fdinfo").iterdir())
    except OSError:  # ended meanwhile, or somebody else's
        return []


def _command(pid: Path) -> str:
    return _text(pid / "cmdline").replace("\0", " ").strip()[:COMMAND_LENGTH] or "ended meanwhile"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def try_lock(descriptor: int, kind: int) -> bool:
    """Takes the lock (fcntl.LOCK_SH or LOCK_EX) if nobody is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
