# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cell of the exactness table on a real controller, several namespaces at once.

    python -m tests.exactness [--cells all|slice] [--through python|ansible] [--at-once 6] [--seed 1] [--journal FILE]

With a journal every cell is written down as it ends, and a run that was interrupted goes on with those that are missing.
It exits with 1 when a promise was not kept or a verb failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.lab import Lab, start_lab
from tests.integration.releases import Release

from .cells import Cell, Finding, Trial, all_cells
from .recorder import Recorder
from .verbs import InProcess, ThroughAnsible, Verbs

# A dozen, one of each kind: alone, in place, by steps, all surge, nearly everything, blue and green.
SLICE = (
    Cell(1, 1, 1), Cell(2, 1, 0), Cell(3, 3, 3), Cell(4, 3, 0), Cell(5, 2, 1), Cell(6, 6, 1),
    Cell(7, 4, 2), Cell(8, 1, 1), Cell(9, 7, 2), Cell(10, 5, 3), Cell(12, 11, 0), Cell(12, 12, 3),
)  # fmt: skip


@dataclass(frozen=True)
class Tested:
    cell: Cell
    findings: tuple[Finding, ...]
    failure: str = ""

    @property
    def broken(self) -> list[str]:
        told = [f"{f.verb}: promised {f.promised}, seen {f.seen}" for f in self.findings if not f.kept]
        return [*told, *([self.failure] if self.failure else [])]


# Room for the pods of all cells together.
FAKE_NODES = 30

MakeVerbs = Callable[[Lab, Release], Verbs]
WAYS: Mapping[str, MakeVerbs] = {
    "python": lambda _lab, release: InProcess(release),
    "ansible": lambda lab, release: ThroughAnsible(release, lab.kubeconfig),
}


def run(lab: Lab, cells: Sequence[Cell], at_once: int, seed: int, through: str = "python") -> Iterator[Tested]:
    """Every cell in a namespace of its own, which is left behind: removing one costs the cluster as much as a cell.

    The seed of each cell follows from its place among all cells.
    """
    seeds = {cell: seed + number for number, cell in enumerate(all_cells())}
    recorder = Recorder(lab)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            futures = [pool.submit(_test, lab, recorder, cell, seeds[cell], WAYS[through]) for cell in cells]
            for future in as_completed(futures):
                yield future.result()
    finally:
        recorder.close()


def _test(lab: Lab, recorder: Recorder, cell: Cell, seed: int, make_verbs: MakeVerbs) -> Tested:
    namespace = lab.create_namespace("exact")
    try:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            release = Release(api, namespace)
            trial = Trial(release, make_verbs(lab, release), recorder, cell, seed)
            return Tested(cell, tuple(trial.run()))
    except Exception:  # noqa: BLE001 - whatever a trial meets is a finding of its cell, and the other cells go on
        return Tested(cell, (), traceback.format_exc())


class Journal:
    """One line of JSON for each cell that was tested."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> list[Tested]:
        if self._path is None or not self._path.exists():
            return []
        return [_tested(json.loads(line)) for line in self._path.read_text().splitlines()]

    def add(self, tested: Tested) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(tested)) + "\n")


def _tested(line: Mapping[str, Any]) -> Tested:
    cell = Cell(**line["cell"])
    findings = tuple(Finding(cell, f["verb"], f["promised"], f["seen"]) for f in line["findings"])
    return Tested(cell, findings, line["failure"])


def summary(tested: Sequence[Tested]) -> str:
    findings = [finding for one in tested for finding in one.findings]
    broken = sum(bool(one.broken) for one in tested)
    failed = sum(bool(one.failure) for one in tested)
    return (
        f"{len(tested)} cells, {len(findings)} promises, {sum(f.kept for f in findings)} kept; "
        f"{broken} cells with an exception, {failed} of them because a verb failed"
    )


def table(tested: Sequence[Tested]) -> str:
    """Markdown: how often each promise was given and kept."""
    findings = [finding for one in tested for finding in one.findings]
    given, kept = Counter(f.verb for f in findings), Counter(f.verb for f in findings if f.kept)
    rows = [f"| {verb} | {count} | {kept[verb]} |" for verb, count in given.items()]
    return "\n".join(["| promise | given | kept |", "|---|---|---|", *rows])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", choices=("all", "slice"), default="all")
    parser.add_argument("--through", choices=WAYS, default="python")
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--journal", type=Path)
    options = parser.parse_args(arguments)
    journal = Journal(options.journal)
    tested = journal.read()
    wanted = all_cells() if options.cells == "all" else SLICE
    missing = [cell for cell in wanted if cell not in {one.cell for one in tested}]
    began = time.monotonic()
    if missing:
        with start_lab(fake_nodes=FAKE_NODES) as lab:
            for one in run(lab, missing, options.at_once, options.seed, options.through):
                journal.add(one)
                tested.append(one)
                for line in one.broken:
                    print(f"{one.cell}: {line}", flush=True)
                if len(tested) % 25 == 0:
                    print(f"{len(tested)} cells, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{summary(tested)}; seed {options.seed}, {time.monotonic() - began:.0f} s\n\n{table(tested)}")
    return 1 if any(one.broken for one in tested) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
