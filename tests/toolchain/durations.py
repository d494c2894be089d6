# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of tests begins first: the one that takes longest, or a worker that has it last keeps the others waiting.

What tests took on this machine is in the cache. On a new machine tests/durations.json counts, seconds of each file;

    python -m tests.toolchain.durations

writes it from the cache, after runs of `make integration` on a quiet machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.cluster.paths import REPOSITORY, cache_root

KNOWN = REPOSITORY / "tests" / "durations.json"
# Nobody has measured it: it begins before what is known to be short.
UNKNOWN_SECONDS = 2.0
MEASURED_FOR_OTHERS = ("tests/integration", "tests/faults")
# What tests took on this machine, by their ids: the same in all processes of a run, which must collect alike.
MEASURED = pytest.StashKey[dict[str, float]]()


def measured_here() -> Path:
    return cache_root() / "durations.json"


def read(path: Path) -> dict[str, float]:
    """Empty when there is none, or half of one."""
    try:
        return {name: float(seconds) for name, seconds in json.loads(path.read_text()).items()}
    except (OSError, ValueError):
        return {}


def remember(seconds: Mapping[str, float]) -> None:
    """Of tests that ran just now, by their ids. Of two runs that end together, one may be forgotten."""
    path = measured_here()
    write(path, read(path) | {name: round(taken, 2) for name, taken in seconds.items()})


def write(path: Path, seconds: Mapping[str, float]) -> None:
    """In one step: whoever reads sees all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(seconds, indent=1, sort_keys=True) + "\n")
    partial.rename(path)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def expected(tests: Iterable[str], here: Mapping[str, float], known: Mapping[str, float]) -> dict[str, float]:
    """File -> seconds that these of its tests are expected to take. `here`: by test, `known`: by file, for all of its tests."""
    files = defaultdict[str, list[str]](list)
    for test in tests:
        files[file_of(test)].append(test)
    return {file: _expected(file, members, here, known) for file, members in files.items()}


def _expected(file: str, tests: list[str], here: Mapping[str, float], known: Mapping[str, float]) -> float:
    found = [here[test] for test in tests if test in here]
    if found:
        return sum(found) / len(found) * len(tests)
    return known.get(file, UNKNOWN_SECONDS * len(tests))


def longest_first(tests: Iterable[str], here: Mapping[str, float]) -> dict[str, int]:
    """File -> its place. `here`: what tests took on this machine."""
    seconds = expected(tests, here, read(KNOWN))
    return {file: place for place, file in enumerate(sorted(seconds, key=lambda file: -seconds[file]))}


def collected() -> list[str]:
    """The ids of what `make integration` runs. What the cache knows besides is gone, or too slow for that."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", *MEASURED_FOR_OTHERS]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if "::" in line]


def main() -> None:
    seconds = expected(collected(), read(measured_here()), read(KNOWN))
    write(KNOWN, {file: round(taken) for file, taken in seconds.items()})


if __name__ == "__main__":
    main()
