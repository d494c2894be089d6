# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role remembers of a release between two of its calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release, WaitsFor
from ansible_collections.coalmine.canary.plugins.plugin_utils.role_door import asked_once
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


WRITTEN = {
    "images": {"app": "{{ image }}"},
    "bake": 5,
    "pod_template_patch": "{{ now() }}",
    "steps": [],
    "prices": object(),
}
AMOUNTS = {"images": {"app": "web:2"}, "bake": 5, "pod_template_patch": "12:00", "prices": {}, "steps": object()}


def amounted(directory: str, waits_for: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    from ansible import constants as C

    from ansible_collections.coalmine.canary.plugins.plugin_utils import remembered

    C.DEFAULT_LOCAL_TMP = directory
    for images, now in (("web:2", "12:00"), ("web:3", "12:05")):
        given = {**AMOUNTS, "images": {"app": images}, "pod_template_patch": now}
        remembered.remember("a", {"waits_for": waits_for}, {}, remembered.as_written(WRITTEN, given))
    changed = {**WRITTEN, "bake": 6}
    (file,) = os.listdir(directory)
    return remembered.amounts("a", WRITTEN), remembered.amounts("a", changed), (Path(directory) / file).read_text()


def test_what_is_written_as_at_the_first_call_is_what_it_was_then_and_nobody_reads_it_in_a_file(tmp_path: Path) -> None:
    same, changed, file = apart(amounted, str(tmp_path), "caller")
    assert same == {"images": {"app": "web:2"}, "bake": 5, "pod_template_patch": "12:00"}
    assert changed == {"images": {"app": "web:2"}, "pod_template_patch": "12:00"}
    assert "web:2" not in file and "12:00" not in file


def test_nothing_is_kept_of_a_release_that_does_not_wait_for_the_role(tmp_path: Path) -> None:
    same, _changed, file = apart(amounted, str(tmp_path), "person")
    assert same == {} and "amounts" not in file


def test_what_checks_are_asked_is_asked_anew() -> None:
    alone, judged = [{"pods": 1}], [{"pods": 1, "checks": [{"samples": []}]}]
    options = {"images": {}, "checks": [], "price_metrics": {}}
    assert asked_once({**options, "steps": alone}) == {"images": {}, "steps": alone}
    assert asked_once({**options, "steps": judged}) == {"images": {}}
