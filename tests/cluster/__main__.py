# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.cluster build|up|down|status: the test cluster by hand. `make cluster` and `make cluster-down` call it.

`up` prints one line for a shell to evaluate (export KUBECONFIG=...) on stdout; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .build import CONTROL_PLANE, NODE, BuildFailed, ensure_built, tell
from .construction import StartFailed
from .fakes import Capacity
from .gateway.server import ONLY_ANSWERING, gateway_of
from .images import ensure_programs
from .lab import GATEWAYS, Lab, NotALab, start_lab
from .layout import Layout
from .metrics.server import ONLY_REAL_NODES
from .paths import lab_directory, labs_root
from .realnodes.machine import RealNodesImpossible, expected
from .realnodes.network import MOST_NODES
from .teardown import sweep, tear_down
from .toolchain import NoGo


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "real", False) and (options.nodes or 1) > MOST_NODES:
        parser.error(f"at most {MOST_NODES} real nodes")
    if getattr(options, "metrics", False) and not options.real:
        parser.error(ONLY_REAL_NODES)
    if getattr(options, "gateway", "") and not (options.answering or options.real):
        parser.error(ONLY_ANSWERING)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        tell("interrupted: what had been started is gone again")
        return 130
    except (BuildFailed, NoGo, StartFailed) as error:
        tell(f"{type(error).__name__}: {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build what is missing of the binaries")
    build.set_defaults(run=_build)
    up = commands.add_parser("up", help="start a cluster that stays until `down`")
    up.add_argument("--nodes", type=int, help="how many nodes (default: 3 fake ones, 1 real one)")
    up.add_argument("--real", action="store_true", help="real nodes: kubelets and containers (root, Linux)")
    up.add_argument(
        "--metrics", action="store_true", help="with --real: metrics-server (the first time 4 to 8 minutes)"
    )
    up.add_argument("--answering", action="store_true", help="fake pods answer HTTP (root); on which port is told")
    up.add_argument(
        "--gateway",
        choices=sorted(GATEWAYS),
        default="",
        help="with --answering or --real: this proxy serves Gateway API, istio VirtualServices, too (the first time about 10 minutes)",
    )
    up.add_argument("--cpu", default=Capacity.cpu, help="of each fake node (default %(default)s)")
    up.add_argument("--memory", default=Capacity.memory, help="of each fake node (default %(default)s)")
    up.add_argument("--pods", type=int, default=Capacity.pods, help="of each fake node (default %(default)s)")
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="remove the cluster, also one that a crash left behind")
    down.set_defaults(run=_down)
    for command in (up, down):
        command.add_argument("--name", default="default", help="several can run side by side (default %(default)s)")
    status = commands.add_parser("status", help="list the clusters of this user on this machine")
    status.set_defaults(run=_status)
    return parser


def _build(options: argparse.Namespace) -> int:
    tell(f"binaries: {ensure_built(CONTROL_PLANE + NODE)}")
    tell(f"programs: {ensure_programs()}")
    return 0


def _up(options: argparse.Namespace) -> int:
    sweep()
    directory = lab_directory(options.name)
    if Layout(directory).described():
        tell(f"the cluster {options.name!r} runs already; `down` removes it")
        return _announce(directory)
    tear_down(directory)
    try:
        lab = _start(directory, options)
    except RealNodesImpossible as error:
        if expected():
            raise
        tell(f"no real nodes on this machine: {error}\nfake ones instead")
        options.real, options.nodes, options.metrics = False, None, False
        lab = _start(directory, options)
    lab.leave()
    return _announce(directory)


def _start(directory: Path, options: argparse.Namespace) -> Lab:
    return start_lab(
        directory,
        fake_nodes=None if options.real else options.nodes,
        real_nodes=(options.nodes or 1) if options.real else 0,
        capacity=Capacity(options.cpu, options.memory, options.pods),
        answering=options.answering,
        metrics=options.metrics,
        gateway=options.gateway,
        kept=True,
    )


def _announce(directory: Path) -> int:
    layout = Layout(directory)
    if port := (layout.described() or {}).get("port"):
        tell(f"the pods answer HTTP on port {port} of their addresses")
    for gateway in filter(None, (gateway_of(layout, name) for name in GATEWAYS)):
        tell(f"Gateway {json.dumps(gateway.parent)} is served at http://{gateway.address}")
    print(f"export KUBECONFIG={layout.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    directory = lab_directory(options.name)
    known = directory.exists()
    tear_down(directory)
    tell(f"the cluster {options.name!r} is gone" if known else f"there is no cluster {options.name!r}")
    return 0


def _status(options: argparse.Namespace) -> int:
    sweep()
    for directory in sorted(labs_root().glob("*")):
        try:
            lab = Lab(directory)
            print(f"{directory.name}\t{lab.server}\t{lab.kubeconfig}")
            lab.leave()
        except NotALab:
            print(f"{directory.name}\tstarting, or left over\t{directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
