# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive the function that started them, and that are ended later, perhaps by somebody else.

A process is known by its pid and the moment it started. The pid alone would not do: after a crash the number may belong
to a stranger by the time that `down` comes. A name would not do either: it may belong to a colleague's cluster.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .paths import SOURCES

ALIVE_POLL_SECONDS = 0.01
KILL_TIMEOUT_SECONDS = 20


class StillRunning(RuntimeError):
    """A process did not end although it was killed."""


@dataclass(frozen=True)
class Recorded:
    """One process: its pid and its start (clock ticks since boot on Linux, elsewhere the text that ps prints)."""

    pid: int
    started: str

    @classmethod
    def read(cls, record: Path) -> Recorded | None:
        """What a record file says; None while the process has not yet written it in full."""
        pid, _, started = record.read_text().strip().partition(" ")
        return cls(int(pid), started) if started else None

    def is_alive(self) -> bool:
        """False for a zombie: it holds nothing any more, and the pid 1 of a container may never reap it."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> str | None:
    """The start of the living process with this pid, None when there is none."""
    if not Path("/proc/self/stat").exists():
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return shown.stdout.strip() or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the second field is the command in parentheses and may hold blanks; the state is the 3rd, the start the 22nd
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


# Go collects garbage less often: a fifth less work for a cluster that has much to do. The limit is for small machines.
SPARING = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}


def start(
    record: Path,
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a daemon in a session of its own; it writes its own record before it becomes the command.

    Written by the process itself, the record exists even when the starter is killed between two lines. `inherited`
    descriptors stay open in it (a lock that lasts as long as the daemon).
    """
    record.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            ["/bin/sh", str(SOURCES / "record.sh"), str(record), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=record.parent,
            env=bare_environment() | SPARING | dict(environment or {}),
            pass_fds=inherited,
        )


def bare_environment() -> dict[str, str]:
    """What a daemon may see of the caller's environment: no KUBECONFIG, no proxies, no credentials."""
    kept = ("HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME")
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PATH": path}


def note(record: Path, pid: int) -> None:
    """Writes the record of a process that was not started by `start`; none when it has ended already."""
    if started := started_at(pid):
        record.write_text(f"{pid} {started}\n")


def end_all(records: Iterable[Path]) -> None:
    """Kills what the records name, waits until it is gone, and removes the records. Nothing here is worth a grace period."""
    found = [(record, process) for record in records if (process := _settled(record))]
    for _record, process in found:
        if process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    for record, process in found:
        wait_gone(process, what=record.stem)
        record.unlink(missing_ok=True)


def wait_gone(process: Recorded, *, what: str) -> None:
    deadline = time.monotonic() + KILL_TIMEOUT_SECONDS
    while process.is_alive():
        if time.monotonic() > deadline:
            raise StillRunning(f"{what} (pid {process.pid}) is still there {KILL_TIMEOUT_SECONDS} s after SIGKILL")
        time.sleep(ALIVE_POLL_SECONDS)


def _settled(record: Path) -> Recorded | None:
    """Reads a record that may be under way: the process writes it in its first milliseconds, or died before."""
    for _attempt in range(50):
        try:
            if process := Recorded.read(record):
                return process
        except FileNotFoundError:
            return None
        time.sleep(ALIVE_POLL_SECONDS)
    record.unlink(missing_ok=True)
    return None
