# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves behind: what each test took and why it failed, also when several processes ran them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.contents import described
from tests.toolchain.durations import read
from tests.toolchain.outcomes import failed
from tests.toolchain.venvs import ROOT

TESTS = """
import os, time, pytest

@pytest.fixture
def broken():
    raise RuntimeError("no cluster here")

def test_good():
    time.sleep(0.02)

def test_bad():
    assert 1 + 1 == 3, "arithmetic"

def test_without_its_fixture(broken):
    pass

@pytest.mark.timeout(0.1)
def test_hangs():
    time.sleep(60)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2", "--dist", "loadfile"]], ids=["alone", "two processes"])
def test_a_run_is_written_down(workers: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.toolchain.outcomes", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, *workers, "--outcomes", "out/run.json", "test_some.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    recorded = tmp_path / "out" / "run.json"
    why = {name.partition("::")[2]: reason.splitlines()[0] for name, reason in failed(recorded).items()}
    assert why == {
        "test_bad": "call: AssertionError: arithmetic",
        "test_without_its_fixture": "setup: RuntimeError: no cluster here",
        "test_hangs": "call: Failed: Timeout (>0.1s) from pytest-timeout.",
    }
    assert len(json.loads(recorded.read_text())["load"]) == 3
    kept = read(tmp_path / "cache" / "coalmine-canary" / "durations.json")
    assert kept.keys() == {f"test_some.py::test_{name}" for name in ("good", "bad", "without_its_fixture", "hangs")}
    assert kept["test_some.py::test_good"] >= 0.02


def test_what_a_namespace_holds_is_told_in_lines() -> None:
    template = {"spec": {"containers": [{"name": "app", "image": "lab.local/app:v2"}]}}
    owner = {
        "manager": "kubectl",
        "operation": "Update",
        "subresource": "scale",
        "time": "T",
        "fieldsV1": {"f:spec": {}},
    }
    event = {"kind": "Event", "metadata": {"creationTimestamp": "2026-01-01T00:00:02Z"}, "type": "Warning"}
    shown = described(
        [
            event | {"reason": "Late", "message": "second", "involvedObject": {"kind": "Pod", "name": "web-1"}},
            event | {"reason": "Soon", "message": "first", "lastTimestamp": "2026-01-01T00:00:01Z"},
            {
                "kind": "Deployment",
                "metadata": {"name": "web", "generation": 3, "managedFields": [owner]},
                "spec": {"replicas": 4},
                "status": {"observedGeneration": 2},
            },
            {"kind": "ReplicaSet", "metadata": {"name": "web-a"}, "spec": {"replicas": 1, "template": template}},
            {"kind": "Pod", "metadata": {"name": "web-1"}, "spec": {"nodeName": "fake-1", **template["spec"]}},
        ]
    ).splitlines()
    assert shown == [
        'Deployment web {"generation": 3}',
        '  spec {"replicas": 4}',
        '  status {"observedGeneration": 2}',
        '  written by kubectl: Update of scale at T: {"f:spec": {}}',
        "ReplicaSet web-a {}",
        '  spec {"images": ["lab.local/app:v2"], "replicas": 1}',
        "  status {}",
        "Pod web-1 {}",
        '  spec {"images": ["lab.local/app:v2"], "nodeName": "fake-1"}',
        "  status {}",
        "Event 2026-01-01T00:00:01Z Warning Soon None/None: first",
        "Event 2026-01-01T00:00:02Z Warning Late Pod/web-1: second",
    ]
