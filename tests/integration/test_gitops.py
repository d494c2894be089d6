# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both orders of GitOps, by the playbooks that users copy, beside a loop that applies with force whatever Git says."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER
from tests.cluster.kubectl import KubectlFailed
from tests.cluster.lab import Lab
from tests.integration.playbooks import FAILED, ROOT, Run, ansible_playbook
from tests.integration.situations import Web, webs
from tests.situations import image

REPLICAS = 3
# As Flux' kustomize-controller applies.
APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller")
NEVER_READY = {"lab.coalmine/never-ready": "true"}


@dataclass
class Tool:
    """Git is a folder with the manifest `web.yaml`. As long as `suspended` is there, or the tool syncs only when asked, it does nothing."""

    web: Web
    folder: Path
    automated: bool
    rounds: int = 0
    failed: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def sync(self) -> None:
        self.web.kubectl(*APPLY, "-f", str(self.folder / "main" / "web.yaml"))
        self.rounds += 1

    def loops(self) -> None:
        round_ = self.folder / "round"
        while not self.over.wait(0.3):
            # Before it looks, so that whoever suspends it sees a round that may have looked before.
            round_.touch()
            try:
                asked = self.folder / "asked"
                if (self.automated and not (self.folder / "suspended").exists()) or asked.exists():
                    asked.unlink(missing_ok=True)
                    self.sync()
            except (KubectlFailed, OSError) as error:  # told by the test, which runs in another thread
                self.failed.append(error)
                return
            finally:
                round_.unlink()


def manifest(web: Web, version: str, **annotations: str) -> dict[str, Any]:
    made = web.manifest(REPLICAS, annotations)
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image(version)
    return made


@contextmanager
def git_of(lab: Lab, folder: Path, *, automated: bool, good: bool) -> Iterator[Tool]:
    """Main says v1, which runs, and a branch says v2, which never gets Ready unless it is good."""
    with webs(lab) as new:
        web = new("web")
        for branch, version, marks in (
            ("main", "v1", {}),
            ("before", "v1", {}),
            ("branch", "v2", {} if good else NEVER_READY),
        ):
            (folder / branch).mkdir()
            (folder / branch / "web.yaml").write_text(json.dumps(manifest(web, version, **marks)))
        tool = Tool(web, folder, automated)
        tool.sync()
        web.settle()
        thread = threading.Thread(target=tool.loops)
        thread.start()
        try:
            yield tool
        finally:
            tool.over.set()
            thread.join()
        assert not tool.failed, tool.failed


def played(name: str, lab: Lab, web: Web, folder: Path, commands: dict[str, list[str]], of: str, *, good: bool) -> Run:
    """The example, for this Deployment and with commands of this Git, a folder, and this tool in place of its own. A bad version is waited
    for in vain."""
    here = {
        "namespace: shop": f"namespace: {web.namespace}",
        "context: production": f"kubeconfig: {lab.kubeconfig}",
        "bake: 300": f"bake: 1\n            wait_timeout: {120 if good else 8}",
    }
    names = re.compile("|".join(map(re.escape, here)))
    play = folder / name
    play.write_text(names.sub(lambda found: here[found[0]], (ROOT / "examples" / name).read_text()))
    variables = {**commands, "manifest": str(folder / of / "web.yaml")}
    return ansible_playbook(play, "-e", json.dumps(variables), environment={"K8S_AUTH_KUBECONFIG": str(lab.kubeconfig)})


def assert_as_git_says(tool: Tool, version: str) -> None:
    """After some more rounds of the tool no pod has moved, and nothing of the release is left."""
    web = tool.web
    before, pods = tool.rounds, {pod["metadata"]["uid"] for pod in web.pods()}
    assert web.split() == {version: REPLICAS}
    tool.automated = True
    (tool.folder / "suspended").unlink(missing_ok=True)
    web.until(lambda: tool.rounds >= before + 3, "the tool has applied what Git says")
    assert {pod["metadata"]["uid"] for pod in web.pods()} == pods and web.split() == {version: REPLICAS}
    assert web.phase == "none"
    managers = {entry["manager"] for entry in web.get()["metadata"]["managedFields"]}
    assert FIELD_MANAGER not in managers
    text = (tool.folder / "main" / "web.yaml").read_text()
    assert json.loads(text)["spec"]["template"]["spec"]["containers"][0]["image"] == image(version)


def copied(source: Path, target: Path) -> list[str]:
    return ["cp", str(source / "web.yaml"), str(target / "web.yaml")]


def ends(*, short: bool) -> pytest.MarkDecorator:
    """Both, one of them in each run of `make test`."""
    return pytest.mark.parametrize(
        "good",
        [
            pytest.param(good, id=name, marks=() if good is short else pytest.mark.slow)
            for good, name in ((True, "good"), (False, "bad"))
        ],
    )


# What was promoted is merged.
@ends(short=True)
def test_cluster_first_what_was_promoted_is_merged_and_nothing_else(
    good: bool, answering_lab: Lab, tmp_path: Path
) -> None:
    with git_of(answering_lab, tmp_path, automated=True, good=good) as tool:
        commands = {
            # A round that is under way comes to its end.
            "suspend": ["sh", "-c", f"touch {tmp_path}/suspended; while [ -e {tmp_path}/round ]; do sleep 0.1; done"],
            "merge": copied(tmp_path / "branch", tmp_path / "main"),
            "fetch": ["true"],
            "resume": ["rm", "-f", f"{tmp_path}/suspended"],
        }
        commands["branch"] = ["x"]
        run = played("gitops_cluster_first.yml", answering_lab, tool.web, tmp_path, commands, "branch", good=good)
        assert run.code == (0 if good else FAILED), run.output
        assert not (tmp_path / "suspended").exists(), run.output
        assert_as_git_says(tool, "v2" if good else "v1")


# What was merged is reverted.
@ends(short=False)
def test_git_first_what_was_merged_is_promoted_and_synced_or_reverted(
    good: bool, answering_lab: Lab, tmp_path: Path
) -> None:
    with git_of(answering_lab, tmp_path, automated=False, good=good) as tool:
        shutil.copy(tmp_path / "branch" / "web.yaml", tmp_path / "main" / "web.yaml")
        commands = {
            "sync": ["touch", f"{tmp_path}/asked"],
            "revert": copied(tmp_path / "before", tmp_path / "main"),
        }
        run = played("gitops_git_first.yml", answering_lab, tool.web, tmp_path, commands, "main", good=good)
        assert run.code == (0 if good else FAILED), run.output
        assert_as_git_says(tool, "v2" if good else "v1")


@pytest.mark.parametrize("name", ["gitops_git_first.yml", "gitops_cluster_first.yml"])
def test_where_nobody_knows_what_is_live_nothing_is_reverted_and_the_tool_stays_suspended(
    name: str, tmp_path: Path
) -> None:
    nowhere = {"cluster": {"server": "https://127.0.0.1:9"}, "name": "away"}
    context = {"context": {"cluster": "away", "user": "anybody"}, "name": "production"}
    users = [{"name": "anybody", "user": {"token": "none"}}]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"clusters": [nowhere], "contexts": [context], "users": users}))
    of_it = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}
    pods = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image("v2")}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": pods}
    (tmp_path / "web.yaml").write_text(json.dumps({**of_it, "spec": spec}))
    acts = {act: ["touch", str(tmp_path / act)] for act in ("revert", "sync", "suspend", "merge", "fetch", "resume")}
    variables = {**acts, "manifest": str(tmp_path / "web.yaml"), "branch": "web-1.5"}
    run = ansible_playbook(
        ROOT / "examples" / name,
        "-e",
        json.dumps(variables),
        environment={"K8S_AUTH_KUBECONFIG": str(kubeconfig)},
    )
    assert run.code == FAILED and "127.0.0.1" in run.output, run.output
    assert {act for act in acts if (tmp_path / act).exists()} == ({"suspend"} if "cluster" in name else set())
