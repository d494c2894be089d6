# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/writers.md come from one source: docs/source/writers.yml.

python -m tests.toolchain.writers            # writes them
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from tests.toolchain.venvs import ROOT

SOURCE = ROOT / "docs" / "source" / "writers.yml"
PAGE = ROOT / "docs" / "writers.md"
TABLE = re.compile(r"(?<=<!-- begin: written by make writers, )(?P<phase>[\w ]+) -->\n\n.*?(?=<!-- end -->)", re.S)
HEAD = "| somebody runs | then runs | `canary_info` says | the run's next task | after `canary_undo` instead |\n|---|---|---|---|---|"


@cache
def cells() -> dict[str, dict[str, dict[str, Any]]]:
    """By phase, and by who writes."""
    return dict(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))


# What the next task does in a phase where it does not find its release any more, and that is no failure.
WITHOUT_ONE = {"between steps": "starts anew", "done": "goes on"}


def table(phase: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    goes_on = {"none": WITHOUT_ONE.get(phase, "finds no canary, and changes nothing")}
    return "\n".join([HEAD, *(_row(writer, cell, goes_on) for writer, cell in rows.items())])


def _row(writer: str, cell: Mapping[str, Any], goes_on: Mapping[str, str]) -> str:
    runs = (cell.get("runs") or "nothing") + (f", and at times still {cell['left']}" if cell.get("left") else "")
    seen = f"`{cell['seen']}`" + (f", by {cell['by']}" if cell.get("by") else "")
    step = f"is refused: `{cell['next']}`" if cell.get("next") else goes_on.get(cell["seen"], "goes on")
    took = f" ({cell['refused']})" if cell.get("refused") else ""
    back = cell.get("back") or "nothing: apply your manifest"
    return f"| {writer}{took} | {runs} | {seen} | {step} | {back} |"


def page() -> str:
    found = cells()
    return TABLE.sub(
        lambda place: f"{place['phase']} -->\n\n{table(place['phase'], found[place['phase']])}\n\n",
        PAGE.read_text(encoding="utf-8"),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
