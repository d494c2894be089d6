# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway before the application, and a release by shares of requests, which are counted at the gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from tests.cluster.gateway.server import Gateway, add_gateway
from tests.cluster.lab import Lab

from .traffic import Answers, Traffic, none_failed
from .workload import NAME, NAMESPACE

HOST = "demo.example"
READY_SECONDS = 60
ANSWERS_IN_A_ROW = 30
# Per cent of the requests, and for how many seconds each share is looked at.
SHARES, BAKE = (5, 25), 4
# Traefik takes its backends in turn; a second's hundred requests begin and end anywhere in a turn.
POINTS = 1.5


def open_gateway(lab: Lab) -> Gateway:
    """A gateway that serves the application at HOST."""
    gateway = add_gateway(lab)
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [gateway.parent],
            "hostnames": [HOST],
            "rules": [{"backendRefs": [{"name": NAME, "port": 80}]}],
        },
    }
    lab.kubectl("apply", "-f", "-", input=json.dumps(route))
    return gateway


def users(lab: Lab, gateway: Gateway) -> Traffic:
    """Requests through the gateway, from the moment that it answers all of them."""
    load, url = lab.programs / "load", f"http://{gateway.address}/"
    deadline = time.monotonic() + READY_SECONDS
    while (first := Traffic(load, url, host=HOST, requests=ANSWERS_IN_A_ROW).whole()).right < ANSWERS_IN_A_ROW:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the gateway of the demonstration does not answer at {url}: {first}")
    return Traffic(load, url, host=HOST)


def options() -> dict[str, Any]:
    """Variables of a release by shares of requests."""
    steps = [{"traffic": {"weight": share}, "bake": BAKE} for share in SHARES]
    return {"canary_traffic": {"kind": "gateway_api", "proof": "require"}, "canary_steps": steps}


def facts(version: str, seconds: Sequence[Answers], whole: Answers) -> list[tuple[str, bool]]:
    """What was counted at the gateway, and whether it is as was said."""
    found = []
    for share in SHARES:
        there = [one for one in seconds if abs(one.share(version) - share) <= POINTS]
        mean = sum(one.share(version) for one in there) / len(there) if there else 0.0
        found.append(
            (f"at {share} % it gave {version} {mean:.2f} % of the requests, for {len(there)} s", len(there) >= 2)
        )
    return [*found, none_failed(whole, "through the gateway")]
