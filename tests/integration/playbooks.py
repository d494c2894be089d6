# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the shipped playbooks, as a person or a job would run them: a process with variables, a connection, no terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LONGEST_SECONDS = 240
FAILED = 2  # ansible-playbook's exit code


@dataclass(frozen=True)
class Run:
    """How a run ended."""

    code: int
    output: str

    @cached_property
    def result(self) -> dict[str, Any]:
        """`canary_result`, as jobs after this one see it."""
        found = re.search(r"^\tRUN: (\{.*\})\s*$", self.output, re.MULTILINE)
        assert found, self.output
        return dict(json.loads(found[1])["canary_result"])

    @property
    def outcome(self) -> str:
        return str(self.result["outcome"])

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return int(self._recap("changed"))

    def _recap(self, what: str) -> str:
        found = re.search(rf"^localhost +: .*\b{what}=(\d+)", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]


@dataclass(frozen=True)
class Playbooks:
    """The playbooks of one Deployment, run with one kubeconfig."""

    kubeconfig: Path
    namespace: str
    name: str = "web"

    def command(self, playbook: str, *options: str, **variables: Any) -> list[str]:
        """Variables are those of the role, without their prefix."""
        given = {"canary_name": self.name, "canary_namespace": self.namespace}
        given |= {f"canary_{key}": value for key, value in variables.items()}
        path = ROOT / "playbooks" / f"{playbook}.yml"
        return [str(PLAYBOOK), str(path), *options, "--extra-vars", json.dumps(given)]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SHOW_CUSTOM_STATS": "true",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "true",
        }

    def interrupted(
        self, sign: str, interfere: Callable[[], object], playbook: str, *options: str, **variables: Any
    ) -> Run:
        """A run in which something happens as soon as its output says `sign`, once."""
        command = ["timeout", str(LONGEST_SECONDS), *self.command(playbook, *options, **variables)]
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout is not None
            for line in running.stdout:
                if sign in line and not any(sign in earlier for earlier in lines):
                    interfere()
                lines.append(line)
        output = "".join(lines)
        assert sign in output, output
        return Run(running.returncode, output)

    def run(self, playbook: str, *options: str, **variables: Any) -> Run:
        done = subprocess.run(
            self.command(playbook, *options, **variables),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout)
