# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of a Kubernetes quantity, exact: "1Gi", "1073741824" and "1.073741824e9" are one and the same.

This module is private to the collection.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

BILLION = 10**9
_PATTERN = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,9})|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?", re.ASCII
)
SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
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
# Kubernetes caps amounts with a binary suffix here (maxAllowed).
_MOST = 2**63 - 1
# No amount of anything is as long; a text that is must not keep us busy.
_LONGEST_TEXT, _LARGEST_EXPONENT = 100, 100


class QuantityError(ValueError):
    """The text is no Kubernetes quantity."""


@lru_cache(maxsize=65536, typed=True)  # to Python, true is 1
def billionths(text: str | int | float) -> int:
    """The quantity in billionths, the smallest unit there is, rounded away from zero: "1" is 10**9, "0.5n" is 1.

    Grammar, rounding and cap: ParseQuantity in apimachinery pkg/api/resource/quantity.go. Raises QuantityError.
    """
    written = str(text).strip()
    match = _PATTERN.fullmatch(written) if len(written) <= _LONGEST_TEXT else None
    if match is None or (match[2] and abs(int(match[2][1:])) > _LARGEST_EXPONENT):
        raise QuantityError(f"{written[:60]!r} is not a Kubernetes quantity, such as 500m, 2 or 1.5Gi")
    number, exponent, suffix = match.groups()
    value = Fraction(number)
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    elif suffix:
        value *= SUFFIXES[suffix]
    exact = away_from_zero(value * BILLION)
    most = _MOST * BILLION
    return max(-most, min(most, exact)) if suffix and suffix.endswith("i") else exact


def away_from_zero(value: Fraction) -> int:
    """The nearest whole number that is no nearer to zero."""
    return -(-value.numerator // value.denominator) if value >= 0 else value.numerator // value.denominator
