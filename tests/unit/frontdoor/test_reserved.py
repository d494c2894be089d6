# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable from outside never takes the place of one that the role or a playbook makes: its tasks refuse to run, and ask nobody."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.frontdoor.test_cluster_of_the_role import CURRENT, NAMED, RELEASES, VARIABLES, kubeconfig, refusing, run
from tests.unit.probes.serving import serving

ROOT = Path(__file__).resolve().parents[3]
A_CANARY_OF_ANOTHER = {"run": "another", "stage": "held", "outcome": "held"}
RELEASE_OF_ANOTHER = {"release": A_CANARY_OF_ANOTHER, "result": {"outcome": "released"}, "results": {}, "rooms": []}
# By playbook: what is set, and to what.
FROM_OUTSIDE: dict[str, dict[str, Any]] = {
    "canary": {
        "_canary_end": RELEASE_OF_ANOTHER,
        "_canary_told": RELEASE_OF_ANOTHER,
        "canary_release": {"canary": {"pods": []}},
    },
    "promote": {"_canary_told": RELEASE_OF_ANOTHER},
    "undo": {"canary_undone": {"msg": "undone"}},
    "rollback": {"canary_rolled_back": {"msg": "rolled back"}},
    "status": {"canary_found": {"canaries": []}},
    "fleet": {"_canary_fleet_result": {"fleet": {"outcome": "released", "releases": [], "table": []}}},
}


def played(playbook: str, home: Path, **given: Any) -> tuple[int, str]:
    """Its status and output; each of two servers would say that it was asked."""
    with serving(partial(refusing, CURRENT)) as current, serving(partial(refusing, NAMED)) as named:
        done = run(
            home,
            kubeconfig(home / "config", current, named),
            "-e",
            json.dumps({**VARIABLES, **given}),
            f"coalmine.canary.{playbook}",
        )
    return done.returncode, done.stdout + done.stderr


# The role, and what calls none.
SHORT = {"canary", "fleet"}


@pytest.mark.parametrize(
    "playbook", [pytest.param(name, marks=() if name in SHORT else pytest.mark.slow) for name in FROM_OUTSIDE]
)
def test_it_is_refused_before_anybody_is_asked(playbook: str, tmp_path: Path) -> None:
    """In the rescue of the role, too, where each task decides by what the one before it has left."""
    names = FROM_OUTSIDE[playbook]
    status, said = played(playbook, tmp_path, **names, **(RELEASES if playbook == "fleet" else {}))
    assert status != 0 and f"{', '.join(sorted(names))}: set from outside" in said, said
    assert CURRENT not in said


def test_what_jobs_hand_on_is_no_obstacle(tmp_path: Path) -> None:
    handed_on = {name: {"outcome": "released"} for name in ("canary_result", "canary_results", "canary_room")}
    status, said = played("canary", tmp_path, **handed_on)
    assert status != 0 and CURRENT in said, said


def test_the_role_reads_nothing_that_a_job_hands_on() -> None:
    """By which it would decide what another job did."""
    handed_on = re.compile(r"(?<![\w])canary_(result|results|room)\b(?!:)")
    for path in sorted((ROOT / "roles" / "canary" / "tasks").glob("*.yml")):
        assert handed_on.findall(json.dumps(yaml.safe_load(path.read_text())).replace('": ', ":")) == [], path
