# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name for this process, by which another one on the same machine can tell whether it still lives.

This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Protocol

_NAME = re.compile(r"([0-9a-f]{12})\.([0-9]{1,10})\.([0-9]{1,20})")


class Processes(Protocol):
    """Who asks, and who of the others still lives. Given like the clock (clock.py): tests bring their own."""

    def this_process(self) -> str: ...

    def parent(self) -> str: ...

    def has_ended(self, name: str) -> bool: ...


class SystemProcesses:
    """Those of this machine."""

    def this_process(self) -> str:
        return this_process()

    def parent(self) -> str:
        return parent()

    def has_ended(self, name: str) -> bool:
        return has_ended(name)


SYSTEM = SystemProcesses()


def this_process() -> str:
    """Machine (since its last start, and its space of process numbers), number and start of this process; empty off Linux."""
    return _name_of(os.getpid())


def parent() -> str:
    """The process that this one is a worker of, as an action of Ansible is one of ansible-playbook, which goes on when a task has ended;
    empty where it is nobody's worker."""
    # Whoever is a worker has it imported; nobody else needs it.
    multiprocessing = sys.modules.get("multiprocessing")
    above = multiprocessing.parent_process() if multiprocessing is not None else None
    return _name_of(above.pid) if above is not None and above.pid is not None else ""


def _name_of(number: int) -> str:
    machine, started = _machine(), _started(number)
    return f"{machine}.{number}.{started}" if machine and started else ""


def has_ended(name: str) -> bool:
    """The process of that name was one of this machine, and is gone. False where nobody can know."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] != _machine():
        return False
    started = _started(int(found[2]))
    return started != found[3] and (bool(started) or not _is_hidden(int(found[2])))


def _machine() -> str:
    """A container has process numbers of its own, so its namespace is part of it. Hashed: it is written where others read."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return ""
    return hashlib.sha256(f"{boot}/{space}".encode()).hexdigest()[:12]


def _started(number: int) -> str:
    """Clock ticks from the machine's start to that of the process (proc_pid_stat(5), field 22); empty where it is gone, or hidden."""
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
            state, *fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else fields[18]


def _is_hidden(number: int) -> bool:
    """Another user's, of whom /proc tells nothing where it is mounted so (hidepid in proc(5))."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False
