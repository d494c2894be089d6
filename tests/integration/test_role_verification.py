# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of verification tasks that Ansible cannot load, or that would leave the role in the middle: refused before a canary is held, or
undone and told what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.plays import V1, V2, Ended, releases, run
from tests.integration.releases import Release

# The text of a file; how the release ends, and what it says.
FILES: dict[str, tuple[str, str, str]] = {
    "no-yaml": ("- name: x\n  debug: {msg: [}\n", "refused", "no-yaml.yml cannot verify a canary: "),
    "no-list": ("name: x\nansible.builtin.debug: {}\n", "refused", "it holds no list of tasks"),
    "no-task": ("# later\n", "refused", "it holds no list of tasks"),
    "ends-host": ("- ansible.builtin.meta: end_host\n", "refused", "a meta task in it ends the host"),
    "ends-role": ("- block: [{meta: end_role}]\n", "refused", "a meta task in it ends the host"),
    "nested": (
        "- ansible.builtin.include_role: {name: coalmine.canary.canary}\n  vars: {canary_name: another}\n",
        "refused",
        "it calls the role itself, which would forget the release",
    ),
    # What only Ansible reads, and names that are there once there is a canary.
    "good": (
        """
# It comes back, without any meta: end_host
- name: Ask {{ canary_release.canary.hash }}
  ansible.builtin.debug: {msg: "{{ item.ip }}"}
  loop: "{{ canary_release.canary.pods }}"
  run_once: "{{ canary_release.step > 7 }}"
  delegate_to: "{{ canary_release.canary.pods[0].name and 'localhost' }}"
  tags: [always]
- block:
    - ansible.builtin.fail: {msg: !unsafe "{{ harmless"}
  rescue:
    - ansible.builtin.meta: noop
""",
        "released",
        "All pods run the version",
    ),
}


@pytest.fixture(scope="module")
def files(
    lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ended, dict[str, Release]]]:
    """All in one play, none waiting for another."""
    directory = tmp_path_factory.mktemp("files")
    hosts = {}
    for host, (text, _outcome, _says) in FILES.items():
        path = directory / f"{host}.yml"
        path.write_text(text)
        hosts[host] = {"verify_tasks": str(path), "headroom": "skip"}
    namespace = lab.create_namespace()
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, hosts)
        yield run(lab.kubeconfig, namespace, directory, hosts, "free"), made
    lab.delete_namespace(namespace)


@pytest.mark.parametrize("host", FILES)
def test_a_file_of_verification_tasks(host: str, files: tuple[Ended, dict[str, Release]]) -> None:
    (it, made), (_text, outcome, says) = files, FILES[host]
    assert it.outcomes.get(host) == outcome, it.told
    assert says in it.results[host]["why"][0]
    assert made[host].image == (V2 if outcome == "released" else V1)
    assert "coalmine.canary/record" not in made[host].deployment()["metadata"].get("annotations", {})


def test_a_module_that_is_not_there_is_found_before_anything_is_held(
    lab: Lab | ForeignCluster, namespace: str, tmp_path: Path
) -> None:
    """Ansible ends the run, for all hosts, where it cannot load a file."""
    verify = tmp_path / "verify.yml"
    verify.write_text("- {name: Ask, no.such.module: {}}\n")
    hosts = {"later": {"steps": [{"pods": 1}, {"pods": 2, "verify_tasks": str(verify)}], "headroom": "skip"}}
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, hosts)
        it = run(lab.kubeconfig, namespace, tmp_path, hosts)
        assert it.code != 0 and "no.such.module" in it.output
        assert made["later"].image == V1, it.told


def test_a_file_that_a_verification_includes_and_that_is_not_there(
    lab: Lab | ForeignCluster, namespace: str, tmp_path: Path
) -> None:
    """No task has failed then that Ansible tells of, but one that was rescued at the step before."""
    verify = tmp_path / "verify.yml"
    verify.write_text(
        """
- name: Rescue
  when: canary_release.step == 1
  block:
    - ansible.builtin.fail: {msg: harmless}
  rescue:
    - ansible.builtin.meta: noop
- name: Include
  ansible.builtin.include_tasks: nowhere.yml
  when: canary_release.step == 2
"""
    )
    hosts = {
        "includes": {"steps": [{"pods": 1}, {"pods": 2}], "verify_tasks": str(verify), "headroom": "skip"},
    }
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        made = releases(api, namespace, hosts)
        it = run(lab.kubeconfig, namespace, tmp_path, hosts)
        assert it.outcomes == {"includes": "undone"}, it.told
        assert it.results["includes"]["why"] == [
            "Verification failed at step 2 of 2: a file that it includes could not be loaded, as the error above says.",
            "The stable version is back.",
        ]
        assert made["includes"].image == V1
