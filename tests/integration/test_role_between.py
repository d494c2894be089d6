# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody acts on the release between two tasks of the role: it promotes what it has verified or nothing, takes back only what it has
begun, and says `released` only where that version runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import InfoRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.interference import ACTS, SOMEBODY
from tests.integration.playbooks import ROOT
from tests.integration.plays import V1, V2, V3, Ended, releases, run, side_by_side
from tests.integration.releases import CONTAINER, Release

Cell = tuple[str, int, str]  # right before this task starts for that time, somebody does this
CALLBACKS = Path(__file__).parent / "callbacks"
FEW_HOSTS = 40
BEGUN = "Verify it with your own tasks, and go on from step to step"
GOES_ON = "Judge the canary at this step, and hold it at those that follow"
PROMOTES = "Ask who has to be asked, and promote the canary"

# Where the damage would be greatest. Between any two calls of canary_release: tests/sim/test_release.py.
SLICE: tuple[Cell, ...] = (
    (BEGUN, 1, "swap"),
    (GOES_ON, 2, "pause"),
    (PROMOTES, 1, "swap"),
)


def played(
    lab: Lab | ForeignCluster, namespace: str, directory: Path, cells: Mapping[str, Cell]
) -> tuple[Ended, dict[str, Release], list[dict[str, Any]]]:
    """One play over all cells, each a host; with what the callback has seen."""
    verify = directory / "verify.yml"
    verify.write_text(
        "- {name: Verify as users do, ansible.builtin.assert: {that: canary_release.canary.hash != ''}}\n"
    )
    seen = directory / "seen"
    asked = {"kubeconfig": str(lab.kubeconfig), "namespace": namespace, "cells": cells, "seen": str(seen)}
    (directory / "between.json").write_text(json.dumps(asked))
    shared = {
        "steps": [{"pods": 1}, {"pods": 2}],
        "verify_tasks": str(verify),
        "headroom": "skip",
        "wait_timeout": 60,
    }
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, cells)
        it = run(
            lab.kubeconfig,
            namespace,
            directory,
            dict.fromkeys(cells, shared),
            environment={
                "BETWEEN": str(directory / "between.json"),
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
                "ANSIBLE_CALLBACKS_ENABLED": "between",
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / ".collections")]),
            },
        )
        assert seen.exists(), it.output
    return it, made, [json.loads(line) for line in seen.read_text().splitlines()]


def truth_of(it: Ended, release: Release, cell: Cell) -> list[str]:
    """What is not as it should be."""
    (task, _time, act), result = cell, it.results.get(release.name)
    there = info(release.api, InfoRequest(release.name, release.namespace)).extra["canaries"][0]
    stable = there["stable"]["images"][CONTAINER]
    if result is None:
        return [f"no result, {stable} is stable"]
    outcome = result["outcome"]
    out = there["phase"] == "none" and stable == V2 and there["stable"]["counts"]["desired"] == there["replicas"]
    wrong = {
        "v3 was promoted": stable == V3,
        "it says released, and that is not so": outcome == "released" and not out,
        "it says that nobody released it, and nobody else did": outcome != "released" and out and act != "promote",
        "somebody's canary was taken back": act == "swap"
        and not (there["phase"] == "held" and there["run"] == SOMEBODY),
        "it says undone, and somebody else undid it": act == "undo" and outcome == "undone",
        "its own canary is left": act in ("scale", "nothing") and there["phase"] != "none",
        "nobody is told": outcome in ("failed", "undone", "refused") and len(result["why"]) < 2,
    }
    return [f"{what} (before {task}: {act}; {outcome}, {result['why']})" for what, so in wrong.items() if so]


def lies(it: Ended, made: Mapping[str, Release], cells: Mapping[str, Cell]) -> list[str]:
    return [wrong for host, cell in cells.items() for wrong in truth_of(it, made[host], cell)]


def test_somebody_acts_between_two_tasks(lab: Lab | ForeignCluster, namespace: str, tmp_path: Path) -> None:
    cells = {f"cell-{number}": cell for number, cell in enumerate(SLICE)}
    it, made, seen = played(lab, namespace, tmp_path, cells)
    acted = [host for task in seen for host, _act in task["due"]]
    assert sorted(acted) == sorted(cells), f"nobody acted on {cells.keys() - set(acted)}"
    assert lies(it, made, cells) == [], it.told


@pytest.mark.slow
def test_somebody_acts_between_any_two_tasks(lab: Lab | ForeignCluster, tmp_path: Path) -> None:
    """Every boundary and every act, but for those before anything is there, or after the last look."""
    namespace = lab.create_namespace()
    _it, _made, seen = played(lab, namespace, tmp_path, {"good": ("", 0, "nothing")})
    lab.vacate(namespace)
    boundaries = [tuple(one["task"]) for one in seen]
    begun, last = boundaries.index((BEGUN, 1)), boundaries.index((PROMOTES, 1))
    every = [(*boundary, act) for boundary in boundaries[begun : last + 1] for act in ACTS if act != "nothing"]
    wrong: list[str] = []
    for first in range(0, len(every), FEW_HOSTS):
        namespace = lab.create_namespace()
        cells = {f"cell-{first + number}": cell for number, cell in enumerate(every[first : first + FEW_HOSTS])}
        directory = tmp_path / str(first)
        directory.mkdir()
        it, made, _seen = played(lab, namespace, directory, cells)
        wrong += lies(it, made, cells)
        lab.vacate(namespace)
    assert wrong == [], "\n".join(wrong)


def test_a_task_that_changes_the_variables_of_the_role_changes_nothing_of_its_release(
    lab: Lab | ForeignCluster, tmp_path: Path
) -> None:
    """It is taken back where it began, as it was to be, whether the task that has changed them goes well or not."""
    astray = {
        "canary_name": "another",
        "canary_namespace": "nowhere",
        "canary_on_failure": "hold",
        "canary_gate": "stop",
    }
    # What an undo is asked with, made wrong or unreadable.
    wrong = {"canary_wait_timeout": "soon", "canary_field_ownership": "mine", "canary_display": "loud"}
    unreadable = tmp_path / "unreadable.json"
    unreadable.write_text(json.dumps({"canary_wait_for_nodes": "{{ nothing }}", "canary_kubeconfig": "{{ nothing }}"}))
    hosts: dict[str, dict[str, Any]] = {}
    for host, that, sets in (("goes-well", True, astray), ("fails", False, {**astray, **wrong})):
        verify = tmp_path / f"{host}.yml"
        spoils = [{"set_fact": sets}, *([] if that else [{"include_vars": {"file": str(unreadable)}}])]
        verify.write_text(json.dumps([*spoils, {"name": "Compare", "assert": {"that": that}}]))
        hosts[host] = {"verify_tasks": str(verify), "headroom": "skip", "wait_timeout": 60}
    with side_by_side(lab, tmp_path, hosts) as played:
        assert played.it.outcomes == dict.fromkeys(hosts, "undone"), played.it.told
        assert "name is another, and it was goes-well" in played.why("goes-well")[0]
        for host in hosts:
            assert (played.it.results[host]["name"], played.made[host].image) == (host, V1)
            assert "coalmine.canary/record" not in played.made[host].deployment()["metadata"].get("annotations", {})
