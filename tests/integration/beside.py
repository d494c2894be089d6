# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that spend their time waiting, each for its own Deployment: all of a module are under way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Case = TypeVar("Case")
Result = TypeVar("Result")


@contextmanager
def under_way(cases: Mapping[Case, Callable[[], Result]], at_once: int) -> Iterator[Callable[[Case], Result]]:
    """Begins all of them, so many at once. What it gives waits for one case: its result, or what it raised."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = {case: pool.submit(does) for case, does in cases.items()}
        try:
            yield lambda case: futures[case].result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
