# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this machine run real nodes, and with which programs?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from ..build import Say
from ..construction import StartFailed
from ..controlplane import SERVICE_RANGE

NODE_RANGE = "10.200.0.0/16"
POD_RANGE = "10.201.0.0/16"
CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")

# program -> the Debian package that has it
PROGRAMS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "sysctl": "procps",
}
CNI_PACKAGE = "containernetworking-plugins"


class RealNodesImpossible(StartFailed):
    """This machine cannot run real nodes; the message says why and what would help."""


def expected() -> bool:
    """True where real nodes must run (CI as root): doing without them would hide a failure."""
    return os.environ.get("CANARY_EXPECT_REAL_NODES") == "1"


@dataclass(frozen=True)
class Runtime:
    """The programs of the machine that a node is made of."""

    containerd: Path
    containerd_major: int
    runc: Path
    cni: Path


def require_runtime(say: Say) -> Runtime:
    """The runtime programs; missing ones are installed with apt. Raises RealNodesImpossible."""
    if sys.platform != "linux":
        raise RealNodesImpossible(f"real nodes need Linux; this is {sys.platform}")
    if os.geteuid() != 0:
        raise RealNodesImpossible("real nodes need root (namespaces, mounts, cgroups); this is an ordinary user")
    if packages := _missing_packages():
        _install(packages, say)
    containerd, runc, cni = _find("containerd"), _find("runc"), _cni()
    missing = _missing_packages()
    if missing or containerd is None or runc is None or cni is None:
        raise RealNodesImpossible(
            f"still missing after the installation of their packages: {', '.join(sorted(missing))}"
        )
    return Runtime(containerd, _major_version(containerd), runc, cni)


def address_conflict() -> str | None:
    """A route of this machine that lies in the ranges of the nodes, their pods or the Services; None when all are free."""
    shown = subprocess.run(["ip", "-j", "route", "show", "table", "all"], capture_output=True, text=True, check=True)
    wanted = [ip_network(text) for text in (NODE_RANGE, POD_RANGE, SERVICE_RANGE)]
    for route in json.loads(shown.stdout):
        destination = route.get("dst", "default")
        if destination == "default" or ":" in destination:
            continue
        if any(ip_network(destination, strict=False).overlaps(each) for each in wanted):
            return f"{destination} on {route.get('dev', 'some device')}"
    return None


def _missing_packages() -> set[str]:
    missing = {package for program, package in PROGRAMS.items() if _find(program) is None}
    return missing | (set() if _cni() else {CNI_PACKAGE})


def _install(packages: set[str], say: Say) -> None:
    names = sorted(packages)
    if not shutil.which("apt-get"):
        raise RealNodesImpossible(f"real nodes need {', '.join(names)}; there is no apt-get to install them with")
    say(f"installing {', '.join(names)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    steps = (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names])
    for step in steps:
        done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RealNodesImpossible(f"{' '.join(step)} failed: {done.stderr.strip()[-500:]}")


def _find(program: str) -> Path | None:
    """Also where a user's PATH does not look: /usr/sbin holds half of them."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    return Path(found) if found else None


def _cni() -> Path | None:
    complete = (path for path in CNI_DIRECTORIES if all((path / plugin).exists() for plugin in CNI_PLUGINS))
    return next(complete, None)


def _major_version(containerd: Path) -> int:
    """`containerd --version` prints: containerd github.com/containerd/containerd 1.6.20~ds1 ..."""
    told = subprocess.run([containerd, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return int(told[2].lstrip("v").partition(".")[0])
