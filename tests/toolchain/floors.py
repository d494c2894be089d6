# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each room the tests without a cluster must cover: statements and branches together, in percent.

    make coverage                       # measures, and asks the next one
    python -m tests.toolchain.floors    # after pytest --cov; names the rooms that are below their floor, and their files

A floor may rise, and does not fall: what lowers it is new code without a test.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import coverage

from tests.toolchain.venvs import ROOT

ROOMS = PurePosixPath("plugins/module_utils")
# Pure rooms have no excuse. The other rooms speak to a server, and are tested against a real one as well.
FLOORS: Mapping[str, float] = {
    "rollout": 95.0,
    "headroom": 95.0,
    "judgement": 95.0,
    "release": 95.0,
    "display": 95.0,
    "traffic": 95.0,
    "verbs": 85.0,
}
WORST = 5


@dataclass(frozen=True)
class Covered:
    """Of one file: how many of its statements and branches there are, and were run."""

    path: str
    there: int
    run: int

    @property
    def percent(self) -> float:
        return 100.0 if not self.there else 100.0 * self.run / self.there


def measured(data_file: Path | None = None) -> list[Covered]:
    """Of every file of the collection, as the run before wrote it down."""
    settings = str(ROOT / "pyproject.toml")
    data = (
        coverage.Coverage(str(data_file), config_file=settings)
        if data_file
        else coverage.Coverage(config_file=settings)
    )
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        data.json_report(outfile=str(report))
        return list(_files(json.loads(report.read_text())["files"]))


def _files(files: Mapping[str, Any]) -> Iterator[Covered]:
    for path, file in files.items():
        count = file["summary"]
        there = count["num_statements"] + count["num_branches"]
        yield Covered(path, there, count["covered_lines"] + count["covered_branches"])


def room_of(path: str) -> str:
    """The folder of module_utils; empty for what lies elsewhere."""
    place = PurePosixPath(path)
    return place.relative_to(ROOMS).parts[0] if place.is_relative_to(ROOMS) else ""


def of_room(files: list[Covered], room: str) -> Covered:
    own = [file for file in files if room_of(file.path) == room]
    return Covered(room, sum(file.there for file in own), sum(file.run for file in own))


def below(files: list[Covered], floors: Mapping[str, float]) -> list[str]:
    """What is to be said of each room below its floor, and of a room that has no file at all."""
    said = []
    for room, floor in floors.items():
        covered = of_room(files, room)
        if not covered.there:
            said.append(f"{room}: nothing was measured; is there still such a room?")
        elif covered.percent < floor:
            own = sorted((file for file in files if room_of(file.path) == room), key=lambda file: file.run - file.there)
            least = ", ".join(f"{PurePosixPath(file.path).name} {file.percent:.0f} %" for file in own[:WORST])
            said.append(f"{room}: {covered.percent:.1f} % and not {floor:g} %; most is missing in {least}")
    return said


def main() -> int:
    files = measured()
    for room in sorted({room_of(file.path) for file in files} - {""}):
        floor = f"at least {FLOORS[room]:g} %" if room in FLOORS else ""
        print(f"{room:<10} {of_room(files, room).percent:5.1f} % {floor}".rstrip())
    missing = below(files, FLOORS)
    for line in missing:
        print(f"too little: {line}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
