# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb costs the API server, and that a second run of a verb changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, Policies, Through
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KINDS
from tests.release_calls import asked, released
from tests.sim.network import Network
from tests.sim.test_traffic import START, world
from tests.situations import Web, image

# Two of them are the Lease, taken and given back.
MOST_REQUESTS = 10
# And one gives fields back to their owners.
MOST_AT_THE_END = MOST_REQUESTS + 1
# And two ask what admission would make of the writes of a promotion.
MOST_OF_A_PROMOTION = MOST_AT_THE_END + 2
MOST_FOR_A_SHARE = 15
REPLICAS = 6


class Bill:
    """Every request in order: method, path, and whether it is a watch or is only tried."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    @property
    def counted(self) -> list[str]:
        """All requests but reading once more, after the first write, what has been read or is being watched since then:
        looks that were repeated because objects were still on their way."""
        counted: list[str] = []
        read: set[str] = set()
        written = False
        for method, path, how in self.sent:
            if method == "GET" and how != "watch" and path in read:
                continue
            counted.append(f"{method} {path} {how}".strip())
            written = written or (method == "PATCH" and not how)
            if written and method == "GET":
                read.add(path)
        return counted


@pytest.fixture
def bill(monkeypatch: pytest.MonkeyPatch) -> Bill:
    bill, send, streams = Bill(), Network._send, Network.streams

    def noted(self: Network, request: Request) -> Exchange:
        bill.sent.append((request.method, request.path, "tried" if "dryRun" in request.query else ""))
        return send(self, request)

    def noted_streams(self: Network, watches: Sequence[Watched]) -> Streams:
        bill.sent.extend(("GET", watched.path, "watch") for watched in watches)
        return streams(self, watches)

    monkeypatch.setattr(Network, "_send", noted)
    monkeypatch.setattr(Network, "streams", noted_streams)
    return bill


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return new().make(REPLICAS)


Cost = Callable[[Callable[[], Any]], list[str]]


@pytest.fixture
def cost(bill: Bill, web: Web) -> Cost:
    """The requests of one call of a verb, as they are counted."""

    def measure(verb: Callable[[], Any]) -> list[str]:
        bill.sent.clear()
        before = web.api.requests
        verb()
        assert len(bill.sent) == web.api.requests - before
        return bill.counted

    return measure


@pytest.mark.parametrize("patch", [None, {"metadata": {"annotations": {"asked": "by patch"}}}], ids=["images", "patch"])
@pytest.mark.parametrize(("pods", "surge", "steps"), [(1, 1, 0), (3, 3, 0), (2, 1, 1), (4, 1, 3), (3, 0, 2)])
def test_a_start_costs_at_most_ten_requests_and_two_more_for_each_step_and_one_for_a_patch(
    web: Web, cost: Cost, pods: int, surge: int, steps: int, patch: Mapping[str, Any] | None
) -> None:
    counted = cost(lambda: web.start(pods=pods, surge=surge, patch=patch))
    assert counted.count(f"PATCH {web.path}") == 1 + steps
    assert len(counted) <= MOST_REQUESTS + 2 * steps + (patch is not None), "\n".join(counted)


def test_an_undo_costs_at_most_eleven_requests_and_a_promotion_two_more(web: Web, cost: Cost) -> None:
    web.start("v2")
    # Until then the pods have to be asked too.
    web.until(lambda: web.get()["status"]["readyReplicas"] == REPLICAS + 1, "its status tells of the canary pod")
    assert len(promoted := cost(web.promote)) <= MOST_OF_A_PROMOTION, "\n".join(promoted)
    web.start("v3")
    assert len(undone := cost(web.undo)) <= MOST_AT_THE_END, "\n".join(undone)


def test_an_undo_with_a_reason_costs_one_request_more_the_event_that_tells_it(web: Web, cost: Cost) -> None:
    web.start("v2")
    undone = cost(lambda: web.undo(reason="too many errors"))
    assert f"POST /api/v1/namespaces/{web.namespace}/events" in undone
    assert len(undone) <= MOST_AT_THE_END + 1, "\n".join(undone)


def test_a_look_at_what_is_not_released_lists_each_kind_of_routes_once(web: Web, cost: Cost) -> None:
    of_the_deployment = 4
    collections = {kind.collection.format(web.namespace) for kind in KINDS.values()}
    looked = cost(web.info)
    assert len(looked) == of_the_deployment + len(collections), "\n".join(looked)
    assert {f"GET {path}" for path in collections} <= set(looked)


STEPS = [(1,), (1, 2), (1, 2, 4)]


@pytest.mark.parametrize("pods", STEPS, ids=len)
def test_a_release_is_planned_from_one_look_however_many_steps_it_has(
    web: Web, bill: Bill, pods: tuple[int, ...]
) -> None:
    web.checking = True
    bill.sent.clear()
    released(web, asked(web, pods=pods))
    read = [path.rpartition("/")[2] for method, path, _how in bill.sent if method == "GET"]
    assert [read.count(what) for what in (web.name, "replicasets", "horizontalpodautoscalers")] == [1, 1, 1]


@pytest.mark.parametrize("pods", STEPS, ids=len)
def test_between_the_pods_of_its_last_step_and_its_promotion_a_release_reads_nothing_again(
    web: Web, bill: Bill, pods: tuple[int, ...]
) -> None:
    bill.sent.clear()
    released(web, asked(web, pods=pods))
    waits = [number for number, (_method, path, how) in enumerate(bill.sent) if how and path.endswith("/pods")]
    last, promotion = waits[len(pods) - 1 :]
    looks = [path for method, path, how in bill.sent[last:promotion] if (method, path, how) == ("GET", web.path, "")]
    # For what the streams told, which ends the wait.
    assert len(looks) == 1, "\n".join(map(str, bill.sent))


def test_a_release_asks_for_room_with_what_it_was_planned_from(web: Web, bill: Bill) -> None:
    bill.sent.clear()
    told = released(web, asked(web, policies=Policies(headroom=Headroom.REPORT), through=Through.parse("plan")))[1]
    assert len(told.rooms) == 1
    looks = [path for method, path, _how in bill.sent if (method, path) == ("GET", web.path)]
    assert len(looks) == 1, "\n".join(map(str, bill.sent))


def test_a_release_ends_with_one_look_at_its_deployment(web: Web, bill: Bill) -> None:
    bill.sent.clear()
    outcome, _told = released(web, asked(web))
    last = max(number for number, (method, *_rest) in enumerate(bill.sent) if method == "PATCH")
    read = [path for method, path, _how in bill.sent[last:] if method == "GET"]
    assert read == [web.path]
    stable = outcome.canary["stable"]
    assert (stable["counts"]["ready"], len(stable["pods"])) == (REPLICAS, REPLICAS)


def test_a_release_that_is_out_costs_three_requests(web: Web, cost: Cost) -> None:
    released(web, asked(web))
    assert len(again := cost(lambda: released(web, asked(web)))) == 3, "\n".join(again)


def test_a_rollback_with_a_reason_tells_it_once_on_the_deployment_and_by_an_event(web: Web) -> None:
    web.start("v2")
    web.promote()
    assert web.rollback(image("v1"), reason="it turned slow").changed
    assert not web.rollback(image("v1"), reason="it turned slow").changed
    annotations = web.get()["metadata"]["annotations"]
    last = json.loads(annotations["coalmine.canary/last"])
    assert (last["outcome"], last["reason"], last["images"]) == ("rolled back", "it turned slow", {"app": image("v2")})
    events = web.api.list(f"/api/v1/namespaces/{web.namespace}/events")["items"]
    told = [event["message"] for event in events if event["reason"] == "CanaryRolledBack"]
    assert told == [f"{image('v2')} was rolled back: it turned slow"]


def test_another_share_for_a_canary_that_stands_costs_at_most_fifteen_requests() -> None:
    """Five until the Lease is asked for. Then the Deployment, the pods, three Services and their endpoints are each read once, and four
    are writes: the Lease is taken and given back, the route, and what the record keeps of it."""
    found = world(START, replace(START, share="25", think=1.0)).play()
    started, changed = found.calls[:2]
    assert [call.told().partition(":")[0] for call in (started, changed)] == ["changed"] * 2
    assert changed.requests <= MOST_FOR_A_SHARE < started.requests


def test_a_second_run_of_any_verb_changes_nothing(web: Web) -> None:
    def twice(verb: Callable[[], Any]) -> None:
        assert verb().changed
        before = web.get()["metadata"]
        assert not verb().changed
        after = web.get()["metadata"]
        for key in ("generation", "annotations", "labels"):
            assert after.get(key) == before.get(key)

    twice(lambda: web.start("v2", pods=3, surge=1))
    twice(web.pause)
    twice(web.resume)
    twice(web.promote)
    twice(lambda: web.rollback("lab.local/app:v1"))
    twice(lambda: web.start("v3", pods=2, surge=0))
    twice(web.undo)
