# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on other versions is all that is marked so, and all versions that are supported."""

from __future__ import annotations

import re

from tests.toolchain.matrix import OTHERS
from tests.toolchain.venvs import ENVIRONMENTS, ROOT

MARK = re.compile(r"\bpytest\.mark\.slice\b")


def test_every_file_with_a_marked_test_is_run() -> None:
    marked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests" / "integration").rglob("test_*.py")
        if MARK.search(path.read_text())
    }
    assert marked == {file for files in OTHERS.values() for file in files}


def test_every_supported_version_of_ansible_core_is_one_environment() -> None:
    pinned = {
        found[1]
        for name in ("main", *OTHERS)
        if (found := re.search(r"^ansible-core==(2\.\d+)", ENVIRONMENTS[name].requirements.read_text(), re.MULTILINE))
    }
    assert pinned == {"2.19", "2.20", "2.21"}
