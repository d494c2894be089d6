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

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, Mapping

# Thousandths by resource name: cpu 1500 is one and a half cores, memory 1000 is one byte.
Amounts = dict[str, int]

THOUSAND = 1000
_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?")
_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, THOUSAND),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


class QuantityError(ValueError):
    """The text is no Kubernetes quantity."""


@lru_cache(maxsize=65536)
def thousandths(text: str | int | float) -> int:
    """The quantity in thousandths, rounded away from zero: "100.5m" is 101, "1Ki" is 1024000, "0.5" is 500.

    Grammar: apimachinery pkg/api/resource/quantity.go. Raises QuantityError.
    """
    match = _PATTERN.fullmatch(str(text).strip())
    if match is None:
        raise QuantityError(f"{str(text)[:60]!r} is not a Kubernetes quantity, such as 500m, 2 or 1.5Gi")
    number, exponent, suffix = match.groups()
    value = Fraction(number)
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    elif suffix:
        value *= _SUFFIXES[suffix]
    scaled = value * THOUSAND
    return -(-scaled.numerator // scaled.denominator) if scaled >= 0 else scaled.numerator // scaled.denominator


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
            factor = int(_SUFFIXES[suffix])
            if whole and whole % factor == 0:
                return f"{whole // factor}{suffix}"
    return str(whole)
