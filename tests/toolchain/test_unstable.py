# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of tests that may be unstable: each row has a date and a reason, and ends."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tests.toolchain.unstable import BadList, Row, check, not_allowed, rows

NOW = datetime.date(2026, 11, 28)
TEST = "tests/test_bake.py::TestBake::test_it[a b]"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_bake.py").write_text("class TestBake:\n    def test_it(self) -> None: ...\n")
    return tmp_path


def test_a_row_is_a_date_a_test_and_a_reason() -> None:
    text = f"# what this is\n\n2026-11-20 {TEST} -- two clocks -- race\n"
    assert rows(text) == [Row(datetime.date(2026, 11, 20), TEST, "two clocks -- race")]


@pytest.mark.parametrize(
    "line", [f"2026-11-20 {TEST}", f"2026-11-20 {TEST} -- ", "2026-11-20 -- why", f"20.11.2026 {TEST} -- why", TEST]
)
def test_a_row_that_lacks_one_of_them_is_refused(line: str) -> None:
    with pytest.raises(BadList, match=r"tests/test_bake|2026-11-20"):
        rows(line)


@pytest.mark.parametrize(
    ("date", "test", "wrong"),
    [
        ("2026-11-28", TEST, ""),
        ("2026-11-14", TEST, ""),
        ("2026-11-13", TEST, "has been unstable since 2026-11-13: mend it; 14 days are allowed"),
        ("2026-11-29", TEST, "2026-11-29 is yet to come"),
        ("2026-11-28", "tests/test_bake.py::TestBake::test_gone", "there is no such test"),
        ("2026-11-28", "tests/test_gone.py::test_it", "there is no such test"),
        ("2026-11-28", "tests/test_bake.py", "there is no such test"),
    ],
)
def test_a_row_ends(date: str, test: str, wrong: str, tree: Path) -> None:
    found = check([Row(datetime.date.fromisoformat(date), test, "why")], NOW, tree)
    assert len(found) == bool(wrong)
    assert all(wrong in line for line in found)


def test_only_what_is_listed_is_allowed() -> None:
    assert not_allowed([TEST, "other"], [Row(NOW, TEST, "why")]) == ["other"]
