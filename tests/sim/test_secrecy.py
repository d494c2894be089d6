# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod template and the lines of a log say in secret stands nowhere else in the cluster: not in records, Events, Leases, routes or Services.

What is returned, printed or logged is looked through in tests/unit/frontdoor/test_secrecy.py.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, OnFailure, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from tests.sim import calls, server
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.objects import CONTAINER
from tests.sim.pods import Nature
from tests.sim.store import Change
from tests.sim.world import World

WORD = "pl4nted"
# Where it belongs: the template of a Deployment, what controllers make of that, and nothing else of either.
ITS_PLACE = {"deployments": ("spec", "template"), "replicasets": ("spec", "template"), "pods": ("spec",)}
SHARE = Ask("start", share="5", header="x-canary")
UNDO, PROMOTE = Ask("undo", reason="too slow", think=1.0), Ask("promote", by="weights", think=1.0)
GROW = replace(SHARE, pods=4, surge=4, share="50", think=1.0)
CRASHES = Nature(waits="CrashLoopBackOff")


def without_its_place(change: Change) -> str:
    found = json.loads(json.dumps(change.object))
    *way, last = ITS_PLACE.get(change.kind, ("",))
    node = found
    for step in way:
        node = node[step]
    node.pop(last, None)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("asks", "nature"),
    [
        ((SHARE, GROW), Nature()),
        ((SHARE, UNDO), Nature()),
        ((SHARE, GROW, PROMOTE), Nature()),
        ((SHARE, UNDO), CRASHES),
        ((Ask("release", shares=("5", "50"), by="weights"),), CRASHES),
    ],
    ids=["held", "undone", "promoted", "crashed", "a release that crashed"],
)
def test_nothing_that_a_release_writes_has_a_word_of_it(
    asks: tuple[Ask, ...], nature: Nature, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = [{"name": "TOKEN", "value": f"{WORD}-token"}]
    patch = {"spec": {"containers": [{"name": CONTAINER, "env": variables, "args": [f"--key={WORD}"]}]}}
    monkeypatch.setattr(calls, "NewTemplate", partial(NewTemplate, patch=patch))
    undoes = partial(Policies, headroom=Headroom.SKIP, on_failure=OnFailure.UNDO)
    monkeypatch.setattr(calls, "Policies", lambda **_given: undoes())
    monkeypatch.setattr(server, "LOG", f"password={WORD}\n")
    natures = {version: nature if version == "v2" else Nature() for version in ("v1", "v2", "v3")}
    one = World(History(natures=natures, scripts=(Script("ana", 8.0, asks=asks),), end=End.UNDO, gateway=Lags()))
    written: Counter[str] = Counter()
    told: list[str] = []
    planted = False

    def hear(change: Change) -> None:
        nonlocal planted
        planted = planted or WORD in json.dumps(change.object)
        written[change.kind] += 1
        if WORD in without_its_place(change):
            told.append(f"{change.kind} {change.name} by {change.by}")

    one.store.listen(hear)
    found = one.play()
    assert planted and not told, told
    assert written.keys() >= {"deployments", "httproutes", "services", "leases"}
    if UNDO in asks or nature is CRASHES:
        assert written["events"]
    if nature is CRASHES:
        assert WORD in found.calls[0].told(), "the lines of the log have been read"
