# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/benchmarks.md: what was measured, how, and where."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from .releases import KUBECTL, Row

_INTRODUCTION = Path(__file__).with_name("introduction.md")
_HEAD = ("| what | CPU | wall | memory | lines | to reach |", "|---|---|---|---|---|---|")


def page(sections: Sequence[str]) -> str:
    """The tables, below what `introduction.md` says of the measuring itself."""
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), load average {os.getloadavg()[0]:.1f} at its end"
    lines = [
        _INTRODUCTION.read_text().rstrip(),
        "",
        "## The last run",
        "",
        f"ansible-core {version('ansible-core')}, Python {platform.python_version()}, {machine}.",
        "",
        *sections,
    ]
    return "\n".join(lines)


def releases_told(rows: Sequence[Row], ratios: Mapping[str, float], rounds: int) -> list[str]:
    """The section about one Deployment."""
    return [
        f"One release, medians of {rounds} rounds:",
        "",
        *_HEAD,
        *map(str, rows),
        "",
        "| ratio, from this run | |",
        "|---|---|",
        *(f"| {what} | {ratio:.2f} |" for what, ratio in ratios.items()),
        "",
        f"The row of kubectl is `{KUBECTL.format(image='...')}`.",
        "",
    ]
