# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns over text that somebody else chose: the same answers as Python's engine gives, and an end in any case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes import matching
from ansible_collections.coalmine.canary.plugins.module_utils.probes.matching import Matcher, must_be_pattern
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import Misasked, NoAnswer

NEVER_ENDS = "(x+x+)+y"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LONGEST_SECONDS", 0.05)


@contextmanager
def searching(pattern: str) -> Iterator[Matcher]:
    with closing(Matcher(pattern)) as matcher:
        yield matcher


# Every text of up to four of these.
TEXTS = ["".join(text) for length in range(5) for text in product("aE.\n\u2028", repeat=length)]


@pytest.mark.parametrize(
    "pattern",
    [
        "aE",
        ".*aE",
        ".*?aE.*",
        ".*.*E",
        "(?i).*e",
        ".*a|E",
        ".*",
        ".*+a",
        ".*{2}a",
        "^.*a",
        "\\.*a",
        ".*^a",
        "a$",
        "(a)(E)?\\1",
    ],
)
def test_what_is_found_is_what_the_engine_finds(pattern: str) -> None:
    try:
        expected = [bool(re.search(pattern, text)) for text in TEXTS]
    except re.error:
        with pytest.raises(Misasked):
            must_be_pattern(pattern, "it")
        return
    with searching(pattern) as matcher:
        assert matcher.found(TEXTS, 60.0) == expected


def test_many_texts_are_handed_over_in_parts() -> None:
    with searching("a") as matcher:
        assert matcher.found(["a", "b"] * 2500, 60.0) == [True, False] * 2500


def test_a_text_that_takes_too_long_is_not_decided_and_the_others_are() -> None:
    with searching(NEVER_ENDS) as matcher:
        assert matcher.found(["xxy", "x" * 1000, "xxy", "z"], 60.0) == [True, None, True, False]


def test_the_time_for_all_is_kept() -> None:
    with searching(NEVER_ENDS) as matcher:
        assert len(matcher.found(["z", *["x" * 1000] * 1000], 0.5)) < 1000


def test_it_goes_on_after_its_process_is_gone() -> None:
    with searching("a") as matcher:
        matcher.found(["a"], 60.0)
        assert matcher._process is not None
        matcher._process.kill()
        matcher._process.wait()
        with pytest.raises(NoAnswer, match="no process can search for the pattern: Broken pipe"):
            matcher.found(["a"], 60.0)
        assert matcher.found(["a"], 60.0) == [True]


@pytest.mark.parametrize("pattern", ["(", "x{99999999999}", "(" * 10_000])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(Misasked, match="the pattern of a check is not a regular expression"):
        must_be_pattern(pattern, "the pattern of a check")
