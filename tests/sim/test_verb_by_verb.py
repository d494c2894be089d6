# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of single verbs: checked as a whole before anything is held, run, and run again once it is released."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim.calls import Called
from tests.sim.history import Ask, History, Script
from tests.sim.running import play

START = Ask("start", pods=2, autoscaler="ignore", released_ok=True)
CHAIN = (START, Ask("bake", seconds=2.0), Ask("promote"))
CHECKED = tuple(replace(ask, check=True) for ask in CHAIN)
EVE = Script("eve", 30.0, asks=(Ask("promote", takeover=True),))
PLANNED = "no canary is held: what a task before this one would start is only planned"


def ended(*asks: Ask, names: str = "hash", others: tuple[Script, ...] = ()) -> list[Called]:
    played = play(History(scripts=(Script("ana", 8.0, names=names, asks=asks), *others)))
    assert not played.violations
    return [called for called in played.calls if called.actor == "ana"]


def canary(called: Called) -> dict[str, Any]:
    """The version that its task returned."""
    assert isinstance(called.result, Outcome), called.told()
    return dict(called.result.canary["canary"])


@pytest.mark.parametrize("names", ["", "hash", "run", "both"])
def test_a_check_of_the_whole_playbook_plans_it(names: str) -> None:
    start, bake, promote = ended(*CHECKED, names=names)
    assert start.told().startswith("changed: would hold 2 canary beside 3 stable pods")
    assert bake.told() == f"ok: {PLANNED}; nothing to watch"
    assert promote.told() == "ok: no canary is held: nothing to promote"


@pytest.mark.parametrize("verb", ["undo", "pause", "resume"])
def test_other_verbs_find_nothing_in_such_a_check(verb: str) -> None:
    called = ended(CHECKED[0], Ask(verb, check=True), names="run")[-1]
    assert called.told().startswith("ok: ")


def test_a_canary_that_is_only_planned_has_its_version_and_no_pods() -> None:
    (start,) = ended(CHECKED[0])
    planned = canary(start)
    assert planned["images"] == {"app": "app:v2"} and planned["pods"] == []
    assert planned["hash"] is None and planned["replica_set"] is None and set(planned["counts"].values()) == {0}


def test_a_check_tells_the_pods_that_are_held() -> None:
    grows, same = ended(START, replace(CHECKED[0], pods=3), CHECKED[0])[1:]
    assert [len(canary(called)["pods"]) for called in (grows, same)] == [2, 2]


def test_run_again_all_of_it_says_that_this_version_is_released() -> None:
    *first, start, bake, promote = ended(*CHAIN, *CHAIN)
    assert [called.told().split(":")[0] for called in first] == ["changed", "ok", "changed"]
    held, released = canary(first[0]), canary(start)
    assert start.told() == f"ok: already released: the Deployment runs this pod template ({held['replica_set']})"
    assert {**released, "pods": held["pods"], "counts": held["counts"]} == held and released["pods"] == []
    assert bake.told() == f"ok: no canary is held: the version {held['hash']} is released already; nothing to watch"
    assert promote.told().startswith("ok: already promoted")


def test_without_being_asked_otherwise_a_start_of_what_is_released_fails() -> None:
    *_, again = ended(START, Ask("promote"), replace(START, released_ok=False))
    assert isinstance(again.result, VerbFailure) and again.result.code == "same_template"


def test_a_canary_of_a_run_that_somebody_else_promoted_was_not_watched() -> None:
    """Who names the run says that it holds a canary: that the version is out is no proof that it was watched."""
    bake = ended(START, Ask("bake", think=60.0), names="both", others=(EVE,))[-1]
    assert isinstance(bake.result, VerbFailure), bake.told()


@pytest.mark.parametrize(("weight", "warned"), [(5, True), (12, False)])
def test_a_share_of_more_than_twice_what_was_asked_for_is_warned_of(weight: int, warned: bool) -> None:
    """One pod beside four is 20 %."""
    for check in (True, False):
        (start,) = ended(replace(START, pods=None, weight=weight, check=check))
        assert isinstance(start.result, Outcome)
        says = f"weight {weight} was asked for, and the canary is 20.0 % of all pods, the least that is possible with 4 replicas"
        assert any(warning.startswith(says) for warning in start.result.warnings) is warned
