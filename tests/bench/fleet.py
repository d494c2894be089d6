# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet costs: one task for all releases, beside a host for each.

python -m tests.bench.fleet KUBECONFIG NAMESPACE BAKE    releases all Deployments of the namespace in this process, prints JSON
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from tests.cluster.lab import Lab

from .costs import KIB_A_MIB, Cost, cost_of

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
REPLICAS = 3
BAKE = 10


@dataclass(frozen=True)
class FleetCost(Cost):
    """`lines` of progress. `slowest`: seconds of the longest of the releases, by its own timeline."""

    slowest: float

    def __str__(self) -> str:
        return f"wall {self.wall:.1f} s, {self.mib:.0f} MiB, {self.lines} lines"


@contextmanager
def deployments(lab: Lab, count: int) -> Iterator[str]:
    """A namespace with so many Deployments of fake pods that are all Ready."""
    namespace = lab.create_namespace("fleet")
    apps = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        for number in range(count):
            api.create(apps, _manifest(f"w{number}"))
        while any(one["status"].get("availableReplicas") != REPLICAS for one in api.list(apps)["items"]):
            time.sleep(0.5)
    yield namespace
    lab.delete_namespace(namespace)


def _manifest(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": "lab.local/app:v1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def in_one_process(lab: Lab, count: int, bake: int = 0) -> FleetCost:
    """A process of its own, whose memory and time are nobody else's. `bake` in seconds."""
    with deployments(lab, count) as namespace:
        command = [sys.executable, "-m", "tests.bench.fleet", str(lab.kubeconfig), namespace, str(bake)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return FleetCost(**json.loads(done.stdout))


def by_ansible(lab: Lab, count: int, forks: int, play: Callable[[Lab, str, int], dict[str, Any]]) -> Cost:
    """ansible-playbook as a whole, with a bake of `BAKE` seconds in each release."""
    with deployments(lab, count) as namespace:
        book = Path(lab.kubeconfig).with_name(f"bench-{namespace}.json")
        book.write_text(json.dumps([play(lab, namespace, count)]), encoding="utf-8")
        hosts = ",".join(f"w{number}" for number in range(count))
        command = [str(PLAYBOOK), str(book), "--forks", str(forks), "-i", f"{hosts},"]
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        return cost_of(command, environment, ROOT)


def a_host_for_each(lab: Lab, namespace: str, count: int) -> dict[str, Any]:
    task = {"coalmine.canary.canary_release": {"name": "{{ inventory_hostname }}", **_options(lab, namespace)}}
    return {"hosts": "all", "connection": "local", "gather_facts": False, "strategy": "free", "tasks": [task]}


def one_task(lab: Lab, namespace: str, count: int) -> dict[str, Any]:
    releases = [{"name": f"w{number}"} for number in range(count)]
    task = {
        "coalmine.canary.canary_fleet": {
            "releases": releases,
            "defaults": _options(lab, namespace),
            "waves": ["100%"],
        }
    }
    return {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}


def _options(lab: Lab, namespace: str) -> dict[str, Any]:
    steps = [{"pods": 1, "bake": BAKE}]
    images = {"app": "lab.local/app:v2"}
    return {"namespace": namespace, "images": images, "steps": steps, "kubeconfig": str(lab.kubeconfig)}


def released(kubeconfig: str, namespace: str, bake: int) -> FleetCost:
    """All Deployments of the namespace, each by itself in one wave, so that each has a time of its own."""
    from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import VERB

    with connect(Connection(kubeconfig=kubeconfig)) as api:
        found = api.list(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    lines: list[str] = []
    arguments = {
        "releases": [{"name": one["metadata"]["name"]} for one in found],
        "defaults": {
            "namespace": namespace,
            "images": {"app": "lab.local/app:v2"},
            "kubeconfig": kubeconfig,
            "bake": bake,
        },
        "waves": ["100%"],
        "together": False,
        "at_once": len(found),
    }
    around = Surroundings("canary_fleet", False, False, lines.append, lines.append, _nothing)
    cpu, begun = time.process_time(), time.monotonic()
    result = run_in_process(VERB, arguments, around)
    cost = time.process_time() - cpu, time.monotonic() - begun
    if result.get("failed"):
        raise RuntimeError(result["msg"])
    slowest = max(_seconds(row["release"]["timeline"]) for row in result["fleet"]["releases"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_A_MIB
    return FleetCost(*cost, peak, len(lines), slowest)


def _seconds(timeline: Sequence[dict[str, Any]]) -> float:
    first, last = (datetime.fromisoformat(timeline[place]["at"].replace("Z", "+00:00")) for place in (0, -1))
    return (last - first).total_seconds()


def _nothing(*_all: object, **_more: object) -> None:
    """Of deprecations nothing is told here."""


if __name__ == "__main__":
    print(json.dumps(vars(released(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
