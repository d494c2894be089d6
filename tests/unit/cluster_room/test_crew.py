# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Works side by side: so many at once, all of them to their end, whatever one of them raises."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.client import (
    KEPT_OPEN,
    KEPT_OPEN_OF_A_FLEET,
    Session,
    Source,
    open_session,
)
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.crew import Meanwhile, Threads
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.options import Connection


class Closed:
    """A session of which it matters only that it is closed once."""

    warnings = ("told by the configuration",)

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def keep_open(self, connections: int) -> None:
        """It has none."""


def api(session: Closed) -> Api:
    return Api(cast(Session, session))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_no_more_than_so_many_go_on_at_the_same_time(at_once: int) -> None:
    lock, under_way, most, done = threading.Lock(), 0, 0, []

    def work(number: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        done.append(number)
        with lock:
            under_way -= 1

    Threads([]).all([lambda number=number: work(number) for number in range(20)], at_once)  # type: ignore[misc]
    assert sorted(done) == list(range(20))
    assert most <= at_once


def test_all_come_to_their_end_before_an_error_is_raised() -> None:
    done: list[str] = []

    def fails() -> None:
        raise ValueError("the first")

    works: list[Any] = [fails, lambda: done.append("second"), lambda: done.append("third")]
    with pytest.raises(ValueError, match="the first"):
        Threads([]).all(works, 1)
    assert done == ["second", "third"]


def test_ways_to_a_cluster_share_connections_and_count_for_themselves() -> None:
    session = Closed()
    with Threads([api(session)]) as crew:
        one, other = crew.api(0), crew.api(0)
        one.requests, other.requests = 2, 3
        one.warnings.append("of one")
        assert crew.requests == 5
        assert "of one" not in other.warnings
        assert crew.warnings == ("told by the configuration", "of one")
    assert session.closed == 1


def test_only_those_who_share_connections_keep_many_open() -> None:
    alone, shared = (
        open_session(Connection(host="https://cluster.test"), Source.OPTIONS, None, "test") for _each in range(2)
    )
    Threads([Api(shared)])
    kept = [session.pool.connection_from_url(session.base).pool.maxsize for session in (alone, shared)]
    assert kept == [KEPT_OPEN, KEPT_OPEN_OF_A_FLEET]


def test_whoever_waits_does_something_meanwhile_and_no_work_begins_in_the_middle_of_it() -> None:
    goes_on, rounds, begun_within = threading.Event(), 0, []
    inside = False

    def work() -> None:
        begun_within.append(inside)
        goes_on.wait(60)

    def does() -> None:
        nonlocal rounds, inside
        inside = True
        rounds += 1
        inside = False
        if rounds == 3:
            goes_on.set()

    Threads([]).all([work, work, work], 2, Meanwhile(does, 0.01))
    assert rounds >= 3 and begun_within == [False] * 3


def test_what_is_done_meanwhile_is_not_done_where_nothing_takes_that_long() -> None:
    Threads([]).all([lambda: None] * 3, 1, Meanwhile(lambda: pytest.fail("nobody waits so long"), 600.0))
