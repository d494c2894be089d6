# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Service on a real node answers: with curl, from outside the cluster, through kube-proxy's rules."""

from __future__ import annotations

import subprocess
import time

TIMEOUT_SECONDS = 60


def answering_version(url: str) -> str:
    """The version that answered one request; empty: nobody did."""
    command = ["curl", "-sf", "-m", "1", "-o", "/dev/null", "-w", "%header{x-version}", url]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def wait_for_answer(url: str, version: str | None = None) -> None:
    """Of this version, or of any. kube-proxy needs a moment to know a new Service, and new pods: a busy machine's learns of
    the first of them when the rollout is over."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (answered := answering_version(url)) or version not in (None, answered):
        assert time.monotonic() < deadline, f"{url} is not answered{f' by {version}' if version else ''}"
        time.sleep(0.05)
