# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes cost an hour, from the metrics that Karpenter and OpenCost leave in a Prometheus.

Karpenter estimates each offering, by instance type, capacity type and zone (karpenter-provider-aws, pkg/controllers/metrics).
OpenCost prices each node that is there, and its CPUs and GiB of memory apart (opencost, pkg/costmodel/metrics.go).
This module is private to the collection.
"""

from __future__ import annotations

from typing import Iterable, Mapping

from ..values import dataclass
from .counters import Series
from .prometheus import vector
from .source import NoAnswer
from .web import Web

KARPENTER = "karpenter_cloudprovider_instance_type_offering_price_estimate"
OPENCOST_NODE = "node_total_hourly_cost"
OPENCOST_CPU = "node_cpu_hourly_cost"
OPENCOST_GIB = "node_ram_hourly_cost"
# More than any node costs: what a provider writes where it knows no price.
MAKES_NO_SENSE = 100_000.0


@dataclass(frozen=True)
class Offer:
    """`hourly` is what nodes with these labels cost."""

    labels: Mapping[str, str]
    hourly: float


@dataclass(frozen=True)
class Rates:
    """What a CPU and a GiB of memory of one node cost an hour."""

    node: str
    cpu: float
    gib: float


def karpenter_offers(web: Web, instance_types: Iterable[str]) -> list[Offer]:
    """Each offering of these instance types. Raises NoAnswer, within the time of one request."""
    by = ("instance_type", "capacity_type", "zone")
    return _offers(_asked(web, KARPENTER, by, instance_types), by)


def opencost_nodes(web: Web, instance_types: Iterable[str]) -> list[Offer]:
    """Each node of these instance types. Raises NoAnswer, within the time of one request."""
    by = ("node", "instance_type")
    return _offers(_asked(web, OPENCOST_NODE, by, instance_types), by)


def opencost_rates(web: Web, instance_types: Iterable[str]) -> list[Rates]:
    """The same where only the parts of a node are priced. Raises NoAnswer, within the time of two requests."""
    types = tuple(instance_types)
    cpu, gib = (
        {one.labels["node"]: one.hourly for one in _offers(_asked(web, metric, ("node",), types), ("node",))}
        for metric in (OPENCOST_CPU, OPENCOST_GIB)
    )
    return [Rates(node, cpu[node], gib[node]) for node in cpu if node in gib]


def _asked(web: Web, metric: str, by: tuple[str, ...], instance_types: Iterable[str]) -> Mapping[Series, float]:
    """Only what is needed and what makes sense, so that the answer is small and one bad series does not spoil the others."""
    # No instance type of any cloud has a character that means something to a regular expression, but for the dot.
    types = "|".join(sorted(one.replace(".", "[.]") for one in instance_types))
    bounded = f'{metric}{{instance_type=~"{types}"}} > 0 < {MAKES_NO_SENSE:g}'
    return vector(web, f"max by ({', '.join(by)}) ({bounded})").values


def _offers(found: Mapping[Series, float], by: tuple[str, ...]) -> list[Offer]:
    offers = []
    for series, hourly in found.items():
        labels = dict(series)
        if set(labels) != set(by):
            raise NoAnswer(f"the price metric gives a series with other labels than {', '.join(by)}")
        if not 0 < hourly < MAKES_NO_SENSE:
            raise NoAnswer(f"the price metric gives {hourly:g}, which is not a price")
        offers.append(Offer(labels, hourly))
    return offers
