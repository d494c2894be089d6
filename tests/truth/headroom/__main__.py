# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a cluster of its own and checks many seeds: `python -m tests.truth.headroom --count 10000`.

It can be stopped and started again: seeds that the record has are not repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.cluster.lab import start_lab

from .run import report, run, summary

# No controller but the one that makes ServiceAccounts: nobody else touches what a case consists of.
ALONE = ("--controllers=serviceaccount-controller",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=100_000)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--record", type=Path, default=Path("build/headroom-truth.jsonl"))
    parser.add_argument("--report", type=Path, default=Path("docs/headroom-truth.md"))
    given = parser.parse_args()
    given.record.parent.mkdir(parents=True, exist_ok=True)
    with start_lab(fake_nodes=0, controller_manager_flags=ALONE) as lab:
        results = run(lab.kubeconfig, given.first, given.count, given.record)
    print(json.dumps(summary(results), indent=1))
    given.report.write_text(report(results))


if __name__ == "__main__":
    main()
