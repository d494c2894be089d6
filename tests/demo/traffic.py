# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady stream of requests to the Service, and what became of them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RATE = 100
# A request that is not answered within this time has failed.
TIMEOUT = "5s"
ENDING_SECONDS = 15


@dataclass(frozen=True)
class Answers:
    """How many requests were sent, failed (no answer, or a status of 500 and more), and which version answered.

    `own_errors`: failed answers by the version that gave them. `errors` are the reasons of those without an answer, known at
    the end only.
    """

    sent: int
    failed: int
    versions: Mapping[str, int]
    own_errors: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)

    def share(self, version: str) -> float:
        """Per cent of all answers."""
        answered = sum(self.versions.values())
        return 100 * self.versions.get(version, 0) / answered if answered else 0.0


class Traffic:
    """One load generator. `latest` is its last whole second; `stop` ends it and returns the whole."""

    def __init__(self, program: Path, url: str) -> None:
        command = [str(program), "-url", url, "-rate", str(RATE), "-timeout", TIMEOUT, "-live"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.latest: Answers | None = None
        self._whole = Answers(0, 0, {})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "second" in told:
                self.latest = Answers(told["sent"], told["failed"], told["versions"], told["failed_by_version"])
            else:
                self._whole = Answers(
                    told["sent"], told["failed"], told["versions"], told["failed_by_version"], told["errors"]
                )

    def stop(self) -> Answers:
        self._process.terminate()
        self._process.wait(ENDING_SECONDS)
        self._reader.join(ENDING_SECONDS)
        return self._whole
