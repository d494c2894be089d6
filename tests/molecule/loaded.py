# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the scenario real_nodes: one real node, and an application under a load that outlives this process.

The load keeps the cluster: with it, which ends by itself, ends what an interrupted run left behind.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.cluster.build import tell
from tests.cluster.lab import start_lab
from tests.cluster.paths import own_lab_directory
from tests.cluster.realnodes.machine import RealNodesImpossible, expected
from tests.cluster.services import wait_for_answer
from tests.cluster.teardown import tear_down
from tests.demo.workload import CONTAINER, NAME, NAMESPACE, manifests

LAB = "molecule-real"
STABLE, GOOD, BAD = "v1", "v2", "crash"
RATE = "100"
# Whatever becomes of the scenario, the load ends.
LONGEST = "300s"
PATIENCE = "10s"


def up(description: Path) -> None:
    """Starts all of it and describes it in the file; where no real node can run, the description is empty."""
    down()
    try:
        lab = start_lab(own_lab_directory(LAB), real_nodes=1)
    except RealNodesImpossible as reason:
        if expected():
            raise
        tell(f"no real nodes on this machine: {reason}")
        description.write_text("{}", encoding="utf-8")
        return
    lab.kubectl("apply", "-f", "-", input=manifests(STABLE))
    lab.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{NAME}", "--timeout=120s")
    address = lab.kubectl("-n", NAMESPACE, "get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}")
    wait_for_answer(f"http://{address}/")
    total = description.with_suffix(".total")
    with total.open("w", encoding="utf-8") as output:
        load = subprocess.Popen(
            [
                lab.programs / "load",
                "-url",
                f"http://{address}/",
                "-rate",
                RATE,
                "-timeout",
                PATIENCE,
                "-duration",
                LONGEST,
            ],
            stdout=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lab.user],
        )
    facts = {
        "kubeconfig": str(lab.kubeconfig),
        "load": load.pid,
        "total": str(total),
        "name": NAME,
        "namespace": NAMESPACE,
        "images": {version: {CONTAINER: f"lab.local/app:{version}"} for version in (STABLE, GOOD, BAD)},
    }
    description.write_text(json.dumps(facts), encoding="utf-8")
    lab.leave()


def down() -> None:
    tear_down(own_lab_directory(LAB))
