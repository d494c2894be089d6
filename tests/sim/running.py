# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many histories on all cores: which were played, what they were about, and which of them failed.

What was played is kept in .cache/sim, by what verbs and simulation are made of, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import count, islice
from pathlib import Path

from .drawing import draw, kind_of
from .history import History
from .shrinking import shrunk
from .world import Played, World

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "sim"
# What is under way when enough have begun is played for nothing: a batch for each core.
A_BATCH = 50


@dataclass
class Batch:
    """Seeds from `first` on, `A_BATCH` of them. `failed`: seed and the rules that it broke. `seconds` are virtual ones, `took` those that
    it kept a core busy."""

    first: int
    releases: int = 0
    requests: int = 0
    calls: int = 0
    seconds: float = 0.0
    took: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)


def play(history: History, *, traced: bool = False) -> Played:
    return World(history, traced=traced).play()


def play_batch(first: int) -> Batch:
    batch, kinds, began = Batch(first), Counter[str](), time.monotonic()
    # A history makes little garbage that only the collector finds, which is slower than letting it lie until the batch is over; and what is
    # there before it stays for ever.
    gc.collect()
    gc.freeze()
    gc.disable()
    for seed in range(first, first + A_BATCH):
        played = play(draw(seed))
        kinds[kind_of(seed)] += 1
        batch.releases += played.releases
        batch.requests += played.requests
        batch.calls += len(played.calls)
        batch.seconds += played.seconds
        if played.violations:
            batch.failed[str(seed)] = [str(violation) for violation in played.violations]
    batch.kinds, batch.took = dict(kinds), time.monotonic() - began
    return batch


def shortest(played: Played) -> Played:
    """The shortest history that breaks the first rule that this one breaks."""
    rule = played.violations[0].rule

    def still_fails(history: History) -> bool:
        return any(violation.rule == rule for violation in play(history).violations)

    return play(shrunk(played.history, still_fails), traced=True)


def made_of() -> str:
    """What verbs and simulation are made of."""
    ours = [path for path in (ROOT / "tests" / "sim").glob("*.py") if not path.name.startswith("test_")]
    sources = sorted((ROOT / "plugins" / "module_utils").rglob("*.py")) + sorted(ours)
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def batches(releases: int, first: int, cores: int) -> Iterator[Batch]:
    """Until so many releases have begun. What was played before it was interrupted is not played again."""
    store = KEPT / f"{made_of()}.jsonl"
    known = {batch.first: batch for batch in _read(store)}
    # Ctrl-C is for all of them: none begins another batch.
    pool = ProcessPoolExecutor(cores, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_DFL))

    def begin(number: int) -> Future[Batch]:
        if number not in known:
            return pool.submit(play_batch, number)
        done = Future[Batch]()
        done.set_result(known[number])
        return done

    numbers = count(first, A_BATCH)
    # No core waits for another: there is always one more batch for each.
    ahead = deque(begin(number) for number in islice(numbers, 2 * cores))
    begun = 0
    while begun < releases:
        batch = ahead.popleft().result()
        ahead.append(begin(next(numbers)))
        if batch.first not in known:
            _write(store, batch)
        begun += batch.releases
        yield batch
    pool.shutdown(wait=False, cancel_futures=True)


def _read(store: Path) -> list[Batch]:
    if not store.exists():
        return []
    return [Batch(**json.loads(line)) for line in store.read_text().splitlines()]


def _write(store: Path, batch: Batch) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("a") as file:
        file.write(json.dumps(asdict(batch)) + "\n")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def together(found: Sequence[Batch]) -> Batch:
    """All of them as one."""
    result, kinds = Batch(found[0].first), Counter[str]()
    for batch in found:
        kinds.update(batch.kinds)
        result.failed.update(batch.failed)
        for name in ("releases", "requests", "calls", "seconds", "took"):
            setattr(result, name, getattr(result, name) + getattr(batch, name))
    result.kinds = dict(kinds)
    return result
