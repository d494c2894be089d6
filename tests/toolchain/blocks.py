# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that several modules repeat comes from one source: docs/source/blocks.yml.

    python -m tests.toolchain.blocks            # writes each block between its marks, as far indented as they are
    python -m tests.toolchain.blocks --check    # changes nothing; tells which modules are behind

Ansible's own fragments carry options of the first level and notes, and neither returned values nor suboptions.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.toolchain.venvs import ROOT

SOURCE = ROOT / "docs" / "source" / "blocks.yml"
MODULES = ROOT / "plugins" / "modules"
BLOCK = re.compile(
    r"^(?P<indent> *)# block (?P<name>\S+): docs/source/blocks\.yml\n(?P<text>.*?)^ *# end of (?P=name)\n", re.M | re.S
)
MARK = re.compile(r"^ *# (?:block \S+:|end of )", re.M)


class BadMark(Exception):
    """The marks of a module do not fit together, or name no block; the message says where."""


def written(text: str, blocks: Mapping[str, str]) -> str:
    """The module with every block as the source has it. Raises BadMark."""
    found = list(BLOCK.finditer(text))
    if len(MARK.findall(text)) != 2 * len(found):
        raise BadMark("a block has no end, or an end no block")
    unknown = sorted({block["name"] for block in found} - blocks.keys())
    if unknown:
        raise BadMark(f"there is no block {', '.join(unknown)} in docs/source/blocks.yml")
    return BLOCK.sub(lambda block: _with(block, blocks[block["name"]]), text)


def _with(block: re.Match[str], source: str) -> str:
    head, end = block.group().splitlines(keepends=True)[0], block.group().splitlines(keepends=True)[-1]
    return head + textwrap.indent(source, block["indent"]) + end


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something would be written")
    check = parser.parse_args(arguments).check
    blocks = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    behind = []
    for module in sorted(MODULES.glob("*.py")):
        text = module.read_text(encoding="utf-8")
        try:
            wanted = written(text, blocks)
        except BadMark as error:
            print(f"{module.relative_to(ROOT)}: {error}")
            return 1
        if wanted != text:
            behind.append(module)
    return _told(behind) if check else _write(behind, blocks)


def _told(behind: Sequence[Path]) -> int:
    for module in behind:
        print(
            f"{module.relative_to(ROOT)} is not what docs/source/blocks.yml says: change that file, then `make blocks`"
        )
    return 1 if behind else 0


def _write(behind: Sequence[Path], blocks: Mapping[str, str]) -> int:
    for module in behind:
        module.write_text(written(module.read_text(encoding="utf-8"), blocks), encoding="utf-8")
        print(f"wrote {module.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
