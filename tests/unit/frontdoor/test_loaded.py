# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module loads is compiled anew by each task, so that it loads nothing of what its verb does not do."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLUGINS = "ansible_collections.coalmine.canary.plugins"
SHOWN = "import sys; print(*sys.modules)"
# What waits, writes, or needs more than one answer; and what of Python's own only they need.
LATER = (
    *("cluster.aside", "cluster.crew", "cluster.entry", "cluster.lists", "cluster.tunnel", "cluster.watch"),
    *("rollout.commands", "rollout.owners", "rollout.patches", "rollout.progress", "rollout.size", "rollout.undo"),
    *("verbs.call.explaining", "verbs.call.waiting", "verbs.call.writing"),
)
PYTHON = {"concurrent.futures", "difflib", "multiprocessing", "uuid"}


def loaded(verb: str) -> set[str]:
    """By a module that has not begun yet."""
    code = f"import {PLUGINS}.modules.canary_{verb}; {SHOWN}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("verb", ["info", "watch", "verify", "headroom_info"])
def test_a_verb_that_writes_no_route_loads_no_kind_of_route(verb: str) -> None:
    room = f"{PLUGINS}.module_utils.traffic."
    assert {name.removeprefix(room) for name in loaded(verb) if name.startswith(room)} == {"kinds", "load"}


def test_whoever_only_asks_loads_nothing_that_waits_or_writes() -> None:
    assert not loaded("info") & {*PYTHON, *(f"{PLUGINS}.module_utils.{name}" for name in LATER)}
