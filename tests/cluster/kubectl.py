# SPDX-License-Identifier: GPL-3.0-or-later
"""The real kubectl, with the kubeconfig that it is given and no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .processes import bare_environment

TIMEOUT_SECONDS = 120


class KubectlFailed(RuntimeError):
    """kubectl ended with another status than 0; the message is what it said."""


def kubectl(binaries: Path, kubeconfig: Path, *arguments: str | Path, input: str | None = None) -> str:
    """What `kubectl ARGUMENTS` prints; `input` is its standard input. Raises KubectlFailed with its error text."""
    result = subprocess.run(
        [binaries / "kubectl", "--kubeconfig", kubeconfig, *arguments],
        input=input, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, env=bare_environment(),
    )  # fmt: skip
    if result.returncode:
        raise KubectlFailed(f"kubectl {' '.join(map(str, arguments))}: {result.stderr.strip()}")
    return result.stdout
