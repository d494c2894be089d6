# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the test cluster keeps what it makes: everything below one cache directory, nothing in the work tree."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
REPOSITORY = SOURCES.parent.parent


def cache_root() -> Path:
    """The cache of this project: below XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "coalmine-canary"


def labs_root() -> Path:
    """Every cluster has one directory here; a directory that is left over is what `down` works on."""
    return cache_root() / "labs"


def lab_directory(name: str) -> Path:
    return labs_root() / name


def own_lab_directory(name: str) -> Path:
    """One that no other checkout on this machine uses under that name."""
    return lab_directory(f"{name}-{hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:8]}")
