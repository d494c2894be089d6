# SPDX-License-Identifier: GPL-3.0-or-later
"""metrics-server on real nodes, for those who ask for it: `kubectl top`, autoscalers on real CPU, metrics.k8s.io.

It is built from the module that the go.mod beside this file pins: four to eight minutes on two cores, once for each
version. That is why no cluster has it by default.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..api import ApiError
from ..build import Say, building, ensure_program, pinned_in, tell
from ..construction import StartFailed
from ..images import Image, machine_of_images, oci_archive
from ..locks import exclusive
from ..paths import cache_root
from ..processes import Recorded
from .manifests import manifests

if TYPE_CHECKING:
    from ..lab import Lab

MODULE = Path(__file__).parent
PACKAGE = "sigs.k8s.io/metrics-server"
PROGRAM = "metrics-server"
ONLY_REAL_NODES = "metrics-server needs real nodes: a fake one has no kubelet to ask"
# Its figures are differences: the first come with the second look at a kubelet.
ANSWER_SECONDS = 120
POLL_SECONDS = 0.5


def image() -> str:
    return f"lab.local/{PROGRAM}:{pinned_in(MODULE / 'go.mod')[PACKAGE]}"


def ensure_metrics_server(say: Say = tell) -> Path:
    """The archive of its image; builds it when it is missing. Safe in several processes at once."""
    archive = cache_root() / f"{PROGRAM}-{pinned_in(MODULE / 'go.mod')[PACKAGE]}" / "image.tar"
    if archive.exists():
        return archive
    target = ensure_program(PROGRAM, PACKAGE, f"cmd/{PROGRAM}", MODULE, say).parent
    with building(target, say):
        partial = archive.with_suffix(".partial")
        partial.write_bytes(oci_archive(target, {image(): Image(PROGRAM, {})}, machine_of_images()))
        partial.rename(archive)
    return archive


def add_metrics(lab: Lab, say: Say = tell) -> None:
    """Runs it in a cluster with real nodes and waits until it has measured all of them. A second call finds it there."""
    if not lab.facts["real_nodes"]:
        raise ValueError(ONLY_REAL_NODES)
    archive = ensure_metrics_server(say)
    with exclusive(lab.directory / "metrics.lock"):
        if not (lab.directory / "metrics").exists():
            for number in range(1, lab.facts["real_nodes"] + 1):
                _import_image(lab, f"real-{number}", archive)
            lab.kubectl("apply", "-f", "-", input=json.dumps(manifests(image())))
            (lab.directory / "metrics").touch()
        _wait_until_measured(lab)


def _import_image(lab: Lab, node: str, archive: Path) -> None:
    """containerd's socket is in the node's own /run, which its first process shows."""
    process = Recorded.read(lab.layout.record(f"{node}-init"))
    if process is None:
        raise RuntimeError(f"{node} has no record of its first process")
    socket = f"/proc/{process.pid}/root/run/containerd/containerd.sock"
    program = shutil.which("ctr") or "ctr"
    command: list[str | Path] = [program, "--address", socket, "--namespace", "k8s.io", "images", "import", archive]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the image of {PROGRAM} could not be imported into {node}: {done.stderr.strip()[-500:]}")


def _wait_until_measured(lab: Lab) -> None:
    """Until it has figures of every node."""
    deadline, known = time.monotonic() + ANSWER_SECONDS, 0
    while known < lab.facts["real_nodes"]:
        if time.monotonic() > deadline:
            raise StartFailed(
                f"metrics-server measures {known} of {lab.facts['real_nodes']} nodes after {ANSWER_SECONDS} s"
            )
        time.sleep(POLL_SECONDS)
        # Until its pod answers, the API server has no such API, or says that it is not available.
        with contextlib.suppress(ApiError, OSError):
            known = len(lab.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")["items"])
