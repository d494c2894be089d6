# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a fleet's result is written down, and is what the code makes; the table says first what needs somebody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource

from ansible_collections.coalmine.canary.plugins.module_utils.release.fleet import FleetEnding
from ansible_collections.coalmine.canary.plugins.module_utils.release.fleet_result import (
    SCHEMA,
    UNTOUCHED,
    Fleet,
    Row,
    waves_of,
    with_its_wave,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending, Release
from tests.toolchain.venvs import ROOT
from tests.unit.release.results import WHOLE

DOCS = Path(ROOT, "docs")
SHAPE, RELEASE = (json.loads((DOCS / f"{name}.schema.json").read_text("utf-8")) for name in ("fleet", "release"))
ROWS = (
    Row("basket", "shop", "eu", 1, replace(WHOLE, outcome=Ending.RELEASED, why=("all run it.",)), True, {"canary": 4}),
    Row("search", "shop", "eu", 1, replace(WHOLE, outcome=Ending.UNDONE, why=("it crashed.",)), True, {"stable": 4}),
    Row("web", "shop", "", 2, Release("r")),
    Row("wiki", "shop", "", 2),
)
FLEET = Fleet("r", FleetEnding.FAILED, ("eu/shop/search undone: it crashed.",), ROWS)


def test_a_result_has_the_shape_that_is_written_down() -> None:
    known = Registry().with_resource("release.schema.json", Resource.from_contents(RELEASE))
    jsonschema.Draft202012Validator(SHAPE, registry=known).validate(FLEET.to_json())


def test_the_shape_names_every_ending() -> None:
    properties = SHAPE["properties"]
    assert properties["schema"]["const"] == SCHEMA
    assert properties["outcome"]["enum"] == [ending.value for ending in FleetEnding]
    row = properties["releases"]["items"]["properties"]
    assert row["outcome"]["enum"] == [*(ending.value for ending in Ending), UNTOUCHED]
    assert SHAPE["required"] == list(FLEET.to_json())


def test_what_needs_somebody_comes_first_and_the_rest_in_its_order() -> None:
    assert [line.split(":")[0].split() for line in FLEET.table] == [
        ["undone", "wave", "1", "eu/shop/search"],
        ["released", "wave", "1", "eu/shop/basket"],
        ["untouched", "wave", "2", "shop/web"],
        ["untouched", "wave", "2", "shop/wiki"],
    ]


def test_a_reason_that_is_of_another_one_is_not_repeated_in_a_line() -> None:
    row = replace(
        ROWS[1], release=replace(WHOLE, outcome=Ending.UNDONE, why=(with_its_wave("shop/a undone: it crashed."),))
    )
    assert row.line(False) == "undone           wave 1   eu/shop/search: the wave failed"
    assert row.to_json(False)["why"] == ["the wave failed: shop/a undone: it crashed."]


def test_a_line_names_its_deployment_once() -> None:
    why = 'Deployment "search" in namespace "shop": its image is missing.'
    row = replace(ROWS[1], release=replace(WHOLE, outcome=Ending.UNDONE, why=(why,)))
    assert row.line(False) == "undone           wave 1   eu/shop/search: its image is missing."
    assert row.to_json(False)["why"] == [why]


def test_a_line_says_how_a_release_was_left_that_was_not_taken_back() -> None:
    why = ("its server is away.", "How the release stands cannot be seen.")
    row = replace(ROWS[1], release=replace(WHOLE, outcome=Ending.FAILED, why=why))
    assert row.line(False).endswith("eu/shop/search: its server is away. How the release stands cannot be seen.")
    why = (with_its_wave("shop/a undone: it crashed."), "The undo failed too: its server is away.")
    row = replace(ROWS[1], release=replace(WHOLE, outcome=Ending.FAILED, why=why))
    assert row.line(False).endswith("eu/shop/search: the wave failed. The undo failed too: its server is away.")


def test_where_a_fleet_has_failed_the_answers_about_room_are_those_of_who_was_refused() -> None:
    refused = replace(ROWS[0], release=replace(WHOLE, outcome=Ending.REFUSED))
    fleet = replace(FLEET, rows=(refused, *ROWS[1:]))

    def rooms(one: Fleet) -> list[bool]:
        return [bool(row["release"] and row["release"]["rooms"]) for row in one.to_json()["releases"]]

    assert rooms(fleet) == [True, False, False, False]
    assert rooms(replace(fleet, ending=FleetEnding.RELEASED)) == [True, True, False, False]


def test_the_message_counts_and_gives_the_reason() -> None:
    assert FLEET.message == (
        "failed: 1 released, 1 undone, 2 untouched, of 4 releases. eu/shop/search undone: it crashed."
    )


def test_of_many_reasons_a_message_gives_the_first() -> None:
    many = replace(FLEET, why=tuple(f"w{number} undone." for number in range(100)))
    assert many.message.endswith("of 4 releases. w0 undone. w1 undone. w2 undone. And 97 more: fleet.table has all.")


@pytest.mark.parametrize(("check", "outcome"), [(True, "planned"), (False, "untouched")])
def test_a_plan_is_an_outcome_in_check_mode_only(check: bool, outcome: str) -> None:
    assert ROWS[2].outcome(check) == outcome


def test_waves_are_counted_from_one() -> None:
    assert waves_of([(2,), (0, 1)]) == {2: 1, 0: 2, 1: 2}
