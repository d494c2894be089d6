# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays histories.

python -m tests.sim --seed 4711                  one, with a trace; if it fails, the shortest that still does
python -m tests.sim --releases 100000            many, on all cores; goes on where it was interrupted
python -m tests.sim --releases 2000 --fresh      other seeds with each change of the verbs or of the simulation
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from .drawing import draw, kind_of
from .report import written
from .running import Batch, batches, cores, made_of, play, shortest, together
from .telling import report

SHOWN = 3
# Seconds.
TOLD_EVERY = 10.0


def one(seed: int, *, whole: bool) -> int:
    played = play(draw(seed), traced=True)
    shown = played if whole or not played.violations else shortest(played)
    print(*shown.trace, sep="\n")
    print(f"\n{kind_of(seed)} history, {len(shown.calls)} calls, {shown.requests} requests, {shown.seconds:.0f} s")
    print(*report(shown), sep="\n")
    return 1 if played.violations else 0


class Progress:
    """Told now and then: how far it is, and how long it will take."""

    def __init__(self, releases: int, cores: int) -> None:
        self._releases, self._cores, self._told = releases, cores, time.monotonic()

    def tell(self, found: Sequence[Batch]) -> None:
        if time.monotonic() < self._told + TOLD_EVERY:
            return
        self._told = time.monotonic()
        total = together(found)
        left = total.took / self._cores * max(0, self._releases - total.releases) / max(1, total.releases)
        print(
            f"{total.releases} of {self._releases} releases, {left / 60:.0f} minutes left, {len(total.failed)} failed",
            file=sys.stderr,
            flush=True,
        )


def many(releases: int, first: int, *, told_in: str) -> int:
    found, progress = list[Batch](), Progress(releases, cores())
    for batch in batches(releases, first, cores()):
        found.append(batch)
        progress.tell(found)
        for seed, violations in batch.failed.items():
            print(f"seed {seed} ({kind_of(int(seed))}): {'; '.join(violations)}", flush=True)
    total = together(found)
    for seed in list(total.failed)[:SHOWN]:
        print("", f"python -m tests.sim --seed {seed}", *report(shortest(play(draw(int(seed))))), sep="\n")
    seconds = total.took / cores()
    print(
        f"{total.releases} releases in {sum(total.kinds.values())} histories from seed {first} on, {total.calls} calls, "
        f"{total.requests} requests, {total.seconds / 3600:.0f} virtual hours, in {seconds:.0f} s on {cores()} cores: "
        f"{len(total.failed)} failed"
    )
    if told_in:
        written(told_in, total, seconds)
    return 1 if total.failed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="play this history and show what happens")
    parser.add_argument("--whole", action="store_true", help="show it as it is, not the shortest that still fails")
    parser.add_argument("--releases", type=int, default=2000, help="how many releases to begin")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--fresh", action="store_true", help="seeds that belong to these verbs and this simulation alone"
    )
    parser.add_argument("--report", default="", help="write what was found to this file")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return one(asked.seed, whole=asked.whole)
    first = int(made_of(), 16) if asked.fresh else asked.first
    try:
        return many(asked.releases, first, told_in=asked.report)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
