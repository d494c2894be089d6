# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases belong to which wave."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.waves import (
    DEFAULT,
    Misplanned,
    Waves,
    tolerated,
)


@pytest.mark.parametrize(
    ("waves", "total", "sizes"),
    [
        (DEFAULT, 1, [1]),
        (DEFAULT, 2, [1, 1]),
        (DEFAULT, 4, [1, 3]),
        (DEFAULT, 10, [1, 2, 7]),
        (DEFAULT, 100, [1, 24, 75]),
        (("100%",), 3, [3]),
        (("2", "5", "100%"), 3, [2, 1]),
        (("10%", "100%"), 3, [1, 2]),
    ],
)
def test_sizes_count_from_the_first_release_on(waves: tuple[str, ...], total: int, sizes: list[int]) -> None:
    found = Waves.parse(waves).of([""] * total)
    assert [len(wave) for wave in found] == sizes
    assert [place for wave in found for place in wave] == list(range(total)), "each once, in the order of the list"


def test_a_group_is_a_wave_of_its_own_and_one_that_is_left_out_is_none() -> None:
    assert Waves.parse(("eu", "us", "asia")).of(["us", "eu", "us"]) == ((1,), (0, 2))


@pytest.mark.parametrize(
    ("waves", "groups", "said"),
    [
        ((), [""], "waves is empty"),
        (("1", "eu"), [""], "only sizes, or only names"),
        (("1", "50%"), [""], "would never begin"),
        (("0", "100%"), [""], "is none"),
        (("00", "100%"), [""], "is none"),
        (("000%", "100%"), [""], "is none"),
        (("101%", "100%"), [""], "is none"),
        (("5", "20%", "100%"), [""] * 10, "smaller than before"),
        (("eu", "eu"), ["eu"], "twice"),
        (("eu",), ["eu", "us"], "releases[1] is of no group"),
        (("eu",), [""], "releases[0] is of no group"),
    ],
)
def test_waves_that_make_no_sense_are_refused(waves: tuple[str, ...], groups: list[str], said: str) -> None:
    with pytest.raises(Misplanned, match=said.replace("[", r"\[")):
        Waves.parse(waves).of(groups)


@pytest.mark.parametrize(
    ("failures", "total", "number"), [("0", 9, 0), ("3", 9, 3), ("10%", 9, 0), ("10%", 25, 2), ("100%", 4, 4)]
)
def test_a_share_of_failures_is_never_exceeded(failures: str, total: int, number: int) -> None:
    assert tolerated(failures, total) == number


@pytest.mark.parametrize("failures", ["some", "", "-1", "101%", "1.5", "5 %"])
def test_what_is_neither_a_number_nor_a_share_is_refused(failures: str) -> None:
    with pytest.raises(Misplanned, match="max_failures"):
        tolerated(failures, 3)
