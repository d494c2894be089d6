# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of doors in pyproject.toml lets through what the design allows, and nothing else."""

from __future__ import annotations

import grimp
import pytest
import tomllib
from importlinter import ContractCheck

from tests.toolchain.doors import Doors
from tests.toolchain.venvs import ROOT

CONTRACT, _FLOORS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PLUGINS = CONTRACT["package"]


def checked(importer: str, imported: str) -> ContractCheck:
    """What the contract says of a collection with this one import; a leading dot stands for plugins/."""
    graph = grimp.ImportGraph()
    names = [name if not name.startswith(".") else f"{PLUGINS}{name}" for name in (importer, imported)]
    for name in names:
        graph.add_module(name)
    graph.add_import(importer=names[0], imported=names[1], line_number=7, line_contents="import it")
    return Doors(CONTRACT["name"], {}, CONTRACT).check(graph, verbose=False)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        (".modules.canary_start", ".module_utils.frontdoor.start"),
        (".modules.canary_start", "ansible"),
        (".action.canary_start", ".plugin_utils.action_door"),
        (".module_utils.frontdoor.start", ".module_utils.verbs.start"),
        (".module_utils.verbs.start", ".module_utils.cluster.api"),
        (".module_utils.verbs.start", ".module_utils.rollout.start"),
        (".module_utils.probes.pods", ".module_utils.cluster.api"),
        (".module_utils.cluster.client", "kubernetes"),
        (".module_utils.headroom.scene", ".module_utils.rollout.views"),
        (".module_utils.judgement.bets", ".module_utils.judgement.samples"),
        (".module_utils.judgement.bets", "math"),
    ],
)
def test_a_door_of_the_design_is_open(importer: str, imported: str) -> None:
    assert checked(importer, imported).kept


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        (".modules.canary_start", ".module_utils.verbs.start"),
        (".module_utils.frontdoor.start", ".module_utils.rollout.start"),
        (".module_utils.verbs.start", ".module_utils.frontdoor.start"),
        (".module_utils.verbs.start", "ansible"),
        (".module_utils.verbs.start", "kubernetes"),
        (".module_utils.cluster.api", "kubernetes"),
        (".module_utils.cluster.api", ".module_utils.verbs.start"),
        (".module_utils.probes.pods", ".module_utils.judgement.samples"),
        (".module_utils.headroom.scene", ".module_utils.rollout.phase"),
        (".module_utils.rollout.start", ".module_utils.judgement.bets"),
        (".module_utils.rollout.start", "ansible"),
        (".module_utils.rollout.start", "yaml"),
        (".module_utils.judgement.bets", "time"),
        (".module_utils.judgement.bets", "datetime"),
        (".module_utils.headroom.scene", "pathlib"),
        (".module_utils.headroom.scene", "a_library_nobody_thought_of"),
    ],
)
def test_what_is_no_door_is_a_wall_and_the_line_is_named(importer: str, imported: str) -> None:
    check = checked(importer, imported)
    assert not check.kept
    assert [lines for importer, imported, lines in check.metadata["broken"]] == [[7]]


def test_a_room_that_the_table_does_not_know_is_refused() -> None:
    check = checked(".module_utils.shed.tools", "math")
    assert check.metadata["homeless"] == [f"{PLUGINS}.module_utils.shed.tools"]
