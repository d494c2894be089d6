# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs seeds against a cluster and keeps one line a seed: `python -m tests.truth.headroom.run --help`."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.cluster.build import KUBERNETES, versions

from .clusters import make_cluster
from .oracle import Happened, Server, build, clear, prepare, read, take_back, tidy, try_it
from .predict import Agreement, compare, naive_answers, predict

# Informers of the scheduler and of admission lag behind writes; a disagreement counts only when it stays after these waits (seconds).
SETTLE = 0.05
SECOND_LOOKS = (1.0, 2.5)


def check_seed(server: Server, seed: int) -> dict[str, Any]:
    """One case: built, predicted, tried, compared, cleared away."""
    cluster = make_cluster(seed)
    started = time.monotonic()
    try:
        build(server, cluster)
        time.sleep(SETTLE + (0.1 if cluster.quotas or cluster.limit_ranges else 0.0))
        reading = read(server, cluster)
        prediction = predict(cluster, reading)
        happened = try_it(server, cluster)
        agreement = compare(cluster, prediction, happened)
        looks = 1
        for pause in SECOND_LOOKS:
            if agreement not in (Agreement.FALSE_FITS, Agreement.WRONG):
                break
            looks += 1
            happened = _again(server, cluster, pause)
            agreement = compare(cluster, prediction, happened)
        truth = happened.placed >= cluster.copies
        naive = {name: answer == truth for name, answer in naive_answers(cluster, reading).items()}
    except BaseException:
        clear(server)
        raise
    tidy(server, cluster)
    return {
        "seed": seed,
        "agreement": agreement,
        "copies": cluster.copies,
        "prediction": asdict(prediction),
        "happened": asdict(happened),
        "features": sorted(cluster.features),
        "naive_right": naive,
        "looks": looks,
        "seconds": round(time.monotonic() - started, 3),
    }


def _again(server: Server, cluster: Any, pause: float) -> Happened:
    """The scheduler is asked a second time; what was predicted stays."""
    take_back(server, cluster)
    for quota in cluster.quotas:  # what the first try charged is given back, as the quota controller would
        path = f"/api/v1/namespaces/{quota['metadata']['namespace']}/resourcequotas/{quota['metadata']['name']}/status"
        server.request("PATCH", path, {"status": quota["status"]}, "application/merge-patch+json")
    time.sleep(pause)
    return try_it(server, cluster)


def run(
    kubeconfig: Path, first: int, count: int, record: Path | None, stop_at: float | None = None
) -> list[dict[str, Any]]:
    """Checks `count` seeds from `first`; seeds that `record` already has are not repeated."""
    done = {line["seed"]: line for line in recorded(record)}
    server = Server(kubeconfig)
    prepare(server)
    clear(server)
    results = []
    for seed in range(first, first + count):
        if seed in done:
            results.append(done[seed])
            continue
        if stop_at is not None and time.time() > stop_at:
            break
        line = check_seed(server, seed)
        results.append(line)
        if record is not None:
            with record.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if line["agreement"] in (Agreement.FALSE_FITS, Agreement.WRONG, Agreement.PREEMPTION):
            print(json.dumps(line), flush=True)
    return results


def recorded(record: Path | None) -> list[dict[str, Any]]:
    """What a record has, a line for each seed; nothing where there is none."""
    if record is None or not record.exists():
        return []
    return [json.loads(text) for text in record.read_text().splitlines()]


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a run."""
    kinds = {
        kind: sum(line["agreement"] == kind for line in results)
        for kind in vars(Agreement).values()
        if isinstance(kind, str)
    }
    kinds = {
        kind: count
        for kind, count in kinds.items()
        if kind in ("exact", "depends", "unknown", "false_fits", "wrong", "preemption")
    }
    naive: dict[str, int] = {}
    for line in results:
        for name, right in line["naive_right"].items():
            naive[name] = naive.get(name, 0) + (not right)
    features: dict[str, int] = {}
    for line in results:
        for name in line["features"]:
            features[name] = features.get(name, 0) + 1
    return {
        "clusters": len(results),
        **kinds,
        "all_fit": sum(line["happened"]["placed"] >= line["copies"] for line in results),
        "none_fit": sum(line["happened"]["placed"] == 0 for line in results),
        "methods": {
            m: sum(line["prediction"]["method"] == m for line in results)
            for m in ("closed_form", "exhaustive", "sampled")
        },
        "seconds": round(sum(line["seconds"] for line in results), 1),
        "second_looks": sum(line["looks"] > 1 for line in results),
        "naive_wrong": naive,
        "features": dict(sorted(features.items())),
    }


def report(results: list[dict[str, Any]]) -> str:
    """The figures of a run as the page that is kept in docs/."""
    found = summary(results)
    count = found["clusters"]
    seeds = f"{results[0]['seed']} to {results[-1]['seed']}" if results else "none"
    rows = [
        ("clusters (seeds " + seeds + ")", count),
        ("predicted exactly", found["exact"]),
        ("depends on the scheduler's taste, and said so", found["depends"]),
        ("said to be unknown", found["unknown"]),
        ("**said to fit and did not**", found["false_fits"]),
        ("other disagreements", found["wrong"]),
        ("right without eviction, wrong about how many after it", found["preemption"]),
        ("all copies found a node", found["all_fit"]),
        ("no copy found a node", found["none_fit"]),
        ("decided by closed form / exhaustive search / sampling", " / ".join(map(str, found["methods"].values()))),
        ("asked a second time, because caches of the server lagged", found["second_looks"]),
    ]
    lines = [
        "# Headroom against the real scheduler: figures of a run",
        "",
        "Made by `make headroom-truth` (random clusters: predicted, then tried in kube-scheduler "
        f"{versions()[KUBERNETES].removeprefix('v')}); see [headroom](headroom.md).",
        "It aims at 10,000 clusters, can be stopped at any time and goes on where it was; these are all that have been tried.",
        "",
        *_table(("", ""), rows),
        "",
        'What simpler formulas answer to "do all copies fit?" on the same clusters:',
        "",
        *_table(
            ("formula", "wrong", "per cent"),
            [(n, w, f"{100 * w / max(1, count):.1f}") for n, w in found["naive_wrong"].items()],
        ),
        "",
        "How many of the clusters use each feature:",
        "",
        *_table(("feature", "clusters"), list(found["features"].items())),
        "",
    ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ("---",) * len(head), *rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        help="a cluster of its own (its nodes and pods are deleted); without it nothing is run",
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument(
        "--record", type=Path, help="one JSON line a seed; a second run goes on where the first stopped"
    )
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--report", type=Path, help="a Markdown page to write the figures to")
    given = parser.parse_args()
    stop_at = None if given.minutes is None else time.time() + 60 * given.minutes
    results = (
        run(given.kubeconfig, given.first, given.count, given.record, stop_at)
        if given.kubeconfig
        else recorded(given.record)
    )
    print(json.dumps(summary(results), indent=1))
    if given.report:
        given.report.write_text(report(results))


if __name__ == "__main__":
    main()
