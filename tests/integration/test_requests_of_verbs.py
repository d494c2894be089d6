# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb costs a real API server: witnesses of what tests/sim/test_requests.py counts, nothing is discovered among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import api as api_module
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Request
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.situations import until

from .releases import Release

# Two of them are the Lease, taken and given back.
MOST_REQUESTS = 10
# And one gives fields back to their owners.
MOST_AT_THE_END = MOST_REQUESTS + 1
# And two ask what admission would make of the writes of a promotion.
MOST_OF_A_PROMOTION = MOST_AT_THE_END + 2
REPLICAS = 6
DISCOVERY = ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/version", "/openapi/v3")


@dataclass
class Bill:
    """Every request in order, and whether it was refused."""

    sent: list[tuple[Request, bool]] = field(default_factory=list)

    @property
    def counted(self) -> list[str]:
        """All requests but reading once more, after the first write, what has been read or is being watched since then:
        looks that were repeated because objects were still on their way; and writes that the controller came before."""
        counted: list[str] = []
        read: set[str] = set()
        written = False
        for request, refused in self.sent:
            watches = request.query.get("watch") == "1"
            if (request.method == "GET" and not watches and request.path in read) or (written and refused):
                continue
            tried = "dryRun" in request.query
            counted.append(f"{request.method} {request.path}{' (watch)' * watches}{' (dry run)' * tried}")
            written = written or (request.method == "PATCH" and not tried)
            if written and request.method == "GET":
                read.add(request.path)
        return counted


@pytest.fixture
def bill(monkeypatch: pytest.MonkeyPatch) -> Bill:
    bill, send = Bill(), api_module.send

    def noted(session: Any, request: Request) -> Any:
        exchange = send(session, request)
        bill.sent.append((request, exchange.status in (409, 422)))
        return exchange

    monkeypatch.setattr(api_module, "send", noted)
    return bill


@pytest.fixture
def api(lab: Lab | ForeignCluster) -> Iterator[Api]:
    with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
        yield api


@pytest.fixture
def release(api: Api, namespace: str) -> Release:
    return Release(api, namespace).make(REPLICAS)


@pytest.fixture
def cost(bill: Bill, api: Api) -> Callable[[Callable[[], Any]], list[str]]:
    """The requests of one call of a verb, as they are counted."""

    def measure(verb: Callable[[], Any]) -> list[str]:
        bill.sent.clear()
        before = api.requests
        verb()
        assert len(bill.sent) == api.requests - before
        assert not [request.path for request, _refused in bill.sent if request.path in DISCOVERY]
        return bill.counted

    return measure


Cost = Callable[[Callable[[], Any]], list[str]]


@pytest.mark.parametrize(("pods", "surge", "steps"), [(1, 1, 0), (3, 0, 2)])
def test_a_start_costs_at_most_ten_requests_and_one_more_for_each_step(
    release: Release, cost: Cost, pods: int, surge: int, steps: int
) -> None:
    counted = cost(lambda: release.start(pods=pods, surge=surge))
    assert counted.count(f"PATCH {release.path}") == 1 + steps
    # Each is tried first.
    assert len(counted) <= MOST_REQUESTS + 2 * steps, "\n".join(counted)


def test_an_undo_costs_at_most_eleven_requests_and_a_promotion_two_more(release: Release, cost: Cost) -> None:
    release.start("v2")
    # Until then the pods have to be asked too.
    until(lambda: release.deployment()["status"]["readyReplicas"] == REPLICAS + 1, "its status tells of the canary pod")
    assert len(promoted := cost(release.promote)) <= MOST_OF_A_PROMOTION, "\n".join(promoted)
    release.start("v3")
    assert len(undone := cost(lambda: release.undo(reason=""))) <= MOST_AT_THE_END, "\n".join(undone)
