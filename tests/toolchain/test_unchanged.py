# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever changes of what a stage looks at, it is run again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain.unchanged import digest, looked_at, passed_before, remember
from tests.toolchain.venvs import KEPT_SECONDS

COMMANDS = (("ansible-lint", "--offline"),)
PATHS = ["README.md", "plugins/a.py", "tests/unit/test_a.py"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a")
    return tmp_path


def changed(path: str) -> Callable[[Path], object]:
    return lambda tree: (tree / path).write_text("b")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda tree: None, True),
        (changed("README.md"), False),
        (changed("plugins/a.py"), False),
        (lambda tree: (tree / "plugins" / "a.py").chmod(0o755), False),
        (changed("tests/unit/test_a.py"), True),
    ],
    ids=["nothing", "a page", "code", "a mode", "the code of a test"],
)
def test_it_is_the_same_while_nothing_of_it_has_changed(
    tree: Path, change: Callable[[Path], object], same: bool
) -> None:
    before = digest(COMMANDS, tree, PATHS)
    change(tree)
    assert (digest(COMMANDS, tree, PATHS) == before) is same


def test_another_file_another_name_and_another_command_count(tree: Path) -> None:
    (tree / "LICENSE").write_text("a")
    every = [
        digest(COMMANDS, tree, PATHS),
        digest((("ansible-lint",),), tree, PATHS),
        digest(COMMANDS, tree, [*PATHS, "LICENSE"]),
        digest(COMMANDS, tree, ["LICENSE", *PATHS[1:]]),
    ]
    assert len(set(every)) == len(every)


def test_what_passed_is_remembered_for_these_files_and_not_in_continuous_integration(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember("docs", "1")
    assert passed_before("docs", "1")
    assert not passed_before("docs", "2") and not passed_before("sanity", "1")
    monkeypatch.setenv("CI", "true")
    assert not passed_before("docs", "1")


def test_it_is_forgotten_in_time(tree: Path) -> None:
    remember("docs", "1")
    (mark,) = (tree / "cache").rglob("docs-1")
    long_ago = time.time() - KEPT_SECONDS - 1
    os.utime(mark, (long_ago, long_ago))
    remember("docs", "2")
    assert not passed_before("docs", "1") and passed_before("docs", "2")


def test_of_the_tests_only_the_code_of_the_stages_counts() -> None:
    counted = ["plugins/a.py", "tests/toolchain/sanity.py", "tests/config.yml", "tests/sanity/ignore-2.19.txt"]
    assert list(filter(looked_at, [*counted, "tests/conftest.py", "tests/sim/test_a.py"])) == counted
