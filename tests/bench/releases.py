# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release costs: by the role, in one task, and verb by verb; beside kubectl and kubernetes.core.

Everything is a command that a user could type, on one Deployment of 10 fake pods that are Ready at once. All commands are run in turn,
so that a machine that gets slower meanwhile is slower for all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.cluster.lab import Lab
from tests.toolchain.venvs import ENVIRONMENTS

from .costs import Cost, cost_of, median

ROOT = Path(__file__).parents[2]
REPLICAS, MANY = 10, 10
SETTLED = "--timeout=300s"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
OTHER_PLAYBOOK = ENVIRONMENTS["bench"].path / "bin" / "ansible-playbook"
KUBECTL = (
    "kubectl set image deployment/web app={image} && kubectl rollout pause deployment/web && "
    "kubectl rollout resume deployment/web && kubectl rollout status deployment/web"
)
WEB = {"name": "web", "namespace": "{namespace}"}


def task(verb: str, **options: Any) -> dict[str, Any]:
    return {f"coalmine.canary.canary_{verb}": {**WEB, **options}}


INFO = task("info")
IMAGES = {"app": "{image}"}
# The tasks of each play.
PLAYS: Mapping[str, list[dict[str, Any]]] = {
    "bare": [],
    "task": [task("release", images=IMAGES)],
    "task in two steps": [task("release", images=IMAGES, steps=[{"pods": 1}, {"pods": 2}])],
    "verbs": [task("start", images=IMAGES), task("promote")],
    "debug": [{"ansible.builtin.debug": {"msg": ""}}] * MANY,
    "lane": [INFO] * MANY,
    "module": [{**INFO, "environment": {"BENCH": "module"}}] * MANY,
    "ping": [{"ansible.builtin.ping": {}}] * MANY,
    "k8s_info": [{"kubernetes.core.k8s_info": {**WEB, "kind": "Deployment", "api_version": "apps/v1"}}] * MANY,
}
# The first task of a module makes the archive that those after it send again.
ONCE: Mapping[str, list[dict[str, Any]]] = {name: PLAYS[name][:1] for name in ("module", "k8s_info")}
# What the tasks of the role read of the result of its call, as of a release that is over.
DONE = {"release": {"waits_for": "nobody"}, "result": {"outcome": "released"}, "results": {}, "rooms": []}


@dataclass(frozen=True)
class Row:
    """One line of the table. `cost`: beyond the bare command of its kind, where there is one, and of one part of it."""

    what: str
    cost: Cost
    goal: str = ""

    def __str__(self) -> str:
        cost = self.cost
        return (
            f"| {self.what} | {cost.cpu:.2f} s | {cost.wall:.2f} s | {cost.mib:.0f} MiB | {cost.lines} | {self.goal} |"
        )


class Bench:
    """One cluster with one Deployment, and the commands that release it."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab, self.directory = lab, directory
        self.namespace = lab.create_namespace("bench")
        self._versions = cycle(("v2", "v1"))
        self._image = "lab.local/app:v1"
        self.make("web", REPLICAS)

    def make(self, name: str, replicas: int) -> None:
        deployment = ["--namespace", self.namespace, "create", "deployment", name, f"--replicas={replicas}"]
        self.lab.kubectl(*deployment, f"--image={self._image}")

    def settle(self) -> None:
        self.lab.kubectl(
            "--namespace", self.namespace, "wait", "--for=condition=Available", "deployment", "--all", SETTLED
        )

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "KUBECONFIG": str(self.lab.kubeconfig),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{self.lab.binaries}:{os.environ['PATH']}",
        }

    def another_version(self) -> None:
        self._image = f"lab.local/app:{next(self._versions)}"

    def play(self, tasks: list[dict[str, Any]], playbook: Path = PLAYBOOK, told: Any = None, **more: Any) -> Cost:
        """`told`: what stands for the result of the role's calls. `more`: of the play."""
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks, **more}
        written = self.directory / "play.yml"
        written.write_text(self._here(json.dumps([play], indent=1)))
        extra = ["--extra-vars", json.dumps({"_canary_told": told})] if told else []
        return cost_of([playbook, written, *extra], self.environment, ROOT)

    def role(self, *steps: int) -> Cost:
        given = {"name": "web", "namespace": "{namespace}", "images": IMAGES, "steps": [{"pods": n} for n in steps]}
        variables = self._here(json.dumps({f"canary_{name}": value for name, value in given.items()}))
        command: list[str | Path] = [PLAYBOOK, ROOT / "playbooks" / "canary.yml", "--extra-vars", variables]
        return cost_of(command, self.environment, ROOT)

    def idle_role(self) -> Cost:
        """A copy of the role with `debug` wherever it calls `canary_release`: what ansible-core itself takes for its tasks and options."""
        shutil.copytree(ROOT / "roles" / "canary", self.directory / "roles" / "idle", dirs_exist_ok=True)
        for tasks in (self.directory / "roles" / "idle" / "tasks").iterdir():
            tasks.write_text(tasks.read_text().replace("coalmine.canary.canary_release", "ansible.builtin.debug"))
        return self.play([], roles=["idle"], vars={"canary_name": "web", "canary_images": IMAGES}, told=DONE)

    def kubectl(self) -> Cost:
        script = self._here(KUBECTL.replace("kubectl ", "kubectl --namespace {namespace} "))
        return cost_of(["sh", "-ec", script], self.environment, ROOT)

    def _here(self, text: str) -> str:
        return text.replace("{namespace}", self.namespace).replace("{image}", self._image)


def measured(lab: Lab, directory: Path, times: int) -> tuple[list[Row], dict[str, float]]:
    """The table of one Deployment, with medians of so many rounds, and ratios of them."""
    bench = Bench(lab, directory)
    bench.settle()
    commands: Mapping[str, tuple[bool, Callable[[], Cost]]] = {
        # Each with whether it releases another version than the one that runs.
        "bare": (False, lambda: bench.play(PLAYS["bare"])),
        "kubectl": (True, bench.kubectl),
        "verbs": (True, lambda: bench.play(PLAYS["verbs"])),
        "task": (True, lambda: bench.play(PLAYS["task"])),
        "task again": (False, lambda: bench.play(PLAYS["task"])),
        "task in two steps": (True, lambda: bench.play(PLAYS["task in two steps"])),
        "role": (True, lambda: bench.role(1)),
        "role again": (False, lambda: bench.role(1)),
        "role in two steps": (True, lambda: bench.role(1, 2)),
        "idle role": (False, bench.idle_role),
        "debug": (False, lambda: bench.play(PLAYS["debug"])),
        "lane": (False, lambda: bench.play(PLAYS["lane"])),
        "module": (False, lambda: bench.play(PLAYS["module"])),
        "module once": (False, lambda: bench.play(ONCE["module"])),
        "ping": (False, lambda: bench.play(PLAYS["ping"])),
        "other bare": (False, lambda: bench.play(PLAYS["bare"], OTHER_PLAYBOOK)),
        "k8s_info": (False, lambda: bench.play(PLAYS["k8s_info"], OTHER_PLAYBOOK)),
        "k8s_info once": (False, lambda: bench.play(ONCE["k8s_info"], OTHER_PLAYBOOK)),
    }
    found: dict[str, list[Cost]] = defaultdict(list)
    for _round in range(times):
        for name, (releases, command) in commands.items():
            if releases:
                bench.another_version()
            found[name].append(command())
            bench.settle()
    cost = {name: median(costs) for name, costs in found.items()}
    return list(_rows(cost)), _ratios(cost)


def _rows(cost: Mapping[str, Cost]) -> Iterator[Row]:
    bare = cost["bare"]
    yield Row("`ansible-playbook` without a task", bare)
    yield Row("one release by the role, beyond that", cost["role"].beyond(bare), "0.5 s CPU, 0.7 s wall")
    yield Row("the same in two steps", cost["role in two steps"].beyond(bare), "40 lines")
    yield Row("the role with nothing to do", cost["role again"].beyond(bare), "0.2 s CPU")
    yield Row("the same role with `debug` in place of `canary_release`", cost["idle role"].beyond(bare))
    yield Row("one release by `canary_release`", cost["task"].beyond(bare), "")
    yield Row("the same in two steps", cost["task in two steps"].beyond(bare), "40 lines")
    yield Row("`canary_release` with nothing to do", cost["task again"].beyond(bare), "0.2 s CPU")
    yield Row(
        "one release by `canary_start` and `canary_promote`", cost["verbs"].beyond(bare), "2 times kubectl's wall"
    )
    yield Row("`kubectl set image`, `rollout pause`, `resume`, `status`: no exact canary", cost["kubectl"])
    debug, lane, module, ping = (cost[name].beyond(bare).split(MANY) for name in ("debug", "lane", "module", "ping"))
    other = cost["k8s_info"].beyond(cost["other bare"]).split(MANY)
    yield Row(f"one `canary_info` of {MANY} in a play, in-process", lane, "0.06 s wall")
    yield Row("one `ansible.builtin.debug`, an action that does nothing", debug)
    yield Row(f"one `canary_info` of {MANY} in a play, as a module", module, "0.35 s wall")
    yield Row("the first of them", cost["module once"].beyond(bare))
    yield Row("each after it", _further(cost, "module"))
    yield Row("one `ansible.builtin.ping`, a module that does nothing", ping)
    yield Row("one `kubernetes.core.k8s_info`, beyond its own `ansible-playbook`", other)
    yield Row("the first of them", cost["k8s_info once"].beyond(cost["other bare"]))
    yield Row("each after it", _further(cost, "k8s_info"))


def _further(cost: Mapping[str, Cost], name: str) -> Cost:
    """One of the tasks of a play that its first has made the archive for."""
    return cost[name].beyond(cost[f"{name} once"]).split(MANY - 1)


def _ratios(cost: Mapping[str, Cost]) -> dict[str, float]:
    """Of seconds from the same run: they hold where seconds do not."""
    bare = cost["bare"]
    verbs, task, role, lane, module = (cost[name].beyond(bare) for name in ("verbs", "task", "role", "lane", "module"))
    other = cost["k8s_info"].beyond(cost["other bare"])
    return {
        "wall, verbs to kubectl": verbs.wall / cost["kubectl"].wall,
        "wall, `canary_release` to kubectl": task.wall / cost["kubectl"].wall,
        "CPU, role to `canary_release`": role.cpu / task.cpu,
        "CPU, in-process task to `k8s_info`": lane.cpu / other.cpu,
        "CPU, module to `k8s_info`": module.cpu / other.cpu,
    }
