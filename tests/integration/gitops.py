# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment that a GitOps tool applies, and the playbooks of both orders beside that tool."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED, ROOT, Run, ansible_playbook
from tests.pages import fenced
from tests.situations import Web, image

REPLICAS = 3
# As many as come while a release takes its time.
SOME_ROUNDS = 3
NEVER_READY = {"lab.coalmine/never-ready": "true"}
good_and_bad = pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])


@dataclass(frozen=True)
class FromGit(ABC):
    """Git is a folder of branches, each a folder with the manifest `web.yaml`; the tool applies that of `main`."""

    lab: Lab
    web: Web
    folder: Path

    @abstractmethod
    def looks(self) -> None:
        """At Git, and has done what it does of what main says."""

    @abstractmethod
    def goes_on(self) -> None:
        """It applies by itself what it knows, again and again, and has done so some times."""

    def commit(self, made: Mapping[str, Any], **metadata: Any) -> None:
        """Main says this; the tool does not know it yet."""
        committed(self.folder / "main", made, **metadata)

    def merge(self, version: str, **metadata: Any) -> None:
        """Main says this, and the tool knows it and has done what it does."""
        self.commit(manifest(self.web, version), **metadata)
        self.looks()

    def copying(self, source: str, target: str) -> list[str]:
        """The command after which the one branch says what the other does."""
        return ["cp", *(str(self.folder / branch / "web.yaml") for branch in (source, target))]

    def managers(self) -> set[str]:
        """Of whatever is in the spec."""
        return {entry["manager"] for entry in self._managed() if "f:spec" in entry["fieldsV1"]}

    def _managed(self) -> list[dict[str, Any]]:
        return list(self.web.get()["metadata"]["managedFields"])

    @contextmanager
    def no_pod_moves(self, version: str) -> Iterator[None]:
        """What runs is of this version, before and after."""
        before = self._pods()
        assert self.web.split() == {version: REPLICAS}
        yield
        assert (self._pods(), self.web.split()) == (before, {version: REPLICAS})

    def _pods(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.web.pods()}

    def played(self, name: str, commands: Mapping[str, Sequence[str]], of: str, *, good: bool) -> Run:
        """The example to its end, for the manifest of this branch and with these commands in place of its own. A bad version is waited for
        in vain."""
        here = {
            "namespace: shop": f"namespace: {self.web.namespace}",
            "context: production": f"kubeconfig: {self.lab.kubeconfig}",
            "bake: 300": f"bake: 1\n            wait_timeout: {120 if good else 8}",
        }
        names = re.compile("|".join(map(re.escape, here)))
        play = self.folder / name
        play.write_text(names.sub(lambda found: here[found[0]], (ROOT / "examples" / name).read_text()))
        variables = {**commands, "manifest": str(self.folder / of / "web.yaml")}
        environment = {"K8S_AUTH_KUBECONFIG": str(self.lab.kubeconfig)}
        run = ansible_playbook(play, "-e", json.dumps(variables), environment=environment)
        assert run.code == (0 if good else FAILED), run.output
        return run

    def assert_as_git_says(self, version: str) -> None:
        """As the tool goes on no pod moves, and nothing of the release is left."""
        with self.no_pod_moves(version):
            self.goes_on()
        assert self.web.phase == "none"
        assert FIELD_MANAGER not in {entry["manager"] for entry in self._managed()}
        made = json.loads((self.folder / "main" / "web.yaml").read_text())
        assert made["spec"]["template"]["spec"]["containers"][0]["image"] == image(version)


def manifest(web: Web, version: str, *, good: bool = True) -> dict[str, Any]:
    """Of this version, whose pods never get Ready unless it is good."""
    made = web.manifest(REPLICAS, {} if good else NEVER_READY)
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image(version)
    return made


def committed(branch: Path, made: Mapping[str, Any], **metadata: Any) -> None:
    branch.mkdir(exist_ok=True)
    (branch / "web.yaml").write_text(json.dumps({**made, "metadata": {**made["metadata"], **metadata}}))


def documented(setting: str, *, having: str, page: str = "gitops") -> list[dict[str, Any]]:
    """What that page tells a tool to ignore: the list under this setting whose rows have this key."""
    shown = [made.get("spec") or made for made in fenced(ROOT / f"docs/{page}.md") if isinstance(made, dict)]
    (rules,) = (made[setting] for made in shown if any(having in row for row in made.get(setting, ())))
    return list(rules)
