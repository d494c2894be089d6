# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old what Cluster Autoscaler tells of itself is."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.limits import AutoscalerState
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting.headroom_limits import (
    SILENT_AFTER_SECONDS,
    _age,
)

WRITTEN = {
    "1970-01-01 00:00:00": ["cluster_autoscaler_silent_since: 1970-01-01 00:00:00 UTC"],
    "1970-01-01 00:00:02": [],
    None: [],
    "1970-01-99 00:00:00": [],
    "0000-00-00 99:99:99": [],
}


@pytest.mark.parametrize(("written", "told"), WRITTEN.items())
def test_one_that_has_been_silent_for_long_is_told(written: str | None, told: list[str]) -> None:
    assert _age(AutoscalerState((), written), SILENT_AFTER_SECONDS + 1.0) == told
