# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices of new nodes from a Prometheus, asked only when there is something to buy that the user's own prices do not cover.

This module is private to the collection.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Iterable, Mapping

from ...cluster.clock import SYSTEM, Clock, stamp
from ...headroom.groups import Group
from ...headroom.prices import METRIC_SOURCES, MetricPrice, PriceBook, by_size, price_of
from ...probes.prices import karpenter_offers, opencost_nodes, opencost_rates
from ...probes.source import NoAnswer
from ...values import dataclass
from .asked import PriceMetrics

KARPENTER, OPENCOST = METRIC_SOURCES
# Both count in the provider's list prices; only Karpenter in AWS's Chinese regions takes another currency by itself.
USUAL_CURRENCY = "USD"


@dataclass(frozen=True)
class Found:
    """`unknown`: why a price could not be had. `assumptions`: what was taken for granted in those that could."""

    prices: tuple[MetricPrice, ...] = ()
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def metric_prices(asked: PriceMetrics | None, book: PriceBook, groups: Iterable[Group], clock: Clock = SYSTEM) -> Found:
    """At most four requests, each bounded by the source's timeout; none after the first that brings no answer."""
    unpriced = [one for one in groups if price_of(one, book).hourly is None]
    if asked is None or not unpriced:
        return Found()
    types = sorted({one.instance_type for one in unpriced if one.instance_type})
    if not types:
        return Found(unknown=("price: the nodes have no label node.kubernetes.io/instance-type",))
    moment = clock.wall()
    try:
        prices, assumed = _read(asked, types, moment, unpriced)
    except NoAnswer as problem:
        return Found(unknown=(f"price: {problem}",))
    unknown = [
        f"price: {asked.web.name} has none for {one.instance_type or one.name} ({one.capacity_type or 'capacity type not known'})"
        for one in unpriced
        if price_of(one, book, prices).hourly is None
    ]
    if prices and not asked.currency:
        assumed.append(f"price_metrics_count_in_{USUAL_CURRENCY}")
    return Found(tuple(prices), tuple(dict.fromkeys(unknown)), tuple(assumed))


def _read(
    asked: PriceMetrics, types: list[str], moment: float, unpriced: list[Group]
) -> tuple[list[MetricPrice], list[str]]:
    def price(source: str, conditions: Mapping[str, str], hourly: float | Fraction) -> MetricPrice:
        # Of a decimal text, so that 0.192 stays 0.192.
        exact = hourly if isinstance(hourly, Fraction) else Fraction(repr(hourly))
        return MetricPrice(source, conditions, exact, asked.currency or USUAL_CURRENCY, stamp(moment))

    def missing(prices: list[MetricPrice]) -> bool:
        return any(price_of(one, PriceBook(), prices).hourly is None for one in unpriced)

    prices = [price(KARPENTER, one.labels, one.hourly) for one in karpenter_offers(asked.web, types)]
    if not missing(prices):
        return prices, []
    prices += [price(OPENCOST, one.labels, one.hourly) for one in opencost_nodes(asked.web, types)]
    if not missing(prices):
        return prices, []
    by_node = {one.node: one for one in opencost_rates(asked.web, types)}
    rated = [
        price(OPENCOST, {"node": node}, by_size(group, Fraction(repr(rates.cpu)), Fraction(repr(rates.gib))))
        for group in unpriced
        for node in group.members
        if (rates := by_node.get(node)) is not None
    ]
    return prices + rated, ["price_is_that_of_cpu_and_memory_for_pods_alone"] if rated else []
