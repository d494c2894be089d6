# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role remembers of a release between two of its calls."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from tests.unit.frontdoor.apart import apart


def kept(directory: str, calls: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[Any, dict[str, Any], bool]:
    from ansible import constants as C

    from ansible_collections.coalmine.canary.plugins.plugin_utils import remembered

    C.DEFAULT_LOCAL_TMP = directory
    for release, way_back in calls:
        remembered.remember("a", release, way_back)
    assert remembered.remembered("b") is None and remembered.way_back("b") == {}
    return remembered.remembered("a"), remembered.way_back("a"), remembered.is_in_the_middle("a")


def test_the_newest_release_and_the_way_back_of_its_first_call(tmp_path: Any) -> None:
    calls = [({"run": "1"}, {"wait_timeout": 60}), ({"run": "2"}, {"wait_timeout": "soon", "display": "lines"})]
    release, way_back, _middle = apart(kept, str(tmp_path), calls)
    assert (release, way_back) == ({"run": "2"}, {"wait_timeout": 60, "display": "lines"})


@pytest.mark.parametrize("waits_for", WaitsFor)
def test_the_role_goes_on_only_with_what_waits_for_it(waits_for: WaitsFor, tmp_path: Any) -> None:
    held = Release("r", outcome=Ending.HELD, waits_for=waits_for).to_json()
    _release, _way_back, middle = apart(kept, str(tmp_path), [(held, {})])
    assert middle is (waits_for is WaitsFor.CALLER)
