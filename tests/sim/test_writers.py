# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/source/writers.yml is what happens: every other writer in every phase of a release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from tests.sim.writers import PHASES, WRITERS, Told, told
from tests.situations import Web
from tests.toolchain.writers import cells


def expected(phase: str, writer: str) -> Told:
    cell = cells()[phase][writer]
    texts = {name: cell.get(name, "") for name in ("runs", "seen", "by", "next", "back")}
    return Told(refused="refused" in cell, **texts)


def ten_seconds(web: Web) -> None:
    web.admin.clock.sleep(10.0)


@pytest.mark.parametrize(("phase", "writer"), [*product(PHASES, WRITERS)])
def test_what_becomes_of_a_release_when_somebody_else_writes(
    phase: str,
    writer: str,
    new: Callable[..., Web],
    later: Callable[[Web], object] = ten_seconds,
    min_ready_seconds: int = 500,
    races: bool = False,
) -> None:
    def patient() -> Web:
        web = new()
        web.wait = Wait(timeout=2000.0)
        return web

    found, wanted = told(patient, phase, writer, later, min_ready_seconds), expected(phase, writer)
    if races and (left := cells()[phase][writer].get("left")):
        assert found.runs in (wanted.runs, f"{wanted.runs} + {left}")
        found = replace(found, runs=wanted.runs)
    assert found == wanted


def test_the_page_has_every_phase_and_every_writer() -> None:
    assert {phase: [*rows] for phase, rows in cells().items()} == {phase: [*WRITERS] for phase in PHASES}
