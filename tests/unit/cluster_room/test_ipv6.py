# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server whose address is one of IPv6: requests, watches, and what is said where nobody is."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Unreachable
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched
from tests.unit.probes.serving import send, serving

POD = {"kind": "Pod", "metadata": {"name": "web-1", "uid": "1", "resourceVersion": "1"}}


def kubeconfig(server: str) -> Connection:
    content = {
        "clusters": [{"name": "six", "cluster": {"server": server}}],
        "users": [{"name": "six", "user": {}}],
        "contexts": [{"name": "six", "context": {"cluster": "six", "user": "six"}}],
        "current-context": "six",
    }
    return Connection(kubeconfig=content)


@pytest.mark.parametrize("named", [lambda server: Connection(host=server), kubeconfig], ids=["host", "kubeconfig"])
def test_it_is_asked_by_its_address(named: Callable[[str], Connection]) -> None:
    hosts = []

    def answers(request: BaseHTTPRequestHandler) -> None:
        hosts.append(request.headers["Host"])
        event = {"type": "ADDED", "object": POD}
        send(request, json.dumps(event if "watch=" in request.path else POD).encode() + b"\n")

    with serving(answers, "::1") as server, connect(named(server)) as api:
        assert api.get("/api/v1/namespaces/shop/pods/web-1") == POD
        with Streams(api, [Watched("pods", "/api/v1/namespaces/shop/pods", {})]) as streams:
            assert [event.object for _name, event in streams.batch(10.0)] == [POD]
        assert set(hosts) == {server.removeprefix("http://")}


def test_where_nobody_is_the_address_is_told() -> None:
    with serving(lambda request: None, "::1") as gone:
        pass
    with connect(Connection(host=gone)) as api, pytest.raises(Unreachable, match=r"\[::1\]"):
        api.raw("GET", "/version", timeout=2.0)
