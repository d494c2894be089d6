# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a load balancer of AWS and its controller: it reads an Ingress and EndpointSlices of a real API server, and sends real requests
on by the annotations for actions and conditions, as the source of the controller says (tests/sim/alb.py).

A target group is made for a Service once a rule names it, takes some time before it has a target, and goes with the last rule.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import NotFound
from tests.sim.alb import action_of, conditions_of, in_order

from .objects import Json

LOOPBACK, LOOK_SECONDS, PATIENCE_SECONDS = "127.0.0.1", 0.1, 10.0


def _ready(slices: list[Json]) -> list[str]:
    endpoints = (endpoint for one in slices for endpoint in one.get("endpoints") or ())
    return sorted(str(one["addresses"][0]) for one in endpoints if one["conditions"].get("ready") is not False)


@dataclass
class Balancer:
    """`late`: how many seconds a target group takes until it has targets. `turns`: how many requests each target group of an action was owed."""

    api: Api
    namespace: str
    port: int
    late: float
    ingress: Json = field(default_factory=dict)
    targets: dict[str, list[str]] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _turns: dict[str, dict[str, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        try:
            ingress = self.api.get(f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses/web")
        except NotFound:
            return
        annotations, now = ingress["metadata"].get("annotations") or {}, time.monotonic()
        named = {name for path in in_order(ingress) for name, _weight in _groups(action_of(path, annotations))}
        self._since = {name: self._since.get(name, now) for name in named}
        slices = self.api.list(f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices")["items"]
        targets = {}
        for name in named:
            mine = [one for one in slices if one["metadata"]["labels"]["kubernetes.io/service-name"] == name]
            ports = [port["port"] for one in mine for port in one["ports"] or ()]
            known = _ready(mine) if now - self._since[name] >= self.late else []
            targets[name] = [f"{address}:{ports[0]}" for address in known]
        self.ingress, self.targets = ingress, targets

    def answer(self, at: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Of the first rule that matches. `headers`: their names in small letters."""
        ingress = self.ingress
        annotations = ingress["metadata"].get("annotations") or {} if ingress else {}
        for path in in_order(ingress) if ingress else ():
            fits = at == path["path"] if path["pathType"] == "Exact" else at.startswith(path["path"])
            asked = conditions_of(path, annotations)
            if fits and all(headers.get(one["httpHeaderName"].lower()) in one["values"] for one in asked):
                return self._done(action_of(path, annotations), at, headers)
        return 404, {}, b""

    def _done(self, action: Json | None, at: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if action is not None and action["type"] == "redirect":
            host = action["redirectConfig"]["host"]
            return 302, {"Location": f"http://{host}:80/"}, b""
        target = self._next(_groups(action))
        if target is None:
            return 503, {}, b"no targets"
        connection = http.client.HTTPConnection(target, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", at, headers=dict(headers))
            found = connection.getresponse()
            return found.status, dict(found.getheaders()), found.read()
        except OSError as error:
            return 502, {}, str(error).encode()
        finally:
            connection.close()

    def _next(self, groups: list[tuple[str, int]]) -> str | None:
        """Target groups in turn by their weights, and the targets of each in turn. None: the one whose turn it is has none."""
        with self._lock:
            turns = self._turns.setdefault(str(groups), {})
            for name, weight in groups:
                turns[name] = turns.get(name, 0) + weight
            if not sum(weight for _name, weight in groups):
                return None
            chosen = max(turns, key=lambda name: turns[name])
            turns[chosen] -= sum(weight for _name, weight in groups)
            there = self.targets.get(chosen) or []
            used = self._turns.setdefault(chosen, {"": 0})
            used[""] += 1
            return there[used[""] % len(there)] if there else None


def _groups(action: Json | None) -> list[tuple[str, int]]:
    groups = (action or {}).get("forwardConfig", {}).get("targetGroups", ())
    return [(group["serviceName"], group["weight"]) for group in groups]


@contextmanager
def balancing(api: Api, namespace: str, *, late: float) -> Iterator[Balancer]:
    """It answers at its port for as long as the with statement lasts."""
    server = ThreadingHTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    balancer, over = Balancer(api, namespace, server.server_address[1], late), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = balancer.answer(
                self.path, {name.lower(): value for name, value in self.headers.items()}
            )
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Whoever ends with the test waits for no answer.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            balancer.look()

    server.RequestHandlerClass = Handler
    threads = [threading.Thread(target=server.serve_forever, args=(LOOK_SECONDS,)), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    try:
        yield balancer
    finally:
        over.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
