# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make judgement-e2e`: whole releases on a real node, judged under a steady load, promoted or undone.

    python -m tests.truth.releases --good 20 --bad 20 --report docs/judgement-releases.md

Stable errs in 0.5 % of requests; a good canary too, a bad one in 5 %. Exits with 1 when one did not end as it should.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.cluster.lab import start_lab

from .lane import Judged, Setting
from .run import release_all, table, wrong

REPORT = """\
# Whole releases, judged on a real node

Written by `python -m tests.truth.releases --good {good} --bad {bad} --at-once {lanes}`; what is judged and how:
[judgement.md](judgement.md).

A real node with {lanes} Deployments of {replicas} pods side by side, each under {users} requests a second through its
Service, each released again and again: the canary's container is started, judged beside the stable ones, and promoted or
undone. Stable errs in 0.5 % of requests, a good canary too, a bad one in 5 %. Tolerated are {ratio:g} times stable and
{increase:g} % more. Two checks have to pass: requests of the collection's own to canary and stable pods in turn ({own:g} a
second at most), and counters of the application, scraped by a real Prometheus each second, which see users' requests and
those. Restarts are watched beside.

{table}

{seconds:.0f} seconds in all. Users' requests without any answer: {unanswered}. {wrong}

Requests lost count until the canary was promoted or its last pod was gone. All Deployments, their users, the judgement,
Prometheus and the cluster itself share one machine.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=20)
    parser.add_argument("--bad", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=3, help="Deployments side by side (default %(default)s)")
    parser.add_argument("--report", type=Path, help="also write the figures there")
    options = parser.parse_args()
    kinds = [True, False] * min(options.good, options.bad)
    kinds += [options.bad > options.good] * abs(options.bad - options.good)
    begun, setting = time.monotonic(), Setting()

    def tell(one: Judged) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {one}", flush=True)

    with start_lab(real_nodes=1) as lab:
        judged = release_all(lab, kinds, options.at_once, setting, tell)
    mistakes = wrong(judged)
    report = REPORT.format(
        good=options.good, bad=options.bad, lanes=options.at_once, replicas=setting.replicas, users=setting.users,
        ratio=setting.tolerance.max_ratio, increase=100 * (setting.tolerance.max_increase or 0.0), own=setting.own,
        table=table(judged, setting), seconds=time.monotonic() - begun,
        unanswered=sum(one.unanswered for one in judged), wrong="; ".join(mistakes) or "None ended otherwise.",
    )  # fmt: skip
    print(report)
    if options.report:
        options.report.write_text(report, encoding="utf-8")
    return 1 if mistakes or len(judged) != len(kinds) else 0


if __name__ == "__main__":
    sys.exit(main())
