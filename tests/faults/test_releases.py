# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slice of `make faults`: whole releases in which processes die, requests get lost and others write."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.lab import Lab
from tests.faults.__main__ import play
from tests.faults.courses import A_PLAY_IN, draw

# One of them by a play, and all kinds of trouble.
SLICE = range(A_PLAY_IN, A_PLAY_IN + 6)


def test_whatever_goes_wrong_in_a_release_nobody_is_left_with_fewer_pods_than_promised(
    lab: Lab, tmp_path: Path
) -> None:
    found = list(play(lab, SLICE, at_once=3, folder=tmp_path))
    assert [line for one in found for line in one.broken] == []
    assert sorted(one.number for one in found) == list(SLICE)
    assert any(code for one in found for code in one.codes), "no process came to harm"


def test_a_release_of_the_same_number_has_the_same_trouble() -> None:
    assert [draw(number, 3) for number in SLICE] == [draw(number, 3) for number in SLICE]
    assert len({draw(number, 3).told for number in range(100)}) > 90
