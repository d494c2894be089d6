# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux' kustomize-controller and the definition of its Kustomizations, from the module that the go.mod beside this file pins.

Of Flux 2.9, the newest that the Go of this repository builds. Six minutes of CPU time, once for each version.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..build import Say, ensure_program, pinned_in, tell
from ..gateway.program import kept

MODULE = Path(__file__).parent
PACKAGE, PROGRAM = "github.com/fluxcd/kustomize-controller", "kustomize-controller"
# Of source-controller, which does not run: what its objects may say is not looked at.
GROUP, SOURCES = (
    "source.toolkit.fluxcd.io",
    {"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories", "Bucket": "buckets"},
)


def ensure_flux(say: Say = tell) -> Path:
    """The program; builds it when it is missing. Safe in several processes at once."""
    return ensure_program(PROGRAM, PACKAGE, "", MODULE, say)


def definitions() -> list[dict[str, Any]]:
    """Of a Kustomization as everybody installs it, and of whatever it may name as its source."""
    name = f"{PROGRAM}-{pinned_in(MODULE / 'go.mod')[PACKAGE]}.yaml"
    path = "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"
    own = yaml.load(kept(name, PACKAGE, path, MODULE / "go.mod").read_text(), Loader=yaml.CSafeLoader)
    return [own, *(_source(kind, plural) for kind, plural in SOURCES.items())]


def _source(kind: str, plural: str) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": {"status": {}},
    }
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": spec,
    }
