# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster can leave behind on a machine, as far as it can be seen: compared before and after."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from .journal import hierarchies
from .layout import Layout
from .paths import labs_root
from .processes import started_at


@dataclass(frozen=True)
class Traces:
    """Links, routes, mounts, named network namespaces, cgroups, processes and directories of clusters."""

    links: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    directories: frozenset[str]

    def beyond(self, before: Traces) -> dict[str, list[str]]:
        """What is here and was not there, by kind; kinds without a difference are left out."""
        new = {each.name: sorted(getattr(self, each.name) - getattr(before, each.name)) for each in fields(self)}
        return {kind: found for kind, found in new.items() if found}


def take(cluster: Path) -> Traces:
    """The traces of this machine; cgroups, processes and directories only as far as they can be `cluster`'s."""
    namespaces, cgroups = Path("/run/netns"), f"coalmine-{Layout(cluster).identity}-*"
    return Traces(
        links=_lines("ip", "-brief", "link"),
        routes=_lines("ip", "route", "show", "table", "all"),
        mounts=frozenset(Path("/proc/mounts").read_text().splitlines()),
        namespaces=frozenset(path.name for path in namespaces.iterdir()) if namespaces.exists() else frozenset(),
        cgroups=frozenset(str(path) for root in hierarchies() for path in root.glob(cgroups)),
        processes=frozenset(_processes(cluster)),
        directories=frozenset(path.name for path in labs_root().glob(cluster.name)),
    )


def _processes(cluster: Path) -> list[str]:
    """Living processes whose command line or environment names the directory of the cluster."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(cluster).encode() in told and started_at(int(process.name)):
            found.append(f"{process.name} {told[:200].decode(errors='replace')}")
    return found


def _lines(*command: str) -> frozenset[str]:
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(shown.stdout.splitlines())
