# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback `live` on a terminal: what a person sees while two hosts release, and what is left of it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import struct
import subprocess
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any

import pytest
import yaml

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import LONGEST_SECONDS, PLAYBOOK, ROOT

COLUMNS, LINES = 140, 40
_CONTROL = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


class Terminal:
    """As much of one as the view uses: lines, erase, up, and back to the first column. Nothing may wrap or scroll."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self._row = self._column = 0

    def take(self, text: str) -> None:
        at = 0
        while at < len(text):
            control = _CONTROL.match(text, at)
            if control:
                self._control(control[1], control[2])
                at = control.end()
                continue
            self._letter(text[at])
            at += 1

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            self._row -= int(number or 1)
            assert self._row >= 0
        elif letter == "K":
            assert number == "2"
            self.rows[self._row] = ""
        else:
            assert letter == "m", letter  # colours

    def _letter(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._row += 1
            self.rows += [""] * (self._row + 1 - len(self.rows))
        else:
            row = self.rows[self._row].ljust(self._column)
            self.rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
            self._column += 1


def played(directory: Path, playbook: Path, **environment: str) -> tuple[list[list[str]], str]:
    """The screens as they were shown, one after the other, and all that was written."""
    # COLUMNS and LINES would count more than the terminal.
    foreign = ("ANSIBLE_", "CI", "GITHUB_", "COLUMNS", "LINES")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    mine, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [PLAYBOOK, "-i", "eu,us", playbook],
        cwd=directory,
        env={
            **inherited,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_STDOUT_CALLBACK": "coalmine.canary.live",
            "ANSIBLE_NOCOLOR": "true",
            "TERM": "xterm",
            **environment,
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    terminal, screens, written = Terminal(), [], b""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and select.select([mine], [], [], LONGEST_SECONDS)[0]:
        try:
            chunk = os.read(mine, 1 << 16)
        except OSError:  # Linux's end of a terminal
            break
        written += chunk
        shown = Terminal()
        shown.take(written.decode("utf-8", "ignore"))
        terminal = shown
        screens.append(terminal.rows)
    os.close(mine)
    assert process.wait(LONGEST_SECONDS) == 0, "\n".join(terminal.rows)
    return screens, written.decode()


def play(directory: Path, kubeconfig: str, namespace: str) -> Path:
    release = {
        "name": "{{ inventory_hostname }}",
        "namespace": namespace,
        "kubeconfig": kubeconfig,
        "images": {"app": "registry.example/app:2"},
        "bake": 4,
        "headroom": "skip",
    }
    tasks = [{"coalmine.canary.canary_release": release}, {"ansible.builtin.debug": {"msg": "afterwards"}}]
    playbook = directory / "play.yml"
    whole = [{"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}]
    playbook.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    return playbook


def make(lab: Lab | ForeignCluster, namespace: str, name: str) -> None:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
    }
    manifest: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    }
    lab.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(manifest))
    lab.kubectl("-n", namespace, "rollout", "status", "deployment", name, "--timeout=60s")


@pytest.mark.slice
def test_two_releases_are_drawn_and_leave_the_default_output(
    lab: Lab | ForeignCluster, namespace: str, tmp_path: Path
) -> None:
    for name in ("eu", "us"):
        make(lab, namespace, name)
    playbook = play(tmp_path, str(lab.kubeconfig), namespace)
    screens, _ = played(tmp_path, playbook)
    drawn = [rows for rows in screens if sum(" of 4 s" in row and "█" in row for row in rows) == 2]
    assert drawn, "\n".join(screens[-1])
    blocks = [[row for row in rows if "█" in row or "░" in row] for rows in drawn]
    of_eu = re.compile(
        r"eu: eu, step 1 of 1  ■■■\|■  █+░* \d of 4 s  watching the canary: 1 canary pod Ready, none restarted"
    )
    assert any(of_eu.fullmatch(row) for block in blocks for row in block), blocks
    left = screens[-1]
    assert not [row for row in left if "█" in row or "░" in row], "\n".join(left)
    assert sorted(row for row in left if row.startswith("changed")) == ["changed: [eu]", "changed: [us]"]
    assert len([row for row in left if "eu: eu: promoted" in row]) == 1, "\n".join(left)
    assert all(len(row) < COLUMNS for block in blocks for row in block), "what wraps is not erased"


# What it is told by, tests/unit/display shows.
@pytest.mark.slow
def test_a_program_at_a_terminal_gets_lines(lab: Lab | ForeignCluster, namespace: str, tmp_path: Path) -> None:
    for name in ("eu", "us"):
        make(lab, namespace, name)
    screens, written = played(tmp_path, play(tmp_path, str(lab.kubeconfig), namespace), AWX_ISOLATED_DATA_DIR="/x")
    assert "\x1b[2K" not in written
    assert [
        row
        for row in screens[-1]
        if row.startswith("eu: eu, step 1 of 1: ■■■|■ watching the canary: 1 canary pod Ready")
    ]
