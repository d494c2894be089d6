# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation points at what is there: files, and names of the code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.toolchain.venvs import ROOT

WORDS = ROOT / "docs" / "contributing" / "words.md"
# The beginnings of pages that are written elsewhere.
WRITTEN_IN = {ROOT / "tests" / "sim" / "introduction.md": ROOT / "docs"}
UTILS = "ansible_collections.coalmine.canary.plugins.module_utils"


def pages() -> list[Path]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in found.split("\0") if name and (ROOT / name).exists()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    folder = WRITTEN_IN.get(page, page.parent)
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_page_of_the_simulation_begins_as_it_is_written_there() -> None:
    """Else the next run of the simulation takes away what somebody wrote into the page."""
    page, introduction = (ROOT / "docs" / "simulation.md"), (ROOT / "tests" / "sim" / "introduction.md")
    assert page.read_text(encoding="utf-8").startswith(introduction.read_text(encoding="utf-8"))


TESTS = ROOT / "tests"


def test_every_integration_test_says_what_it_alone_shows() -> None:
    """In a row of tests/README.md, the test cluster's own aside; and what a row names is there."""
    page = (TESTS / "README.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    files = {path.name for folder in ("integration", "faults") for path in (TESTS / folder).glob("test_*.py")}
    assert {name for name in files if not name.startswith("test_cluster_") and f"`{name}`" not in rows} == set()
    played = {path.name for path in (TESTS / "sim").glob("*.py")}
    assert {name for name in re.findall(r"`(\w+\.py)`", rows) if name not in files | played} == set()


def names() -> Iterator[str]:
    """What stands in the last column of the glossary."""
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and line.endswith(" |"):
            yield from re.findall(r"`([^`]+)`", line.rpartition(" | ")[2])


@pytest.mark.parametrize("name", sorted(set(names())))
def test_a_word_is_where_the_glossary_says(name: str) -> None:
    if "/" in name or name.endswith((".py", ".toml")):
        places = [ROOT, ROOT / "plugins" / "module_utils"]
        assert [place for place in places if (place / name).exists()], f"no file {name}"
        return
    module, _, attribute = name.rpartition(".")
    if attribute[0].isupper():
        assert hasattr(import_module(f"{UTILS}.{module}"), attribute)
    else:
        import_module(f"{UTILS}.{name}")
