# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests a change can break."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.toolchain.selection import BEHIND, graph_of, imports, module_of, selected
from tests.toolchain.venvs import ROOT

UTILS = "ansible_collections.coalmine.canary.plugins.module_utils"
SOURCES = {
    "plugins/module_utils/rollout/size.py": "from .arithmetic import predict",
    "plugins/module_utils/rollout/arithmetic.py": "",
    "plugins/module_utils/verbs/start.py": "from ..rollout import size\ndef f():\n    from ..cluster.api import Api",
    "plugins/module_utils/cluster/api.py": "",
    "tests/integration/releases.py": f"from {UTILS}.verbs.start import start",
    "tests/integration/test_start.py": "from tests.integration.releases import Release",
    "tests/integration/test_role.py": "import json",
    "tests/unit/test_size.py": f"import {UTILS}.rollout.size",
}


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (
            ["plugins/module_utils/rollout/arithmetic.py"],
            ["tests/integration/test_start.py", "tests/unit/test_size.py"],
        ),
        (["plugins/module_utils/cluster/api.py"], ["tests/integration/test_start.py"]),
        (["tests/integration/releases.py"], ["tests/integration/test_start.py"]),
        (["tests/unit/test_size.py"], ["tests/unit/test_size.py"]),
        (["roles/canary/tasks/main.yml"], ["tests/integration/test_role.py"]),
        (["LICENSE"], []),
    ],
)
def test_what_a_change_can_break_is_selected(changed: list[str], tests: list[str]) -> None:
    assert selected(graph_of(SOURCES), changed) == tests


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("plugins/module_utils/verbs/a.py", "from . import b", {f"{UTILS}.verbs.b"}),
        ("plugins/module_utils/verbs/a.py", "from ..rollout.b import C", {f"{UTILS}.rollout.b"}),
        ("plugins/module_utils/verbs/__init__.py", "from .b import C", {f"{UTILS}.verbs.b"}),
        ("tests/unit/a.py", "def f():\n    import tests.cluster.lab", {"tests.cluster.lab"}),
    ],
)
def test_imports_are_names_in_full(path: str, text: str, names: set[str]) -> None:
    assert names <= imports(path, text)


def test_a_package_is_named_by_its_folder() -> None:
    assert module_of("plugins/module_utils/verbs/__init__.py") == f"{UTILS}.verbs"


@pytest.mark.parametrize("pattern", BEHIND)
def test_what_no_import_tells_is_of_files_that_are_there(pattern: str) -> None:
    assert any(fnmatch(str(path.relative_to(ROOT)), pattern) for path in (ROOT / "tests").rglob("test_*.py"))
