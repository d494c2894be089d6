# SPDX-License-Identifier: GPL-3.0-or-later
"""Whichever way a cluster ends, nothing of it is left: no process, link, route, mount, namespace, cgroup, directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.build import CONTROL_PLANE, NODE, ensure_built
from tests.cluster.foreign import VARIABLE
from tests.cluster.gateway.program import definitions, ensure_traefik
from tests.cluster.images import ensure_programs
from tests.cluster.paths import REPOSITORY
from tests.cluster.realnodes.machine import RealNodesImpossible, expected, require_runtime
from tests.situations import until
from tests.toolchain.stages import environment

TIMEOUT_SECONDS = 150
ROOT = os.geteuid() == 0
# /run is where real nodes of this machine lock each other out: this machine is another one
SANDBOX = [
    "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
    "sh", "-c", 'ip link set lo up && mount -t tmpfs tmpfs /run && exec "$@"', "sandbox",
]  # fmt: skip

# Each end once, and each level; the others are too long for what they add.
CASES = [
    ("interrupt", "fake", "kube-apiserver"),
    ("kill-all", "fake", "kube-apiserver"),
    ("kill", "gateway", "traefik-1-1"),
    ("down", "real", "up"),
    ("kill-everything", "real", "kube-apiserver"),
]
OTHERS = [
    ("kill", "fake", "etcd"),
    ("interrupt", "real", "kube-scheduler"),
    ("kill", "real", "real-1"),
    ("kill-all", "real", "kube-scheduler"),
]


@pytest.fixture(scope="module", autouse=True)
def everything_is_built() -> None:
    """A build in the middle would make the moments of the cases meaningless."""
    ensure_built(CONTROL_PLANE + NODE)
    ensure_programs()
    ensure_traefik()
    list(definitions())


@pytest.mark.parametrize(
    "case", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)], ids="-".join
)
def test_nothing_is_left(case: tuple[str, str, str]) -> None:
    end, level, moment = case
    if level != "fake" and not ROOT:
        pytest.skip("only root can change the network of a machine")
    if level == "real":
        try:
            require_runtime(print)
        except RealNodesImpossible as reason:
            assert not expected(), reason
            pytest.skip(str(reason))
    scenario = [sys.executable, "-m", "tests.integration.cluster_ends", end, level, moment]
    command = [*SANDBOX, *scenario] if ROOT else scenario
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}


def molecule() -> subprocess.Popen[str]:
    """Of the one scenario that only starts a cluster and removes it."""
    surroundings = {name: value for name, value in environment().items() if name != VARIABLE}
    command = [sys.executable, "-m", "tests.molecule", "test", "-s", "default"]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def test_molecule_begins_anew_where_a_run_was_killed() -> None:
    with molecule() as killed:
        assert killed.stdout
        told = next(line for line in killed.stdout if "writes down of this run: " in line)
        folder = Path(told.partition(": ")[2].strip())
        until((folder / "cluster.json").exists, "molecule has its cluster")
        os.killpg(killed.pid, signal.SIGKILL)
        until(lambda: not folder.parent.exists(), "the cluster is gone, and with it what molecule wrote down")
    with molecule() as again:
        told, _ = again.communicate()
    assert again.returncode == 0 and "already created" not in told, told
