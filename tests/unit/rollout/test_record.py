# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record goes through its annotation unchanged, and what it does not understand it does not guess."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout import record as record_room
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST, LastRelease, last_ended
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    MAX_INT32,
    RECORD,
    VERSION,
    Companion,
    Intent,
    Kind,
    Originals,
    Record,
    RouteRef,
    StableIdentity,
    Traffic,
    UnreadableRecord,
    copies,
    newest,
    read,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Strategy

from .objects import PINNED, deployment, record, replica_set

RECORDS = Path(__file__).parent / "records"

counts = st.integers(0, MAX_INT32)
parts = st.none() | counts | st.integers(0, 100).map(lambda percent: f"{percent}%")
strategies = st.builds(Strategy, st.just("RollingUpdate"), parts, parts).filter(
    lambda strategy: {strategy.max_surge, strategy.max_unavailable}.isdisjoint({0, "0%"})
)
names = st.from_regex(r"[a-z]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True)
companions = st.builds(Companion, st.sampled_from(Kind), names, st.text())
records = st.builds(
    record,
    intent=st.sampled_from(Intent),
    originals=st.builds(Originals, st.integers(0, 599), st.none() | st.integers(600, MAX_INT32), strategies,
                        st.none() | st.text()),
    pods=st.integers(1, MAX_INT32), surge=st.integers(1, MAX_INT32), max_unavailable=counts, replicas=counts,
    started_by=st.text(), reason=st.text(), run=st.text(), generation=counts, companions=st.lists(companions).map(tuple),
    step=st.none() | st.integers(1, 9).flatmap(lambda steps: st.tuples(st.integers(1, steps), st.just(steps))),
)  # fmt: skip


@given(records)
def test_what_is_written_is_read(written: Record) -> None:
    assert Record.decode(written.encode()) == written
    assert "\n" not in written.encode()


@given(records, st.data())
def test_a_record_that_lacks_a_part_is_unreadable(written: Record, data: st.DataObject) -> None:
    values = json.loads(written.encode())
    del values[
        data.draw(
            st.sampled_from(sorted(values.keys() - {"generation", "companions", "run", "reason", "step", "traffic"}))
        )
    ]
    with pytest.raises(UnreadableRecord):
        Record.decode(json.dumps(values))


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(json.dumps))
def test_any_other_text_is_unreadable_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        Record.decode(text)


TRAFFIC = Traffic("web", (RouteRef("api", "uid-api"),), True, 30, "require", "https://shop.example", "10.0.0.1", False)


def changed(path: str, value: Any) -> str:
    """The text of a good record with another value at this path."""
    data = json.loads(record(companions=PINNED, traffic=TRAFFIC).encode())
    *parents, last = path.split(".")
    place = data
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    place[last] = value
    return json.dumps(data)


WRONG: dict[str, tuple[str, Any, str]] = {
    "a later version": ("version", 6, "it has version 6, and this release of coalmine.canary reads version 5: use the"),
    "an exposure that is none": ("exposure", "5 %", 'exposure is "5 %", which is not an object'),
    "routes that are no list": ("traffic.routes", {}, "traffic.routes is {}, which is not a list of routes"),
    "no route": ("traffic.routes", [], "traffic.routes is [], which is not a list of routes"),
    "a command for a route": ("traffic.routes.0.name", "$(reboot)", "name of a route is"),
    "a command for a Service": ("traffic.service", "x; y", "traffic.service is"),
    "an isolating of another type": ("traffic.isolating", 1, "traffic.isolating is 1, which is not true or false"),
    "a proof of a later release": ("traffic.proof", "twice", 'traffic.proof is "twice", and not one of require, prefer, none'),
    "no time for a write": ("traffic.seconds", 0, "traffic.seconds is 0, which is not a number from 1"),
    "a member of traffic of a later release": ("traffic.mirror", 1, 'traffic has "mirror", which this release'),
    "a kind of traffic of a later release": ("trafficKind", "traefik", 'trafficKind is "traefik", which this release'),
    "a step that there is not": ("step", [3, 2], "step[0] is 3, which is not a number from 1 to 2"),
    "a step of no number": ("step", 1, "step is 1, which is not a number and how many there are"),
    "a version of another type": ("version", True, "it has version True"),
    "a member of a later release": ("lease", {}, 'the record has "lease", which this release of coalmine.canary does not know'),
    "a member of a part": ("size.weight", 5, 'size has "weight", which this release'),
    "a member of the originals": ("originals.paused", True, 'originals has "paused", which this release'),
    "a member of the strategy": ("originals.strategy.partition", 1, 'strategy has "partition", which this release'),
    "a member of rollingUpdate": ("originals.strategy.rollingUpdate.x", 1, 'rollingUpdate has "x", which this release'),
    "a companion of a later release": ("companions.0.kind", "Lease", 'a companion has the kind "Lease", which this release'),
    "a companion without a name": ("companions", [{"kind": "HorizontalPodAutoscaler", "uid": ""}], "a companion lacks name"),
    "companions that are no list": ("companions", {}, "companions is {}, which is not a list"),
    "an autoscaler beside companions": ("autoscaler", "hpa", "it has both autoscaler and companions"),
    "a command for a name": ("companions.0.name", "x'; reboot; '", "name of HorizontalPodAutoscaler is"),
    "a command for a ReplicaSet": ("stable.replicaSet", "$(reboot)", "stable.replicaSet is"),
    "a negative count": ("size.pods", -1, "size.pods is -1, which is not a number from 1 to 2147483647"),
    "no pod": ("size.pods", 0, "size.pods is 0, which is not a number from 1 to 2147483647"),
    "a truth for a count": ("size.replicas", True, "size.replicas is true, which is not a number"),
    "a number with a point": ("size.surge", 1.0, "size.surge is 1.0, which is not a number"),
    "a size that never moves": ("size.surge", 0, "size.surge and size.maxUnavailable are both 0"),
    "more than 32 bits": ("originals.minReadySeconds", 2**40, "minReadySeconds is 1099511627776, which is not a number"),
    "a deadline below minReadySeconds": ("originals.progressDeadlineSeconds", 5, "progressDeadlineSeconds 5 is not above"),
    "a strategy that never moves": (
        "originals.strategy.rollingUpdate", {"maxSurge": "00%", "maxUnavailable": 0}, "maxSurge and maxUnavailable are both 0",
    ),
    "more than all unavailable": ("originals.strategy.rollingUpdate.maxUnavailable", "101%", "at most 100%"),
    "no percentage": ("originals.strategy.rollingUpdate.maxSurge", "²%", "maxSurge is \"\\u00b2%\", which is not a number"),
    "Recreate": ("originals.strategy.type", "Recreate", 'strategy.type is "Recreate"'),
    "an unknown intent": ("intent", "explode", 'intent is "explode", and not one of hold, promote, undo'),
    "an intent of another type": ("intent", [], "intent is [], and not one of"),
    "no text": ("startedBy", 5, "startedBy is 5, which is not text"),
    "half a character": ("reason", "\ud800", "reason has half a character (a surrogate) in it"),
    "no time": ("startedAt", "zzz", 'startedAt is "zzz", which is not a time in UTC'),
    "digits of another script": ("startedAt", "２026-01-01T00:00:00Z", "which is not a time in UTC"),
    "no originals": ("originals", None, "originals is null, which is not an object"),
    "a list for a part": ("stable", [], "stable is [], which is not an object"),
    "a cause of another type": ("originals.changeCause", {}, "changeCause is {}, which is not text"),
    "a long value": ("uid", ["x" * 999], 'uid is ["' + "x" * 55 + "..., which is not text"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), [*WRONG.values()], ids=[*WRONG])
def test_what_cannot_be_is_refused_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(UnreadableRecord) as raised:
        Record.decode(changed(path, value))
    assert message in str(raised.value)


HOSTILE = {
    "nested lists": "[" * 90_000,
    "nested objects": '{"version":' * 30_000,
    "10 MB": '{"version":1,"uid":"' + "x" * 10_000_000 + '"}',
    "a number of 5,000 digits": '{"version":' + "9" * 5_000 + "}",
    "a superscript": "²",
    "a lone surrogate": "\ud800",
    "an escaped one": changed("uid", "\udfff"),
    "NaN": changed("size.pods", float("nan")),
    "infinity": changed("originals.minReadySeconds", float("inf")),
}


@pytest.mark.parametrize("text", [*HOSTILE.values()], ids=[*HOSTILE])
def test_a_hostile_text_is_unreadable_and_told_in_a_line(text: str) -> None:
    with pytest.raises(UnreadableRecord) as raised:
        Record.decode(text)
    said = str(raised.value)
    assert len(said) < 300 and said.isascii() and said.isprintable()


FULL = replace(
    record(pods=1, generation=7, companions=PINNED, run="job-7", reason="slow", intent=Intent.UNDO),
    originals=Originals(5, None, Strategy("RollingUpdate", "30%", 1), "first"),
    stable=StableIdentity("web-v1", "uid-v1", "v1", "sha256:1a"),
    asked="sha256:2b",
    canary="sha256:2c",
)
SHAPES = {
    "1": FULL,
    "2": replace(FULL, traffic=TRAFFIC),
    "3": replace(FULL, traffic=replace(TRAFFIC, kind="service_selector")),
    "4": replace(FULL, traffic=replace(TRAFFIC, kind="service_selector"), step=(1, 2)),
    "5": replace(FULL, traffic=TRAFFIC, step=(1, 2), exposure='{"header":null,"weight":"1/20"}'),
    "1-autoscaler-by-name": replace(FULL, generation=0, companions=(Companion(Kind.AUTOSCALER, "hpa"),), run=""),
}


def test_a_record_of_every_shape_is_read_for_ever() -> None:
    kept = {path.stem: Record.decode(path.read_text(encoding="utf-8")) for path in RECORDS.iterdir()}
    assert kept == SHAPES


def test_the_shape_that_is_written_is_among_those_kept() -> None:
    assert SHAPES[str(VERSION)].encode() == (RECORDS / f"{VERSION}.json").read_text(encoding="utf-8").strip()


def test_the_version_is_that_of_the_lowest_reader_that_knows_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(record_room.__dict__, "SINCE", {"run": 2})
    assert json.loads(record().encode())["version"] == 1
    assert json.loads(record(run="job-7").encode())["version"] == 2


def test_halves_of_characters_are_not_written() -> None:
    written = Record.decode(record(started_by="\udc80", reason="a\ud800b", run="\udfff").encode())
    assert (written.started_by, written.reason, written.run) == ("?", "a?b", "?")


def test_the_autoscaler_is_a_companion() -> None:
    assert record().autoscaler is None
    assert record(companions=PINNED).autoscaler == "hpa"


def test_no_annotation_is_no_record() -> None:
    assert read({}) is None
    assert read({RECORD: record().encode()}) == record()


def test_copies_that_are_unreadable_of_another_deployment_or_of_a_generation_to_come_are_left_out() -> None:
    old = record(generation=2)
    found = copies(
        deployment(),  # whose generation is 3
        (
            replica_set("v2", 1, 2, record(generation=3)),
            replica_set("v3", 0, 3, "{"),
            replica_set("v4", 0, 4, record(uid="other")),
            replica_set("v5", 0, 5, record(generation=4)),
            replica_set("v1", 4, 1, old),
        ),
    )
    assert found == (record(generation=3), old)


def test_the_newest_is_that_of_the_latest_release_whatever_clocks_said_and_among_equals_the_first() -> None:
    old = record(generation=1, started_at="2099-01-01T00:00:00Z")
    first, second = record(pods=1, generation=2), record(pods=2, generation=2)
    assert newest([old, first, second]) == first
    assert newest([]) is None


ENDED: dict[str, tuple[str | None, int]] = {
    "nothing": (None, 0),
    "what a release leaves": (LastRelease("undone", {}, "", "", "", 2).encode(), 2),
    "a generation to come": (LastRelease("undone", {}, "", "", "", 99).encode(), 0),
    "of an earlier shape": ('{"outcome":"undone"}', 0),
    "garbage": ("{", 0),
    "a list": ("[2]", 0),
    "a truth": ('{"generation":true}', 0),
    "nested": ("[" * 90_000, 0),
}


@pytest.mark.parametrize(("text", "generation"), [*ENDED.values()], ids=[*ENDED])
def test_which_release_ended_last_is_read_where_it_can_be(text: str | None, generation: int) -> None:
    assert last_ended(deployment(annotations={} if text is None else {LAST: text})) == generation


def test_how_a_release_ended_is_told_in_a_line() -> None:
    last = LastRelease("undone", {"app": "app:v2"}, "2026-01-01T00:00:00Z", "ana", "too slow").encode()
    assert json.loads(last)["reason"] == "too slow" and last == last.replace("\n", "")
