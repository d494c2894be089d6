# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to a cluster that runs, and to one that is kept: a start that fails leaves nothing of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.construction import PORT_ATTEMPTS, Construction, PortTaken, StartFailed, started
from tests.cluster.layout import Layout

RUNS = ("sleep", "120")


@dataclass
class Addition:
    """One daemon that runs, an object, and one that is to answer."""

    second: Sequence[str]
    answers: Callable[[], bool]
    sites: list[Construction] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)

    def start(self, site: Construction, attempt: int, taking_back: ExitStack) -> int:
        self.sites.append(site)
        site.run(f"first-{attempt}", RUNS)
        taking_back.callback(self.objects.remove, attempt)
        self.objects.append(attempt)
        site.run(f"second-{attempt}", self.second)
        site.wait_until(self.answers, "an answer")
        return attempt

    @property
    def running(self) -> list[str]:
        return [name for site in self.sites for name, child in site.children.items() if child.poll() is None]


def yes() -> bool:
    return True


def no() -> bool:
    return False


def interrupted() -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("second", "answers", "attempts", "kind"),
    [
        (["sh", "-c", "exit 1"], no, 1, StartFailed),
        (["sh", "-c", "echo bind: address already in use; exit 1"], no, PORT_ATTEMPTS, PortTaken),
        (RUNS, interrupted, 1, KeyboardInterrupt),
    ],
    ids=["it ended", "no port", "interrupted"],
)
def test_a_start_that_fails_leaves_nothing(
    second: Sequence[str],
    answers: Callable[[], bool],
    attempts: int,
    kind: type[BaseException],
    tmp_path: Path,
) -> None:
    addition, layout = Addition(second, answers), Layout(tmp_path)
    other = Construction(layout, tmp_path)
    other.run("other", RUNS)
    try:
        with pytest.raises(kind):
            started(layout, tmp_path, addition.start)
        assert other.children["other"].poll() is None
    finally:
        other.end()
    assert len(addition.sites) == attempts
    assert (addition.running, addition.objects, layout.records()) == ([], [], [])


def test_what_has_started_runs_and_what_it_made_stays(tmp_path: Path) -> None:
    addition = Addition(RUNS, yes)
    assert started(Layout(tmp_path), tmp_path, addition.start) == 1
    assert (addition.running, addition.objects) == (["first-1", "second-1"], [1])
    addition.sites[0].end()
    assert not addition.running
