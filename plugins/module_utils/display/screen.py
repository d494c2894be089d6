# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All releases that are going on, as the lines of a part of a terminal that is drawn again and again.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ..values import dataclass
from .lines import figures
from .news import News
from .pods import SYMBOLS, row

BAR = 20
# A release is drawn in this share of the terminal's height at most, so that what was told before stays in sight.
SHARE = 0.5
# What else is not ASCII may take two places, as far as this knows.
_NARROW = frozenset("".join(SYMBOLS.values()) + "█░│├└─…")

# Who reads the output of these is a program, although some of them (ansible-runner) give it a terminal.
_PROGRAMS = ("AWX_", "TOWER_", "RUNNER_", "CI", "GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL")


@dataclass(frozen=True)
class Going:
    """What was told last of one release, when (`heard`, seconds on the reader's clock), and of which host's task."""

    host: str
    news: News
    heard: float


def block(going: Sequence[Going], now: float, width: int, height: int) -> list[str]:
    """Lines of at most `width` places, fewer than `height`; those of releases for which there is no room are counted."""
    room = max(1, int(height * SHARE))
    drawn = [_release(one, now) for one in going]
    lines: list[str] = []
    for number, release in enumerate(drawn):
        left = room - len(lines) - (1 if number < len(drawn) - 1 else 0)
        if left < 1:
            lines.append(f"and {len(drawn) - number} more")
            break
        # Of a release that is too large for what is left at least the first line is shown.
        lines += release[: max(1, left)]
    return [_cut(line, width) for line in lines[:room]]


def _release(one: Going, now: float) -> list[str]:
    told = one.news
    whose = f"{one.host}: " if one.host else ""
    step = f", step {told.step[0]} of {told.step[1]}" if told.step else ""
    elapsed = None if told.elapsed is None else told.elapsed + max(0.0, now - one.heard)
    first = [f"{whose}{told.deployment}{step}", row(told.pods), _bar(elapsed, told.total), told.text]
    more = [f"    {text}" for text in figures(told)]
    return ["  ".join(filter(None, first)), *more, *(f"    {detail}" for detail in told.details)]


def _bar(elapsed: float | None, total: float | None) -> str:
    if elapsed is None:
        return ""
    if not total:
        return f"{elapsed:.0f} s"
    full = round(BAR * min(1.0, elapsed / total))
    return f"{'█' * full}{'░' * (BAR - full)} {min(elapsed, total):.0f} of {total:.0f} s"


def _cut(line: str, width: int) -> str:
    """One that wraps, or holds control characters, would make the block another than it is thought to be."""
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    places = [1 if ord(letter) < 0x300 or letter in _NARROW else 2 for letter in line]
    if sum(places) < width:
        return line
    used, shown = 1, ""
    for letter, place in zip(line, places, strict=True):
        used += place
        if used >= width:
            break
        shown += letter
    return f"{shown}…"


def drawable(environ: Mapping[str, str], terminal: bool) -> bool:
    """Whether somebody looks at a terminal that can be drawn on."""
    watched = not any(
        name == mark or (mark[-1] == "_" and name.startswith(mark)) for name in environ for mark in _PROGRAMS
    )
    return terminal and watched and environ.get("TERM", "dumb") not in ("dumb", "")
