# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake pods that answer HTTP: their addresses become this machine's own, and one process answers for all of them.

Needs root, for one route on `lo`. What a pod answers follows from its image and environment, as in the real container.
Only the port does not: it is the cluster's, so that several clusters can answer side by side.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import zlib
from functools import partial
from pathlib import Path

from .construction import Construction, StartFailed
from .images import built_in_environment
from .locks import exclusive
from .paths import cache_root
from .ports import free_ports

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


def start_answering(site: Construction, programs: str, server: str) -> int:
    """Starts the process that answers, and returns the port that all pods of this cluster listen on.

    Raises PortTaken when somebody else was faster: the cluster is to be started again, with another one.
    """
    (port,) = free_ports(1)
    (site.layout.directory / "images.json").write_text(json.dumps(built_in_environment()))
    command: list[str | Path] = [
        f"{programs}/answer",
        "-directory",
        site.layout.directory,
        "-server",
        server,
        "-port",
        str(port),
    ]
    site.run("answer", command)
    site.wait_until(partial(_listens, port), f"port {port} to be listened on", timeout=10)
    return port


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
