# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases of a fleet belong to which wave, and how many of them may fail.

This module is private to the collection.
"""

from __future__ import annotations

import math
import re
from typing import Sequence

from ..values import dataclass

_SHARE = re.compile(r"([0-9]{1,3})%")
_NUMBER = re.compile(r"[0-9]{1,6}")
DEFAULT = ("1", "25%", "100%")
ALL = "100%"


class Misplanned(ValueError):
    """Waves that make no sense; the text says why, and what to do."""


@dataclass(frozen=True)
class Waves:
    """Either `sizes`: how many releases are out after each wave, as numbers or shares of all; or `groups`: names of groups, each
    a wave of its own."""

    sizes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Sequence[str]) -> Waves:
        """("1", "25%", "100%") are sizes, ("eu", "us") are groups. Raises Misplanned."""
        are_sizes = [is_size(one) for one in given]
        if not given or (any(are_sizes) and not all(are_sizes)):
            raise Misplanned("waves is empty, or has sizes and names of groups: give only sizes, or only names")
        if not all(are_sizes):
            if len(set(given)) < len(given):
                raise Misplanned("waves names a group twice: each group is one wave")
            return cls(groups=tuple(given))
        if given[-1] != ALL:
            raise Misplanned(f"the last of waves is {given[-1]}: make it {ALL}, or some releases would never begin")
        if any(not int(size.rstrip("%")) or _is_more_than_all(size) for size in given):
            raise Misplanned(f"a size in waves is none: give a number from 1 on, or 1% to {ALL}")
        return cls(sizes=tuple(given))

    def of(self, groups: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Which releases each wave has, by their place in the list. `groups`: that of each release, "" for none.

        1, 25 %, 100 % of 10 releases -> (0,), (1, 2), (3, ..., 9). A wave that would be empty is left out. Raises Misplanned.
        """
        if self.groups:
            return self._by_group(groups)
        ends = [min(reached(size, len(groups)), len(groups)) for size in self.sizes]
        begun, found = 0, []
        for end in ends:
            if end < begun:
                raise Misplanned(
                    f"waves are {', '.join(self.sizes)} of {len(groups)} releases: one is smaller than before"
                )
            found.append(tuple(range(begun, end)))
            begun = end
        return tuple(wave for wave in found if wave)

    def _by_group(self, groups: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        strangers = [number for number, group in enumerate(groups) if group not in self.groups]
        if strangers:
            raise Misplanned(
                f"releases[{strangers[0]}] is of no group that waves names, so it would never begin: "
                f"give it a group of {', '.join(self.groups)}"
            )
        waves = (tuple(n for n, group in enumerate(groups) if group == wave) for wave in self.groups)
        return tuple(wave for wave in waves if wave)


def is_size(text: str) -> bool:
    return bool(_SHARE.fullmatch(text) or _NUMBER.fullmatch(text))


def _is_more_than_all(size: str) -> bool:
    return size.endswith("%") and int(size[:-1]) > 100


def reached(size: str, total: int) -> int:
    """How many of `total` a size is: 25 % of 10 -> 3. Rounded up, so that a share is never nothing."""
    return math.ceil(total * int(size[:-1]) / 100) if size.endswith("%") else int(size)


def tolerated(failures: str, total: int) -> int:
    """How many releases may fail: 10 % of 25 -> 2. Rounded down, so that a share is never exceeded. Raises Misplanned."""
    if not is_size(failures) or _is_more_than_all(failures):
        raise Misplanned("max_failures is neither a number nor a share from 0% to 100%")
    return total * int(failures[:-1]) // 100 if failures.endswith("%") else int(failures)
