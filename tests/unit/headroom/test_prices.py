# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What new nodes cost, by the prices of the user and of metrics."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.check import answer
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.peaks import Rollout
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.prices import MetricPrice, PriceError, price_book
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.report import headroom

from .clusters import NODEPOOL, ask, node, of, pod

Object = dict[str, Any]


SURGING = Rollout(replicas=2, canary=1, surge=1, max_unavailable=0, own_surge=2, own_max_unavailable=0)
PER_TYPE = [{"instance_type": "m6i.xlarge", "hourly": "0.2"}, {"instance_type": "m6i.2xlarge", "hourly": "0.5"}]


def priced(*types: str, prices: Object) -> Object:
    """A canary and two pods of a promotion that find no node, where there are full nodes of these types."""
    nodes = [node(f"n{number}", labels={"node.kubernetes.io/instance-type": kind}) for number, kind in enumerate(types)]
    old = [pod(f"f{number}", on=f"n{number}", cpu="2", meta=of("rs-old")) for number in range(len(types))]
    more = [pod(f"g{number}", on=f"n{number}", cpu="2") for number in range(len(types))]
    asked = ask(
        pod(cpu="1"), nodes, old + more, rollout=SURGING, prices=price_book(prices), ready_seconds=150.0, old_pod=old[0]
    )
    return dict(headroom(asked, answer(asked), {})["cost"])


def test_the_cost_is_a_range_over_the_groups_and_an_estimate_of_the_dearest() -> None:
    cost = priced("m6i.xlarge", "m6i.2xlarge", prices={"currency": "EUR", "nodes": PER_TYPE})
    assert (cost["hourly_min"], cost["hourly_max"], cost["currency"], cost["stays"]) == (0.2, 0.5, "EUR", False)
    # One wave of 150 s, three minutes, and ten until the node goes: 13/60 of 0.5.
    assert cost["estimate"] == pytest.approx(0.5 * 13 / 60, abs=1e-6)
    assert cost["basis"].startswith("3 min rollout (1 wave of pods that take 150 s to be Ready) + 10 min until")


@pytest.mark.parametrize(
    ("prices", "basis"),
    [
        ({"nodes": PER_TYPE[:1]}, "no price is known for every kind of node that would do"),
        ({}, "no price is known for every kind of node that would do"),
    ],
)
def test_a_price_that_is_not_known_is_null_and_never_0(prices: Object, basis: str) -> None:
    cost = priced("m6i.xlarge", "m6i.2xlarge", prices=prices)
    assert (cost["hourly_min"], cost["hourly_max"], cost["estimate"], cost["basis"]) == (None, None, None, basis)


def test_prices_in_two_currencies_are_not_compared() -> None:
    metric = MetricPrice("karpenter_metric", {"instance_type": "b"}, Fraction(1))
    nodes = [node(f"n-{kind}", labels={"node.kubernetes.io/instance-type": kind}) for kind in "ab"]
    full = [pod(f"f-{kind}", on=f"n-{kind}", cpu="4") for kind in "ab"]
    mine = price_book({"currency": "EUR", "nodes": [{"instance_type": "a", "hourly": 1}]})
    asked = ask(pod(cpu="1"), nodes, full, prices=mine, metric_prices=(metric,))
    cost = headroom(asked, answer(asked), {})["cost"]
    assert (cost["hourly_max"], cost["currency"], cost["basis"]) == (None, None, "the prices are in several currencies")


@pytest.mark.parametrize(
    ("prices", "hourly", "source"),
    [
        ({"currency": "EUR", "nodes": [{"instance_type": "m6i.xlarge", "hourly": 0.2}]}, 0.2, "user"),
        ({"nodes": [{"instance_type": "other", "hourly": 9}, {"node_group": "np-a", "hourly": "0.3"}]}, 0.3, "user"),
        ({"nodes": [{"instance_type": "m6i.xlarge", "capacity_type": "spot", "hourly": 1}]}, 0.7, "karpenter_metric"),
        ({"cpu_hour": "0.05", "gib_hour": "0.01"}, 0.28, "user"),
        (None, 0.7, "karpenter_metric"),
    ],
)
def test_prices_come_from_the_user_first_and_then_from_metrics(
    prices: Object | None, hourly: float, source: str
) -> None:
    metric = MetricPrice("karpenter_metric", {"instance_type": "m6i.xlarge"}, Fraction(7, 10))
    full = [pod("f", on="n1", cpu="4")]
    asked = ask(pod(), [node("n1", labels=NODEPOOL)], full, prices=price_book(prices), metric_prices=(metric,))
    shape = headroom(asked, answer(asked), {})
    assert (shape["new_nodes"][0]["hourly_each"], shape["new_nodes"][0]["price_source"]) == (
        pytest.approx(hourly),
        source,
    )
    assert shape["cost"]["hourly_max"] == pytest.approx(hourly)


BY_ZONE = [{"zone": "z1", "hourly": 1}, {"zone": "z2", "hourly": 3}, {"zone": "z3", "hourly": 9}]


@pytest.mark.parametrize(
    ("prices", "hourly"),
    [
        ({"nodes": [{"node_group": "batch", "hourly": 2}]}, 2),  # the user's label names the group
        ({"nodes": [{"node_group": "np-a", "hourly": 2}]}, None),
        ({"nodes": BY_ZONE}, 3),  # the dearest zone of the group, whichever node was looked at first
        ({"nodes": BY_ZONE[:1]}, None),  # a new node may come in the other zone
        ({"nodes": BY_ZONE[:1], "cpu_hour": 1, "gib_hour": 0}, 4),
    ],
)
def test_the_users_prices_hold_for_the_users_groups_and_for_all_of_their_zones(
    prices: Object, hourly: float | None
) -> None:
    nodes = [node(f"n{zone}", zone=f"z{zone}", labels={**NODEPOOL, "team": "batch"}) for zone in (1, 2)]
    full = [pod(f"f{zone}", on=f"n{zone}", cpu="4") for zone in (1, 2)]
    asked = ask(pod(), nodes, full, prices=price_book(prices), group_label="team")
    (bought,) = headroom(asked, answer(asked), {})["new_nodes"]
    assert (bought["group"], bought["hourly_each"]) == ("batch", hourly)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"nodes": [{"hourly": 1}]}, r"prices.nodes\[0\]: says no kind of node"),
        (
            {"nodes": [{"instance_type": "a", "hourly": 1}, {"instance_type": "b", "hourly": "cheap"}]},
            r"prices.nodes\[1\].hourly is not a number",
        ),
        ({"nodes": [{"instance_type": "a"}]}, r"prices.nodes\[0\].hourly: missing"),
        ({"nodes": [{"kind": "a", "hourly": 1}]}, r"prices.nodes\[0\]: 'kind' is not known"),
        ({"nodes": [7]}, r"prices.nodes\[0\]: must be a mapping"),
        ({"nodes": {"a": 1}}, "prices.nodes: must be a list"),
        ({"cpu_hour": 1}, "needed together"),
        ({"cpu_hour": -1, "gib_hour": 1}, "prices.cpu_hour: is not a price"),
        ({"hourly": 1}, "prices: 'hourly' is not known"),
        ({"s3cret 1": 1}, "prices: a key is not known"),
        ({"cpu_hour": "1e999999999", "gib_hour": 1}, "prices.cpu_hour: is not a price"),
    ],
)
def test_malformed_prices_are_named(raw: Object, why: str) -> None:
    with pytest.raises(PriceError, match=why):
        price_book(raw)
