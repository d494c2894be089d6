# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules repeat comes from one source."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.toolchain.blocks import MODULES, SOURCE, BadMark, main, written

BLOCKS = {"web": "token:\n  type: str\n", "other": "a: b\n"}
OLD = "options:\n  # block web: docs/source/blocks.yml\n  token: {}\n  # end of web\n  name: {}\n"
# They answer another question than how one release stands.
NO_RELEASE = {"canary_headroom_info", "canary_fleet", "canary_watch"}


def test_a_block_is_replaced_and_indented_like_its_marks() -> None:
    new = written(OLD, BLOCKS)
    assert new == (
        "options:\n  # block web: docs/source/blocks.yml\n  token:\n    type: str\n  # end of web\n  name: {}\n"
    )
    assert written(new, BLOCKS) == new


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OLD.replace("  # end of web\n", ""), "no end"),
        (OLD.replace("  # block web: docs/source/blocks.yml\n", ""), "no block"),
        (OLD.replace("end of web", "end of other"), "no end"),
        (OLD.replace("web", "wob"), "no block wob in docs/source/blocks.yml"),
    ],
)
def test_marks_that_do_not_fit_are_refused(text: str, says: str) -> None:
    with pytest.raises(BadMark, match=says):
        written(text, BLOCKS)


def test_every_module_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", sorted(MODULES.glob("canary_*.py")), ids=lambda module: module.stem)
def test_every_module_of_a_release_takes_its_words_from_there(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert "# block failure: docs/source/blocks.yml" in text
    assert ("# block release: docs/source/blocks.yml" in text) is (module.stem not in NO_RELEASE)


def test_every_block_is_used() -> None:
    modules = "".join(module.read_text(encoding="utf-8") for module in MODULES.glob("*.py"))
    assert [
        name for name in yaml.safe_load(SOURCE.read_text(encoding="utf-8")) if f"# block {name}:" not in modules
    ] == []
