# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""News as lines: how one is worded, and which are worth a line.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from ..values import dataclass
from .news import Kind, News, Rate
from .pods import row

# Seconds between two lines about one state: its changes, and signs of life where it does not change; each time twice as long.
CHANGE_SECONDS, SAME_SECONDS = 1.0, 30.0
# Lines of one call that are kept for its result.
MOST_KEPT = 40


class Display(Enum):
    """What is shown while a verb works. lines: without the picture of the pods."""

    PICTURE = "picture"
    LINES = "lines"
    QUIET = "quiet"


def line(told: News, display: Display = Display.PICTURE) -> str:
    """web, step 1 of 2: ■■■■■■■■■|□ 0 of 1 canary pods are Ready (3 of 300 s)"""
    step = f", step {told.step[0]} of {told.step[1]}" if told.step else ""
    picture = row(told.pods) if display is Display.PICTURE else ""
    text = f"warning: {told.text}" if told.kind is Kind.WARNING else told.text
    said = "; ".join((text, *figures(told)))
    return f"{told.deployment or '?'}{step}: {' '.join(filter(None, (picture, said, _time(told))))}"


def figures(told: News) -> list[str]:
    """What was counted so far, and what it says."""
    rates = [_rate(rate) for rate in told.rates if rate.canary[1] or rate.stable[1]]
    if told.rates and not rates:
        return ["nothing is counted yet", *told.readings]
    if told.evidence is None:
        return [*rates, *told.readings]
    to_fail, to_pass, limit = told.evidence
    return [
        f"evidence {to_fail:.3g} to fail and {to_pass:.3g} to pass, where {limit:.3g} decides",
        *rates,
        *told.readings,
    ]


def _time(told: News) -> str:
    if told.elapsed is None:
        return ""
    return f"({told.elapsed:.0f}{'' if told.total is None else f' of {told.total:.0f}'} s)"


def _rate(rate: Rate) -> str:
    tolerated = "" if rate.tolerated is None else f", tolerated {_percent(rate.tolerated)}"
    return f"{rate.check}: canary {_share(rate.canary)}, stable {_share(rate.stable)}{tolerated}"


def _share(counted: tuple[float, float]) -> str:
    bad, total = counted
    return f"{_percent(bad / total)} of {total:.0f}" if total else "nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


@dataclass(frozen=True)
class Lately:
    """What was told last of one release, and when (by the news' own `elapsed`) the next line about the same state is due.
    `once`: what is not told again.

    Whatever is going on, few lines tell it: those about one state come at growing distances.
    """

    once: frozenset[str] = frozenset()
    event: News | None = None
    state: News | None = None
    change_at: float = 0.0
    change_pause: float = CHANGE_SECONDS
    same_at: float = SAME_SECONDS
    same_pause: float = SAME_SECONDS

    def hears(self, told: News) -> tuple[bool, Lately]:
        """Whether it is worth a line, and what was told lately then."""
        if told.kind in (Kind.HINT, Kind.WARNING):
            return told.text not in self.once, replace(self, once=self.once | {told.text})
        if told.kind is Kind.EVENT:
            if self.event is not None and _same(told, self.event):
                return False, self
            if told.elapsed is None:
                return True, Lately(self.once, told)
            # It says how things stand, too.
            at = told.elapsed
            return True, Lately(self.once, told, told, at + CHANGE_SECONDS, same_at=at + SAME_SECONDS)
        now = told.elapsed or 0.0
        if self.state is None or now < (self.state.elapsed or 0.0) or told.step != self.state.step:
            # Another wait began.
            return True, Lately(self.once, self.event, told, now + CHANGE_SECONDS, same_at=now + SAME_SECONDS)
        if now < (self.same_at if _same(told, self.state) else self.change_at):
            return False, self
        change, same = 2 * self.change_pause, 2 * self.same_pause
        if _same(told, self.state):
            return True, Lately(self.once, self.event, told, self.change_at, self.change_pause, now + same, same)
        return True, Lately(self.once, self.event, told, now + change, change, now + self.same_pause, self.same_pause)


def _same(one: News, other: News) -> bool:
    """What is counted all the time is no news by itself."""
    return (one.deployment, one.step, one.text, one.pods) == (other.deployment, other.step, other.text, other.pods)
