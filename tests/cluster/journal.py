# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster changed on this machine, written down before each change, so that it can be taken back after a crash.

Everything that is noted bears a name of this one cluster (a link, a cgroup, a route's metric): taking it back can never
hit another cluster's.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_TIMEOUT_SECONDS = 20
# what iproute2 says when there is nothing (any more) to take back
ABSENT = ("Cannot find device", "No such process", "No such device", "No such file")


class UndoFailed(RuntimeError):
    """Something could not be taken back."""


@dataclass(frozen=True)
class Journal:
    """The file with one line of JSON for each change, oldest first."""

    path: Path

    def link(self, name: str) -> None:
        """A link that is about to be made; its addresses and routes go with it, and the other end of a cable."""
        self._note("ip", ["link", "delete", name])

    def route(self, route: Sequence[str]) -> None:
        """A route that is about to be made, as `ip route add` takes it."""
        self._note("ip", ["route", "delete", *route])

    def cgroup(self, name: str) -> None:
        """A cgroup of this name, in whatever hierarchy, is about to be made."""
        self._note("cgroup", [name])

    def undo(self) -> None:
        """Takes everything back, newest first. The processes in the cgroups must have been ended before."""
        if not self.path.exists():
            return
        for line in reversed(self.path.read_text().splitlines()):
            kind, arguments = json.loads(line)
            if kind == "ip":
                _ip(arguments)
            else:
                _remove_cgroup(arguments[0])
        self.path.unlink()

    def _note(self, kind: str, arguments: Sequence[str]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([kind, list(arguments)]) + "\n")


def hierarchies() -> list[Path]:
    """The roots in which cgroups are made: one for each controller (cgroup v1), or the only one (v2)."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink()]


def _ip(arguments: Sequence[str]) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and not any(reason in done.stderr for reason in ABSENT):
        raise UndoFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _remove_cgroup(name: str) -> None:
    deadline = time.monotonic() + CGROUP_TIMEOUT_SECONDS
    for root in hierarchies():
        while left := _remove_tree(root / name):
            if time.monotonic() > deadline:
                raise UndoFailed(f"the cgroup {left} still holds processes")
            time.sleep(0.02)


def _remove_tree(top: Path) -> Path | None:
    """Removes what is empty, leaves first; the first one that is still in use, None when all is gone."""
    for directory in _leaves_first(top):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return directory
    return None


def _leaves_first(top: Path) -> Iterator[Path]:
    for directory, _, _ in os.walk(top, topdown=False):
        yield Path(directory)
