# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole releases on a real cluster, with trouble in each of them, many Deployments at once.

    python -m tests.faults [--releases 1000] [--at-once 16] [--first 1] [--journal FILE]

Each release is written down as it ends, and a run that was interrupted goes on with those that are missing; what was broken is played
again by its number: `--first NUMBER --releases 1 --journal ''`. It exits with 1 when a promise was not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster.lab import Lab, start_lab
from tests.exactness.recorder import Recorder
from tests.faults.courses import draw
from tests.faults.releases import ROOT, Site, site, timed

KEPT = ROOT / ".cache" / "faults.jsonl"
# Room for the pods of all at once.
FAKE_NODES = 30
EVERY = 20


@dataclass(frozen=True)
class Played:
    """One release. `codes`: of the processes that were to have trouble, how they ended."""

    number: int
    told: str
    broken: tuple[str, ...]
    seconds: float
    codes: tuple[int, ...] = ()

    @classmethod
    def read(cls, line: str) -> Played:
        found = json.loads(line)
        return cls(**{**found, "broken": tuple(found["broken"]), "codes": tuple(found["codes"])})


def play(lab: Lab, numbers: Sequence[int], at_once: int, folder: Path) -> Iterator[Played]:
    """In the order in which they end."""
    waiting, ended = queue.SimpleQueue[int](), queue.SimpleQueue[Played | None]()
    for number in numbers:
        waiting.put(number)
    recorder = Recorder(lab)
    lanes = [
        threading.Thread(target=_lane, args=(lab, recorder, lane, folder, waiting, ended), daemon=True)
        for lane in range(min(at_once, len(numbers)))
    ]
    for lane in lanes:
        lane.start()
    try:
        open_yet = len(lanes)
        while open_yet:
            if (one := ended.get()) is None:
                open_yet -= 1
            else:
                yield one
    finally:
        recorder.close()


def _lane(
    lab: Lab,
    recorder: Recorder,
    lane: int,
    folder: Path,
    waiting: queue.SimpleQueue[int],
    ended: queue.SimpleQueue[Played | None],
) -> None:
    """One Deployment after the other; a new one after a release that broke something."""
    made = 0
    try:
        while not waiting.empty():
            made += 1
            with site(lab, recorder, lane, folder / f"{lane}-{made}") as place:
                for played in _of_one(place, waiting):
                    ended.put(played)
    finally:
        ended.put(None)


def _of_one(place: Site, waiting: queue.SimpleQueue[int]) -> Iterator[Played]:
    while True:
        try:
            course = draw(waiting.get_nowait(), place.replicas)
        except queue.Empty:
            return
        place.codes.clear()
        broken, seconds = timed(partial(place.plays, course))
        yield Played(course.number, course.told, tuple(broken), seconds, tuple(place.codes.elements()))
        if broken:
            return


def summary(found: Sequence[Played]) -> str:
    kinds = Counter(kind for one in found for kind in _kinds(one.told))
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    broken = sum(bool(one.broken) for one in found)
    codes = [code for one in found for code in one.codes]
    died, failed, unharmed = (sum(map(how, codes)) for how in ((0).__gt__, (0).__lt__, (0).__eq__))
    return (
        f"{len(found)} releases, {broken} with a promise that was not kept. In them: {told}. Of {len(codes)} processes with trouble "
        f"{died} were killed, {failed} failed, and {unharmed} came to their end"
    )


def _kinds(told: str) -> list[str]:
    words = ("SIGKILL", "SIGINT", "SIGTERM", " x ", "a play", "meanwhile: nothing")
    named = {" x ": "with requests that went wrong", "a play": "by ansible-playbook", "meanwhile: nothing": ""}
    kinds = [named.get(word, word) for word in words if word in told]
    writes = ["with somebody else's write"] if "meanwhile" in told and "meanwhile: nothing" not in told else []
    return [kind for kind in (*kinds, *writes) if kind]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--journal", default=str(KEPT))
    options = parser.parse_args(arguments)
    journal = Path(options.journal or os.devnull)
    journal.parent.mkdir(parents=True, exist_ok=True)
    found = [Played.read(line) for line in journal.read_text().splitlines()] if journal.is_file() else []
    wanted = range(options.first, options.first + options.releases)
    missing = [number for number in wanted if number not in {one.number for one in found}]
    began = time.monotonic()
    if missing:
        with start_lab(fake_nodes=FAKE_NODES) as lab, TemporaryDirectory() as folder, journal.open("a") as file:
            for one in play(lab, missing, options.at_once, Path(folder)):
                found.append(one)
                file.write(json.dumps(asdict(one)) + "\n")
                file.flush()
                for line in one.broken:
                    print(line, flush=True)
                if len(found) % EVERY == 0:
                    print(f"{len(found)} of {options.releases} releases, {time.monotonic() - began:.0f} s", flush=True)
    print(summary(found))
    return 1 if any(one.broken for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
