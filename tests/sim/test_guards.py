# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation bites: without any one of the guards of the verbs it finds a violation."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.sim.guards import GUARDS
from tests.sim.running import play
from tests.sim.telling import report

# Nearly all are noticed in one of the first five; a change of the verbs may make it one of the next. Half a minute's worth.
MOST_HISTORIES = 600

# What the verbs would be without a guard is none of what ships.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_a_rule_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = GUARDS[name]
    guard.without(monkeypatch)
    for played, history in enumerate(islice(guard.histories(), MOST_HISTORIES), 1):
        found = play(history)
        if found.violations:
            print(f"after {played} histories:", *report(found), sep="\n")
            return
    raise AssertionError(f"nothing is found without {name} in {MOST_HISTORIES} histories")
