# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of this tree at .../ansible_collections/coalmine/canary, uncommitted files included.

`ansible-test` and the build refuse the link that serves everything else, and both want to know what belongs to the
tree: so the copy is a git work tree of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.toolchain.venvs import ROOT


def files_of_the_tree() -> list[str]:
    """What git tracks or would track, and which is still there; paths from the root of the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for path in set(filter(None, listing.split("\0"))) if (ROOT / path).is_file())


@contextmanager
def copy_of_the_tree(belongs: Callable[[str], bool] = lambda path: True) -> Iterator[Path]:
    """The copy's folder, gone afterwards. `belongs` says of each path whether it is wanted."""
    with tempfile.TemporaryDirectory(prefix="coalmine-canary-") as folder:
        copy = Path(folder) / "ansible_collections" / "coalmine" / "canary"
        for path in filter(belongs, files_of_the_tree()):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, copy / path, follow_symlinks=False)
        git = ["git", "-C", str(copy), "-c", "user.name=copy", "-c", "user.email=copy@localhost"]
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "copy"], check=True)
        yield copy
