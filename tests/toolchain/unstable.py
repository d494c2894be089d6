# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that fail, and pass when they are run alone: written down, and not tolerated for long.

    python -m tests.toolchain.unstable    # is every row of tests/unstable.txt still allowed?

A row of that file is a test that may be unstable in continuous integration: a date, the test's id and a reason. It expires.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.toolchain.venvs import ROOT

LISTED = ROOT / "tests" / "unstable.txt"
TRACES = ROOT / "tests" / "output" / "unstable"
ALLOWED_DAYS = 14


class BadList(Exception):
    """tests/unstable.txt says something that it may not; the message names the row."""


@dataclass(frozen=True)
class Row:
    """One test that may be unstable since `date`."""

    date: datetime.date
    test: str
    reason: str


def today() -> datetime.date:
    return datetime.datetime.now(datetime.timezone.utc).date()


def rows(text: str) -> list[Row]:
    """Raises BadList for a row that has not all three."""
    lines = (line.strip() for line in text.splitlines())
    return [_row(line) for line in lines if line and not line.startswith("#")]


def _row(line: str) -> Row:
    # The id of a parametrized test may hold blanks; a reason follows a dash.
    dated, dash, reason = line.partition(" -- ")
    date, _, test = dated.partition(" ")
    if not (dash and reason.strip() and test.strip()):
        raise BadList(f"{line!r}: a row is `YYYY-MM-DD ID -- REASON`")
    try:
        return Row(datetime.date.fromisoformat(date), test.strip(), reason.strip())
    except ValueError as error:
        raise BadList(f"{line!r}: {error}") from error


def check(listed: Iterable[Row], now: datetime.date, root: Path = ROOT) -> list[str]:
    """What is wrong with the rows: too old, of the future, or of a test that is gone."""
    wrong = []
    for row in listed:
        path, _, function = row.test.partition("::")
        name = function.rpartition("::")[2].partition("[")[0]
        file = root / path
        if (now - row.date).days > ALLOWED_DAYS:
            wrong.append(f"{row.test} has been unstable since {row.date}: mend it; {ALLOWED_DAYS} days are allowed")
        if row.date > now:
            wrong.append(f"{row.test}: {row.date} is yet to come")
        if not (file.is_file() and name and f"def {name}(" in file.read_text()):
            wrong.append(f"{row.test}: there is no such test")
    return wrong


def not_allowed(tests: Iterable[str], listed: Iterable[Row]) -> list[str]:
    """Those that no row allows to be unstable."""
    allowed = {row.test for row in listed}
    return [test for test in tests if test not in allowed]


def trace(failed: Mapping[str, str], stage: str) -> Path:
    """Writes down what failed, why, and how busy the machine was, before anything is run again."""
    moment = datetime.datetime.now(datetime.timezone.utc)
    load = os.getloadavg()
    TRACES.mkdir(parents=True, exist_ok=True)
    path = TRACES / f"{moment:%Y%m%dT%H%M%SZ}-{commit()}.json"
    facts = {"at": moment.isoformat(), "commit": commit(), "stage": stage, "load": load, "failed": dict(failed)}
    path.write_text(json.dumps(facts, indent=1) + "\n")
    return path


def told(failed: Mapping[str, str], path: Path) -> str:
    """For the person who looks on: the names, the first line of each reason, and where all of it is."""
    lines = [f"  {test}\n    {reason.splitlines()[0] if reason else ''}" for test, reason in failed.items()]
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    head = f"--- {len(failed)} failed at load {load}, and run alone now; written to {path}"
    return "\n".join([head, *lines])


def commit() -> str:
    """Short; `unknown` outside of a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def main() -> int:
    try:
        wrong = check(rows(LISTED.read_text()), today())
    except BadList as error:
        wrong = [str(error)]
    for line in wrong:
        print(f"tests/unstable.txt: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
