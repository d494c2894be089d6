# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of single verbs that users copy, as they are printed: in check mode, run, and run again."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.lab import Lab
from tests.integration.playbooks import LONGEST_SECONDS, PLAYBOOK, ROOT
from tests.integration.situations import webs


def of_readme() -> str:
    """The tasks that it shows beside the role, as a play."""
    shown = re.findall(r"^```yaml\n(- coalmine.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tasks,) = shown
    indented = "".join(f"    {line}" for line in tasks.splitlines(keepends=True))
    return f"- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n{indented}"


def of_examples() -> str:
    return (ROOT / "examples" / "release_by_verbs.yml").read_text()


def written(play: str, directory: Path, lab: Lab, namespace: str) -> Path:
    """The play, and what it includes, for a Deployment of this cluster."""
    here = {
        "registry.example/web:1.5": "lab.local/app:v2",
        "registry.example/web:{{ version }}": "lab.local/app:v2",
        "namespace: shop": f"namespace: {namespace}",
        "context: production": f"kubeconfig: {lab.kubeconfig}",
        ":8080/": f":{lab.port}/",
        "seconds: 600": "seconds: 2",
    }
    included = (ROOT / "examples" / "verify_http.yml").read_text()
    names = re.compile("|".join(map(re.escape, here)))
    for name, text in (("play.yml", play), ("verify_http.yml", included)):
        (directory / name).write_text(names.sub(lambda found: here[found[0]], text))
    return directory / "play.yml"


def changed(play: Path, lab: Lab, *options: str) -> int:
    """Runs it, and says how many of its tasks changed something, or would."""
    done = subprocess.run(
        [PLAYBOOK, play, *options],
        cwd=ROOT,
        env=os.environ | {"K8S_AUTH_KUBECONFIG": str(lab.kubeconfig), "ANSIBLE_NOCOLOR": "true"},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    told = done.stdout + done.stderr
    recap = re.search(r"^localhost +: .*changed=(\d+).* rescued=0 ", told, re.MULTILINE)
    assert done.returncode == 0 and recap, told
    return int(recap[1])


@pytest.mark.parametrize("play", [of_readme, of_examples])
def test_it_runs_in_check_mode_and_twice(play: Callable[[], str], answering_lab: Lab, tmp_path: Path) -> None:
    with webs(answering_lab) as new:
        web = new("web").make(4)
        before, path = web.spec, written(play(), tmp_path, answering_lab, web.namespace)
        with web.unchanged():
            assert changed(path, answering_lab, "--check") == 1, "nothing but the start would find something to do"
        assert changed(path, answering_lab) == 2
        web.assert_clean(before, "v2")
        with web.unchanged():
            assert changed(path, answering_lab) == 0
