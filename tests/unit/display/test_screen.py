# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn of the releases that go on, in the room that there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.display.news import Kind, Mark, News, Rate, Side, State
from ansible_collections.coalmine.canary.plugins.module_utils.display.screen import Going, block, drawable
from ansible_collections.coalmine.canary.plugins.plugin_utils.wire import Wire

READY = (Mark(Side.STABLE, State.READY), Mark(Side.CANARY, State.STARTING))
JUDGING = News(
    "judging",
    Kind.STATE,
    "web",
    (1, 2),
    "held",
    READY,
    elapsed=10.0,
    total=40.0,
    rates=(Rate("errors", (1, 200), (9, 1800), 0.0051),),
    evidence=(2.0, 0.5, 20.0),
)


def going(name: str = "web", host: str = "", **fields: Any) -> Going:
    return Going(
        host, News(**{"text": "1 canary pod Ready", "deployment": name, "elapsed": 3.0, **fields}), heard=100.0
    )


def test_a_release_that_is_judged() -> None:
    assert block([Going("", JUDGING, 100.0)], now=110.0, width=100, height=24) == [
        "web, step 1 of 2  ■|□  ██████████░░░░░░░░░░ 20 of 40 s  judging",
        "    evidence 2 to fail and 0.5 to pass, where 20 decides",
        "    errors: canary 0.5 % of 200, stable 0.5 % of 1800, tolerated 0.51 %",
    ]


def test_time_goes_on_between_news_and_not_beyond_its_end() -> None:
    assert block([going(host="eu")], 107.4, 80, 24) == ["eu: web  10 s  1 canary pod Ready"]
    assert block([going(total=4.0)], 900.0, 80, 24)[0].startswith("web  ████████████████████ 4 of 4 s  ")


def test_half_of_the_terminal_is_left_to_what_was_told_before() -> None:
    many = [going(f"web-{number}") for number in range(40)]
    lines = block(many, 100.0, 80, 24)
    assert len(lines) == 12 and lines[0].startswith("web-0 ") and lines[-1] == "and 29 more"
    tree = going(details=tuple(f"pod {number}" for number in range(40)))
    assert len(block([tree], 100.0, 80, 24)) == 12
    lines = block([tree, going("other")], 100.0, 80, 24)
    assert len(lines) == 12 and lines[-1].startswith("other ")


@pytest.mark.parametrize("text", ["x" * 300, "\u5b57" * 300, "■" * 300])
@pytest.mark.parametrize("width", [1, 2, 20, 80])
def test_no_line_wraps(text: str, width: int) -> None:
    (line,) = block([going(text=text)], 100.0, width, 24)
    assert sum(2 if letter == "\u5b57" else 1 for letter in line) <= max(1, width - 1)


def test_what_others_wrote_does_not_drive_the_terminal() -> None:
    (line,) = block([going(text="\x1b[2Jgone\r\n\u202eback")], 100.0, 80, 24)
    assert line.isprintable() and "gone" in line


def test_news_comes_through_the_wire_as_it_was_sent() -> None:
    wire = Wire()
    assert wire.shower("eu") is None
    wire.listen()
    show = wire.shower("eu")
    assert show is not None
    show(json.loads(json.dumps(JUDGING.to_json())))
    ((host, given),) = wire.received()
    assert host == "eu" and vars(News.from_json(given)) == vars(JUDGING)
    assert wire.received() == []


def test_who_sends_never_waits_for_who_draws() -> None:
    wire = Wire()
    wire.listen()
    show = wire.shower("eu")
    assert show is not None
    for _ in range(2000):
        show(JUDGING.to_json())
    show(going(text="x" * 5_000_000).news.to_json())
    assert 0 < len(wire.received()) < 2000


@pytest.mark.parametrize(
    ("environ", "terminal", "draws"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "CITY": "Bern"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "AWX_ISOLATED_DATA_DIR": "/x"}, True, False),
        ({"TERM": "xterm", "RUNNER_OMIT_EVENTS": "False"}, True, False),
        ({"TERM": "xterm", "CI": "true"}, True, False),
    ],
)
def test_only_a_person_at_a_terminal_is_drawn_for(environ: dict[str, str], terminal: bool, draws: bool) -> None:
    assert drawable(environ, terminal) is draws
