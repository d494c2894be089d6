# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation bites: without any one of the guards of the verbs it finds a violation."""

from __future__ import annotations

import time

import pytest

from tests.sim.guards import GUARDS
from tests.sim.running import play
from tests.sim.telling import report

# Of this machine's time, spent on nothing else. Most take less than five.
MOST_SECONDS = 60.0


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_a_rule_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, began = GUARDS[name], time.process_time()
    guard.without(monkeypatch)
    for played, history in enumerate(guard.histories()):
        assert time.process_time() - began < MOST_SECONDS, f"nothing is found without {name} in {played} histories"
        found = play(history)
        if found.violations:
            print(f"after {played + 1} histories:", *report(found), sep="\n")
            return
    raise AssertionError(f"nothing is found without {name}")
