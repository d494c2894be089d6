# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/simulation.md: what was played, and what it showed."""

from __future__ import annotations

from pathlib import Path

from .drawing import KINDS
from .running import ROOT, Batch, cores

_INTRODUCTION = ROOT / "tests" / "sim" / "introduction.md"


def written(where: str, total: Batch, seconds: float) -> None:
    """Below what `introduction.md` says of the simulation itself."""
    rows = [f"| {kind} | {_first_line(kind)} | {total.kinds.get(kind, 0)} |" for kind in KINDS]
    lines = [
        _INTRODUCTION.read_text().rstrip(),
        "",
        "## The last run",
        "",
        f"{total.releases} releases in {sum(total.kinds.values())} histories: {total.calls} calls of verbs, "
        f"{total.requests} requests,",
        f"{total.seconds / 3600:.0f} virtual hours, played in {seconds / 60:.0f} minutes on {cores()} cores. Histories that broke a rule: "
        f"{len(total.failed)}.",
        "",
        "| kind | what goes wrong in it | histories |",
        "|---|---|---|",
        *rows,
        "",
    ]
    Path(where).write_text("\n".join(lines))


def _first_line(kind: str) -> str:
    return (KINDS[kind][1].__doc__ or "").splitlines()[0]
