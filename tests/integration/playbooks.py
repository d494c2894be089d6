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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LONGEST_SECONDS = 240
FAILED = 2  # ansible-playbook's exit code
PLAIN = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}


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


def ansible_playbook(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, directory: Path = ROOT
) -> Run:
    """Runs it to its end, without a terminal. `environment` is added to ours; plain results, in this tree's configuration."""
    done = subprocess.run(
        [PLAYBOOK, *arguments],
        cwd=directory,
        env={**os.environ, **PLAIN, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout)


@dataclass(frozen=True)
class Playbooks:
    """The playbooks of one Deployment, run with one kubeconfig."""

    kubeconfig: Path
    namespace: str
    name: str = "web"

    def arguments(self, playbook: str, *options: str, **variables: Any) -> list[str]:
        """Variables are those of the role, without their prefix."""
        given = {"canary_name": self.name, "canary_namespace": self.namespace}
        given |= {f"canary_{key}": value for key, value in variables.items()}
        path = ROOT / "playbooks" / f"{playbook}.yml"
        return [str(path), *options, "--extra-vars", json.dumps(given)]

    @property
    def environment(self) -> dict[str, str]:
        return PLAIN | {
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "ANSIBLE_SHOW_CUSTOM_STATS": "true",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }

    def run(self, playbook: str, *options: str, **variables: Any) -> Run:
        return ansible_playbook(*self.arguments(playbook, *options, **variables), environment=self.environment)
