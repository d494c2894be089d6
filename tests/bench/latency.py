# SPDX-License-Identifier: GPL-3.0-or-later
"""The time between what an onlooker sees and what a verb says."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from tests.cluster.lab import Lab
from tests.exactness.recorder import Recorder
from tests.integration.releases import Release

# Of a fake container: long enough for the verb to be waiting already.
READY_AFTER_MS = 400


@dataclass(frozen=True)
class Latencies:
    """Milliseconds, one each start."""

    milliseconds: Sequence[float]

    @property
    def p50(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        """The smallest that 95 of 100 do not exceed."""
        ordered = sorted(self.milliseconds)
        return ordered[-(-95 * len(ordered) // 100) - 1]

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} ms, p95 {self.p95:.0f} ms, longest {max(self.milliseconds):.0f} ms"


@dataclass(frozen=True)
class Measured:
    """`returns`: from Ready to the verb's return. `reads`: one read of the Deployment right after it, as a yardstick of how
    busy the machine was."""

    returns: Latencies
    reads: Latencies


def measure(lab: Lab, namespace: str, replicas: int, starts: int) -> Measured:
    """So many starts of one canary pod, each undone again."""
    returns, reads = [], []
    recorder = Recorder(lab)
    patch = {"metadata": {"annotations": {"lab.coalmine/ready-after": str(READY_AFTER_MS)}}}
    try:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            release = Release(api, namespace).make(replicas)
            for _start in range(starts):
                recorder.mark(namespace)
                release.start(patch=patch)
                returned = time.monotonic()
                release.deployment()
                reads.append(1000 * (time.monotonic() - returned))
                returns.append(1000 * (returned - recorder.since_mark(namespace).latest))
                release.undo()
    finally:
        recorder.close()
    return Measured(Latencies(returns), Latencies(reads))
