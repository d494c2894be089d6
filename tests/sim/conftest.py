# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated cluster of its own for each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.stage import Stage
from tests.situations import Web


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def new(stage: Stage) -> Callable[..., Web]:
    """Deployments in one namespace, not made yet."""
    return stage.web
