# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definitions of Istio's objects, from its own module that the go.mod beside this file pins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..build import pinned_in
from ..gateway.program import kept

GO_MOD, MODULE = Path(__file__).parent / "go.mod", "istio.io/api"


def definition(kind: str) -> dict[str, Any]:
    """As everybody installs it."""
    (found,) = (one for one in _all() if one["spec"]["names"]["kind"] == kind)
    return dict(found)


def _all() -> Iterator[dict[str, Any]]:
    yield from filter(None, yaml.load_all(_definitions().read_text(), Loader=yaml.CSafeLoader))


def _definitions() -> Path:
    name = f"istio-api-{pinned_in(GO_MOD)[MODULE]}.yaml"
    return kept(name, MODULE, "kubernetes/customresourcedefinitions.gen.yaml", GO_MOD)
