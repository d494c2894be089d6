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

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.requests import (
    Call,
    NewTemplate,
    PromoteRequest,
    Size,
    StartRequest,
    Target,
    UndoRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.undo import undo

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 240
PLAYBOOK_SECONDS = 300
REASON = "trial"

Canary = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A canary: image of each container, template patch, size."""

    images: Mapping[str, str]
    patch: Mapping[str, Any]
    pods: int
    surge: int


class Verbs(Protocol):
    def start(self, asked: Asked) -> Canary: ...

    def promote(self) -> Canary: ...

    def undo(self) -> Canary: ...


def silent(line: str) -> None:
    del line


class InProcess:
    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._call = Call(Target(name, namespace), Wait(timeout=WAIT_SECONDS), actor="exactness")

    def start(self, asked: Asked) -> Canary:
        template = NewTemplate(images=asked.images, patch=asked.patch)
        request = StartRequest(self._call, template, Size(asked.pods), surge=asked.surge)
        return start(self._api, request, silent).canary

    def promote(self) -> Canary:
        return promote(self._api, PromoteRequest(self._call), silent).canary

    def undo(self) -> Canary:
        return undo(self._api, UndoRequest(self._call, reason=REASON), silent).canary


class PlaybookFailed(RuntimeError):
    """ansible-playbook ended with an error; the text is what it said."""


class ThroughAnsible:
    """Each verb is a playbook with one task of it."""

    def __init__(self, kubeconfig: Path, namespace: str, name: str) -> None:
        self._target = {"name": name, "namespace": namespace, "wait_timeout": WAIT_SECONDS}
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}

    def start(self, asked: Asked) -> Canary:
        return self._play(
            "canary_start", images=asked.images, pod_template_patch=asked.patch, pods=asked.pods, surge=asked.surge
        )

    def promote(self) -> Canary:
        return self._play("canary_promote")

    def undo(self) -> Canary:
        return self._play("canary_undo", reason=REASON)

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
