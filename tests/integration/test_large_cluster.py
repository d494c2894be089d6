# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headroom of a cluster that takes several pages, served by a stand-in: `make bench` reads 150,000 pods the same way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, session
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Gone, ServerError, TooManyRequests
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.fields import PodFields
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from tests.bench.headroom.crowd import Crowd
from tests.bench.headroom.measure import Reading, large_cluster
from tests.bench.headroom.standin import StandIn, Store, token
from tests.clocks import Pauses

SLICE = Crowd(nodes=50, pods=2000)
# The process without a cluster has 49 MiB; whoever kept these pods would need twice this (standard library: 120 MiB).
MOST_MIB = 80.0
Object = dict[str, Any]


@pytest.fixture(scope="module")
def readings() -> dict[str, Reading]:
    with large_cluster(SLICE) as cluster:
        return {way: cluster.read(way) for way in ("msgspec", "json")}


def test_both_ways_of_reading_give_the_same_answer(readings: dict[str, Reading]) -> None:
    answers = [{**one.found, "read": {**one.found["read"], "seconds": 0, "parser": ""}} for one in readings.values()]
    assert answers[0] == answers[1]
    assert (answers[0]["verdict"], answers[0]["exactness"]) == ("fits", "exact")
    assert answers[0]["fit"]["placeable"] > 100
    assert {way: one.found["read"]["parser"] for way, one in readings.items()} == {"msgspec": "msgspec", "json": "json"}


def test_every_pod_is_counted_in_as_few_requests_as_pages_allow(readings: dict[str, Reading]) -> None:
    read = readings["msgspec"].found["read"]
    assert (read["nodes"], read["pods"]) == (SLICE.nodes, SLICE.pods)
    assert read["requests"] == 5 + 1 + 4


@pytest.mark.parametrize("way", ["msgspec", "json"])
def test_memory_does_not_grow_with_the_pods(readings: dict[str, Reading], way: str) -> None:
    assert readings[way].peak_mib < MOST_MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(Store(SLICE, tmp_path_factory.mktemp("crowd"))) as standing:
        thread = threading.Thread(target=standing.serve_forever, daemon=True)
        thread.start()
        yield standing
        standing.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(server: StandIn, pauses: list[float]) -> Iterator[Api]:
    """Pauses are noted, not slept through."""
    server.asked.clear()
    server.moods.clear()
    host = f"http://127.0.0.1:{server.server_address[1]}"
    with Api(session(Connection(host=host, api_key="none")), clock=Pauses(pauses)) as api:
        yield api


def counted(api: Api, limit: int = 500) -> tuple[int, list[str]]:
    """How many pods, and the moments of the pages."""
    pods, moments = 0, []
    for moment, page in api.read("/api/v1/pods", PodFields, limit=limit):
        moments.append(moment)
        pods += sum(1 for _pod in page)
    return pods, moments


def ask(api: Api) -> Object:
    request = HeadroomRequest(Call(Target("web", "shop")), NewTemplate(images={"app": "app:2"}))
    found = headroom(api, request, lambda line: None).extra["headroom"]
    assert found is not None
    return dict(found)


def forgotten(start: int, moment: str | None) -> tuple[int, Object, Object]:
    """The server's answer to a continue token that is too old; with a moment it offers to go on in that one."""
    metadata = {"continue": token(start, moment)} if moment else {}
    said = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old", "metadata": metadata}
    return 410, {}, said


def busy(seconds: int) -> tuple[int, Object, Object]:
    return 429, {"Retry-After": str(seconds)}, {"kind": "Status", "code": 429, "message": "too many requests"}


def test_pages_are_asked_for_one_after_another_and_come_of_one_moment(api: Api, server: StandIn) -> None:
    pods, moments = counted(api)
    assert (pods, len(moments), len(set(moments))) == (SLICE.pods, 4, 1)
    assert ["continue=" in target for target in server.asked] == [False, True, True, True]


def test_a_busy_server_is_waited_for_as_long_as_it_says(api: Api, server: StandIn, pauses: list[float]) -> None:
    server.moods = [busy(2)] * 5
    assert counted(api)[0] == SLICE.pods
    assert pauses == [2.0] * 5


def test_a_server_that_stays_busy_is_told_of(api: Api, server: StandIn) -> None:
    server.moods = [busy(90)]
    with pytest.raises(TooManyRequests):
        counted(api)
    server.moods = [busy(90)]
    with pytest.raises(TooManyRequests, match="too many requests"):
        ask(api)


def test_a_list_that_goes_on_in_another_moment_is_said_to(api: Api, server: StandIn) -> None:
    server.moods = [forgotten(500, "912349999")]
    found = ask(api)
    assert (found["verdict"], found["read"]["pods"]) == ("fits", SLICE.pods)
    assert "pods_changed_while_they_were_read" in found["assumptions"]
    assert "pods_changed_while_they_were_read" not in ask(api)["assumptions"]


def test_a_list_that_cannot_go_on_ends_without_an_answer(api: Api, server: StandIn) -> None:
    server.moods = [forgotten(500, None)]
    with pytest.raises(Gone):
        counted(api)


def test_an_answer_in_the_middle_that_is_no_list_is_an_error(api: Api, server: StandIn) -> None:
    server.moods = [(200, {}, {"items": [{"metadata": "nothing like it"}]})]
    with pytest.raises(ServerError, match="does not answer like"):
        counted(api)


def test_whoever_stops_in_the_middle_asks_for_no_more_than_two_pages_ahead(api: Api, server: StandIn) -> None:
    pages = api.read("/api/v1/pods", PodFields, limit=250)
    next(pages)
    pages.close()
    deadline = time.monotonic() + 10
    while len(server.asked) < 3:
        assert time.monotonic() < deadline, "another page is on its way while one is looked at and the next unpacked"
        time.sleep(0.01)
    time.sleep(0.2)
    assert len(server.asked) == 3


def test_an_error_in_the_middle_of_the_list_keeps_its_name(api: Api, server: StandIn) -> None:
    gone = {
        "kind": "Status",
        "code": 403,
        "message": 'pods is forbidden: User "x" cannot list resource "pods" in API group ""',
    }
    server.moods = [(403, {}, gone)]
    found = ask(api)
    assert found["verdict"] == "unknown"
    assert found["unknown"] == ["pods_not_readable: needs the right to list pods in the whole cluster"]


def test_the_list_ends_though_the_connection_breaks_in_between(api: Api, server: StandIn, pauses: list[float]) -> None:
    server.moods = [(503, {"Connection": "close"}, {"kind": "Status", "code": 503, "message": "restarting"})] * 2
    assert counted(api)[0] == SLICE.pods
    assert pauses == [0.2, 0.8]
