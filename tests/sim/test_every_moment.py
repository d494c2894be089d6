# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request of every verb that writes, and whatever may become of it: the process dies, the answer is lost, the server refuses.

Each request meets one of six faults in turn, and one death that is followed either by the same verb or by an undo; `make slow` has it meet
all of them.

Whoever runs the same verb again comes to the same end, and an undo brings back what there was. What may never happen in between
is looked at by the simulation itself (invariants.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import API_ERROR, Outcome, VerbFailure
from tests.sim.calls import Called
from tests.sim.faults import Fault, Planned, PlannedStream, StreamFault
from tests.sim.history import Ask, History, Script
from tests.sim.objects import CONTAINER, Json, image
from tests.sim.pods import Nature
from tests.sim.running import play
from tests.sim.store import Change
from tests.sim.telling import report
from tests.sim.world import Played
from tests.toolchain.sampled import in_turn

# Thousands of calls, all of which other tests show too.
pytestmark = pytest.mark.no_cover

MOST_REQUESTS = 60
ALL = range(MOST_REQUESTS)
# All that was begun before has come to rest by then.
FIRST, THEN, AFTERWARDS = 8.0, 60.0, 200.0
START, UNDO, INFO = Ask("start", pods=2), Ask("undo", reason="bad"), Ask("info")
PINNED = replace(START, autoscaler="pin")


@dataclass(frozen=True)
class Verb:
    """`before`: what was done until then. `phase` and `stable`: what there is in the end. `fewest`: requests that it makes at
    least; with fewer the test would show less than it says."""

    ask: Ask
    before: tuple[Ask, ...]
    phase: str
    fewest: int
    stable: str = "v1"


VERBS: dict[str, Verb] = {
    "start": Verb(START, (), "held", 6),
    "start that pins": Verb(PINNED, (), "held", 12),
    "start of a larger canary": Verb(replace(START, pods=3), (START,), "held", 6),
    "pause": Verb(Ask("pause"), (START,), "frozen", 4),
    "resume": Verb(Ask("resume"), (START, Ask("pause")), "held", 4),
    "promote": Verb(Ask("promote"), (START,), "none", 5, "v2"),
    "promote of what is pinned": Verb(Ask("promote"), (PINNED,), "none", 7, "v2"),
    "undo": Verb(UNDO, (START,), "none", 5),
    "undo of what is pinned": Verb(UNDO, (PINNED,), "none", 7),
    "undo of a promotion": Verb(UNDO, (START, Ask("promote", wait=False)), "none", 7),
    "release": Verb(Ask("release", pods=2), (), "none", 20, "v2"),
    "rollback": Verb(Ask("rollback", to="v1", reason="bad"), (START, Ask("promote")), "none", 5),
}


@dataclass(frozen=True)
class Told:
    """How it went for Vic, one of whose requests goes wrong, and for Eve, who comes after him. `phase` and `stable`: what Eve
    sees in the end."""

    played: Played
    vic: Called
    eve: Called
    phase: str
    stable: str

    def __str__(self) -> str:
        story = [f"{call.actor}: {call.ask.verb} {call.told()}" for call in self.played.calls]
        return "\n".join(["", *report(self.played), *story, f"then it is {self.phase}, {self.stable}"])


def at_each_request(verb: Verb, kind: Fault, afterwards: Ask, numbers: Sequence[int] = ALL) -> Iterator[Told]:
    """Or at those of these `numbers`, as long as it makes so many."""
    pinned = any(ask.autoscaler == "pin" for ask in (verb.ask, *verb.before))
    for number in numbers:
        vic = Script("vic", THEN, asks=(verb.ask,), faults=(Planned(number, kind),))
        eve = Script("eve", AFTERWARDS, asks=(afterwards, INFO))
        scripts = (Script("ana", FIRST, asks=verb.before), vic, eve)
        played = play(History(bounds=(2, 9) if pinned else None, scripts=scripts))
        went, again, seen = (call for call in played.calls if call.actor in ("vic", "eve"))
        if not went.hit:
            assert number >= verb.fewest, f"it makes {number} requests"
            return
        assert isinstance(seen.result, Outcome), seen.told()
        (canary,) = seen.result.extra["canaries"]
        told = Told(played, went, again, canary["phase"], canary["stable"]["images"][CONTAINER])
        assert not played.violations, told
        yield told
    raise AssertionError(f"it made {MOST_REQUESTS} requests and never came to its end")


def assert_reached(told: Told, phase: str, stable: str) -> None:
    assert isinstance(told.eve.result, Outcome), told
    assert (told.phase, told.stable) == (phase, image(stable)), told


def each_second(first: int) -> pytest.MarkDecorator:
    """At every other request from that one on; with the mark `slow`, at all."""
    all_of_them = pytest.param(ALL, id="all", marks=pytest.mark.slow)
    return pytest.mark.parametrize("numbers", [pytest.param(ALL[first::2], id="in turn"), all_of_them])


@each_second(0)
@pytest.mark.parametrize("name", VERBS)
def test_a_process_that_dies_at_any_moment_is_followed_by_one_that_finishes(name: str, numbers: Sequence[int]) -> None:
    verb = VERBS[name]
    for told in at_each_request(verb, Fault.KILLED_AFTER, verb.ask, numbers):
        assert told.vic.result is None, told
        assert_reached(told, verb.phase, verb.stable)


@each_second(1)
@pytest.mark.parametrize("name", [name for name in VERBS if name != "rollback"])
def test_a_process_that_dies_at_any_moment_can_be_undone(name: str, numbers: Sequence[int]) -> None:
    """Unless it had come to the very end of a promotion, as the next undo says."""
    for told in at_each_request(VERBS[name], Fault.KILLED_AFTER, UNDO, numbers):
        over = told.eve.told().startswith("ok: no canary is held: nothing to undo") and bool(told.vic.writes)
        assert_reached(told, "none", "v2" if over and VERBS[name].stable == "v2" else "v1")


# What a call goes through without a word. `done` is what the server did.
SURVIVED = (Fault.LOST_AFTER, Fault.LOST_BEFORE, Fault.BUSY)
# What may end a call in an error. Nothing was lost then: the next one goes on.
TOLD = (Fault.LATE, Fault.REFUSED, Fault.BROKEN_AFTER)
FAULTS = in_turn((*SURVIVED, *TOLD), ALL, attrgetter("name"))


def some(kinds: Sequence[Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "numbers"), [case for case in FAULTS if case.values[0] in kinds])


@some(SURVIVED)
@pytest.mark.parametrize("name", VERBS)
def test_a_request_that_gets_no_answer_is_asked_again_or_looked_after(
    name: str, kind: Fault, numbers: Sequence[int]
) -> None:
    verb = VERBS[name]
    for told in at_each_request(verb, kind, verb.ask, numbers):
        assert isinstance(told.vic.result, Outcome) and told.vic.result.changed, told
        assert isinstance(told.eve.result, Outcome) and not told.eve.result.changed, told
        assert_reached(told, verb.phase, verb.stable)


@some(TOLD)
@pytest.mark.parametrize("name", VERBS)
def test_whatever_ends_a_call_says_what_it_was_and_the_next_one_goes_on(
    name: str, kind: Fault, numbers: Sequence[int]
) -> None:
    verb = VERBS[name]
    for told in at_each_request(verb, kind, verb.ask, numbers):
        result = told.vic.result
        assert isinstance(result, (Outcome, ApiError)) or _is_to_be_gone_on_with(result), told
        assert not (_says_unchanged(result) and _leaves_a_change(told.vic)), told
        assert_reached(told, verb.phase, verb.stable)


def _leaves_a_change(call: Called) -> bool:
    """An autoscaler that was pinned is given back."""
    first = {change.name: change.before for change in reversed(call.writes)}
    last = {change.name: change.after for change in call.writes}
    return any(_asked(first[name]) != _asked(last[name]) for name in first)


def _asked(obj: Json | None) -> tuple[Json, Json]:
    assert obj is not None
    return obj["spec"], obj["metadata"].get("annotations") or {}


def _says_unchanged(result: object) -> bool:
    return isinstance(result, ApiError) or (isinstance(result, VerbFailure) and not result.changed)


def _is_to_be_gone_on_with(result: object) -> bool:
    """A release says how it leaves what it has changed; here that is as it is."""
    if not isinstance(result, VerbFailure) or result.code != API_ERROR:
        return False
    goes_on = ("run it again to go on from there", "run this again to go on", "It was left as it is")
    return any(words in result.message for words in (goes_on if result.changed else ("This run changed nothing",)))


# A server that is away for longer than one request.

SLOWLY, CUT = {"v2": Nature(5.0, 5.0)}, PlannedStream(0, StreamFault.CUT, 1.0)


def away(first: int, most: int, timeout: float) -> Played:
    """Vic starts a canary; from his request `first` on so many find no server, and what he watches ends."""
    faults = tuple(Planned(number, Fault.REFUSED) for number in range(first, first + most))
    vic = Script("vic", FIRST, asks=(replace(START, timeout=timeout),), faults=faults, streams=(CUT,))
    return play(History(natures=SLOWLY, scripts=(vic, Script("eve", AFTERWARDS, asks=(START,)))), traced=True)


def test_a_server_that_is_away_for_a_while_ends_no_wait() -> None:
    played = away(first=6, most=12, timeout=60.0)
    vic, eve = (call for call in played.calls if call.actor in ("vic", "eve"))
    assert not played.violations and vic.told().startswith("changed: holding 2 canary"), vic.told()
    assert any("the API server does not answer, still waiting" in line for line in played.trace)
    assert isinstance(eve.result, Outcome) and not eve.result.changed, eve.told()


def test_a_server_that_never_comes_back_is_told_with_what_was_done() -> None:
    played = away(first=6, most=1000, timeout=10.0)
    vic, eve = (call for call in played.calls if call.actor in ("vic", "eve"))
    assert not played.violations and _is_to_be_gone_on_with(vic.result), vic.told()
    assert eve.told().startswith("changed: holding 2 canary"), eve.told()


CLEANING = ("start", "pause", "resume", "rollback", "promote")


@pytest.mark.parametrize("name", CLEANING)
def test_what_died_between_the_last_pod_and_the_clean_up_is_cleaned_up_by_any_verb(name: str) -> None:
    ana = Script("ana", FIRST, asks=(PINNED, replace(UNDO, think=20.0, wait=False)))
    eve = Script("eve", THEN, asks=(Ask(name), INFO))
    played = play(History(bounds=(2, 9), scripts=(ana, eve)), traced=True)
    assert not played.violations
    cleaned, seen = (call for call in played.calls if call.actor == "eve")
    assert isinstance(cleaned.result, Outcome) and isinstance(seen.result, Outcome)
    assert cleaned.result.changed, cleaned.told()
    bounds = [(spec["minReplicas"], spec["maxReplicas"]) for spec in map(_autoscaler, cleaned.writes) if spec]
    # They are put back, and then given back to their owner.
    assert bounds == [(2, 9)] * 2
    assert seen.result.extra["canaries"][0]["phase"] == ("held" if name == "start" else "none")


def _autoscaler(change: Change) -> Json:
    return dict(change.object["spec"]) if change.kind == "horizontalpodautoscalers" else {}
