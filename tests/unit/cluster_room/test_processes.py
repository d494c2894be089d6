# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process that left its name has ended: told only where it can be known."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import processes
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.processes import has_ended, this_process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart by /proc")


def test_this_process_lives() -> None:
    assert this_process() == this_process() and not has_ended(this_process())


def test_one_that_has_ended_is_known_also_where_its_number_is_taken_again() -> None:
    child = subprocess.Popen(["sleep", "60"])
    machine, _number, started = this_process().split(".")
    try:
        with open(f"/proc/{child.pid}/stat", encoding="utf-8") as file:
            name = f"{machine}.{child.pid}.{file.read().rpartition(')')[2].split()[19]}"
        assert not has_ended(name)
        assert has_ended(f"{machine}.{child.pid}.{int(started) + 10**6}")
    finally:
        child.kill()
        child.wait()
    assert has_ended(name)


def test_of_a_process_that_its_machine_hides_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for another user where /proc is mounted with hidepid: there is no file of it, and a signal is not permitted."""

    def not_permitted(number: int, signal: int) -> None:
        raise PermissionError

    name = this_process()
    monkeypatch.setattr(processes, "_started", lambda number: "")
    monkeypatch.setattr(os, "kill", not_permitted)
    assert not has_ended(name)


@pytest.mark.parametrize("name", ["", "x", "0123456789ab.1.1", "../../etc.1.1", "\ud800", "²." * 3, "." * 100_000])
def test_of_another_machine_and_of_a_name_that_is_none_nothing_is_known(name: str) -> None:
    assert not has_ended(name)
