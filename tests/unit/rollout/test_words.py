# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every phase has its words, and only a phase that a verb waits for or works on has none."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import HOLDING, Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.words import WORDS, because

ALL = frozenset(Phase)
# What towards_rollout tells by itself, from the fields of the Deployment.
TOLD_BY_THE_ROLLOUT = {Phase.NONE, Phase.FOREIGN, Phase.DAMAGED}


def test_every_phase_is_in_the_table() -> None:
    assert set(WORDS) == ALL


@pytest.mark.parametrize(
    ("words", "silent"),
    [
        pytest.param("remains", set(), id="something-always-remains"),
        pytest.param("ends_start", HOLDING, id="a-start-waits-for-its-hold"),
        pytest.param("ends_bake", HOLDING, id="a-bake-watches-a-hold"),
        pytest.param("ends_promotion", {Phase.PROMOTING, *TOLD_BY_THE_ROLLOUT}, id="a-promotion-is-under-way"),
        pytest.param("refuses_start", {Phase.NONE, *HOLDING}, id="a-start-begins-or-goes-on"),
    ],
)
def test_words_are_left_out_only_where_there_is_nothing_to_say(words: str, silent: frozenset[Phase]) -> None:
    assert {phase for phase in ALL if not getattr(WORDS[phase], words)} == set(silent)


def test_no_failure_tells_of_a_canary_that_is_not_there() -> None:
    assert "held" not in WORDS[Phase.NONE].remains


def test_what_a_situation_adds_stands_behind_it() -> None:
    assert because("the hold is damaged", "its record is gone") == "the hold is damaged (its record is gone)"
    assert because("no canary is held", "") == "no canary is held"
