# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record goes through its annotation unchanged, and what it does not understand it does not guess."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    RECORD,
    Intent,
    LastRelease,
    Originals,
    Record,
    UnreadableRecord,
    copies,
    newest,
    read,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Strategy

from .objects import record, replica_set

counts = st.integers(0, 2**31 - 1)
parts = st.none() | counts | st.integers(0, 100).map(lambda percent: f"{percent}%")
records = st.builds(
    record,
    intent=st.sampled_from(Intent),
    originals=st.builds(Originals, counts, st.none() | counts, st.builds(Strategy, st.just("RollingUpdate"), parts, parts),
                        st.none() | st.text()),
    pods=counts, surge=counts, max_unavailable=counts, replicas=counts,
    started_by=st.text(), reason=st.text(), autoscaler=st.none() | st.text(min_size=1),
)  # fmt: skip


@given(records)
def test_what_is_written_is_read(written: Record) -> None:
    assert Record.decode(written.encode()) == written
    assert "\n" not in written.encode()


@given(records, st.data())
def test_a_record_that_lacks_a_part_is_unreadable(written: Record, data: st.DataObject) -> None:
    values = json.loads(written.encode())
    del values[data.draw(st.sampled_from(sorted(values)))]
    with pytest.raises(UnreadableRecord):
        Record.decode(json.dumps(values))


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(json.dumps))
def test_any_other_text_is_unreadable_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        Record.decode(text)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a later version": ({"version": 2}, "it has version 2, and this release of coalmine.canary reads version 1"),
    "a negative count": ({"size": {"pods": -1, "surge": 1, "maxUnavailable": 0, "replicas": 4}}, "-1 is not a count"),
    "a truth for a count": (
        {"size": {"pods": True, "surge": 1, "maxUnavailable": 0, "replicas": 4}},
        "True is not a count",
    ),
    "an unknown intent": ({"intent": "explode"}, "'explode' is not a valid Intent"),
    "no text": ({"startedBy": 5}, "5 is not text"),
    "no originals": ({"originals": None}, "a part of it is missing or of the wrong kind"),
}


@pytest.mark.parametrize(("change", "message"), [*WRONG.values()], ids=[*WRONG])
def test_the_error_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableRecord) as raised:
        Record.decode(json.dumps({**json.loads(record().encode()), **change}))
    assert message in str(raised.value)


def test_no_annotation_is_no_record() -> None:
    assert read({}) is None
    assert read({RECORD: record().encode()}) == record()


def test_unreadable_copies_are_left_out() -> None:
    old = record(started_at="2025-01-01T00:00:00Z")
    found = copies((replica_set("v2", 1, 2, record()), replica_set("v3", 0, 3, "{"), replica_set("v1", 4, 1, old)))
    assert found == (record(), old)


def test_the_newest_is_that_of_the_latest_start_and_among_equals_the_first() -> None:
    old, first, second = record(started_at="2025-01-01T00:00:00Z"), record(pods=1), record(pods=2)
    assert newest([old, first, second]) == first
    assert newest([]) is None


def test_how_a_release_ended_is_told_in_a_line() -> None:
    last = LastRelease("undone", {"app": "app:v2"}, "2026-01-01T00:00:00Z", "ana", "too slow").encode()
    assert json.loads(last)["reason"] == "too slow" and last == last.replace("\n", "")
