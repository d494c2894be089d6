# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make traffic-truth`: what is promised of traffic, on a real proxy, with figures.

    python -m tests.truth.traffic --report docs/traffic-truth.md

Exits with 1 when something is not as it must be.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.cluster.build import pinned_in
from tests.cluster.fakes import Capacity
from tests.cluster.gateway.program import GATEWAY_API, MODULE, PACKAGE
from tests.cluster.gateway.server import add_gateway
from tests.cluster.lab import start_lab

from .cases import ALL, Bench, Case

REPORT = """\
# Traffic, on a real proxy

Written by `python -m tests.truth.traffic`; what is promised and how: [traffic.md](traffic.md).

Traefik {traefik} with the definitions of Gateway API {gateway_api}, before fake pods that really answer, under a real control
plane. Every request of a user is on a connection of its own. A request counts as failed unless it is answered with 200. The
proxy, the users, the verbs and the cluster share one machine; where nothing else is said, the proxy takes a configuration every
0.1 s in place of its default of 2 s.

| what | must be | was |
|---|---|---|
{rows}

{seconds:.0f} seconds in all. {wrong}

Not here: Istio and Envoy, of which [traffic.md](traffic.md#where-it-has-been-tried) tells; other proxies, cloud load balancers, meshes.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="CASE", help="by its name in cases.py (default: all)")
    parser.add_argument("--report", type=Path, help="also write the figures there")
    options = parser.parse_args()
    chosen = [case for case in ALL if not options.only or case.__name__ in options.only]
    begun, cases = time.monotonic(), []
    with start_lab(answering=True, capacity=Capacity(pods=1000)) as lab:
        bench = Bench(lab, add_gateway(lab))
        for case in chosen:
            cases.append(case(bench))
            print(f"{time.monotonic() - begun:5.0f} s  {_row(cases[-1])}", flush=True)
    report = REPORT.format(
        traefik=pinned_in(MODULE / "go.mod")[PACKAGE],
        gateway_api=pinned_in(MODULE / "go.mod")[GATEWAY_API],
        rows="\n".join(map(_row, cases)),
        seconds=time.monotonic() - begun,
        wrong=_wrong(cases),
    )
    if options.report:
        options.report.write_text(report, encoding="utf-8")
    print(_wrong(cases))
    return 1 if any(case.wrong for case in cases) else 0


def _row(case: Case) -> str:
    return f"| {case.name} | {case.must} | {'; '.join(case.figures)} |"


def _wrong(cases: list[Case]) -> str:
    found = [f"{case.name}: {what}" for case in cases for what in case.wrong]
    return "; ".join(found) or "Everything was as it must be."


if __name__ == "__main__":
    sys.exit(main())
