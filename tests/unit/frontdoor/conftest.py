# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many of these tests stand on."""

from __future__ import annotations

import os

import pytest

from tests.unit.frontdoor.apart import apart


@pytest.fixture(scope="session", autouse=True)
def ready_to_fork() -> None:
    """What a process of its own imports is imported outside the limit of a test: on a busy machine that takes longer than one may."""
    assert apart(os.getpid) != os.getpid()
