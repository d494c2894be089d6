# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node costs an hour: from what the user says, else from the cluster's own cost metrics, else unknown.

There is no price table here: prices differ by region, contract and day, and a wrong price is worse than none. Unknown is None, never 0.
This module is private to the collection.
"""

from __future__ import annotations

import re
from decimal import Decimal, DecimalException
from fractions import Fraction
from typing import Any, Iterable, Mapping

from ..values import dataclass
from .groups import Group
from .quantity import THOUSAND

REGION = "topology.kubernetes.io/region"
GIBIBYTE = 2**30
# Karpenter prices what it would buy, OpenCost what is there.
METRIC_SOURCES = ("karpenter_metric", "opencost_metric")
# Beyond these is no price of anything, and an exponent without end would take time without end.
_SMALLEST, _LARGEST = Decimal("1e-12"), Decimal("1e12")
_KEYS = ("instance_type", "capacity_type", "region", "zone", "node_group")


class PriceError(ValueError):
    """The prices cannot be used; the text names the line."""


@dataclass(frozen=True)
class Rule:
    """A node that matches every condition costs `hourly`."""

    conditions: Mapping[str, str]
    hourly: Fraction


@dataclass(frozen=True)
class Price:
    """`hourly` in `currency`, None when nobody knows. `source`: user, karpenter_metric, opencost_metric or none."""

    hourly: Fraction | None
    source: str
    currency: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class PriceBook:
    """What the user said. Rules are tried in their order; the rates price any other node by its size."""

    currency: str | None = None
    time: str | None = None
    rules: tuple[Rule, ...] = ()
    cpu_hour: Fraction | None = None
    gib_hour: Fraction | None = None


@dataclass(frozen=True)
class MetricPrice:
    """One sample of a cost metric: the price of nodes that meet these conditions (none: of all).

    Beside the conditions of a user's price there is `node`, the name of a node that is there.
    """

    source: str
    conditions: Mapping[str, str]
    hourly: Fraction
    currency: str = "USD"
    time: str | None = None


def price_book(raw: Mapping[str, Any] | None) -> PriceBook:
    """Reads the user's prices. Raises PriceError that names the malformed line.

    Shape: {currency, time, nodes: [{instance_type, capacity_type, region, zone, node_group, hourly}], cpu_hour, gib_hour}.
    """
    raw = raw or {}
    unknown = sorted(set(raw) - {"currency", "time", "nodes", "cpu_hour", "gib_hour"})
    if unknown:
        raise PriceError(
            f"prices: {_named(unknown[0])} is not known; known are currency, time, nodes, cpu_hour, gib_hour"
        )
    nodes = raw.get("nodes") or ()
    if not isinstance(nodes, (list, tuple)):
        raise PriceError("prices.nodes: must be a list of prices")
    rates = {
        name: _number(raw[name], f"prices.{name}") for name in ("cpu_hour", "gib_hour") if raw.get(name) is not None
    }
    if len(rates) == 1:
        raise PriceError(f"prices.{next(iter(rates))}: cpu_hour and gib_hour are needed together")
    return PriceBook(
        currency=raw.get("currency"),
        time=None if raw.get("time") is None else str(raw["time"]),
        rules=tuple(_rule(one, f"prices.nodes[{index}]") for index, one in enumerate(nodes)),
        cpu_hour=rates.get("cpu_hour"),
        gib_hour=rates.get("gib_hour"),
    )


def price_of(group: Group, book: PriceBook, metrics: Iterable[MetricPrice] = ()) -> Price:
    """What one node of the group costs an hour.

    Where prices of zones differ, or samples of a metric for each node, the highest is used: a new node may come in any zone of the group.
    """
    facts = _facts(group)
    said = [_said(group, {**facts, "zone": zone}, book) for zone in sorted(group.zones) or (None,)]
    hourly = [one for one in said if one is not None]
    # A zone that the user does not price may have the highest.
    if len(hourly) == len(said):
        return Price(max(hourly), "user", book.currency, book.time)
    for source in METRIC_SOURCES:
        known = [one for one in metrics if one.source == source and _is_price_of(one, group, facts)]
        if known:
            highest = max(known, key=lambda one: one.hourly)
            return Price(highest.hourly, source, highest.currency, highest.time)
    return Price(None, "none")


def _said(group: Group, facts: Mapping[str, str | None], book: PriceBook) -> Fraction | None:
    """What the user says that a node with these facts costs, None when nothing that is said covers it."""
    for rule in book.rules:
        if all(facts[key] == value for key, value in rule.conditions.items()):
            return rule.hourly
    if book.cpu_hour is not None and book.gib_hour is not None:
        return by_size(group, book.cpu_hour, book.gib_hour)
    return None


def by_size(group: Group, cpu_hour: Fraction, gib_hour: Fraction) -> Fraction:
    """A node's price from rates for a CPU and a GiB, of what it has for pods."""
    size = group.template.allocatable
    return Fraction(size.get("cpu", 0), THOUSAND) * cpu_hour + Fraction(size.get("memory", 0), GIBIBYTE) * gib_hour


def _facts(group: Group) -> dict[str, str | None]:
    labels = group.template.labels
    return {
        "instance_type": group.instance_type,
        "capacity_type": group.capacity_type,
        "region": labels.get(REGION),
        "node_group": group.name,
    }


def _is_price_of(metric: MetricPrice, group: Group, facts: Mapping[str, str | None]) -> bool:
    among = {"node": group.members, "zone": group.zones}
    return all(
        value in among[key] if key in among else facts.get(key) == value for key, value in metric.conditions.items()
    )


def _rule(raw: Any, where: str) -> Rule:
    if not isinstance(raw, Mapping):
        raise PriceError(f"{where}: must be a mapping with hourly and what it is the price of")
    unknown = sorted(set(raw) - {*_KEYS, "hourly"})
    if unknown:
        raise PriceError(f"{where}: {_named(unknown[0])} is not known; known are {', '.join(_KEYS)}, hourly")
    if raw.get("hourly") is None:
        raise PriceError(f"{where}.hourly: missing")
    conditions = {key: str(raw[key]) for key in _KEYS if raw.get(key) is not None}
    if not conditions:
        raise PriceError(f"{where}: says no kind of node; give one of {', '.join(_KEYS)}")
    return Rule(conditions, _number(raw["hourly"], f"{where}.hourly"))


def _number(raw: Any, where: str) -> Fraction:
    try:
        number = Decimal(str(raw))
    except DecimalException:
        raise PriceError(f"{where} is not a number") from None
    if isinstance(raw, bool) or not number.is_finite() or (number and not _SMALLEST <= number <= _LARGEST):
        raise PriceError(f"{where}: is not a price, which is 0 or between {_SMALLEST:g} and {_LARGEST:g}")
    return Fraction(number)


def _named(key: object) -> str:
    """What may be something else in the wrong place is not repeated."""
    return repr(key) if re.fullmatch(r"[A-Za-z_-]{1,32}", str(key)) else "a key"
