# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python environments of this repository, each made from a file of exact pins.

    python -m tests.toolchain.venvs make main        # .venv, and the link that makes this tree a collection
    python -m tests.toolchain.venvs make core-2.21   # .venv-core-2.21
    python -m tests.toolchain.venvs pin main         # requirements/main.in -> requirements/main.txt

Runs before anything is installed, so it needs the standard library only. An environment is kept in the cache, under a name
that says what it was made from, and every checkout of this repository with the same pins links to it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.locks import exclusive
from tests.cluster.paths import cache_root

ROOT = Path(__file__).resolve().parents[2]
# An environment that no checkout has asked for in so long is removed when another is made.
KEPT_SECONDS = 30 * 24 * 3600.0
COLLECTION_LINK = ROOT / ".collections" / "ansible_collections" / "coalmine" / "canary"


class ToolchainError(Exception):
    """What is missing on this machine, and what to do about it."""


@dataclass(frozen=True)
class Environment:
    """One environment: its pins are requirements/NAME.txt, `pythons` are the Python versions it may run on, best first."""

    name: str
    folder: str
    pythons: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def requirements(self) -> Path:
        return ROOT / "requirements" / f"{self.name}.txt"


# ansible-core 2.19 runs on Python 3.11 to 3.13, 2.20 and 2.21 on 3.12 to 3.14.
ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("main", ".venv", ("3.11", "3.12", "3.13")),
        Environment("client-24", ".venv-client-24", ("3.11", "3.12", "3.13")),
        Environment("core-2.20", ".venv-core-2.20", ("3.12",)),
        Environment("core-2.21", ".venv-core-2.21", ("3.13",)),
        Environment("truth", ".venv-truth", ("3.11", "3.12", "3.13")),
        Environment("bench", ".venv-bench", ("3.11", "3.12", "3.13")),
    )
}


# Distributions and container images build Python for speed (profile-guided, link-time); a version manager does not unless it is told to,
# and the same tests take 1.2 times as long.
FAST_BUILDS = ("/usr/local/bin", "/usr/bin")
SAYS_ITS_VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"


def candidates(version: str) -> Iterator[str]:
    """Commands that may be Python `version`, best first. A version manager's shim on PATH may name one that cannot start."""
    yield from (f"{folder}/python{version}" for folder in FAST_BUILDS)
    for command in (f"python{version}", "python3"):
        found = shutil.which(command)
        if found:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python{version}")), reverse=True)


def find_python(version: str) -> str | None:
    """The best Python `version` (such as "3.13") that really runs, or None.

    One that can make an environment by itself comes first: a distribution may keep `ensurepip` in a package of its own.
    """
    runs = [command for command in candidates(version) if _answer(command, SAYS_ITS_VERSION) == version]
    able = (command for command in runs if _answer(command, "import ensurepip, venv") is not None)
    return next(able, next(iter(runs), None))


def _answer(command: str, program: str) -> str | None:
    """What the program prints, or None where this Python does not run it."""
    try:
        answer = subprocess.run([command, "-c", program], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def python_for(environment: Environment) -> str | None:
    """The best Python on this machine for this environment, or None."""
    return next(filter(None, map(find_python, environment.pythons)), None)


def kept_at(environment: Environment, python: str) -> Path:
    """Where this environment is, or will be: another place for other pins or another Python."""
    digest = hashlib.sha256(environment.requirements.read_bytes())
    digest.update(f"{os.path.realpath(python)} {find_version(python)}".encode())
    return cache_root() / "venvs" / f"{environment.name}-{digest.hexdigest()[:16]}"


def create_empty(path: Path, python: str) -> None:
    """A new environment with pip in it, also where the distribution keeps `ensurepip` in a package of its own."""
    shutil.rmtree(path, ignore_errors=True)
    if _runs([python, "-c", "import ensurepip, venv"]):
        subprocess.run([python, "-m", "venv", str(path)], check=True)
    elif os.geteuid() == 0 and shutil.which("apt-get"):
        apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=apt)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-venv"], check=True, env=apt
        )
        subprocess.run([python, "-m", "venv", str(path)], check=True)
    elif _runs([python, "-m", "pip", "--version"]):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [python, "-m", "pip", "install", "-q", "--target", folder, "virtualenv==21.15.8"], check=True
            )
            subprocess.run(
                [python, "-m", "virtualenv", "-q", str(path)], check=True, env={**os.environ, "PYTHONPATH": folder}
            )
    else:
        raise ToolchainError(
            f"{python} has neither ensurepip nor pip, so no virtual environment can be made.\n"
            "Install one of them, as root: apt-get install python3-venv"
        )


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make(environment: Environment) -> bool:
    """Make the environment if it is not there yet. False: this machine has no Python that it could run on."""
    python = python_for(environment)
    if python is None:
        return False
    kept = kept_at(environment, python)
    with exclusive(cache_root() / "locks" / kept.name):
        if not (_finished(kept).exists() and (kept / "bin" / "python").exists()):
            _install(environment, python, kept)
        _finished(kept).touch()
    link(environment.path, kept)
    return True


def _finished(kept: Path) -> Path:
    """Is there when the environment is whole; its time is when somebody last asked for it."""
    return kept / "finished"


def _install(environment: Environment, python: str, kept: Path) -> None:
    print(f"{environment.folder}: installing {environment.requirements.relative_to(ROOT)} with {python}", flush=True)
    _forget_old(kept.parent)
    create_empty(kept, python)
    install = [str(kept / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(environment.requirements)], check=True)


def _forget_old(folder: Path) -> None:
    for kept in folder.glob("*/"):
        asked_for = _finished(kept) if _finished(kept).exists() else kept
        if time.time() - asked_for.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(kept, ignore_errors=True)


def link(path: Path, kept: Path) -> None:
    if path.is_symlink() and path.readlink() == kept:
        return
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
    path.symlink_to(kept, target_is_directory=True)


def link_collection() -> None:
    """Make this tree the collection coalmine.canary for Ansible, pytest and import-linter, which want it at that path."""
    COLLECTION_LINK.parent.mkdir(parents=True, exist_ok=True)
    if not COLLECTION_LINK.is_symlink():
        COLLECTION_LINK.symlink_to(Path("..", "..", ".."), target_is_directory=True)


def pin(environment: Environment) -> None:
    """Write requirements/NAME.txt: the closure that pip chooses today for requirements/NAME.in."""
    python = python_for(environment)
    if python is None:
        raise ToolchainError(
            f"{environment.name} needs Python {' or '.join(environment.pythons)}: none of them runs here."
        )
    source = environment.requirements.with_suffix(".in")
    with tempfile.TemporaryDirectory() as folder:
        create_empty(Path(folder), python)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "-r", str(source)], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    head = f"# Written by `make pins` from {source.name} on Python {find_version(python)}: do not edit.\n"
    environment.requirements.write_text(head + frozen)


def find_version(python: str) -> str:
    return subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["make", "pin"])
    parser.add_argument("names", nargs="+", choices=list(ENVIRONMENTS))
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            environment = ENVIRONMENTS[name]
            if options.action == "pin":
                pin(environment)
            elif not make(environment):
                raise ToolchainError(f"{name} needs Python {' or '.join(environment.pythons)}: none of them runs here.")
        link_collection()
    except (ToolchainError, subprocess.CalledProcessError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
