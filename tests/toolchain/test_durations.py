# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order and the limits of tests: what took long here begins first, and nothing may hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain.durations import KNOWN, expected, longest_first, read, write
from tests.toolchain.limits import BY_PATH, EXHAUSTIVE, SLOW, UNMEASURED, limit
from tests.toolchain.venvs import ROOT


@pytest.mark.parametrize(
    ("case", "here", "known", "seconds"),
    [
        ("measured on this machine", {"a.py::one": 3.0, "a.py::two": 5.0}, {"a.py": 100.0}, 8.0),
        ("one of two measured", {"a.py::one": 3.0}, {"a.py": 100.0}, 6.0),
        ("on a new machine", {"b.py::one": 3.0}, {"a.py": 100.0}, 100.0),
        ("a new file on a new machine", {}, {}, 4.0),
    ],
)
def test_what_a_file_takes(case: str, here: dict[str, float], known: dict[str, float], seconds: float) -> None:
    assert expected(["a.py::one", "a.py::two"], here, known) == {"a.py": seconds}


def test_the_longest_file_is_the_first() -> None:
    here = {"short.py::one": 1.0, "long.py::one": 20.0, "mid.py::one": 2.0, "mid.py::two": 2.0}
    assert longest_first(here, here) == {"long.py": 0, "mid.py": 1, "short.py": 2}


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") == {}
    (tmp_path / "half.json").write_text('{"a.py::one": 1')
    assert read(tmp_path / "half.json") == {}
    write(tmp_path / "whole.json", {"a.py::one": 1.5})
    assert read(tmp_path / "whole.json") == {"a.py::one": 1.5}


def test_what_is_known_of_files_is_of_files_that_are_there() -> None:
    assert [file for file in read(KNOWN) if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize(
    ("test", "marks", "seconds"),
    [
        ("tests/unit/rollout/test_size.py::test_it", [], BY_PATH["tests/"]),
        ("tests/integration/test_witnesses.py::test_it", ["slice"], BY_PATH["tests/"]),
        ("tests/integration/test_role_judgement.py::test_it", [], BY_PATH["tests/integration/test_role"]),
        ("tests/integration/test_role.py::test_it", ["slow"], SLOW),
        (UNMEASURED[0], [], EXHAUSTIVE),
    ],
)
def test_the_longest_beginning_of_a_path_gives_the_limit(test: str, marks: list[str], seconds: int) -> None:
    assert limit(test, marks) == seconds


def test_the_exceptions_are_of_files_that_are_there() -> None:
    assert [path for path in BY_PATH if not list(ROOT.glob(f"{path}*"))] == []


@pytest.mark.parametrize("beginning", UNMEASURED, ids=str)
def test_what_is_not_measured_is_there(beginning: str) -> None:
    path, _, function = beginning.partition("::")
    assert all(name in (ROOT / path).read_text() for name in function.split("::"))
