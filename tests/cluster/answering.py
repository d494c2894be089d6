# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake pods that answer HTTP: their addresses become this machine's own, and one process answers for all of them.

Needs root, for one route on `lo`. What a pod answers follows from its image and environment, as in the real container.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import zlib
from pathlib import Path

from .build import Say
from .construction import Construction, PortTaken, StartFailed
from .images import built_in_environment
from .locks import LockTimeout, exclusive
from .paths import cache_root

PORT = 8080
MACHINE_LOCK = Path("/run/coalmine-canary-answering-pods.lock")
LOCK_TIMEOUT_SECONDS = 600
RANGES = [f"10.{second}.0.0/16" for second in range(204, 236)]


class AnsweringImpossible(StartFailed):
    """Fake pods cannot answer on this machine; the message says why."""


def reserve_range(site: Construction) -> str:
    """A range of addresses for the pods of this cluster, made local to this machine."""
    if os.geteuid() != 0:
        raise AnsweringImpossible("fake pods can answer only under root: their addresses need a route on lo")
    with exclusive(cache_root() / "locks" / "answering"):
        used = subprocess.run(
            ["ip", "route", "show", "table", "all"], capture_output=True, text=True, check=True
        ).stdout
        free = next((each for each in RANGES if each not in used), None)
        if free is None:
            raise AnsweringImpossible(f"all of {RANGES[0]} to {RANGES[-1]} have routes already")
        # the metric is this cluster's own: its removal cannot hit a route of somebody else
        route = ["local", free, "dev", "lo", "metric", str(zlib.crc32(site.layout.identity.encode()) >> 1)]
        site.layout.journal.route(route)
        subprocess.run(["ip", "route", "add", *route], check=True, capture_output=True)
    return free


def start_answering(site: Construction, programs: str, server: str, say: Say) -> None:
    """Starts the process that answers. Only one can listen on the pods' port, so it waits for the end of another; it keeps
    the machine's lock until it ends itself."""

    def waiting(holder: str) -> None:
        say(f"the pods of another cluster answer already ({holder}); waiting for its end")

    (site.layout.directory / "images.json").write_text(json.dumps(built_in_environment()))
    command: list[str | Path] = [
        f"{programs}/answer",
        "-directory",
        site.layout.directory,
        "-server",
        server,
        "-port",
        str(PORT),
    ]
    try:
        with exclusive(MACHINE_LOCK, timeout=LOCK_TIMEOUT_SECONDS, waiting=waiting) as descriptor:
            site.run("answer", command, inherited=[descriptor])
        site.wait_until(lambda: _listens(site), f"port {PORT} to be listened on", timeout=10)
    except LockTimeout as error:
        raise AnsweringImpossible(f"the pods of one cluster at a time can answer: {error}") from error
    except PortTaken as error:
        raise AnsweringImpossible(f"port {PORT} is in use by another program\n{error}") from error


def _listens(site: Construction) -> bool:
    with socket.create_connection(("127.0.0.1", PORT), timeout=1):
        return True
