# SPDX-License-Identifier: GPL-3.0-or-later
"""Argo CD and its definitions, from the modules that the go.mod beside this file pins.

One program is all of Argo CD: an environment variable says which part of it to be. Of 3.5, the newest that the Go of this repository
builds; its gitops-engine, which a release has in a directory of its own repository, is that of the same branch seven weeks before. Seven
minutes of CPU time, once for each version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..build import Say, ensure_program, go_build, pinned_in, tell
from ..gateway.program import kept

MODULE = Path(__file__).parent
PACKAGE, PROGRAM = "github.com/argoproj/argo-cd/v3", "argocd"
KINDS = ("application", "applicationset", "appproject")


def ensure_argo_cd(say: Say = tell) -> Path:
    """The program; builds it when it is missing. Safe in several processes at once."""
    return ensure_program(PROGRAM, PACKAGE, "cmd", MODULE, say)


def add_what_it_calls(directory: Path) -> None:
    """`redis`, built here of redis/main.go: a second, where Argo CD is built already. And the script by which the repo server looks for
    signatures of a commit, whoever asks for them."""
    go_build("./redis", directory / "redis", "-s -w", module=MODULE)
    script = directory / "git-verify-wrapper.sh"
    script.write_text(_of_the_module(f"hack/{script.name}").read_text())
    script.chmod(0o755)


def definitions() -> Iterator[dict[str, Any]]:
    """As everybody installs them."""
    for kind in KINDS:
        yield yaml.load(_of_the_module(f"manifests/crds/{kind}-crd.yaml").read_text(), Loader=yaml.CSafeLoader)


def _of_the_module(path: str) -> Path:
    version = pinned_in(MODULE / "go.mod")[PACKAGE]
    return kept(f"{PROGRAM}-{version}-{Path(path).name}", PACKAGE, path, MODULE / "go.mod")
