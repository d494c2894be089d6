# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of resources, exact: every quantity is a whole number of thousandths.

Kubernetes rounds every value of a resource list up to thousandths when it reads or writes an object (`SetDefaults_ResourceList`,
pkg/apis/core/v1/defaults.go), so thousandths hold every quantity of the API without loss, and integers add exactly and fast.
The scheduler then counts CPU in thousandths and everything else in whole units, rounded up once for each pod
(`Resource.Add`, pkg/scheduler/framework/types.go).

This module is private to the collection.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Mapping

from ..rollout.quantity import BILLION, SUFFIXES, billionths

# Thousandths by resource name: cpu 1500 is one and a half cores, memory 1000 is one byte.
Amounts = dict[str, int]

THOUSAND = 1000
_BILLIONTHS = BILLION // THOUSAND


@lru_cache(maxsize=65536)
def thousandths(text: str | int | float) -> int:
    """The quantity in thousandths, rounded away from zero: "100.5m" is 101, "1Ki" is 1024000, "0.5" is 500.

    Raises QuantityError.
    """
    exact = billionths(text)
    return -(-exact // _BILLIONTHS) if exact >= 0 else exact // _BILLIONTHS


def amounts(resource_list: Mapping[str, Any] | None) -> Amounts:
    """A resource list of the API as amounts."""
    return {name: thousandths(text) for name, text in (resource_list or {}).items()}


def add(total: Amounts, more: Mapping[str, int]) -> None:
    """Adds `more` to `total` in place."""
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def raise_to(total: Amounts, other: Mapping[str, int]) -> None:
    """Raises each amount of `total` to that of `other` where that is greater, in place."""
    for name, amount in other.items():
        if name not in total or amount > total[name]:
            total[name] = amount


def greatest(*lists: Mapping[str, int]) -> Amounts:
    """The element-wise maximum of several lists."""
    result: Amounts = {}
    for one in lists:
        raise_to(result, one)
    return result


def is_scheduled(name: str) -> bool:
    """Whether the scheduler counts this resource (`Resource.Add` and `IsScalarResourceName`)."""
    return (
        name in ("cpu", "memory", "ephemeral-storage")
        or "/" in name
        or name.startswith(("hugepages-", "attachable-volumes-"))
    )


def units(name: str, amount: int) -> int:
    """What the scheduler counts: thousandths of CPU, whole units of anything else, rounded up."""
    return amount if name == "cpu" else -(-amount // THOUSAND)


def scheduler_units(total: Mapping[str, int]) -> Amounts:
    """The whole list in the scheduler's units; resources that it does not count are left out."""
    return {name: units(name, amount) for name, amount in total.items() if is_scheduled(name)}


def written(name: str, amount: int) -> str:
    """Thousandths as Kubernetes writes them: "1150m", "1344Mi", "2"."""
    if amount % THOUSAND:
        return f"{amount}m"
    whole = amount // THOUSAND
    if (
        name in ("memory", "ephemeral-storage")
        or name.startswith("hugepages-")
        or name.endswith((".memory", ".ephemeral-storage"))
    ):
        for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
            factor = int(SUFFIXES[suffix])
            if whole and whole % factor == 0:
                return f"{whole // factor}{suffix}"
    return str(whole)
