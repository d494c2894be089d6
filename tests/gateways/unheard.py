# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stated counts as in force sooner: where no proxy listens to the API server, or one that is known to be quick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS, Router
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import network, returning, switching

SETTLE_SECONDS = 0.1


def await_no_proxy(patcher: pytest.MonkeyPatch) -> None:
    """None takes what is written, so nothing but the time of the test depends on how long one would be waited for."""
    patcher.setattr(network, "ROUTERS", _settled(SETTLE_SECONDS))
    for module in (switching, returning):
        patcher.setattr(module, "SETTLE_SECONDS", SETTLE_SECONDS)


@contextmanager
def settling(seconds: float) -> Iterator[None]:
    """Before a proxy that takes everything sooner than that."""
    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(network, "ROUTERS", _settled(seconds))
        yield


def _settled(seconds: float) -> dict[str, Router]:
    return {kind: replace(router, settles=seconds) for kind, router in ROUTERS.items()}
