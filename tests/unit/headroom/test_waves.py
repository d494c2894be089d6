# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waves between the moments: what old pods leave on the wrong nodes is no room, and "fits" holds whichever of them go first."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.board import Board
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.check import answer
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Exactness, Question, Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.peaks import Moment, Rollout
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.report import headroom, summary
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.views import incoming_view
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.volumes import Storage, volume_rules
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.waves import crowd_of, leavers

from .clusters import HOSTNAME, MINOR, REQUIRED, node, of, pod, question

Object = dict[str, Any]
ONE_UP = Rollout(replicas=4, canary=1, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
APART = {"podAntiAffinity": {REQUIRED: [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOSTNAME}]}}


def old_on(places: str, cpu: str = "1", **more: Any) -> list[Object]:
    return [pod(f"o{number}", on=name, cpu=cpu, meta=of("rs-old"), **more) for number, name in enumerate(places)]


def ask(new: Object, nodes: list[Object], pods: list[Object], rollout: Rollout = ONE_UP, **more: Any) -> Question:
    return question(new, nodes, pods, rollout=rollout, owners=frozenset({"rs-old"}), **more)


@pytest.mark.parametrize("places", ["XXYY", "XYXY", "YYXX"])
def test_room_that_old_pods_leave_in_halves_on_two_nodes_is_none(places: str) -> None:
    """The first canary pods and the end state fit. But the fullest nodes give up one pod each, and half a node is left on both."""
    asked = ask(pod(cpu="2"), [node("X", cpu="2"), node("Y", cpu="2"), node("Z", cpu="4")], old_on(places))
    found = answer(asked)
    assert found.verdict is Verdict.NEEDS_NODES
    assert [(one.peak.moment, one.verdict) for one in found.peaks] == [
        (Moment.START, Verdict.FITS),
        (Moment.PROMOTION, Verdict.FITS),
        (Moment.BETWEEN, Verdict.NEEDS_NODES),
        (Moment.STEADY, Verdict.FITS),
    ]
    assert found.deciding is not None
    assert (found.deciding.fit.least, found.deciding.peak.to_place, found.deciding.peak.old_gone) == (2, 3, 2)
    assert headroom(asked, found, {})["cost"]["stays"] is False
    assert "2 of 4 new pods run; removing 2 old pods" in summary(asked, found, "web")[0]


def test_where_chance_decides_which_pods_go_it_depends() -> None:
    """Every second node has room for a new pod where an old one was; which of the old pods goes first is chance."""
    rollout = Rollout(replicas=8, canary=2, surge=1, max_unavailable=0, own_surge=1, own_max_unavailable=0)
    nodes = [node(name, cpu="1" if number % 2 else "2") for number, name in enumerate("ABCDEFGH")]
    found = answer(ask(pod(cpu="2"), [*nodes, node("X"), node("Y")], old_on("ABCDEFGH"), rollout))
    assert (found.verdict, found.exactness) == (Verdict.DEPENDS_ON_PLACEMENT, Exactness.PLACEMENT_DEPENDENT)
    assert found.deciding is not None
    assert found.deciding.peak.moment is Moment.BETWEEN


def test_a_new_pod_as_large_as_an_old_one_finds_its_room_whoever_goes() -> None:
    found = answer(ask(pod(cpu="1"), [node("X", cpu="2"), node("Y", cpu="2"), node("Z", cpu="1")], old_on("XXYY")))
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.EXACT)


def test_pods_that_keep_apart_by_node_are_counted_by_nodes() -> None:
    labels = {"app": "web"}
    nodes = [node(name) for name in "ABCDE"]
    old = old_on("ABCD", labels=labels, affinity=APART)
    found = answer(ask(pod(cpu="1", labels=labels, affinity=APART), nodes, old))
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.EXACT)


def test_a_rule_that_only_tries_can_follow_is_not_said_to_be_exact() -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": HOSTNAME,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    nodes = [node(name) for name in "ABCD"]
    found = answer(ask(pod(cpu="1", topologySpreadConstraints=[spread]), nodes, old_on("ABCD")))
    assert (found.verdict, found.exactness) == (Verdict.FITS, Exactness.PLACEMENT_DEPENDENT)


def test_pods_that_are_ending_today_have_ended_when_others_leave() -> None:
    ending = pod("e", on="X", cpu="1", meta={**of("rs-old"), "deletionTimestamp": "2026-01-01T00:00:00Z"})
    found = answer(ask(pod(cpu="1"), [node("X", cpu="3"), node("Y", cpu="3")], [*old_on("XXYY"), ending]))
    assert found.verdict is Verdict.FITS
    assert found.peaks[-1].fit.least == 6


def test_the_fullest_node_of_the_deployment_gives_up_pods_first() -> None:
    crowd = crowd_of(ask(pod(), [node("X"), node("Y"), node("Z")], old_on("XYYYZ")))
    at_once, one_by_one = leavers(crowd, 3)
    assert [one.node for one in at_once] == ["Y", "Y", "Y"]
    assert sorted(one.node for one in one_by_one) == ["Y", "Y", "Z"]


@given(st.integers(0, 10**6))
def test_what_fits_for_certain_never_gets_stuck_whoever_goes_and_wherever_new_pods_are_put(seed: int) -> None:
    chance = random.Random(seed)
    total = chance.randint(1, 6)
    names = [f"n{number}" for number in range(chance.randint(1, 4))]
    apart: Object = {"affinity": APART} if chance.random() < 0.2 else {}
    nodes = [node(name, cpu=str(chance.randint(1, 6))) for name in names]
    free = {one["metadata"]["name"]: int(one["status"]["allocatable"]["cpu"]) for one in nodes}
    old: list[Object] = []
    for number in range(total):
        places = [name for name in names if free[name] > 0]
        if not places:
            return
        place = chance.choice(places)
        free[place] -= 1
        old.append(pod(f"o{number}", on=place, cpu="1", meta=of("rs-old")))
    own = (chance.randint(0, 2), chance.randint(0, 2))
    rollout = Rollout(total, chance.randint(1, total), 1, 0, *(own if any(own) else (0, 1)))
    new = pod(cpu=str(chance.randint(1, 3)), **apart)
    found = answer(ask(new, nodes, old, rollout))
    if (found.verdict, found.exactness) == (Verdict.FITS, Exactness.EXACT):
        for _dummy in range(5):
            assert _ends(ask(new, nodes, old, rollout), chance)


def _ends(asked: Question, chance: random.Random) -> bool:
    """One release played pod by pod: any old pod may end, and any node that takes a new pod may get it."""
    incoming, rollout = incoming_view(asked.pod, MINOR), asked.rollout
    board = Board(asked.scene, incoming, volume_rules(incoming, Storage()))
    old, new, total = list(crowd_of(asked).old), 0, rollout.replicas
    while new < total:
        held = new < min(rollout.canary, total)
        surge, away = (
            (rollout.surge, rollout.max_unavailable) if held else (rollout.own_surge, rollout.own_max_unavailable)
        )
        moved = False
        if len(old) + new < total + surge and board.open_nodes():
            board.place(chance.choice(board.open_nodes()))
            new, moved = new + 1, True
        if old and len(old) + new > total - away:
            board.remove(old.pop(chance.randrange(len(old))))
            moved = True
        if not moved:
            return False
    return True
