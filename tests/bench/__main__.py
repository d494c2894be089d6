# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a verb needs after the last canary pod has become Ready, as an onlooker saw it, until it returns.

    python -m tests.bench [--starts 40]

It exits with 1 when 95 of 100 starts did not return within the bound. The figure depends on what else the machine does:
the load average is told with it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tests.cluster.lab import start_lab

from .latency import measure

BOUND_MS = 100.0
REPLICAS = 10


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=40)
    starts = parser.parse_args(arguments).starts
    with start_lab() as lab:
        begun = os.getloadavg()[0]
        measured = measure(lab, lab.create_namespace("bench"), REPLICAS, starts)
        load = f"load average {begun:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} CPUs"
    print(f"{starts} starts of 1 canary pod beside {REPLICAS}; {load}")
    kept = measured.returns.p95 <= BOUND_MS
    print(f"from Ready to the verb's return: {measured.returns}")
    print(f"one read, as a yardstick: {measured.reads}")
    print(f"bound: p95 at most {BOUND_MS:.0f} ms: {'kept' if kept else 'NOT kept'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
