# SPDX-License-Identifier: GPL-3.0-or-later
"""How news is worded, and which of it is worth a line."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.display.lines import Display, Lately, line
from ansible_collections.coalmine.canary.plugins.module_utils.display.news import (
    Kind,
    Mark,
    News,
    Rate,
    Side,
    State,
    news,
)
from ansible_collections.coalmine.canary.plugins.module_utils.display.pods import row


def pods(stable: str, canary: str = "") -> tuple[Mark, ...]:
    """A letter a pod: (r)eady, (s)tarting, (f)ailing, (e)nding."""
    states = {state.value[0]: state for state in State}
    sides = ((Side.STABLE, stable), (Side.CANARY, canary))
    return tuple(Mark(side, states[letter]) for side, letters in sides for letter in letters)


GOING = News("0 of 1 canary pods are Ready", Kind.STATE, "web", (1, 2), "starting", pods("rrr", "s"), 3.4, 300.0)
RATES = (Rate("errors", (1, 200), (9, 1800), 0.0051), Rate("pods", (0, 0), (0, 3)), Rate("later", (0, 0), (0, 0)))


@pytest.mark.parametrize(
    ("told", "display", "said"),
    [
        (GOING, Display.PICTURE, "web, step 1 of 2: ■■■|□ 0 of 1 canary pods are Ready (3 of 300 s)"),
        (GOING, Display.LINES, "web, step 1 of 2: 0 of 1 canary pods are Ready (3 of 300 s)"),
        (News("1 new pod is Ready", deployment="web", elapsed=61.0), Display.PICTURE, "web: 1 new pod is Ready (61 s)"),
        (
            News("judging", Kind.STATE, "web", rates=RATES, elapsed=30.0, total=60.0, evidence=(2.0, 0.51, 20.0)),
            Display.PICTURE,
            "web: judging; evidence 2 to fail and 0.51 to pass, where 20 decides; errors: canary 0.5 % of 200, stable 0.5 % of 1800, tolerated 0.51 %; "
            "pods: canary nothing, stable 0 % of 3 (30 of 60 s)",
        ),
        (
            News("judging", Kind.STATE, "web", rates=RATES[2:], elapsed=1.0, total=60.0, evidence=(1.0, 1.0, 20.0)),
            Display.PICTURE,
            "web: judging; nothing is counted yet (1 of 60 s)",
        ),
        (
            News("judging", Kind.STATE, "web", readings=("p99: 0.3, tolerated at most 0.5",), elapsed=1.0, total=60.0),
            Display.PICTURE,
            "web: judging; p99: 0.3, tolerated at most 0.5 (1 of 60 s)",
        ),
        (news("pinning the autoscaler"), Display.PICTURE, "?: pinning the autoscaler"),
        (News("Helm manages it", Kind.WARNING, "web"), Display.LINES, "web: warning: Helm manages it"),
    ],
)
def test_news_in_words(told: News, display: Display, said: str) -> None:
    assert line(told, display) == said


def test_a_line_is_its_text_for_whoever_wants_no_more() -> None:
    assert GOING == "0 of 1 canary pods are Ready" and "canary pods" in GOING


@pytest.mark.parametrize(
    ("stable", "canary", "drawn"),
    [("rrrr", "sfe", "■■■■|□✖·"), ("rrrr", "", "■■■■|"), ("r" * 60, "rrf", "■60|■2✖1"), ("", "", "")],
)
def test_a_row_of_pods(stable: str, canary: str, drawn: str) -> None:
    assert row(pods(stable, canary)) == drawn


def lines_of(told: list[News]) -> list[News]:
    lately, shown = Lately(), []
    for one in told:
        worth_a_line, lately = lately.hears(one)
        shown += [one] if worth_a_line else []
    return shown


def state(text: str, elapsed: float, step: int = 1) -> News:
    return News(text, Kind.STATE, "web", (step, 2), elapsed=elapsed)


def test_a_state_that_stays_is_told_at_growing_distances() -> None:
    shown = lines_of([state("baking", float(second)) for second in range(3600)])
    assert [told.elapsed for told in shown] == [0, 30, 90, 210, 450, 930, 1890]


def test_a_state_that_changes_all_the_time_is_told_at_growing_distances() -> None:
    shown = lines_of([state(f"{second} of 3600 pods are Ready", float(second)) for second in range(3600)])
    assert [told.elapsed for told in shown] == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047]


def test_an_event_is_told_at_once_and_once() -> None:
    away, back = News("the API server does not answer", deployment="web"), News("pods are Ready", deployment="web")
    assert lines_of([away, away, back, back, away]) == [away, back, away]


def test_a_hint_is_told_once_in_a_task_whatever_comes_between() -> None:
    hint = News("take it back so", Kind.HINT, "web", (1, 2))
    later = News("take it back so", Kind.HINT, "web", (2, 2))
    event = News("held", deployment="web")
    assert lines_of([hint, event, state("a", 0.0), later]) == [hint, event, "a"]


def test_an_event_that_says_how_things_stand_is_not_told_again_as_a_state() -> None:
    event = News("held", Kind.EVENT, "web", (1, 2), elapsed=0.0)
    assert lines_of([event, state("held", 1.0), state("held", 31.0)]) == [event, state("held", 31.0)]


def test_another_wait_or_step_is_told_at_once() -> None:
    told = [state("a", 0.0), state("b", 0.1), state("b", 0.2, step=2), state("c", 0.0, step=2)]
    assert [(one.text, one.step) for one in lines_of(told)] == [("a", (1, 2)), ("b", (2, 2)), ("c", (2, 2))]
