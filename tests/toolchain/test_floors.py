# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests cover: a room below its floor is named, with the files that lack most."""

from __future__ import annotations

from pathlib import Path

import coverage
import pytest

from tests.toolchain.floors import FLOORS, ROOMS, Covered, below, measured, of_room, room_of
from tests.toolchain.venvs import ROOT

FILES = [
    Covered("plugins/module_utils/rollout/size.py", 100, 100),
    Covered("plugins/module_utils/rollout/phase.py", 100, 89),
    Covered("plugins/module_utils/rollout/__init__.py", 0, 0),
    Covered("plugins/module_utils/verbs/start.py", 100, 20),
    Covered("plugins/plugin_utils/action_door.py", 100, 0),
]


@pytest.mark.parametrize(
    ("floors", "said"),
    [
        ({"rollout": 94.5}, []),
        ({"rollout": 95.0}, ["rollout: 94.5 % and not 95 %; most is missing in phase.py 89 %, size.py 100 %"]),
        ({"verbs": 20.0}, []),
        ({"headroom": 95.0}, ["headroom: nothing was measured"]),
    ],
)
def test_a_room_below_its_floor_is_named(floors: dict[str, float], said: list[str]) -> None:
    found = below(FILES, floors)
    assert len(found) == len(said)
    assert all(one.startswith(wanted) for one, wanted in zip(found, said, strict=True))


def test_a_room_is_a_folder_of_module_utils() -> None:
    assert [room_of(file.path) for file in FILES] == ["rollout"] * 3 + ["verbs", ""]
    assert of_room(FILES, "rollout") == Covered("rollout", 200, 189)


def test_every_floor_is_of_a_room_that_is_there() -> None:
    assert [room for room in FLOORS if not (ROOT / ROOMS / room).is_dir()] == []


@pytest.mark.no_cover
def test_statements_and_branches_count(tmp_path: Path) -> None:
    """By a run of its own, of a function whose one branch is taken."""
    code = tmp_path / "some.py"
    code.write_text("def sign(x):\n    if x > 0:\n        return 1\n    return 0\n\n\nsign(1)\n")
    run = coverage.Coverage(data_file=str(tmp_path / "data"), branch=True, include=[str(code)], config_file=False)
    with run.collect():
        exec(compile(code.read_text(), str(code), "exec"), {})
    run.save()
    (found,) = measured(tmp_path / "data")
    assert (found.there, found.run) == (7, 5), (
        "5 statements and 2 branches; the last statement and a branch are missing"
    )
