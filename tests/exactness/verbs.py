# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ways to ask the verbs of one Deployment: in-process, and as a user's playbook does. Both answer with the documented
return value `canary`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from tests.integration.releases import CONTAINER, WAIT_SECONDS, Release, image

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK_SECONDS = 300

Canary = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A canary: its version, its size, and what else of the pod template it patches."""

    version: str
    pods: int
    surge: int
    patch: Mapping[str, Any]


class Verbs(Protocol):
    def start(self, asked: Asked) -> Canary: ...

    def promote(self) -> Canary: ...

    def undo(self) -> Canary: ...


class InProcess:
    def __init__(self, release: Release) -> None:
        self._release = release

    def start(self, asked: Asked) -> Canary:
        return self._release.start(asked.version, asked.pods, asked.surge, asked.patch).canary

    def promote(self) -> Canary:
        return self._release.promote().canary

    def undo(self) -> Canary:
        return self._release.undo().canary


class PlaybookFailed(RuntimeError):
    """ansible-playbook ended with an error; the text is what it said."""


class ThroughAnsible:
    """Each verb is a playbook with one task of it."""

    def __init__(self, release: Release, kubeconfig: Path) -> None:
        self._target = {"name": release.name, "namespace": release.namespace, "wait_timeout": int(WAIT_SECONDS)}
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}

    def start(self, asked: Asked) -> Canary:
        size = {"pods": asked.pods, "surge": asked.surge}
        template = {"images": {CONTAINER: image(asked.version)}, "pod_template_patch": asked.patch}
        return self._play("canary_start", **template, **size)

    def promote(self) -> Canary:
        return self._play("canary_promote")

    def undo(self) -> Canary:
        return self._play("canary_undo", reason="trial")

    def _play(self, verb: str, **arguments: Any) -> Canary:
        with TemporaryDirectory() as directory:
            answer, playbook = Path(directory, "answer.json"), Path(directory, "playbook.yml")
            tasks = [
                {f"coalmine.canary.{verb}": {**self._target, **arguments}, "register": "answer"},
                {"ansible.builtin.copy": {"content": "{{ answer.canary | to_json }}", "dest": str(answer)}},
            ]
            play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
            playbook.write_text(json.dumps([play]))
            done = subprocess.run(
                [Path(sys.executable).parent / "ansible-playbook", playbook],
                cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PLAYBOOK_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode:
                raise PlaybookFailed(done.stdout + done.stderr)
            canary: Canary = json.loads(answer.read_text())
            return canary
