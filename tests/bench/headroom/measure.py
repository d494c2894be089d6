# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading a large cluster costs, beside what its server needs by itself."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.toolchain.stages import environment
from tests.toolchain.venvs import ROOT

from . import crowd, standin
from .crowd import Crowd

LIMIT = 500
_CONTINUE = re.compile(rb'"continue":"([^"]+)"')


@dataclass(frozen=True)
class Reading:
    """`beyond`: seconds on top of what the server needs; `cpu`: of the process; `peak_mib`: its greatest resident memory."""

    seconds: float
    beyond: float
    cpu: float
    peak_mib: float
    found: dict[str, Any]

    @property
    def own(self) -> float:
        """Seconds that the reading is to blame for. A busy machine adds waiting for a core, which CPU time leaves out."""
        return min(self.beyond, self.cpu)


class LargeCluster:
    """A stand-in server in a process of its own. `own_seconds`: a read of all nodes and pods that throws the bytes away."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.host = f"http://127.0.0.1:{port}"
        self.bytes = 0
        self.own_seconds = min(self._thrown_away() for _ in range(2))

    def read(self, way: str, times: int = 1) -> Reading:
        """One of `reads.WAYS`; the quickest of so many, because others use the machine too."""
        return min((self._read(way) for _ in range(times)), key=lambda reading: reading.own)

    def _read(self, way: str) -> Reading:
        command = [sys.executable, "-m", "tests.bench.headroom.reads", way, self.host]
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
        line = json.loads(done.stdout)
        return Reading(
            line["seconds"], line["seconds"] - self.own_seconds, line["cpu"], line["peak_mib"], line["found"]
        )

    def _thrown_away(self) -> float:
        began, self.bytes = time.monotonic(), 0
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        for kind in ("nodes", "pods"):
            position: str | None = ""
            while position is not None:
                position = self._page(connection, kind, position)
        connection.close()
        return time.monotonic() - began

    def _page(self, connection: http.client.HTTPConnection, kind: str, position: str) -> str | None:
        query = {"limit": str(LIMIT), **({"continue": position} if position else {})}
        connection.request("GET", f"/api/v1/{kind}?{urlencode(query)}", headers={"Accept-Encoding": "gzip"})
        body = connection.getresponse().read()
        self.bytes += len(body)
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, 1024)
        found = _CONTINUE.search(head)
        return found[1].decode() if found else None


@contextmanager
def large_cluster(size: Crowd) -> Iterator[LargeCluster]:
    """The server, once all its pages are on the disk: the first time that takes a quarter of a minute."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (crowd, standin))
    store = ROOT / "build" / "bench" / f"crowd-{size.nodes}-{size.pods}-{hashlib.sha256(sources).hexdigest()[:12]}"
    command = [sys.executable, "-m", "tests.bench.headroom.standin", "--store", str(store), "--limit", str(LIMIT)]
    command += ["--nodes", str(size.nodes), "--pods", str(size.pods)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield LargeCluster(int(server.stdout.readline()))
    finally:
        server.terminate()
        server.wait()
