# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the study as docs/judgement-truth.md."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np

from .cells import ALL_CELLS
from .store import SEED, Store

_COUNTED_AS_SHARE = {"false alarms", "on the boundary", "bursts"}
_NOTES = {
    "false alarms": "Runs in % that failed although canary and stable were equally good, within 20,000 samples and at no "
    "tolerance, the worst case. Promised: at most 5 for `bare` and `shipped`.",
    "on the boundary": "Runs in %, within 20,000 samples, with a canary exactly at what is tolerated: there both a FAIL and "
    "a PASS are errors. Promised: at most 5 each.",
    "samples to FAIL": "Mean samples of both versions until a bad version failed, at no tolerance; behind it the multiple "
    "of W*, or the share of runs that caught it within 20,000 samples. Shares below 100 % make a mean look good.",
    "samples to FAIL with a tolerance": "As above, with a tolerance.",
    "samples to PASS": "Mean samples of both versions until a version as good as stable passed.",
    "bursts": "Runs in % that failed although both versions were equally good, base rate 2 %, 20,000 requests, bad requests "
    "in one pod after the other in bursts of geometric length. One canary pod beside so many stable ones. Not promised.",
    "drift": "Runs in % that failed within 20,000 samples, and after how many.",
    "late onset": "Mean samples from the onset until FAIL, w = 1/2; behind it the runs that were caught (the rest had failed "
    "falsely before).",
    "several checks": "w = 1/11, a look after 20 samples of each check; mean samples of one check until FAIL, and runs that "
    "failed.",
}
_HEAD = """# What judgement can promise: the figures

Written by `python -m tests.truth.judgement` (seed {seed}); what the tests mean: [judgement.md](judgement.md).

* **bare**: the evidence without guards, looked at after every sample. **shipped**: with cap and dispersion guard, a look
  after every 100 requests, so 300 at least. Both at confidence 0.95, one start.
* **w**: the canary's share of the traffic. **W\\***: Wald's sequential test that knows both true rates, against the
  nearest pair that is still tolerated: the lower limit for anyone who must learn stable's rate from the same traffic.
* **Fisher**: one-sided exact test at 5 %, looked at after every 100 samples. **Flagger**: more than 1 % bad canary
  requests in an interval of 500 requests over both versions, five such intervals. **Argo**: the same, one such interval
  (`failureLimit: 0`, its default). They get 20,000 samples.
* A share of 5 % is known to 0.4 % from 10,000 runs, to 0.6 % from 5,000.
* Before the first run, the vectorised evidence of the simulation is compared with the collection's own code on the
  same counts; a difference ends the study.
"""


def write_report(store: Store, path: Path) -> None:
    tables: dict[str, dict[str, dict[str, str]]] = {}
    usual = _usual_runs(store)
    for cell in ALL_CELLS:
        stopped = store.stopped(cell.name)
        if not len(stopped):
            continue
        wald = store.stopped(f"{cell.table} | {cell.row} | W*")
        figure = _figure(cell.table, cell.column, stopped, wald)
        if len(stopped) != usual[cell.table]:
            figure += f" [{len(stopped):,} runs]"
        tables.setdefault(cell.table, {}).setdefault(cell.row, {})[cell.column] = figure
    text = _HEAD.format(seed=SEED)
    for name, rows in tables.items():
        text += f"\n## {name[0].upper()}{name[1:]}\n\n{usual[name]:,} runs a cell. {_NOTES[name]}\n\n{_table(rows)}"
    path.write_text(text, encoding="utf-8")


def _usual_runs(store: Store) -> dict[str, int]:
    """How many runs most cells of a table have."""
    runs: dict[str, Counter[int]] = {}
    for cell in ALL_CELLS:
        runs.setdefault(cell.table, Counter())[len(store.stopped(cell.name))] += 1
    return {table: counts.most_common(1)[0][0] for table, counts in runs.items()}


def _figure(table: str, column: str, stopped: np.ndarray, wald: np.ndarray) -> str:
    ended = np.isfinite(stopped)
    share = _share(ended)
    if table in _COUNTED_AS_SHARE:
        return share
    if not ended.any():
        return "never"
    mean = f"{stopped[ended].mean():,.0f}"
    if table.startswith("samples") and column in ("bare", "shipped") and ended.all() and len(wald):
        ratio = stopped.mean() / wald.mean()
        return f"{mean} (×{ratio:.2f}; 90 % by {np.quantile(stopped, 0.9):,.0f})"
    return mean if ended.all() else f"{mean} ({share} %)"


def _share(ended: np.ndarray) -> str:
    percent = 100 * ended.mean()
    if percent in (0.0, 100.0):
        return f"{percent:.0f}"
    return f"{percent:.{max(1, 1 - math.floor(math.log10(percent)))}f}" if percent < 1 else f"{percent:.1f}"


def _table(rows: dict[str, dict[str, str]]) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [
        "| | " + " | ".join(column.replace("*", "\\*") for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(row.get(column, "") for column in columns) + " |")
    return "\n".join(lines) + "\n"
