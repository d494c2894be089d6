# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release costs beside other tools, for a page (--report); how long a verb needs after the last canary pod has become
Ready, as an onlooker saw it, until it returns; what headroom costs in a small and in a very large cluster; and what a look at the
evidence costs.

    python -m tests.bench releases fleet --rounds 5 --report docs/benchmarks.md    the page
    python -m tests.bench [releases] [judgement] [latency] [headroom] [fleet] [--rounds 5] [--starts 40] [--nodes 5000] [--pods 150000]

It exits with 1 when a goal is missed. The figures depend on what else the machine does: the load average is told with them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests.cluster.lab import start_lab

from . import fleet
from .evidence import measure_look
from .headroom.crowd import Crowd
from .headroom.measure import Reading, large_cluster
from .headroom.small import measure_small
from .latency import measure
from .releases import measured
from .report import page, releases_told

BOUND_MS = 100.0
LOOK_US = 50.0
REPLICAS = 10
SMALL_NODES, SMALL_MS = 3, 150.0
MSGSPEC_SECONDS, JSON_SECONDS, MOST_MIB = 5.0, 40.0, 100.0
# The typed client keeps gigabytes of the whole: it reads a slice.
SLICE = Crowd(nodes=50, pods=2000)
PARTS = ("releases", "judgement", "latency", "headroom", "fleet")
FLEETS, FLEET_CPU, FLEET_MIB, FLEET_LINES, FLEET_WALL = (10, 100, 300), 8.0, 150.0, 600.0, 1.3
# What one of the largest fleet may cost beside one of the smallest.
FLEET_GROWTH = 1.3
HOSTS, FORKS = 20, 5
# Of 110 pods each: room for all, and for what they have more at their peak.
FLEET_NODES = 20
# What managed control planes of such a size allow their controllers: by default they do 20 writes a second, which would be measured.
LARGE_CLUSTER = ("--kube-api-qps=300", "--kube-api-burst=600")


@dataclass(frozen=True)
class Row:
    """One figure. `goal` is the most that is allowed; None for what is only shown beside the others."""

    what: str
    figure: float
    unit: str
    goal: float | None = None
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.goal is None or self.figure <= self.goal

    @property
    def cells(self) -> tuple[str, ...]:
        """As a line of the page's table."""
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        return self.what.strip(), f"{self.figure:.1f} {self.unit}", goal, self.note

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        verdict = "" if self.goal is None else "kept" if self.kept else "MISSED"
        return f"{self.what:<58} {self.figure:9.1f} {self.unit:<4} {goal:>8} {verdict:<6} {self.note}".rstrip()


def latency(starts: int) -> Iterator[Row]:
    with start_lab() as lab:
        measured = measure(lab, lab.create_namespace("bench"), REPLICAS, starts)
    what = f"{starts} starts of 1 canary pod beside {REPLICAS}: Ready to return"
    yield Row(f"{what}, p95", measured.returns.p95, "ms", BOUND_MS, str(measured.returns))
    yield Row("  one read, as a yardstick, p95", measured.reads.p95, "ms", None, str(measured.reads))


def releases(rounds: int) -> list[str]:
    """The table, as a part of the page."""
    with start_lab() as lab, tempfile.TemporaryDirectory() as folder:
        return releases_told(*measured(lab, Path(folder), rounds), rounds)


def judgement() -> Iterator[Row]:
    yield Row("one look at the evidence, five times started afresh", measure_look(), "us", LOOK_US, "CPU time")


def small_headroom(times: int = 20) -> Iterator[Row]:
    with start_lab(fake_nodes=SMALL_NODES) as lab:
        found = measure_small(lab, lab.create_namespace("bench"), SMALL_NODES, times)
    yield Row(f"headroom on {SMALL_NODES} nodes, median of {times}", found.p50, "ms", SMALL_MS, str(found))


def large_headroom(size: Crowd) -> Iterator[Row]:
    with large_cluster(size) as cluster:
        mib = cluster.bytes / 2**20
        yield Row(
            f"{size.nodes} nodes, {size.pods} pods: the server's own time",
            cluster.own_seconds,
            "s",
            None,
            f"{mib:.0f} MiB over the wire, thrown away",
        )
        yield from _rows("  headroom, with msgspec", cluster.read("msgspec", times=3), MSGSPEC_SECONDS)
        yield from _rows("  headroom, standard library", cluster.read("json"), JSON_SECONDS)
    with large_cluster(SLICE) as cluster:
        reading, times = cluster.read("typed"), size.pods / SLICE.pods
    yield Row(
        f"  typed client, {SLICE.pods} pods scaled up, no answer yet",
        times * reading.own,
        "s",
        None,
        f"and {times * reading.peak_mib / 1024:.0f} GiB where all are kept",
    )


def _rows(what: str, reading: Reading, seconds: float) -> Iterator[Row]:
    note = f"wall {reading.beyond:.1f} s beyond the server's, CPU {reading.cpu:.1f} s; {reading.found['verdict']}"
    yield Row(f"{what}: seconds of its own", reading.own, "s", seconds, note)
    yield Row(f"{what}: peak resident memory", reading.peak_mib, "MiB", MOST_MIB)


def fleets() -> Iterator[Row]:
    with start_lab(fake_nodes=FLEET_NODES, controller_manager_flags=LARGE_CLUSTER) as lab:
        each: dict[int, float] = {}
        for count in FLEETS:
            cost, is_goal = fleet.in_one_process(lab, count), count == 100
            each[count] = cost.cpu / count
            yield Row(f"{count} releases in one task: CPU", cost.cpu, "s", FLEET_CPU if is_goal else None, str(cost))
            if is_goal:
                yield Row("  peak resident memory", cost.mib, "MiB", FLEET_MIB)
                yield Row("  lines of progress", cost.lines, "", FLEET_LINES)
                yield beside_its_slowest("", cost)
                baked = fleet.in_one_process(lab, count, fleet.BAKE)
                yield beside_its_slowest(f", with a bake of {fleet.BAKE} s", baked)
        few, many = FLEETS[0], FLEETS[-1]
        yield Row(f"CPU of one of {many} beside one of {few}", each[many] / each[few], "times", FLEET_GROWTH)
        what = f"{HOSTS} releases with a bake of {fleet.BAKE} s"
        for how, play in ((f"a host for each, {FORKS} forks", fleet.a_host_for_each), ("one task", fleet.one_task)):
            whole = fleet.by_ansible(lab, HOSTS, FORKS, play)
            yield Row(f"{what}, {how}: wall", whole.wall, "s", None, f"CPU {whole.cpu:.1f} s, {whole.lines} lines")


def beside_its_slowest(how: str, cost: fleet.FleetCost) -> Row:
    what = f"  wall beside that of its slowest release{how}"
    return Row(what, cost.wall / cost.slowest, "times", FLEET_WALL, f"{cost.wall:.1f} s beside {cost.slowest:.0f} s")


def told(rows: Iterable[Row]) -> list[Row]:
    """Prints each row as soon as it is known."""
    found = []
    for row in rows:
        print(row, flush=True)
        found.append(row)
    return found


TITLES = {"fleet": "Fleets", "judgement": "Judgement", "headroom": "Headroom", "latency": "Latency"}


def table(part: str, rows: Sequence[Row]) -> list[str]:
    """A section of the page."""
    head = [f"{TITLES[part]}:", "", "| what | figure | to reach | |", "|---|---|---|---|"]
    return [*head, *(f"| {' | '.join(row.cells)} |" for row in rows), ""]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", metavar="FILE", help="the page that the tables of these parts are written to")
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=150_000)
    given = parser.parse_args(arguments)
    parts = given.parts or PARTS
    begun = os.getloadavg()[0]
    sections: list[str] = []
    if "releases" in parts:
        sections += releases(given.rounds)
        print("\n".join(sections))
    measure: dict[str, Callable[[], Iterator[Row]]] = {
        "judgement": judgement,
        "fleet": fleets,
        "headroom": lambda: chain(large_headroom(Crowd(given.nodes, given.pods)), small_headroom()),
        "latency": lambda: latency(given.starts),
    }
    rows = {part: told(measure[part]()) for part in measure if part in parts}
    if given.report:
        Path(given.report).write_text(page([*sections, *(line for part in rows for line in table(part, rows[part]))]))
    kept = all(row.kept for part in rows.values() for row in part)
    print(f"load average {begun:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} CPUs")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
