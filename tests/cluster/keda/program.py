# SPDX-License-Identifier: GPL-3.0-or-later
"""KEDA's operator, its definitions and its rights, from the module that the go.mod beside this file pins.

Without the metrics adapter and the admission webhooks, which are programs of their own. The operator is whole but for the triggers that
ask other people's systems: with all of their clients it is made of 3,300 packages, and so of 1,600.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..build import Say, ensure_program, pinned_in, tell
from ..gateway.program import copy_module, downloaded, kept

MODULE = Path(__file__).parent
PACKAGE, PROGRAM = "github.com/kedacore/keda/v2", "keda"
# Its triggers that are left, by the names of their files; of Azure's queue the others need a constant.
TRIGGERS = ("azure_queue", "cpu_memory", "cron", "external", "kubernetes_workload", "metrics_api")
_SCALERS, _BUILDER = "pkg/scalers", "pkg/scaling/scalers_builder.go"
_CASE = re.compile(r'\tcase "[a-z-]+":\n\t\treturn scalers\.(New\w+)\(.*\n')
# A manager begins with the definitions of all that it may watch.
DEFINED = (
    "keda.sh_scaledobjects",
    "keda.sh_scaledjobs",
    "keda.sh_triggerauthentications",
    "keda.sh_clustertriggerauthentications",
    "eventing.keda.sh_cloudeventsources",
    "eventing.keda.sh_clustercloudeventsources",
)


def version() -> str:
    """As it calls itself where KEDA has built it: 2.21.0."""
    return pinned_in(MODULE / "go.mod")[PACKAGE].removeprefix("v")


def ensure_keda(say: Say = tell) -> Path:
    """The program; builds it when it is missing. Safe in several processes at once."""
    stamp = f"-X {PACKAGE}/version.Version={version()}"
    return ensure_program(PROGRAM, PACKAGE, "cmd/operator", MODULE, say, _module, stamp)


def _module(place: Path) -> Path:
    """The module to build from: ours, beside a copy of KEDA's without those triggers."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(MODULE, place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    source, copy = downloaded(PACKAGE, MODULE / "go.mod"), place / PROGRAM
    copy_module(source, copy, shutil.ignore_patterns("tests", "*_test.go"))
    left_out = [
        path for path in (copy / _SCALERS).glob("*_scaler.go") if path.name.removesuffix("_scaler.go") not in TRIGGERS
    ]
    for path in left_out:
        path.unlink()
    there = "".join(path.read_text() for path in (copy / _SCALERS).glob("*.go"))

    def still_made(case: re.Match[str]) -> str:
        return case[0] if f"func {case[1]}(" in there else ""

    builder = copy / _BUILDER
    builder.write_text(_CASE.sub(still_made, builder.read_text()))
    with (place / "go.mod").open("a") as go_mod:
        go_mod.write(f"\nreplace {PACKAGE} => ./{PROGRAM}\n")
    return place


def definitions() -> list[dict[str, Any]]:
    """Of its kinds, as everybody installs them."""
    return [one for name in DEFINED for one in _read(f"crd/bases/{name}.yaml")]


def rules() -> list[dict[str, Any]]:
    """What its operator may do in a whole cluster."""
    return [rule for one in _read("rbac/role.yaml") if one["kind"] == "ClusterRole" for rule in one["rules"]]


def _read(path: str) -> Iterator[dict[str, Any]]:
    name = f"{PROGRAM}-{version()}-{Path(path).name}"
    found = kept(name, PACKAGE, f"config/{path}", MODULE / "go.mod")
    yield from yaml.load_all(found.read_text(), Loader=yaml.CSafeLoader)
