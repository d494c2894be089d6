# SPDX-License-Identifier: GPL-3.0-or-later
"""One release as a user runs it: ansible-playbook on the collection's own playbook, its pods drawn while it runs."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.lab import Lab

from .picture import Picture, marks
from .traffic import Traffic
from .workload import CONTAINER, NAME, NAMESPACE, image

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks" / "canary.yml"
LOOK_SECONDS = 0.25
# Of a result as Ansible prints it.
RESULT_INDENT, WIDEST = 4, 200
# As canary_verify says it, with the counts of both versions.
EVIDENCE = re.compile(r"after (?P<seconds>\d+) seconds.*worse than tolerated: (?P<counts>canary \d+ bad of [^;]*)")
LONG_MEMBERS = frozenset({"canary:", "progress:", "headroom:", "verify:"})


@dataclass(frozen=True)
class Stage:
    """Where a release plays: the cluster, who sees its pods, and the traffic (None: no pod answers)."""

    lab: Lab
    traffic: Traffic | None
    versions: Sequence[str]
    started: float

    def pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{NAME}"
        items: list[dict[str, Any]] = self.lab.api.request("GET", path)["items"]
        return items


def command(version: str, options: Mapping[str, Any], playbook: Path = PLAYBOOK) -> list[str]:
    """What a user would type."""
    variables = {
        "canary_name": NAME,
        "canary_namespace": NAMESPACE,
        "canary_images": {CONTAINER: image(version)},
        **options,
    }
    return [str(Path(sys.executable).parent / "ansible-playbook"), str(playbook), "-e", json.dumps(variables)]


@dataclass(frozen=True)
class Ended:
    """The playbook's exit status, and by what evidence the canary was judged worse ("" when it was not)."""

    code: int
    evidence: str


def release(stage: Stage, version: str, options: Mapping[str, Any], playbook: Path = PLAYBOOK) -> Ended:
    """Runs it and draws."""
    picture = Picture(stage.versions)
    typed = command(version, options, playbook)
    print(f"\n$ {' '.join(['ansible-playbook', str(playbook.relative_to(ROOT)), *typed[2:]])}")
    print(f"\n{picture.legend()}\n")
    environment = {**os.environ, "KUBECONFIG": str(stage.lab.kubeconfig), "ANSIBLE_FORCE_COLOR": "0"}
    process = subprocess.Popen(
        typed,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    narrator = Narrator(_lines(process))
    while True:
        ended = process.poll() is not None
        _draw(stage, picture)
        narrator.tell()
        if ended:
            return Ended(process.returncode, narrator.evidence)
        time.sleep(LOOK_SECONDS)


def watch_until(stage: Stage, done: Callable[[list[dict[str, Any]]], bool], timeout: float) -> None:
    """Draws until the pods are as wanted. Raises TimeoutError."""
    picture, deadline = Picture(stage.versions), time.monotonic() + timeout
    while not done(stage.pods()):
        _draw(stage, picture)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the pods of the demonstration did not come within {timeout:.0f} s")
        time.sleep(LOOK_SECONDS)
    _draw(stage, picture)


def _draw(stage: Stage, picture: Picture) -> None:
    latest = stage.traffic.latest if stage.traffic else None
    line = picture.draw(time.monotonic() - stage.started, marks(stage.pods(), stage.versions), latest)
    if line:
        print(line, flush=True)


def _lines(process: subprocess.Popen[str]) -> queue.SimpleQueue[str]:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line.rstrip())

    threading.Thread(target=read, daemon=True).start()
    return said


class Narrator:
    """Passes on what ansible-playbook says, without the long members of failed results: they would hide the picture."""

    def __init__(self, lines: queue.SimpleQueue[str]) -> None:
        self._lines = lines
        self._hiding = False
        self.evidence = ""

    def tell(self) -> None:
        while not self._lines.empty():
            line = self._lines.get()
            if found := EVIDENCE.search(line):
                self.evidence = f"after {found['seconds']} s: {found['counts']}"
            indent = len(line) - len(line.lstrip())
            if indent <= RESULT_INDENT:
                self._hiding = line.strip() in LONG_MEMBERS
            if line and not self._hiding:
                print(f"          | {line[:WIDEST]}", flush=True)
