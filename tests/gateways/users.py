# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of users to a gateway, by the load generator of the test cluster (tests/cluster/load), and what came of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RATE = 100
# A pod that is gone never answers; a machine that is busy answers late.
PATIENCE = "30s"
END_SECONDS = 60


@dataclass
class Tally:
    """`failed`: whatever was not answered with 200. Filled when the requests are over."""

    sent: int = 0
    failed: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, int] = field(default_factory=dict)
    why: str = ""

    def fill(self, report: Mapping[str, Any]) -> None:
        self.sent, self.versions, self.pods = report["sent"], report["versions"], report["pods"]
        self.failed = self.sent - report["codes"].get("200", 0)
        self.why = json.dumps({"codes": report["codes"], "errors": report["errors"], "late": report["late"]})

    def of(self, version: str) -> int:
        return self.versions.get(version, 0)


@dataclass(frozen=True)
class Users:
    """Those of one host name, at the address of a gateway. Each request is on a connection of its own. `grpc`: each is a call of gRPC's own
    client, which its status OK answers."""

    load: Path
    address: str
    host: str
    grpc: bool = False

    def _command(self, rate: float, header: str, path: str = "") -> list[str]:
        asked = path or ("/shop.Web/Ask" if self.grpc else "/")
        given = ["-url", f"http://{self.address}{asked}", "-host", self.host, "-rate", str(rate), "-timeout", PATIENCE]
        return [str(self.load), *given, *(["-header", header] if header else []), *(["-grpc"] if self.grpc else [])]

    @contextmanager
    def coming(self, rate: float = RATE, header: str = "") -> Iterator[Tally]:
        """A steady load for as long as the with statement lasts."""
        tally = Tally()
        with subprocess.Popen(self._command(rate, header), stdout=subprocess.PIPE, text=True) as load:
            try:
                yield tally
            finally:
                load.terminate()
                tally.fill(json.loads(load.communicate(timeout=END_SECONDS)[0]))

    def send(self, requests: int, *, rate: float = 2000, header: str = "", path: str = "") -> Tally:
        """So many, and their answers."""
        command = [*self._command(rate, header, path), "-requests", str(requests)]
        tally = Tally()
        tally.fill(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        return tally
