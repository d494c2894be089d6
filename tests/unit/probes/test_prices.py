# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices from a Prometheus that is dead, slow or lies: a reason, no price, never 0, and no secret.

What a real Prometheus makes of the queries is tested where a real one runs (tests/integration/test_headroom_prices.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.groups import Group, groups
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.prices import price_book, price_of
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import LARGEST_BODY, Web
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.counting.headroom_prices import (
    Found,
    PriceMetrics,
    metric_prices,
)
from tests.unit.headroom.clusters import node, scene
from tests.unit.probes.serving import MUCH_LATER_SECONDS, Respond, serving
from tests.unit.probes.test_prometheus import answer, vector

SECRET = "s3cr3t-t0ken"
SPOT = {
    "karpenter.sh/nodepool": "np-a",
    "node.kubernetes.io/instance-type": "m6i.xlarge",
    "karpenter.sh/capacity-type": "spot",
}
EMPTY = vector()


def kind(*names: str, zones: tuple[str, ...] = ("z1",), **labels: str) -> Group:
    nodes = [node(name, zone=zone, labels=SPOT | labels) for name, zone in zip(names or ("n1",), zones, strict=False)]
    return groups(scene(nodes), {})[0]


def offering(hourly: str, zone: str = "z1", capacity: str = "spot") -> tuple[dict[str, str], str]:
    return {"instance_type": "m6i.xlarge", "capacity_type": capacity, "zone": zone}, hourly


def telling(**series: dict[str, object]) -> Respond:
    """Answers by the metric that is asked for."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        answer(next((body for metric, body in series.items() if metric in query), EMPTY))(request)

    return respond


def asked(respond: Respond, group: Group, *, currency: str = "", timeout: float = 5.0, prices: Any = None) -> Found:
    with serving(respond) as url:
        metrics = PriceMetrics(Web(url, token=SECRET, timeout=timeout), currency)
        return metric_prices(metrics, price_book(prices), [group])


def test_karpenters_estimate_is_taken_with_its_time_and_currency() -> None:
    series = vector(offering("0.077"), offering("0.071", "z2"), offering("0.192", "z1", "on-demand"))
    found = asked(telling(karpenter=series), kind(), currency="EUR")
    price = price_of(kind(), price_book(None), found.prices)
    assert (price.hourly, price.source, price.currency) == (Fraction("0.077"), "karpenter_metric", "EUR")
    assert price.time is not None
    assert abs(time.mktime(time.strptime(price.time, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())) < 60
    assert (found.unknown, found.assumptions) == ((), ())


def test_the_currency_of_metrics_is_an_assumption_unless_it_is_said() -> None:
    found = asked(telling(karpenter=vector(offering("0.077"))), kind())
    assert found.prices[0].currency == "USD"
    assert found.assumptions == ("price_metrics_count_in_USD",)


def test_of_a_group_in_several_zones_the_dearest_counts() -> None:
    wide = kind("n1", "n2", zones=("z1", "z2"))
    found = asked(telling(karpenter=vector(offering("0.07"), offering("0.09", "z2"), offering("0.2", "z3"))), wide)
    assert price_of(wide, price_book(None), found.prices).hourly == Fraction("0.09")


def test_opencosts_price_of_the_nodes_that_are_there_comes_next() -> None:
    nodes = vector(
        ({"node": "n1", "instance_type": "m6i.xlarge"}, "0.08"),
        ({"node": "other", "instance_type": "m6i.xlarge"}, "0.19"),
    )
    found = asked(telling(node_total_hourly_cost=nodes), kind())
    price = price_of(kind(), price_book(None), found.prices)
    assert (price.hourly, price.source) == (Fraction("0.08"), "opencost_metric")


def test_opencosts_rates_come_last_and_are_said_to_leave_out_the_rest() -> None:
    cpu, ram = vector(({"node": "n1"}, "0.02")), vector(({"node": "n1"}, "0.01"))
    found = asked(telling(node_cpu_hourly_cost=cpu, node_ram_hourly_cost=ram), kind())
    assert price_of(kind(), price_book(None), found.prices).hourly == Fraction("0.16")
    assert "price_is_that_of_cpu_and_memory_for_pods_alone" in found.assumptions


def test_what_the_user_prices_is_not_asked_for() -> None:
    def fail(request: BaseHTTPRequestHandler) -> None:
        raise AssertionError(request.path)

    mine = {"currency": "EUR", "nodes": [{"node_group": "np-a", "hourly": 0.1}]}
    assert asked(fail, kind(), prices=mine) == Found()
    assert metric_prices(None, price_book(None), [kind()]) == Found()


def test_a_node_of_no_known_type_has_no_price() -> None:
    found = asked(answer(EMPTY), groups(scene([node()]), {})[0])
    assert found.unknown == ("price: the nodes have no label node.kubernetes.io/instance-type",)


def drip(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    with suppress(OSError):
        while True:
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.05)


FAULTS: dict[str, tuple[Respond | Callable[..., None], str]] = {
    "refuses": (answer({"error": "no"}, 401), "answers 401: check the token"),
    "is broken": (answer(b"<html>" + SECRET.encode(), 503), "answers 503"),
    "is slow": (drip, "did not answer within 0.3 seconds"),
    "is something else": (answer({"kind": "Status"}), "does not answer as Prometheus does"),
    "says too much": (answer(b"[" + b"1," * LARGEST_BODY), "more than 4 MiB"),
    "knows nothing": (answer(EMPTY), "has none for m6i.xlarge (spot)"),
    "says NaN": (answer(vector(offering("NaN"))), "gives NaN"),
    "says 0": (answer(vector(offering("0"))), "gives 0, which is not a price"),
    "says less than 0": (answer(vector(offering("-1"))), "gives -1, which is not a price"),
    "says all the money there is": (answer(vector(offering("1.79e308"))), "which is not a price"),
    "labels otherwise": (answer(vector(({"instance_type": "m6i.xlarge"}, "1"))), "other labels than"),
    "gives a text": (answer(vector(offering("cheap"))), "not a number"),
}


@pytest.mark.parametrize(("respond", "why"), FAULTS.values(), ids=FAULTS.keys())
def test_no_price_and_the_reason_when_it(respond: Respond, why: str) -> None:
    begun = time.monotonic()
    found = asked(respond, kind(), timeout=0.3 if respond is drip else MUCH_LATER_SECONDS)
    assert time.monotonic() - begun < MUCH_LATER_SECONDS
    assert (found.prices, len(found.unknown)) == ((), 1)
    assert why in found.unknown[0]
    assert SECRET not in str(found)


def test_a_dead_one_is_asked_once() -> None:
    with serving(answer(EMPTY)) as url:
        pass
    found = metric_prices(PriceMetrics(Web(url, token=SECRET)), price_book(None), [kind()])
    assert "cannot be reached" in found.unknown[0]
