# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of a run took and why it failed. A pytest plugin, which tests/conftest.py loads.

What each test took is kept for the order of later runs (durations.py). With `--outcomes FILE` the run is also written down:

    {"load": [1, 5 and 15 minutes], "tests": {ID: {"seconds": 1.5, "reason": "" or why it failed}}}
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain import durations

LONGEST_REASON = 2000


@dataclass
class Outcome:
    """Of one test, in seconds of its set-up, call and clean-up together."""

    seconds: float = 0.0
    reason: str = ""


@dataclass(eq=False)
class Recorder:
    """Hears of every test of a run, also of those that other processes run (pytest-xdist)."""

    destination: Path | None
    tests: dict[str, Outcome] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = self.tests.setdefault(report.nodeid, Outcome())
        outcome.seconds += report.duration
        if report.failed and not outcome.reason:
            outcome.reason = f"{report.when}: {reason_of(report)}"

    def pytest_sessionfinish(self) -> None:
        durations.remember({name: outcome.seconds for name, outcome in self.tests.items()})
        if self.destination:
            tests = {name: {"seconds": round(one.seconds, 3), "reason": one.reason} for name, one in self.tests.items()}
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            self.destination.write_text(json.dumps({"load": os.getloadavg(), "tests": tests}, indent=1))


def reason_of(report: pytest.TestReport) -> str:
    """The message of the exception; all that is shown where there is none, as when a process of the run died."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longreprtext).strip()[:LONGEST_REASON]


def failed(recorded: Path) -> dict[str, str]:
    """ID -> reason, of a run that was written down."""
    tests: dict[str, dict[str, Any]] = json.loads(recorded.read_text())["tests"]
    return {name: test["reason"] for name, test in tests.items() if test["reason"]}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, metavar="FILE", help="write down what every test took, and why it failed")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[durations.MEASURED] = config.workerinput["measured"]
    else:
        config.stash[durations.MEASURED] = durations.read(durations.measured_here())
        config.pluginmanager.register(Recorder(config.getoption("--outcomes")), "outcomes")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a new process of the run (pytest-xdist)."""
    node.workerinput["measured"] = node.config.stash[durations.MEASURED]
