# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster for several processes: the first that comes starts it, the last that leaves removes it."""

from __future__ import annotations

from typing import Any

from .lab import Lab, NotALab, start_lab
from .locks import exclusive
from .paths import lab_directory, labs_root
from .teardown import tear_down


def join_or_start(name: str, **options: Any) -> Lab:
    """The cluster of this name; `options` are start_lab's, and count only for the one who starts it. End it with `leave`."""
    directory = lab_directory(name)
    with exclusive(labs_root().parent / "locks" / name, fleeting=True):
        try:
            return Lab(directory)
        except NotALab:
            tear_down(directory)
            return start_lab(directory, **options)
