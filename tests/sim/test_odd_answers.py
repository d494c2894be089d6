# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slice of `make fuzz`: a server whose answers are not always what its API says, asked by every verb."""

from __future__ import annotations

import pytest

from tests.sim.history import History
from tests.sim.hostile import OFTEN, RARELY, SCENES, play
from tests.sim.running import play as played


@pytest.mark.parametrize("one_in", [RARELY, OFTEN])
@pytest.mark.parametrize("scene", SCENES)
def test_no_answer_makes_a_verb_end_in_an_error_of_its_own(scene: str, one_in: int) -> None:
    failed = 0
    for seed in range(2):
        found = play(scene, seed, one_in)
        assert found.wrong == []
        failed += found.calls - found.ended["done"]
    assert failed > 2, "these answers were hardly odd"


@pytest.mark.parametrize("history", SCENES.values(), ids=[*SCENES])
def test_without_odd_answers_nothing_is_violated(history: History) -> None:
    assert not played(history).violations


# Of longer runs: a route that a list names otherwise than it is, an annotation that cannot be read in the answer to a write, a canary Ingress
# whose weight is nothing, or whose paths are none in the answer to a write, and a Service whose selector has gone since it was checked.
FOUND = (
    ("routes", 90, RARELY),
    ("routes", 96, RARELY),
    ("a Service that is switched", 100, OFTEN),
    ("an Ingress", 8, RARELY),
    ("an Ingress", 19, RARELY),
    ("a VirtualService", 18, OFTEN),
)


@pytest.mark.parametrize(("scene", "seed", "one_in"), FOUND)
def test_what_was_found_once_is_not_found_again(scene: str, seed: int, one_in: int) -> None:
    assert play(scene, seed, one_in).wrong == []
