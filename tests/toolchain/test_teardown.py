# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that ends while others begin, each of which removes what is dead before: only one of them takes it down."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import processes
from tests.cluster.layout import Layout
from tests.cluster.locks import shared
from tests.cluster.paths import labs_root
from tests.cluster.teardown import room_for, sweep, tear_down
from tests.situations import until

TIMES, FILES = 12, 100


def begun(name: str) -> Path:
    """A cluster of one process, with some files."""
    place = Layout(labs_root() / name)
    with room_for(place.directory):
        for number in range(FILES):
            (place.directory / str(number)).touch()
        record = place.record("sleep")
        with shared(place.alive) as alive:
            processes.start(record, ["sleep", "120"], log=place.log("sleep"), inherited=[alive])
        until(lambda: record.exists() and processes.Recorded.read(record), "it runs")
    return place.directory


def test_nobody_sweeps_away_what_is_being_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    over = threading.Event()

    def sweeps() -> None:
        while not over.is_set():
            sweep()

    with ThreadPoolExecutor(1) as beside:
        sweeping = beside.submit(sweeps)
        try:
            for number in range(TIMES):
                tear_down(begun(f"lab-{number}"))
        finally:
            over.set()
        sweeping.result()
    assert not list(labs_root().iterdir())
