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

    `own_errors`: failed answers by the version that gave them. `errors` are the reasons of those without an answer, and `right` is the
    number of answers with 200; both are known at the end only.
    """

    sent: int
    failed: int
    versions: Mapping[str, int]
    own_errors: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    right: int = 0

    def share(self, version: str) -> float:
        """Per cent of all answers."""
        answered = sum(self.versions.values())
        return 100 * self.versions.get(version, 0) / answered if answered else 0.0


def none_failed(whole: Answers, when: str) -> tuple[str, bool]:
    """A fact: every request was answered with 200."""
    failed = whole.sent - whole.right
    reasons = "".join(f"\n       {count} x {reason}" for reason, count in whole.errors.items())
    return f"{failed} of {whole.sent} requests {when} failed{reasons}", whole.sent > 0 and not failed


class Traffic:
    """One load generator. `seconds` are those that have passed, `latest` the last of them; `stop` ends it and returns the whole.
    `requests`: it ends by itself after so many (0: never)."""

    def __init__(self, program: Path, url: str, *, host: str = "", requests: int = 0) -> None:
        command = [str(program), "-url", url, "-rate", str(RATE), "-timeout", TIMEOUT, "-live"]
        command += ["-host", host, "-requests", str(requests)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.seconds: list[Answers] = []
        self._whole = Answers(0, 0, {})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "second" in told:
                self.seconds.append(Answers(told["sent"], told["failed"], told["versions"], told["failed_by_version"]))
            else:
                self._whole = Answers(
                    told["sent"],
                    told["failed"],
                    told["versions"],
                    told["failed_by_version"],
                    told["errors"],
                    told["codes"].get("200", 0),
                )

    @property
    def latest(self) -> Answers | None:
        return self.seconds[-1] if self.seconds else None

    def stop(self) -> Answers:
        self._process.terminate()
        return self.whole()

    def whole(self) -> Answers:
        """Once it has ended."""
        self._process.wait(ENDING_SECONDS)
        self._reader.join(ENDING_SECONDS)
        return self._whole
