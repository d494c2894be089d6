# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady stream of requests to the Service, and what became of them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RATE = 100
# A machine that is busy answers late, and a request that is lost is never answered: so it is waited for far longer than a user would, and
# what came later than a user would wait is told apart.
LOST_SECONDS, PATIENCE_SECONDS = 60, 10
ENDING_SECONDS = LOST_SECONDS + 15


@dataclass(frozen=True)
class Answers:
    """How many requests were sent, failed (no answer, or a status of 500 and more), and which version answered.

    `own_errors`: failed answers by the version that gave them. `errors` are the reasons of those without an answer, `right` is the
    number of answers with 200, and `slow` of those that took more than PATIENCE_SECONDS; these are known at the end only.
    """

    sent: int
    failed: int
    versions: Mapping[str, int]
    own_errors: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    right: int = 0
    slow: int = 0

    @classmethod
    def whole(cls, told: Mapping[str, Any]) -> Answers:
        """Of what the load generator tells at its end (tests/cluster/load/tally.go)."""
        return cls(
            told["sent"],
            told["failed"],
            told["versions"],
            told["failed_by_version"],
            told["errors"],
            told["codes"].get("200", 0),
            told["slow"],
        )

    @property
    def seen(self) -> str:
        """What became of those that were not answered in time, in lines of their own; empty where there are none."""
        lines = [f"{count} x {reason}" for reason, count in self.errors.items()]
        if self.slow:
            lines.append(
                f"{self.slow} answered after more than {PATIENCE_SECONDS} s, and so not lost: this machine is busy"
            )
        return "".join(f"\n       {line}" for line in lines)

    def share(self, version: str) -> float:
        """Per cent of all answers."""
        answered = sum(self.versions.values())
        return 100 * self.versions.get(version, 0) / answered if answered else 0.0


def none_failed(whole: Answers, when: str) -> tuple[str, bool]:
    """A fact: every request was answered with 200."""
    failed = whole.sent - whole.right
    return f"{failed} of {whole.sent} requests {when} failed{whole.seen}", whole.sent > 0 and not failed


class Traffic:
    """One load generator. `seconds` are those that have passed, `latest` the last of them; `stop` ends it and returns the whole.
    `requests`: it ends by itself after so many (0: never)."""

    def __init__(self, program: Path, url: str, *, host: str = "", requests: int = 0) -> None:
        command = [str(program), "-url", url, "-rate", str(RATE), "-live"]
        command += ["-timeout", f"{LOST_SECONDS}s", "-slow", f"{PATIENCE_SECONDS}s"]
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
                self._whole = Answers.whole(told)

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
