# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a wait whose time is over: of which pods, with which Events, and when there are none or none may be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.progress import Stuck
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.explaining import Unmade, explained
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from tests.unit.probes.serving import send, serving
from tests.unit.rollout.objects import UID, deployment, pod, replica_set, situation

V1, V2 = replica_set("v1", 4, 1), replica_set("v2", 1, 2)


def event(
    about: str, reason: str, message: str, at: str = "2026-01-01T00:00:01Z", version: str = "1"
) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{about}.{reason}", "resourceVersion": version},
        "involvedObject": {"uid": about},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


class Events:
    """A server of Warning Events that chooses them as the API server does, and counts how often it is asked."""

    def __init__(self, *events: dict[str, Any], allowed: bool = True) -> None:
        self.events = list(events)
        self.allowed = allowed
        self.asked = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        url = urlsplit(request.path)
        if not self.allowed:
            message = 'User "ana" cannot list resource "events" in API group "" in the namespace "shop"'
            return send(request, json.dumps({"kind": "Status", "code": 403, "message": message}).encode(), 403)
        assert url.path == "/api/v1/namespaces/shop/events"
        chosen = dict(part.split("=") for part in parse_qs(url.query)["fieldSelector"][0].split(","))
        assert chosen["type"] == "Warning"
        found = [
            one
            for one in self.events
            if one["involvedObject"]["uid"] == chosen["involvedObject.uid"]
            and chosen.get("reason", one["reason"]) == one["reason"]
        ]
        return send(request, json.dumps({"items": found}).encode())

    @contextmanager
    def site(self) -> Iterator[Site]:
        with serving(self.answer) as url, connect(Connection(host=url, kubeconfig={})) as api:
            yield Site(api, Target("web", "shop"))


def gated() -> dict[str, Any]:
    gate = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "Scheduling is blocked"}
    return {"phase": "Pending", "conditions": [gate]}


def creating(reason: str = "ContainerCreating", message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "app", "state": state}]}


TOLD: dict[str, tuple[list[Any], list[dict[str, Any]], str]] = {
    "gates": (
        [pod("c", "v2", ready=False, **gated())],
        [],
        "Pod c is Pending (SchedulingGated: Scheduling is blocked). ",
    ),
    "a volume that is not mounted": (
        [pod("c", "v2", ready=False, **creating())],
        [
            event("c", "FailedMount", "old words", at="2026-01-01T00:00:00Z"),
            event("c", "FailedAttachVolume", "no such disk.", at="2026-01-01T00:00:05Z"),
            event("b", "FailedMount", "of another pod", at="2026-01-01T00:00:09Z"),
        ],
        "Pod c is Pending (container app: ContainerCreating); FailedAttachVolume: no such disk. ",
    ),
    "a sandbox that is not made": (
        [pod("c", "v2", ready=False, **creating())],
        [event("c", "FailedCreatePodSandBox", "no network")],
        "Pod c is Pending (container app: ContainerCreating); FailedCreatePodSandBox: no network. ",
    ),
    "a first failed pull": (
        [pod("c", "v2", ready=False, **creating("ErrImagePull", "not found"))],
        [],
        "Pod c is Pending (container app: ErrImagePull: not found). ",
    ),
    "a pod that its node does not admit": (
        [pod("c", "v2", ready=False, phase="Failed", reason="OutOfcpu", message="Pod was rejected")],
        [],
        "Pod c is Failed (OutOfcpu: Pod was rejected). ",
    ),
    "a new pod rather than an old one, and three at most": (
        [*(pod(f"s{n}", "v1", ready=False) for n in range(3)), pod("c", "v2", ready=False, **gated())],
        [],
        "Pod c is Pending (SchedulingGated: Scheduling is blocked). Pod s0 is Running. Pod s1 is Running. ",
    ),
    "the ReplicaSet where it has no pod": (
        [pod("s", "v1")],
        [event("uid-v2", "FailedCreate", "pods are forbidden"), event(UID, "Other", "of the Deployment")],
        "ReplicaSet web-v2; FailedCreate: pods are forbidden. Deployment web; Other: of the Deployment. ",
    ),
    "nothing": ([pod("s", "v1")], [], ""),
}


@pytest.mark.parametrize(("pods", "events", "sentences"), [*TOLD.values()], ids=[*TOLD])
def test_a_wait_whose_time_is_over_says_why(pods: list[Any], events: list[Any], sentences: str) -> None:
    server = Events(*events)
    with server.site() as site:
        assert explained(site, situation(deployment(), V1, V2, pods=tuple(pods))) == sentences
    assert server.asked <= 3


def test_who_may_not_list_events_is_told_so_once() -> None:
    server = Events(allowed=False)
    pods = tuple(pod(name, "v2", ready=False, **gated()) for name in ("a", "b"))
    with server.site() as site:
        told = explained(site, situation(deployment(), V1, V2, pods=pods))
    assert told.startswith("Pod a is Pending (SchedulingGated: Scheduling is blocked). Pod b is Pending")
    assert "Events would tell more: cannot list events in namespace" in told
    assert told.endswith("Missing right: list events in namespace shop; see docs/rights.md. ")
    assert server.asked == 1


def unmade() -> Situation:
    """Held as far as the Deployment says, and no ReplicaSet of the new template."""
    return situation(deployment(), V1)


def test_a_refused_replica_set_is_told_once_the_controller_says_so_again() -> None:
    words = 'Failed to create new replica set "web-v2": exceeded quota: few'
    server = Events(event(UID, "ReplicaSetCreateError", words), event(UID, "Other", "no matter"))
    with server.site() as site:
        refused = Unmade(site)
        assert refused(unmade()) is None  # it may be left from an earlier try
        assert refused(unmade()) is None
        server.events = [event(UID, "ReplicaSetCreateError", words, version="2")]
        assert refused(unmade()) == Stuck(f"no ReplicaSet can be made for the new pods: {words}")
        assert server.asked == 3
        assert refused(situation(deployment(), V1, V2)) is None
        assert server.asked == 3


def test_an_event_that_comes_while_we_look_counts_at_once() -> None:
    server = Events()
    with server.site() as site:
        refused = Unmade(site)
        assert refused(unmade()) is None
        server.events = [event(UID, "ReplicaSetCreateError", "exceeded quota")]
        assert isinstance(refused(unmade()), Stuck)


def test_who_may_not_list_events_waits_for_a_replica_set() -> None:
    with Events(allowed=False).site() as site:
        assert Unmade(site)(unmade()) is None
