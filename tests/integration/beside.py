# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that spend their time waiting, each for its own Deployment: all of a module that a run asks for are under way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

Case = TypeVar("Case")
Result = TypeVar("Result")


def asked_for(parameter: str, request: pytest.FixtureRequest) -> list[Any]:
    """The values of a parameter of the tests in this file that the run has not left out, by a mark or by name."""
    here = (item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path)
    given = (item.callspec.params for item in here if hasattr(item, "callspec"))
    return [values[parameter] for values in given if parameter in values]


@contextmanager
def under_way(cases: Mapping[Case, Callable[[], Result]], at_once: int) -> Iterator[Callable[[Case], Result]]:
    """Begins all of them, so many at once. What it gives waits for one case: its result, or what it raised."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = {case: pool.submit(does) for case, does in cases.items()}
        try:
            yield lambda case: futures[case].result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
