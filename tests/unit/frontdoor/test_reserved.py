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
# Of which playbook or entry point, the name, and what it is set to.
FROM_OUTSIDE: dict[str, tuple[str, str, Any]] = {
    "the canary that is verified": ("canary", "canary_release", {"canary": {"pods": []}}),
    "a result to take back": ("canary", "_canary_told", {"release": A_CANARY_OF_ANOTHER}),
    "how the rescue ended": ("canary", "_canary_end", {"release": {}, "result": {}, "results": {}, "rooms": []}),
    "what a promotion said": ("promote", "_canary_told", {"release": A_CANARY_OF_ANOTHER, "result": {}}),
    "what an undo said": ("undo", "canary_undone", {"msg": "undone"}),
    "what a rollback said": ("rollback", "canary_rolled_back", {"msg": "rolled back"}),
    "what was found": ("status", "canary_found", {"canaries": []}),
    "how a fleet ended": ("fleet", "_canary_fleet_result", {"fleet": {"outcome": "released", "releases": [], "table": []}}),
}  # fmt: skip


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


@pytest.mark.parametrize(("playbook", "name", "value"), [*FROM_OUTSIDE.values()], ids=[*FROM_OUTSIDE])
def test_it_is_refused_before_anybody_is_asked(playbook: str, name: str, value: Any, tmp_path: Path) -> None:
    status, said = played(playbook, tmp_path, **{name: value}, **(RELEASES if playbook == "fleet" else {}))
    assert status != 0 and f"{name}: set from outside" in said, said
    assert CURRENT not in said


@pytest.mark.parametrize("name", ["canary_result", "canary_results", "canary_room"])
def test_what_jobs_hand_on_is_no_obstacle(name: str, tmp_path: Path) -> None:
    status, said = played("canary", tmp_path, **{name: {"outcome": "released"}})
    assert status != 0 and CURRENT in said, said


def test_the_role_reads_nothing_that_a_job_hands_on() -> None:
    """By which it would decide what another job did."""
    handed_on = re.compile(r"(?<![\w])canary_(result|results|room)\b(?!:)")
    for path in sorted((ROOT / "roles" / "canary" / "tasks").glob("*.yml")):
        assert handed_on.findall(json.dumps(yaml.safe_load(path.read_text())).replace('": ', ":")) == [], path
