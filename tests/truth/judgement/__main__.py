# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.truth.judgement [--minutes N] [--report]`: goes on with the study, then writes the report."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from tests.cluster.paths import cache_root

from .buckets import same_as_shipped
from .cells import ALL_CELLS
from .report import write_report
from .store import SEED, Store

FIRST = ("false alarms", "samples to FAIL", "bursts", "drift", "late onset", "several checks")
ROOT = Path(__file__).resolve().parents[3]


def _must_hold(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"the simulated evidence is not the collection's: {what}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.truth.judgement", description=__doc__)
    parser.add_argument("--minutes", type=float, default=600, help="stop after so long; the next call goes on")
    parser.add_argument("--results", type=Path, default=cache_root() / "judgement-truth.jsonl")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "judgement-truth.md")
    options = parser.parse_args()
    same_as_shipped(np.random.default_rng(SEED), _must_hold)
    store = Store(options.results)
    until = time.monotonic() + 60 * options.minutes
    # A chunk of every cell before the second of any, then first what promises are made of: a study that is stopped early
    # is thin, not half.
    todo = sorted(
        ((chunk, number) for number, cell in enumerate(ALL_CELLS) for chunk in store.missing(cell)),
        key=lambda task: (task[0] > 0 and ALL_CELLS[task[1]].table not in FIRST, task),
    )
    for done, (chunk, number) in enumerate(todo):
        if time.monotonic() > until:
            print(f"stopped with {len(todo) - done} of {len(todo)} chunks to go; call again to go on")
            break
        begin = time.monotonic()
        store.run(ALL_CELLS[number], chunk)
        print(f"{time.monotonic() - begin:6.1f} s  {ALL_CELLS[number].name} [{chunk}]", flush=True)
    write_report(store, options.report)
    return 0


sys.exit(main())
