# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation itself: that it repeats, that it shrinks, and that a few histories of each kind hold. Thousands: `make sim-slice`."""

from __future__ import annotations

import pytest

from tests.sim.drawing import KINDS, draw, kind_of
from tests.sim.history import Ask, History, Script
from tests.sim.running import play, shortest
from tests.sim.shrinking import shrunk
from tests.sim.telling import report

SEEDS = 5
OF_EACH_KIND = {kind: [seed for seed in range(1000) if kind_of(seed) == kind][:SEEDS] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_goes_wrong_what_was_promised_holds(kind: str) -> None:
    for seed in OF_EACH_KIND[kind]:
        played = play(draw(seed))
        assert not played.violations, "\n".join(["", f"python -m tests.sim --seed {seed}", *report(played)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_history_always_goes_the_same_way(kind: str) -> None:
    seed = OF_EACH_KIND[kind][0]
    first, second = (play(draw(seed), traced=True) for _time in range(2))
    assert first.trace == second.trace and first.requests == second.requests


def test_an_hour_takes_no_time() -> None:
    asks = (Ask("start", pods=3), Ask("bake", seconds=3600.0), Ask("promote"))
    played = play(History(scripts=(Script("ana", 8.0, asks=asks),)), traced=True)
    assert not played.violations and played.releases == 1 and played.seconds > 3600
    assert [call.told() for call in played.calls[:3]] == [
        "changed: holding 3 canary beside 2 stable pods (60.0 % of all pods)",
        "ok: 3 canary pods Ready, none restarted, for 3600 s",
        "changed: promoted: 4 pods run the new version; 2 pods are still terminating",
    ]


def test_a_failing_history_is_shown_as_short_as_it_can_be() -> None:
    """Here every history with a promote fails."""

    def fails(one: History) -> bool:
        return any(ask.verb == "promote" for script in one.scripts for ask in script.asks)

    history = next(history for history in map(draw, OF_EACH_KIND["crowded"]) if fails(history))
    (script,) = shrunk(history, fails).scripts
    assert script.asks == (Ask("promote"),) and not script.faults


def test_the_shortest_history_still_breaks_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.coalmine.canary.plugins.module_utils.rollout import patches

    grow = patches.grow
    monkeypatch.setattr(
        patches, "grow", lambda deployment, step, record: grow(deployment, type(step)(step.surge, 3), record)
    )
    asks = (Ask("info"), Ask("start", pods=3, think=2.0), Ask("bake"), Ask("undo"))
    played = play(History(scripts=(Script("ana", 8.0, asks=asks), Script("ben", 30.0, asks=(Ask("info"),)))))
    found = shortest(played)
    assert [ask.verb for script in found.history.scripts for ask in script.asks] == ["start"]
    assert found.violations[0].rule == played.violations[0].rule and found.trace
