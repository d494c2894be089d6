# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-playbook keeps to its end is not searched for garbage, in it nor in the workers that it forks.

Each pass of Python's collector over the whole heap takes as long as a task of this collection, and writes into all memory that a worker
shares with its parent. The parent has loaded whole plays by the time it imports this collection, and each of its workers would begin with
such a pass. What a worker makes itself is collected as ever.

This module is private to the collection.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.coalmine.canary.plugins.module_utils.collecting import uncollected


@contextmanager
def kept_for_good() -> Iterator[None]:
    """What is there at the end of the with statement, and whatever was there before it, is no garbage."""
    with uncollected():
        try:
            yield
        finally:
            keep_for_good()


def keep_for_good() -> None:
    """Whatever is there now is no garbage (gc.freeze)."""
    gc.freeze()
