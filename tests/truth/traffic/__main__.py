# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make traffic-truth`: what is promised of traffic, on real proxies, with figures.

    python -m tests.truth.traffic --report docs/traffic-truth.md

Exits with 1 when something is not as it must be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.build import pinned_in
from tests.cluster.fakes import Capacity
from tests.cluster.gateway.program import GATEWAY_API, MODULE, PACKAGE
from tests.cluster.gateway.server import add_gateway
from tests.cluster.istio import program
from tests.cluster.istio.server import add_istio
from tests.cluster.lab import GATEWAYS, Lab, start_lab
from tests.gateways import gates
from tests.gateways.shop import IngressShop, Shop, VirtualServiceShop

from .bench import Bench, Case
from .cases import OF_INGRESSES, OF_ROUTES_OF_ISTIO, OF_TRAEFIK, OF_VIRTUAL_SERVICES, Cases

REPORT = """\
# Traffic, on real proxies

Written by `python -m tests.truth.traffic`; what is promised and how: [traffic.md](traffic.md).

The proxies stand before fake pods that really answer, under a real control plane, with the definitions of Gateway API {gateway_api}.
Every request of a user is on a connection of its own. A request counts as failed unless it is answered with 200. The proxy, the users, the
verbs and the cluster share one machine.

{parts}

Not here: other proxies, cloud load balancers, the sidecars of a mesh.
"""
PART = """\
## {name}

{about}

| what | must be | was |
|---|---|---|
{rows}

{seconds:.0f} seconds in all. {wrong}"""
# Where nothing proves a write, and Traefik takes a configuration every 0.1 s.
STATED_AFTER = 1.0
OF_TRAEFIK_ITSELF = f"""\
Where nothing else is said, the proxy takes a configuration every 0.1 s in place of its default of 2 s. Ingresses have the annotations of
ingress-nginx, which Traefik goes by; what is written counts as in force after {STATED_AFTER:g} s in place of the 10 s that ingress-nginx is given."""


@dataclass
class Part:
    """What one proxy shows. `benches`: by the kinds of routes, and what is played on each."""

    name: str
    about: str
    benches: Callable[[Lab], dict[str, tuple[Bench, Cases]]]
    cases: list[Case] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, lab: Lab, only: list[str]) -> None:
        begun = time.monotonic()
        for kind, (bench, cases) in self.benches(lab).items():
            for chosen in (case for case in cases if not only or case.__name__ in only):
                case = chosen(bench)
                case.name = f"{kind}: {case.name}"
                self.cases.append(case)
                print(f"{time.monotonic() - begun:5.0f} s  {_row(case)}", flush=True)
        self.seconds = time.monotonic() - begun

    @property
    def wrong(self) -> list[str]:
        return [f"{case.name}: {what}" for case in self.cases for what in case.wrong]

    def __str__(self) -> str:
        rows, wrong = "\n".join(map(_row, self.cases)), "; ".join(self.wrong) or "Everything was as it must be."
        return PART.format(name=self.name, about=self.about, rows=rows, seconds=self.seconds, wrong=wrong)


def _traefik(lab: Lab) -> dict[str, tuple[Bench, Cases]]:
    gateway = add_gateway(lab)
    ingresses = Bench(lab, gateway, IngressShop, settles=STATED_AFTER)
    return {"HTTPRoute": (Bench(lab, gateway), OF_TRAEFIK), "Ingress": (ingresses, OF_INGRESSES)}


def _istio(lab: Lab) -> dict[str, tuple[Bench, Cases]]:
    gateway = add_istio(lab)
    kinds: dict[str, tuple[type[Shop], Cases]] = {
        "VirtualService": (VirtualServiceShop, OF_VIRTUAL_SERVICES),
        "HTTPRoute": (Shop, OF_ROUTES_OF_ISTIO),
    }
    return {name: (Bench(lab, gateway, kind, True, gates.ISTIO), cases) for name, (kind, cases) in kinds.items()}


def _parts() -> Iterator[tuple[str, Part]]:
    traefik = f"Traefik {pinned_in(MODULE / 'go.mod')[PACKAGE]}"
    yield "traefik", Part(traefik, OF_TRAEFIK_ITSELF, _traefik)
    istio = pinned_in(program.MODULE / "go.mod")[program.PACKAGE].rpartition("-")[2]
    envoy = program.ENVOY.rpartition("==")[2]
    about = f"Istio's control plane, commit {istio} of its main branch, and one Envoy {envoy} as its gateway."
    yield "istio", Part("Istio and Envoy", about, _istio)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", choices=sorted(GATEWAYS), help="no other (default: each)")
    parser.add_argument("--only", nargs="*", default=[], metavar="CASE", help="by its name in cases.py (default: all)")
    parser.add_argument("--report", type=Path, help="also write the figures there")
    options = parser.parse_args()
    parts = [part for name, part in _parts() if options.gateway in (None, name)]
    with start_lab(answering=True, capacity=Capacity(pods=1000)) as lab:
        for part in parts:
            part.run(lab, options.only)
    told = "\n\n".join(map(str, parts))
    if options.report:
        report = REPORT.format(gateway_api=pinned_in(MODULE / "go.mod")[GATEWAY_API], parts=told)
        options.report.write_text(report, encoding="utf-8")
    print(told)
    return 1 if any(part.wrong for part in parts) else 0


def _row(case: Case) -> str:
    return f"| {case.name} | {case.must} | {'; '.join(case.figures)} |"


if __name__ == "__main__":
    sys.exit(main())
