# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds Kubernetes, etcd and kwok from the modules that go.mod pins, once for each set of versions.

About eight minutes on two cores with nothing cached. Each binary is renamed into place when it is whole, so an
interrupted build goes on where it stopped. An environment that sets CANARY_TEST_KUBERNETES=1.33 gets the control plane
of that minor version, from the go.mod of its own in kubernetes/; etcd and kwok are the same for all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from .locks import exclusive
from .paths import SOURCES, cache_root
from .toolchain import find_go

PROGRESS_SECONDS = 15
VARIABLE = "CANARY_TEST_KUBERNETES"
OTHERS = SOURCES / "kubernetes"
KUBERNETES, ETCD, KWOK = "k8s.io/kubernetes", "go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok"


class BuildFailed(RuntimeError):
    """The Go compiler refused, or there is nothing that could be built."""


@dataclass(frozen=True)
class Component:
    """One binary: its name and the package it is built from."""

    name: str
    package: str

    @property
    def module(self) -> Path:
        """The directory of the go.mod that pins it."""
        return kubernetes_module() if self.package.startswith(KUBERNETES) else SOURCES


CONTROL_PLANE = (
    Component("kube-apiserver", f"{KUBERNETES}/cmd/kube-apiserver"),
    Component("kube-controller-manager", f"{KUBERNETES}/cmd/kube-controller-manager"),
    Component("kube-scheduler", f"{KUBERNETES}/cmd/kube-scheduler"),
    Component("kubectl", f"{KUBERNETES}/cmd/kubectl"),
    Component("etcd", ETCD),
    Component("kwok", f"{KWOK}/cmd/kwok"),
)
NODE = (
    Component("kubelet", f"{KUBERNETES}/cmd/kubelet"),
    Component("kube-proxy", f"{KUBERNETES}/cmd/kube-proxy"),
)

Say = Callable[[str], None]


def tell(line: str) -> None:
    """Progress goes to stderr: stdout belongs to what a shell may want to evaluate."""
    print(line, file=sys.stderr, flush=True)


def other_kubernetes() -> list[str]:
    """The minor versions beside the one that everything is tested on, oldest first."""
    return sorted((path.parent.name for path in OTHERS.glob("*/go.mod")), key=lambda minor: int(minor.split(".")[1]))


def kubernetes_module() -> Path:
    """The directory of the go.mod with the Kubernetes that the environment names, or with the newest."""
    minor = os.environ.get(VARIABLE)
    if not minor:
        return SOURCES
    if minor not in other_kubernetes():
        raise BuildFailed(f"{VARIABLE}={minor}: there is {', '.join(other_kubernetes())} beside the newest (unset it)")
    return OTHERS / minor


def minor_version() -> tuple[int, int]:
    """(1, 37) of the Kubernetes that is chosen."""
    major, minor, _patch = versions()[KUBERNETES].removeprefix("v").split(".")
    return int(major), int(minor)


def versions() -> dict[str, str]:
    """Module -> version, as go.mod pins them, for the three modules that are built."""
    shared = pinned_in(SOURCES / "go.mod")
    kubernetes = pinned_in(kubernetes_module() / "go.mod")
    return {KUBERNETES: kubernetes[KUBERNETES], ETCD: shared[ETCD], KWOK: shared[KWOK]}


def pinned_in(go_mod: Path) -> dict[str, str]:
    """Module -> version."""
    return dict(re.findall(r"^(?:require)?\s*(\S+) (v\S+)", go_mod.read_text(), re.MULTILINE))


def binaries() -> Path:
    """The directory of the binaries of these versions; it may still be empty."""
    pinned = versions()
    key = f"kubernetes-{pinned[KUBERNETES]}-etcd-{pinned[ETCD]}-kwok-{pinned[KWOK]}"
    return cache_root() / key / "bin"


def ensure_built(components: tuple[Component, ...] = CONTROL_PLANE, say: Say = tell) -> Path:
    """Builds what is missing of `components` and returns the directory that holds them. Safe in several processes at once."""
    if NODE[0] in components and kubernetes_module() != SOURCES:
        raise BuildFailed(f"real nodes are there for the newest Kubernetes alone: unset {VARIABLE}")
    target = binaries()
    if not _missing(target, components):
        return target
    with building(target.parent, say):
        missing = _missing(target, components)
        target.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        for number, component in enumerate(missing, 1):
            say(f"[{number}/{len(missing)}] building {component.name} ({_elapsed(started)} so far)")
            _build(component, target, say)
        if missing:
            say(f"built {len(missing)} binaries in {_elapsed(started)}: {target}")
    return target


def go_build(
    package: str,
    output: Path,
    ldflags: str,
    waiting: Callable[[float], None] = lambda seconds: None,
    module: Path = SOURCES,
) -> None:
    """One static binary from a package of `module` (its directory) or of its dependencies; `waiting` hears the seconds
    now and then."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    command: list[str | Path] = [find_go(), "build", "-buildvcs=false", "-o", partial, "-ldflags", ldflags, package]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=module, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            try:
                _, errors = process.communicate(timeout=PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                waiting(time.monotonic() - started)
        if process.returncode:
            raise BuildFailed(f"go build {package} failed:\n{errors.strip()[-3000:]}")
        partial.rename(output)
    finally:
        process.kill()
        process.wait()
        partial.unlink(missing_ok=True)


def ensure_program(
    name: str,
    module: str,
    command: str,
    place: Path,
    say: Say = tell,
    sources: Callable[[Path], Path] | None = None,
    stamp: str = "",
) -> Path:
    """The program that `module`, which the go.mod in `place` pins, has in its package `command`, or in its own where that is empty; builds it
    when it is missing. `sources` makes the directory to build it in, where that is not `place`; `stamp`: what the linker is told besides.
    Safe in several processes at once."""
    version = pinned_in(place / "go.mod")[module]
    target = cache_root() / f"{name}-{version}"
    program = target / name
    if program.exists():
        return program
    with building(target, say):
        if not program.exists():
            say(f"building {name} {version}")
            go_build(
                f"{module}/{command}".rstrip("/"),
                program,
                f"-s -w {stamp}".rstrip(),
                waiting=lambda seconds: say(f"      {name}: {seconds:.0f} s"),
                module=sources(target / "module") if sources else place,
            )
    return program


def building(target: Path, say: Say) -> AbstractContextManager[int]:
    """Nobody else builds what this directory of the cache holds meanwhile."""
    return exclusive(target / "build.lock", waiting=lambda holder: say(f"{holder} is building the same; waiting"))


def _missing(target: Path, components: tuple[Component, ...]) -> list[Component]:
    return [component for component in components if not (target / component.name).exists()]


def _built_for_another(component: Component, target: Path) -> Path | None:
    """The same binary beside another Kubernetes: of etcd and kwok, whose versions the directory's name ends with."""
    if component.package.startswith(KUBERNETES):
        return None
    others = f"kubernetes-*-etcd-{target.parent.name.partition('-etcd-')[2]}"
    return next(cache_root().glob(f"{others}/bin/{component.name}"), None)


def _build(component: Component, target: Path, say: Say) -> None:
    if there := _built_for_another(component, target):
        os.link(there, target / component.name)
        return
    go_build(
        component.package,
        target / component.name,
        _version_flags() if component.package.startswith(KUBERNETES) else "-s -w",
        waiting=lambda seconds: say(f"      {component.name}: {seconds:.0f} s"),
        module=component.module,
    )


def _version_flags() -> str:
    """Kubernetes learns its own version from the linker; built from a module it would call itself v0.0.0-master."""
    major, minor = minor_version()
    stamp = {
        "gitVersion": versions()[KUBERNETES],
        "gitMajor": str(major),
        "gitMinor": str(minor),
        "gitCommit": "module",
        "gitTreeState": "clean",
    }
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())


def _elapsed(since: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - since), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
