# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose answers are not always what its API says: a verb may fail then, with a code, and never with an error of its own."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.sim.history import Ask, History, Script
from tests.sim.network import Network, SimulatedStreams, _Arrived
from tests.sim.running import play

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 10**400, "", "x", "\u00b2", "\ud800", "../x", [], [[]], {}, {"x": 1}, [None], "'; touch x; '",
)  # fmt: skip
ASKS = (
    Ask("start", pods=2, autoscaler="pin"), Ask("info"), Ask("pause"), Ask("resume"), Ask("bake", seconds=2.0), Ask("promote"),
    Ask("start", version="v3"), Ask("undo", reason="slow"), Ask("rollback", to="v1"), Ask("info of all"),
)  # fmt: skip
# How many of the answers of a call are odd, on average one in so many.
RARELY, OFTEN = 40, 8


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in it, as its holder and the key there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield value, key
        yield from places(item)


def odd(answer: Any, chance: random.Random) -> Any:
    """The answer with something else in one place, or in the place of all of it."""
    changed = copy.deepcopy(answer)
    found = list(places(changed))
    if not found or chance.random() < 0.05:
        return copy.deepcopy(chance.choice(ODD))
    holder, key = chance.choice(found)
    holder[key] = copy.deepcopy(chance.choice(ODD))
    return changed


@pytest.mark.parametrize("one_in", [RARELY, OFTEN])
def test_no_answer_makes_a_verb_end_in_an_error_of_its_own(one_in: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(one_in)
    sent, tell = Network._send, SimulatedStreams._tell

    def send(self: Network, request: Any) -> Any:
        arrived = cast(_Arrived, sent(self, request))
        # What brings a history to its end is told the truth, and so is a watch that begins with a list.
        is_json = isinstance(arrived.content, dict)  # and no log
        if is_json and self.user.startswith("ana") and chance.random() < 1 / one_in:
            arrived.content = odd(arrived.content, chance)
        return arrived

    def tell_oddly(self: SimulatedStreams, watched: Any, type_: str, obj: Mapping[str, Any]) -> None:
        changed = odd(obj, chance) if chance.random() < 1 / one_in else obj
        tell(
            self,
            watched,
            type_,
            changed if isinstance(changed, dict) and changed.get("metadata") == obj["metadata"] else obj,
        )

    monkeypatch.setattr(Network, "_send", send)
    monkeypatch.setattr(SimulatedStreams, "_tell", tell_oddly)
    history = History(bounds=(2, 9), change_cause=True, scripts=(Script("ana", 8.0, asks=ASKS),))
    failed = 0
    for seed in range(20):
        played = play(replace(history, seed=seed))
        failed += sum(call.told().startswith(("failed", "error")) for call in played.calls)
        own = [one for one in played.violations if one.rule == "no verb ends in an error of its own"]
        assert not own, (seed, own)
    assert failed > 10, "these answers were hardly odd"


def test_without_odd_answers_all_of_these_calls_hold() -> None:
    played = play(History(bounds=(2, 9), change_cause=True, scripts=(Script("ana", 8.0, asks=ASKS),)))
    assert not played.violations
