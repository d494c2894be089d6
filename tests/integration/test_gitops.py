# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both orders of GitOps, by the playbooks that users copy, beside a loop that applies with force whatever Git says."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.kubectl import KubectlFailed
from tests.cluster.lab import Lab
from tests.integration.gitops import SOME_ROUNDS, FromGit, committed, manifest
from tests.integration.playbooks import FAILED, ROOT, ansible_playbook
from tests.integration.situations import webs
from tests.situations import image

# As Flux' kustomize-controller applies.
APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller")


@dataclass(frozen=True)
class Loop(FromGit):
    """It looks at Git whenever it applies. As long as the file `suspended` is there it does nothing, unless it is asked by the file `asked`.

    `applied`: what main said, each time.
    """

    applied: list[str] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def looks(self) -> None:
        main = self.folder / "main" / "web.yaml"
        self.web.kubectl(*APPLY, "-f", str(main))
        self.applied.append(main.read_text())

    def loops(self) -> None:
        round_ = self.folder / "round"
        while not self.over.wait(0.3):
            # Before it looks, so that whoever suspends it sees a round that may have looked before.
            round_.touch()
            try:
                asked = self.folder / "asked"
                if asked.exists() or not self.suspended:
                    asked.unlink(missing_ok=True)
                    self.looks()
            except (KubectlFailed, OSError) as error:  # told by the test, which runs in another thread
                self.failed.append(error)
                return
            finally:
                round_.unlink()

    @property
    def suspended(self) -> bool:
        return (self.folder / "suspended").exists()

    @property
    def suspending(self) -> list[str]:
        """A round that is under way comes to its end."""
        return ["sh", "-c", f"touch {self.folder}/suspended; while [ -e {self.folder}/round ]; do sleep 0.1; done"]

    @property
    def resuming(self) -> list[str]:
        return ["rm", "-f", f"{self.folder}/suspended"]

    def goes_on(self) -> None:
        subprocess.run(self.resuming, check=True)
        before = len(self.applied)
        self.web.until(lambda: len(self.applied) >= before + SOME_ROUNDS, "the tool has applied what Git says")


@contextmanager
def looping(lab: Lab, folder: Path, *, good: bool) -> Iterator[Loop]:
    """Main says v1, which runs, and a branch says v2, which never gets Ready unless it is good."""
    with webs(lab) as new:
        web = new("web")
        for branch in ("main", "before"):
            committed(folder / branch, manifest(web, "v1"))
        committed(folder / "branch", manifest(web, "v2", good=good))
        tool = Loop(lab, web, folder)
        tool.looks()
        web.settle()
        thread = threading.Thread(target=tool.loops)
        thread.start()
        try:
            yield tool
        finally:
            tool.over.set()
            thread.join()
        assert not tool.failed, tool.failed


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
    with looping(answering_lab, tmp_path, good=good) as tool:
        commands = {
            "suspend": tool.suspending,
            "merge": tool.copying("branch", "main"),
            "fetch": ["true"],
            "resume": tool.resuming,
        }
        run = tool.played("gitops_cluster_first.yml", commands, "branch", good=good)
        assert not tool.suspended, run.output
        tool.assert_as_git_says("v2" if good else "v1")


# What was merged is reverted.
@ends(short=False)
def test_git_first_what_was_merged_is_promoted_and_synced_or_reverted(
    good: bool, answering_lab: Lab, tmp_path: Path
) -> None:
    with looping(answering_lab, tmp_path, good=good) as tool:
        subprocess.run(tool.suspending, check=True)
        tool.commit(manifest(tool.web, "v2", good=good))
        commands = {"sync": ["touch", f"{tmp_path}/asked"], "revert": tool.copying("before", "main")}
        tool.played("gitops_git_first.yml", commands, "main", good=good)
        tool.assert_as_git_says("v2" if good else "v1")


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
