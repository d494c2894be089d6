# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests a change can break."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import pytest

from tests.toolchain.selection import BEHIND, Graph, graph_of, imports, is_test, module_of, selected
from tests.toolchain.venvs import ROOT

UTILS = "ansible_collections.coalmine.canary.plugins.module_utils"
SOURCES = {
    "plugins/module_utils/rollout/size.py": "from .arithmetic import predict",
    "plugins/module_utils/rollout/arithmetic.py": "",
    "plugins/module_utils/verbs/start.py": "from ..rollout import size\ndef f():\n    from ..cluster.api import Api",
    "plugins/module_utils/cluster/api.py": "",
    "tests/integration/releases.py": f"from {UTILS}.verbs.start import start",
    "tests/integration/test_start.py": "from tests.integration.releases import Release",
    "tests/integration/playbooks.py": "COMMAND = 'ansible-playbook'",
    "tests/integration/test_role.py": "from tests.integration.playbooks import COMMAND",
    "tests/unit/test_pages.py": "PAGE = ROOT / 'docs' / 'release.md'",
    "tests/unit/test_example.py": "PLAY = ROOT / 'examples/release.yml'",
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
        (["plugins/action/canary_start.py"], ["tests/integration/test_role.py"]),
        (["docs/release.md"], ["tests/unit/test_pages.py"]),
        (["examples/other.yml"], ["tests/unit/test_example.py"]),
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
    assert names <= imports(path, ast.walk(ast.parse(text)))


def test_a_package_is_named_by_its_folder() -> None:
    assert module_of("plugins/module_utils/verbs/__init__.py") == f"{UTILS}.verbs"


@pytest.mark.parametrize("test", BEHIND)
def test_what_no_text_tells_is_of_files_that_are_there(test: str) -> None:
    assert (ROOT / test).is_file()


# A file, and tests that read it.
READERS: Sequence[tuple[str, Sequence[str]]] = (
    ("playbooks/fleet.yml", ["integration/test_fleet.py", "unit/frontdoor/test_fleet_arguments.py"]),
    ("roles/canary/tasks/main.yml", ["integration/test_role_keywords.py", "unit/frontdoor/test_way_back.py"]),
    ("docs/release.md", ["unit/release/test_drawing.py"]),
    ("docs/release.schema.json", ["unit/release/test_schema.py", "unit/release/test_fleet_result.py"]),
    (
        "examples/release_by_verbs.yml",
        ["integration/test_playbooks_of_verbs.py", "unit/frontdoor/test_examples.py"],
    ),
    (
        "plugins/action/canary_release.py",
        ["integration/test_role.py", "unit/frontdoor/test_cluster_of_the_role.py"],
    ),
    ("playbooks/vars/rights.yml", ["sim/test_rights.py", "toolchain/test_rights.py"]),
)


@pytest.fixture(scope="module")
def tree() -> Graph:
    """Of these tests and of what they stand on, without what they test."""
    readers = {f"tests/{test}" for _changed, tests in READERS for test in tests}
    paths = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    stood_on = {path for path in paths if not is_test(path)}
    return graph_of({path: (ROOT / path).read_text(encoding="utf-8") for path in (readers & paths) | stood_on})


@pytest.mark.parametrize(("changed", "tests"), READERS)
def test_what_reads_a_file_is_selected_with_it(changed: str, tests: Sequence[str], tree: Graph) -> None:
    assert {f"tests/{test}" for test in tests} - set(selected(tree, [changed])) == set()
