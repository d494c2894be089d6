# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release through a proxy under requests of users all the time, whatever kind of route they come by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Header, PromoteBy
from tests.situations import until

from .shop import Shop
from .users import RATE, Tally

TESTER, TESTERS = Header("x-canary", "always"), "x-canary: always"
FIRST = Fraction(5, 100)
# Enough to tell two shares apart.
SOME = 60


@dataclass(frozen=True)
class Counted:
    """So many requests at the first share and at the `second`, and of testers at each, at so many a second beside the steady ones; at the end
    everybody gets one version, in `last` requests. `off`: by how many the two shares may be, of a proxy that takes its backends in turn,
    because the steady users take some of the turns, and of one that draws each request."""

    few: int
    testers: int
    second: Fraction
    more: int
    last: int
    off: tuple[int, int]
    steady: float = RATE
    rate: float = 2000
    # Of the testers and at the end.
    calm: float = 2000


def assert_goes(shop: Shop, by: PromoteBy | None, counted: Counted, programmed: str) -> None:
    """From its start to its end, which is an undo where `by` is None, no request fails, and each gets what was said."""
    with shop.users.coming(counted.steady) as users:
        started = shop.start(weight=FIRST, header=TESTER)
        assert started.extra["exposure"]["programmed"] == programmed
        taken(lambda: shop.users.send(SOME, rate=counted.calm, header=TESTERS).of("v2") == SOME, programmed)
        few = shop.users.send(counted.few, rate=counted.rate)
        testers = shop.users.send(counted.testers, rate=counted.calm, header=TESTERS)
        shop.start(pods=4, weight=counted.second)
        halfway = (FIRST + counted.second) / 2
        taken(lambda: shop.users.send(SOME, rate=counted.calm).of("v2") > halfway * SOME, programmed)
        more = shop.users.send(counted.more, rate=counted.rate)
        again = shop.users.send(counted.testers, rate=counted.calm, header=TESTERS)
        if by is None:
            shop.undo()
        else:
            shop.promote(by)
        version = "v1" if by is None else "v2"
        everybody = counted.last
        until(
            lambda: shop.users.send(everybody, rate=counted.calm).of(version) == everybody, f"everybody gets {version}"
        )
    for tally in (users, few, testers, more, again):
        assert_none_failed(tally)
    assert testers.of("v2") == testers.sent and again.of("v2") == again.sent
    for tally, share, off in zip((few, more), (FIRST, counted.second), counted.off, strict=True):
        assert abs(tally.of("v2") - share * tally.sent) <= off, tally.versions
    shop.assert_own()


def taken(condition: Callable[[], bool], programmed: str) -> None:
    """What a proxy does nobody asks where it is only stated: a busy machine's may not have taken by then what was written."""
    if programmed == "stated":
        until(condition, "the proxy goes by what was written")


def assert_none_failed(users: Tally) -> None:
    assert users.sent and not users.failed, f"{users.failed} of {users.sent} failed: {users.why}"
