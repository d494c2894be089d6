# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passed once passes again while nothing has changed of what it looks at: such a stage of `make test` is not run again.

Only for stages to which no clock, no network and no chance matters: they look at the tree but for the code of the tests, with the tools
of one environment. A stage that is asked for by its name is always run, and so is each of them in continuous integration (CI=true),
and wherever another Python has been installed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tests.cluster.paths import cache_root
from tests.toolchain.sanity import PYTHONS
from tests.toolchain.treecopy import files_of_the_tree
from tests.toolchain.venvs import ENVIRONMENTS, KEPT_SECONDS, ROOT, find_python


def looked_at(path: str) -> bool:
    """The code of the tests is looked at by other stages, but for that of the stages themselves."""
    return not (path.startswith("tests/") and path.endswith(".py")) or path.startswith("tests/toolchain/")


def digest(commands: Sequence[Sequence[str]], root: Path = ROOT, paths: Iterable[str] | None = None) -> str:
    """Of the commands, their environment, the Pythons of this machine, and each file with its name."""
    whole = hashlib.sha256(repr([commands, ENVIRONMENTS["main"].path.resolve().name, pythons()]).encode())
    for path in sorted(filter(looked_at, files_of_the_tree() if paths is None else paths)):
        file = root / path
        content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
        whole.update(f"{path}\0{file.lstat().st_mode}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


@cache
def pythons() -> tuple[str | None, ...]:
    """To look for them starts each of them."""
    return tuple(map(find_python, PYTHONS))


def passed_before(name: str, now: str) -> bool:
    return os.environ.get("CI") != "true" and _mark(name, now).exists()


def remember(name: str, now: str) -> None:
    """That it passed so, for as long as environments are kept."""
    mark = _mark(name, now)
    mark.parent.mkdir(parents=True, exist_ok=True)
    for old in mark.parent.iterdir():
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            old.unlink(missing_ok=True)
    mark.touch()


def _mark(name: str, now: str) -> Path:
    return cache_root() / "passed" / f"{name}-{now}"
