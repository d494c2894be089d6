# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the question takes in a small cluster, where it is a handful of requests."""

from __future__ import annotations

import time

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, NewTemplate, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest, headroom
from tests.bench.latency import Latencies
from tests.cluster.lab import Lab
from tests.integration.releases import CONTAINER, Release, image


def measure_small(lab: Lab, namespace: str, replicas: int, times: int) -> Latencies:
    """From the first request of a new connection to the answer, so many times."""
    found = []
    settings = Connection(kubeconfig=str(lab.kubeconfig))
    with connect(settings) as api:
        release = Release(api, namespace).make(replicas)
    call = Call(Target(release.name, namespace))
    for _ in range(times):
        with connect(settings) as api:
            began = time.monotonic()
            headroom(api, HeadroomRequest(call, NewTemplate(images={CONTAINER: image("v2")})), lambda line: None)
            found.append(1000 * (time.monotonic() - began))
    return Latencies(found)
