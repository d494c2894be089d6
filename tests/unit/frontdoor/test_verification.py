# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of tasks that Ansible could not load, or that would leave the role in the middle, is refused before a canary is held."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ansible_collections.coalmine.canary.plugins.plugin_utils import verification
from tests.unit.frontdoor.apart import apart

NO_LIST = "cannot verify a canary: it holds no list of tasks, so nothing would be verified"
ENDS = "cannot verify a canary: a meta task in it ends the host, the role or the play"
LEFT_OUT = "cannot verify a canary: --tags or --skip-tags leave out each of its tasks, so nothing would be verified"
SETS = "cannot verify a canary: it sets "
ONCE = "cannot verify a canary: its task "
NESTED = "cannot verify a canary: it calls the role itself"
ROLE = "{name: coalmine.canary.canary}"
# What stands in a file, and what is said of it: nothing of one that is good.
FILES: dict[str, tuple[str, str]] = {
    "good": ("- name: Ask {{ canary_release.canary.hash }}\n  ansible.builtin.debug: {msg: x}\n  tags: [always]\n", ""),
    "a meta task that ends nothing": ("- block: [{ansible.builtin.fail: }]\n  rescue: [{meta: noop}]\n", ""),
    "an end that is only written of": ("# It comes back, without any meta: end_host\n- ansible.builtin.debug:\n", ""),
    "another role": ("- ansible.builtin.include_role: {name: another}\n", ""),
    "no YAML": ("- name: x\n  debug: {msg: [}\n", "cannot verify a canary: "),
    "no task": ("# later\n", NO_LIST),
    "no list": ("name: x\nansible.builtin.debug: {}\n", NO_LIST),
    "no module": ("- name: x\n", "cannot verify a canary: "),
    "nothing that could fail": ("- meta: noop\n", "cannot verify a canary: it holds no task that could fail"),
    "tasks that tags leave out": ("- block: [{ansible.builtin.fail: }]\n  tags: [smoke]\n", LEFT_OUT),
    "a task that tags leave out": (
        "- ansible.builtin.fail:\n- {name: Ask, ansible.builtin.fail: , tags: smoke}\n",
        "--tags or --skip-tags leave out a part of the verification in ",
    ),
    "tags by a name": ("- {ansible.builtin.fail: , tags: '{{ of_smoke }}'}\n", LEFT_OUT),
    "tasks that never run": ("- {ansible.builtin.fail: , tags: never}\n", LEFT_OUT),
    **{end: (f"- ansible.builtin.meta: {end}\n", ENDS) for end in verification.ENDS if end != "end_role"},
    # Ansible says so itself, but within a role: tests/integration/role_cases.py.
    "end_role": ("- meta: end_role\n", "cannot verify a canary: Cannot execute 'end_role' from outside of a role"),
    "a name of the role's, registered": (
        "- ansible.builtin.debug:\n  register: _canary_told\n",
        f"{SETS}_canary_told, by which the role knows",
    ),
    "a name of the role's, as a fact": (
        "- block: [{meta: noop}]\n  rescue: [{set_fact: {canary_release: {}, mine: 1}}]\n",
        f"{SETS}canary_release, by",
    ),
    "names of its own": ("- ansible.builtin.set_fact: {canary_mine: 1}\n  register: canary_yours\n", ""),
    "an end in a block": ("- block: [{meta: end_host}]\n", ENDS),
    "an end in a rescue": ("- block: [{meta: noop}]\n  rescue: [{block: [{meta: end_host}]}]\n", ENDS),
    "a task of one host": (
        "- block: [{name: Ask, ansible.builtin.fail: , run_once: true}]\n",
        f'{ONCE}"Ask" has run_once',
    ),
    "a block of one host": (
        "- run_once: yes\n  block: [{name: Ask, ansible.builtin.fail: }]\n",
        f'{ONCE}"Ask" has run_once',
    ),
    "a task of one host, by a template": (
        "- {name: Ask, ansible.builtin.fail: , run_once: '{{ alone }}'}\n",
        f'{ONCE}"Ask" has run_once',
    ),
    "a file for one host": (
        "- {name: Ask, ansible.builtin.include_tasks: {file: more.yml, apply: {run_once: true}}}\n",
        f'{ONCE}"Ask" has run_once',
    ),
    "a task of each host": ("- {ansible.builtin.fail: , run_once: no}\n", ""),
    "the role": (f"- ansible.builtin.include_role: {ROLE}\n  vars: {{canary_name: another}}\n", NESTED),
    "the role, imported": (f"- import_role: {ROLE}\n", NESTED),
    "the role, always": (f"- block: [{{meta: noop}}]\n  always: [{{include_role: {ROLE}}}]\n", NESTED),
}


def loaded() -> dict[str, str]:
    """What is said of each file."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.play import Play
    from ansible.plugins.loader import init_plugin_loader
    from ansible.vars.manager import VariableManager

    init_plugin_loader()
    loader = DataLoader()
    variables = VariableManager(loader=loader)
    asked = {"hosts": "all", "tasks": [{"run_once": True, "block": [{"ansible.builtin.debug": {}}]}]}
    play = Play.load(asked, variable_manager=variables, loader=loader)
    play.only_tags, play.skip_tags = frozenset({"all"}), frozenset({"smoke"})
    (task,) = play.get_tasks()[0]
    said, here = {}, {"of_smoke": "smoke", "ansible_play_batch": ["a", "b"]}
    with TemporaryDirectory() as directory:
        for name, (text, _says) in FILES.items():
            path = Path(directory, f"{name}.yml")
            path.write_text(text, encoding="utf-8")
            try:
                said[name] = verification.load(str(path), task, loader, here)
            except verification.Unusable as unusable:
                said[name] = str(unusable)
    return said


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """In a process of its own: whoever imports the controller's side of ansible-core makes modules warn as the controller does."""
    told: dict[str, str] = apart(loaded)
    return told


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_good_or_it_is_said_what_is_wrong_with_it(name: str, said: dict[str, str]) -> None:
    says = FILES[name][1]
    assert said[name] == "" if not says else says in said[name], said[name]
