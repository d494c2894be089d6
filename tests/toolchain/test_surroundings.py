# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the shell has set that starts the tests, they find the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.toolchain.surroundings import OF_THE_CALLER, clear
from tests.toolchain.venvs import ROOT

CONFIG = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}


@pytest.mark.parametrize(
    ("of_the_shell", "left"),
    [
        ({}, {}),
        ({"KUBECONFIG": "/a", "K8S_AUTH_API_KEY": "x", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}),
        ({"ANSIBLE_CONFIG": "/etc/ansible.cfg", "ANSIBLE_STDOUT_CALLBACK": "minimal"}, {}),
        ({"COLUMNS": "20", "LINES": "5"}, {}),
        ({"CANARY_TEST_KUBECONFIG": "/a", "PATH": "/bin", "https_proxy": "http://proxy:1", "ALINES": "1"}, None),
    ],
    ids=["nothing", "a cluster", "Ansible", "a terminal", "what is meant for the tests"],
)
def test_what_the_caller_has_set_for_other_ends_is_not_there(
    of_the_shell: dict[str, str], left: dict[str, str] | None
) -> None:
    environ = dict(of_the_shell)
    clear(environ)
    assert environ == (of_the_shell if left is None else left) | CONFIG


def test_this_run_has_cleared_it_and_so_do_the_processes_that_it_starts() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "import os; print('\\n'.join(os.environ))"], capture_output=True, text=True, check=True
    ).stdout
    for names in (list(os.environ), shown.splitlines()):
        assert [name for name in names if OF_THE_CALLER.fullmatch(name)] == ["ANSIBLE_CONFIG"]
