# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and Services on a real API server that no proxy listens to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing import network, returning, switching

SETTLE_SECONDS = 0.1


def await_no_proxy(patcher: pytest.MonkeyPatch) -> None:
    """None takes what is written, so nothing but the time of the test depends on how long one would be waited for."""
    settled = {kind: replace(router, settles=SETTLE_SECONDS) for kind, router in ROUTERS.items()}
    patcher.setattr(network, "ROUTERS", settled)
    for module in (switching, returning):
        patcher.setattr(module, "SETTLE_SECONDS", SETTLE_SECONDS)
