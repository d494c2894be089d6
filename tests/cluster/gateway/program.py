# SPDX-License-Identifier: GPL-3.0-or-later
"""Traefik and the definitions of Gateway API, from the modules that the go.mod beside this file pins.

Traefik is its own, whole program, but for the clients of DNS providers that an ACME challenge needs: a hundred SDKs, one of
which the module proxy does not have. Six minutes of CPU time, ten minutes beside other work, once for each version.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..build import Say, ensure_program, pinned_in, tell
from ..locks import exclusive
from ..paths import cache_root
from ..toolchain import find_go

MODULE = Path(__file__).parent
PACKAGE, PROGRAM = "github.com/traefik/traefik/v3", "traefik"
LEGO = "github.com/go-acme/lego/v5"
GATEWAY_API = "sigs.k8s.io/gateway-api"
# For each kind one file; the one beside them is no definition.
_NO_DEFINITIONS = "vap_safeupgrades"


def ensure_traefik(say: Say = tell) -> Path:
    """The program; builds it when it is missing. Safe in several processes at once."""
    return ensure_program(PROGRAM, PACKAGE, f"cmd/{PROGRAM}", MODULE, say, _module)


def _module(place: Path) -> Path:
    """The module to build from: ours, beside a copy of lego without what needs those SDKs."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(MODULE, place, ignore=shutil.ignore_patterns("*.py", "__pycache__", "dns"))
    source = downloaded(LEGO)
    copy_module(source, place / "lego", _left_out(source))
    shutil.copytree(MODULE / "dns", place / "lego/providers/dns")
    return place


def copy_module(source: Path, target: Path, ignore: Any = None) -> None:
    """What the module cache holds is read only; the copy is not."""
    shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=ignore)
    for directory in (target, *filter(Path.is_dir, target.rglob("*"))):
        directory.chmod(0o755)


def _left_out(source: Path) -> Any:
    def ignored(directory: str, names: list[str]) -> set[str]:
        here = Path(directory).relative_to(source).as_posix()
        return {name for name in names if f"{here}/{name}" in ("./cmd", "./e2e", "./main.go", "providers/dns")}

    return ignored


def downloaded(module: str, go_mod: Path = MODULE / "go.mod") -> Path:
    """The directory of a module in the version that is pinned."""
    wanted = f"{module}@{pinned_in(go_mod)[module]}"
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GO111MODULE": "on"}
    told = subprocess.run(
        [find_go(), "mod", "download", "-json", wanted],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd="/",
    )
    return Path(json.loads(told.stdout)["Dir"])


def kept(name: str, module: str, path: str, go_mod: Path) -> Path:
    """A file of a module, by this name in the cache, where a cluster without a network finds it, too."""
    target = cache_root() / name
    if not target.exists():
        with exclusive(cache_root() / "locks" / target.name):
            if not target.exists():
                partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
                shutil.copyfile(downloaded(module, go_mod) / path, partial)
                partial.rename(target)
    return target


def definitions() -> Iterator[dict[str, Any]]:
    """Gateway API's own of the standard channel, as everybody installs them."""
    for path in sorted(_definitions().glob("*.yaml")):
        if _NO_DEFINITIONS not in path.name:
            # A megabyte in all: the loader that is written in Python takes a second.
            yield yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def _definitions() -> Path:
    """Their directory in the cache, where a cluster without a network finds them, too."""
    target = cache_root() / f"gateway-api-{pinned_in(MODULE / 'go.mod')[GATEWAY_API]}"
    if not target.exists():
        with exclusive(cache_root() / "locks" / target.name):
            if not target.exists():
                partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
                copy_module(downloaded(GATEWAY_API) / "config/crd/standard", partial)
                partial.rename(target)
    return target
