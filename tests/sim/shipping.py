# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws how releases are shipped by canary_release: as a whole, call by call, of a canary that others hold, and of what is not there yet."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .calls import steps_of
from .history import Ask, History, Script

# One history in so many begins without the Deployment.
MISSING = 23
_COUNTED = {"good": 8, "bad": 2, "nothing": 1, "pods": 1}
_CHAINS = ((), (), ("plan",), ("step 1",), ("room", "step 1"), ("step 1", "step 2"))
# How long a caller's own verification takes.
_VERIFIES_SECONDS = (0.1, 3.0, 40.0)


def shipped(seed: int, history: History) -> History:
    """Each part is drawn by itself, so that what is added draws nothing else in another way."""
    chance = random.Random(f"whole releases of {seed}")
    history = replace(history, scripts=tuple(_whole(chance, script) for script in history.scripts))
    chance = random.Random(f"canaries that are held in {seed}")
    history = replace(history, scripts=tuple(_taken_as_held(chance, script) for script in history.scripts))
    history = _rescued(random.Random(f"calls that are cut off in {seed}"), history)
    return _first_version(random.Random(f"first version of {seed}"), history) if seed % MISSING == 2 else history


def first_start(asks: Sequence[Ask], **more: Any) -> Ask:
    """What a whole release is to be like."""
    return replace(next(ask for ask in asks if ask.begins), check=False, **more)


def _as_whole(script: Script) -> Ask:
    """What it begins with as one release."""
    first = first_start(script.asks, verb="release")
    if not any(ask.verb == "release" for ask in script.asks):
        first = replace(first, max_unavailable=None, pods=first.pods and min(first.pods, 3))
    return replace(first, shares=(first.share,), share=None) if first.share is not None else first


def _whole(chance: random.Random, script: Script) -> Script:
    """One in two is played as canary_release ships: judged, at a gate, taken back where it fails, in one call or in several."""
    is_whole = any(ask.verb == "release" for ask in script.asks)
    if chance.random() > (0.9 if is_whole else 0.35):
        return script
    verdicts = chance.choices(list(_COUNTED), list(_COUNTED.values()), k=chance.randint(1, 3))
    asked = replace(
        _as_whole(script),
        verdicts=tuple(verdicts) if chance.random() < 0.7 else (),
        guard=chance.choice((0.0, 0.0, 5.0, 20.0)),
        seconds=chance.choice((2.0, 10.0)),
        on_failure=chance.choice(("undo", "undo", "hold")),
        on_inconclusive=chance.choice(("hold", "undo", "promote")),
        gate=chance.choice(("none", "none", "none", "stop")),
        headroom=chance.choice(("skip", "skip", "require_existing_nodes", "report")),
    )
    asks = _verified(chance, asked) if chance.random() < 0.15 else _in_calls(chance, asked)
    for verb in chance.choices(
        ("promote", "undo", "rollback", "resume", "pause", "info"), k=chance.choice((0, 0, 0, 1, 2))
    ):
        asks.insert(chance.randint(1, len(asks)), Ask(verb, kind=asked.kind, takeover=asked.takeover))
    if chance.random() < 0.1:
        number = chance.randrange(len(asks))
        asks.insert(number, replace(asks[number], check=True))
    if chance.random() < 0.4:
        asks.append(replace(asked, version=chance.choice(("v2", "v3")), think=chance.choice((0.1, 3.0))))
    return replace(script, asks=tuple(asks))


def _in_calls(chance: random.Random, asked: Ask) -> list[Ask]:
    """Up to a stage, and from there on."""
    stops = (one for one in chance.choice(_CHAINS) if one != "step 2" or steps_of(asked) > 1)
    asks = [
        replace(asked, through=through, goes_on=number > 0, think=chance.choice((0.0, 0.1, 3.0)))
        for number, through in enumerate((*stops, "promoted"))
    ]
    if len(asks) > 1 and chance.random() < 0.2:
        asks[-1] = replace(asks[-1], reason="smoke tests failed")
    return asks if chance.random() < 0.7 else [*asks, replace(asks[-1], goes_on=True, reason="")]


def _verified(chance: random.Random, asked: Ask) -> list[Ask]:
    """As the role goes through it with a file of tasks: these verify each step between two calls, and may fail at any."""
    asked, last = replace(asked, verifies=True), f"step {steps_of(asked)}"
    throughs = (chance.choice(("promoted", last)), *[last] * steps_of(asked), "promoted")
    asks = [
        replace(asked, through=through, goes_on=number > 0, think=chance.choice(_VERIFIES_SECONDS))
        for number, through in enumerate(throughs)
    ]
    if chance.random() < 0.4:
        fails = chance.randrange(1, len(asks))
        asks[fails] = replace(asks[fails], reason="smoke tests failed")
    return asks


def _taken_as_held(chance: random.Random, script: Script) -> Script:
    """A promotion in four is one by canary_release: of the canary that is held by then, whoever holds it."""
    return replace(
        script,
        asks=tuple(
            _as_held(chance, ask) if ask.verb == "promote" and chance.random() < 0.25 else ask for ask in script.asks
        ),
    )


def _as_held(chance: random.Random, ask: Ask) -> Ask:
    return replace(
        ask,
        verb="release",
        held=True,
        wait=True,
        guard=chance.choice((0.0, 5.0, 20.0)),
        on_failure=chance.choice(("undo", "hold")),
    )


def _rescued(chance: random.Random, history: History) -> History:
    """Where a process is killed in the middle of a whole release, every other one that comes after it takes back first what it left."""
    first, *later = history.scripts
    is_whole = any(ask.verb == "release" for ask in first.asks)
    if not is_whole or not later or later[-1].name != "again" or chance.random() < 0.5:
        return history
    rescue = replace(
        _as_whole(first),
        rescues=first.name,
        reason="the module ended without a result",
        on_failure=chance.choice(("undo", "undo", "hold")),
        goes_on=False,
        through="promoted",
    )
    *before, again = later
    return replace(history, scripts=(first, *before, replace(again, asks=(rescue, *again.asks))))


def _first_version(chance: random.Random, history: History) -> History:
    """There is no Deployment yet, and each process would create it first: of the version that it releases, or of one before that."""
    scripts = (_creating(chance, script) for script in history.scripts)
    return replace(history, missing=True, scripts=tuple(scripts))


def _creating(chance: random.Random, script: Script) -> Script:
    first = replace(_as_whole(script), creates=True, version=chance.choice(("v1", "v1", "v2")))
    before: list[Ask] = []
    if chance.random() < 0.2:
        before, first = [replace(first, through="plan")], replace(first, goes_on=True)
    elif chance.random() < 0.1:
        before = [replace(first, check=True)]
    later = tuple(
        replace(ask, creates=ask.verb == "release" and not ask.held and chance.random() < 0.5) for ask in script.asks
    )
    return replace(script, asks=(*before, first, *later))
