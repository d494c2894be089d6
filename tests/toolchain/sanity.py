# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-test sanity` in a copy of this tree, without Docker.

It sees what a user installs. Our own tests are no part of that: ruff, mypy, yamllint and shellcheck look after them.
Arguments are passed on: `python -m tests.toolchain.sanity --test validate-modules`. `--newest` before them stands for
`--python` and the newest Python that is here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.toolchain.treecopy import copy_of_the_tree
from tests.toolchain.venvs import ENVIRONMENTS, find_python

# ansible-test compiles and imports modules on each of these that is here: the oldest that they support
# (tests/config.yml), the one of .venv, and the newest. One more would cost 15 seconds and never differed.
PYTHONS = ("3.10", "3.11", "3.13")

NEWEST = "--newest"

# ansible-test makes its own environments, and fetches this script for that from a host of its own. It uses the script
# that it finds in its cache instead; ours takes the same pip from the package index that everything else comes from.
PIP_BOOTSTRAP = Path.home() / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
PIP_BOOTSTRAP_TEXT = '''\
"""Install pip 24.2 from the package index (written by the tests of coalmine.canary)."""

import glob
import os
import runpy
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    subprocess.check_call([
        {python!r}, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps", "-d", folder,
        "--only-binary=:all:", "pip==24.2",
    ])
    (wheel,) = glob.glob(os.path.join(folder, "pip-*.whl"))
    sys.path.insert(0, wheel)
    sys.argv = ["pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--find-links", folder, "pip==24.2"]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''


def provide_pip() -> None:
    """Put the script in place, unless the real one is there."""
    text = PIP_BOOTSTRAP_TEXT.format(python=sys.executable)
    if not PIP_BOOTSTRAP.exists() or "coalmine.canary" in PIP_BOOTSTRAP.read_text():
        PIP_BOOTSTRAP.parent.mkdir(parents=True, exist_ok=True)
        PIP_BOOTSTRAP.write_text(text)


def link_pythons(folder: Path) -> None:
    for version in PYTHONS:
        found = find_python(version)
        if found:
            (folder / f"python{version}").symlink_to(found)


def passed_on(arguments: list[str]) -> list[str]:
    if arguments[:1] != [NEWEST]:
        return arguments
    return ["--python", next(version for version in reversed(PYTHONS) if find_python(version)), *arguments[1:]]


def has_dead_pythons(folder: str) -> bool:
    """Whether a Python in this folder cannot start (a version manager's shim), which ansible-test does not survive."""
    pythons = Path(folder).glob("python3.[0-9]*")
    return any(
        subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
        for python in pythons
        if python.name.removeprefix("python3.").isdigit()
    )


def belongs(path: str) -> bool:
    """Whether ansible-test should see this file."""
    return not path.startswith("tests/") or path == "tests/config.yml" or path.startswith("tests/sanity/")


def main(arguments: list[str]) -> int:
    provide_pip()
    scripts = ENVIRONMENTS["main"].path / "bin"
    with copy_of_the_tree(belongs) as copy, tempfile.TemporaryDirectory() as pythons:
        link_pythons(Path(pythons))
        command = [str(scripts / "ansible-test"), "sanity", "--color", "no", *passed_on(arguments)]
        inherited = [folder for folder in os.environ["PATH"].split(os.pathsep) if not has_dead_pythons(folder)]
        path = os.pathsep.join([pythons, str(scripts), *inherited])
        return subprocess.run(command, cwd=copy, env={**os.environ, "PATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
