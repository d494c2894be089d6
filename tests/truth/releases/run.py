# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many releases, several lanes at once, and what came of them in words."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import mean

from tests.cluster.lab import Lab

from .lane import BAD_RATE, STABLE_RATE, Judged, Setting, lane
from .scraping import scraping

FIXED_WAIT_SECONDS = 300


def release_all(
    lab: Lab, kinds: Sequence[bool], lanes: int, setting: Setting, tell: Callable[[Judged], None]
) -> list[Judged]:
    """One release for each of `kinds` (True: a bad one), spread over the lanes as they become free."""
    waiting: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for kind in kinds:
        waiting.put(kind)
    judged: list[Judged] = []
    with tempfile.TemporaryDirectory() as directory, scraping(lab, Path(directory)) as prometheus:

        def run() -> None:
            with lane(lab, setting, prometheus) as own, suppress(queue.Empty):
                while True:
                    one = own.release(waiting.get_nowait())
                    judged.append(one)
                    tell(one)

        with ThreadPoolExecutor(lanes) as pool:
            for future in [pool.submit(run) for _ in range(min(lanes, len(kinds)))]:
                future.result()
    return judged


def fixed_wait(bad: bool, setting: Setting) -> float:
    """Users' requests that a canary of this kind fails within a wait that nobody cuts short."""
    rate = BAD_RATE if bad else STABLE_RATE
    return setting.users * setting.canary_share * FIXED_WAIT_SECONDS * rate


def table(judged: Sequence[Judged], setting: Setting) -> str:
    rows = [
        "| | right | decided after (mean, longest) | on requests of its own, and by Prometheus | users' requests lost "
        "to canary errors (mean, most) | a fixed wait of 5 minutes would have lost |",
        "|---|---|---|---|---|---|",
    ]
    for bad in (True, False):
        of_kind = [one for one in judged if one.bad is bad]
        if not of_kind:
            continue
        right, seconds = sum(one.right for one in of_kind), [one.seconds for one in of_kind]
        own, seen = (mean(one.samples[index] for one in of_kind) for index in (0, 1))
        lost = [one.lost for one in of_kind]
        rows.append(
            f"| {'bad' if bad else 'good'} | {right} of {len(of_kind)} {'undone' if bad else 'promoted'} "
            f"| {mean(seconds):.0f} s, {max(seconds):.0f} s | {own:,.0f}, {seen:,.0f} "
            f"| {mean(lost):.1f}, {max(lost)} | {fixed_wait(bad, setting):.0f} |"
        )
    return "\n".join(rows)


def wrong(judged: Sequence[Judged]) -> list[str]:
    return [
        f"{'bad' if one.bad else 'good'}: {one.verdict}, {one.ended}: {one.reason}" for one in judged if not one.right
    ]
