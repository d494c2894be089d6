# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to a pod: which one is taken, what stands in between, and what is the pod's own fault."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.probes.forwarded import ask_forwarded
from ansible_collections.coalmine.canary.plugins.module_utils.probes.requests import HttpAsked, HttpRequests
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    NoAnswer,
    ProbedPod,
    Sides,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.ways import (
    LARGEST_BODY,
    Aim,
    Blocked,
    Via,
    ask_pod,
)
from tests.cluster.certificates import Authority
from tests.unit.probes.forwarding import BINARY, CLOSE, accepting, data, frame, read_frame
from tests.unit.probes.serving import MUCH_LATER_SECONDS, Respond, hang, send, serving

SECRET = "s3cr3t-header"
POD = ProbedPod("web-5d5f-a", "2")
SIDES = Sides("shop", canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)), stable=Version("5d5f", (POD,)))
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


def pod(answer: bytes, last: bytes = b"") -> Respond:
    """A forwarded port behind which a pod answers every request alike, and hangs up; with a `last` frame, or without."""

    def talk(request: BaseHTTPRequestHandler) -> None:
        read_frame(request)
        request.wfile.write(data(answer) + last)

    return accepting(talk)


def refused(status: int, reason: str) -> Respond:
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "message": reason, "code": status}).encode()

    def respond(request: BaseHTTPRequestHandler) -> None:
        send(request, body, status)

    return respond


def passed(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "4")
    request.end_headers()
    request.wfile.write(b"fine")


NO_PROXY = refused(403, "pods/proxy is forbidden")
NO_PORTS = refused(403, "pods/portforward is forbidden")


@contextmanager
def server(proxy: Respond, ports: Respond) -> Iterator[Api]:
    """An API server that treats its two ways to a pod as it is told."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        (ports if "/portforward" in request.path else proxy)(request)

    with serving(respond) as url, connect(Connection(host=url, api_key="token")) as api:
        yield api


def asked(via: Via, **options: object) -> HttpAsked:
    return HttpAsked(**{"via": via, "rate": 100.0, "timeout": 1.0, "headers": {"X-Key": SECRET}, **options})  # type: ignore[arg-type]


def begun(api: Api, via: Via) -> HttpRequests:
    source = HttpRequests(api, asked(via))
    try:
        source.begin(SIDES)
    finally:
        source.close()
    return source


@pytest.mark.parametrize(
    ("case", "via", "proxy", "ports", "taken"),
    [
        ("auto takes the proxy where it is open", Via.AUTO, passed, NO_PORTS, "proxy"),
        ("auto goes on to a forwarded port", Via.AUTO, NO_PROXY, pod(FINE), "port_forward"),
        ("a port is forwarded where that was asked", Via.PORT_FORWARD, passed, pod(FINE), "port_forward"),
        ("a proxy that is not there", Via.AUTO, refused(404, "no such resource"), pod(FINE), "port_forward"),
    ],
)
def test_the_way_that_was_taken_is_told(case: str, via: Via, proxy: Respond, ports: Respond, taken: str) -> None:
    with server(proxy, ports) as api:
        assert begun(api, via).costs()["via"] == taken, case


@pytest.mark.parametrize(
    ("case", "via", "says"),
    [
        (
            "the proxy alone is not left for another way",
            Via.PROXY,
            r"did not pass a request on \(403\).*try via: port_forward",
        ),
        ("a forwarded port alone", Via.PORT_FORWARD, "no port could be forwarded.*pods/portforward is forbidden"),
        ("both, with both reasons", Via.AUTO, "pods/proxy is forbidden.*pods/portforward is forbidden"),
    ],
)
def test_a_way_that_is_blocked_is_told_before_anybody_waits(case: str, via: Via, says: str) -> None:
    with server(NO_PROXY, NO_PORTS) as api, pytest.raises(NoAnswer, match=says) as told:
        begun(api, via)
    assert SECRET not in str(told.value), case


@pytest.mark.parametrize("status", [403, 500])
def test_a_pod_that_repeats_the_headers_in_the_words_of_an_api_server_gives_no_secret_away(status: int) -> None:
    """403 looks like a refusal on the way, 500 like the pod's own answer; both texts may be kept in the cluster."""

    def repeat(request: BaseHTTPRequestHandler) -> None:
        refused(status, f"no {request.headers['Cookie']} and {request.headers['X-Version']}")(request)

    with serving(repeat) as url, connect(Connection(host=url, api_key="t")) as api:
        asked = HttpAsked(
            headers={"Cookie": f"session={SECRET}", "X-Version": "new"}, stable_headers={"Cookie": SECRET}
        )
        with pytest.raises(NoAnswer, match=r"no \*+ and new") as told:
            HttpRequests(api, asked).begin(SIDES)
    assert SECRET not in str(told.value)


def test_a_pod_that_was_reached_and_errs_is_not_asked_on_another_way() -> None:
    def broken(request: BaseHTTPRequestHandler) -> None:
        request.send_response(500)
        request.send_header("Content-Length", "0")
        request.end_headers()

    with server(broken, pod(FINE)) as api, pytest.raises(NoAnswer, match="answers 500"):
        begun(api, Via.AUTO)


@pytest.mark.parametrize("proxy", [passed, NO_PROXY], ids=["proxy", "forwarded ports"])
def test_requests_go_on_as_they_began_and_their_bytes_are_counted_and_priced(proxy: Respond) -> None:
    with server(proxy, pod(FINE)) as api:
        source = HttpRequests(api, asked(Via.AUTO, price_per_gb=1.0))
        source.begin(SIDES)
        begun = time.monotonic()
        while source.costs()["requests"] < 12:
            assert time.monotonic() - begun < MUCH_LATER_SECONDS
            time.sleep(0.01)
        counted = source.look(SIDES, 0.5)[""]
        source.close()
    assert isinstance(counted, Counted)
    assert counted.canary.total >= 5 and counted.stable.total >= 5
    assert (counted.canary.bad, counted.stable.bad) == (0, 0)
    costs = source.costs()
    assert costs["bytes_in"] > 0 and costs["bytes_out"] > 0
    assert costs["price"] == pytest.approx((costs["bytes_in"] + costs["bytes_out"]) / 1e9, rel=0.5)


AIM = Aim("shop", "/", 8080, "http", 1.0)


def huge(request: BaseHTTPRequestHandler) -> None:
    read_frame(request)
    request.wfile.write(data(b"HTTP/1.1 200 OK\r\n\r\n"))
    while True:
        request.wfile.write(data(b"x" * 30_000))


def dripping(request: BaseHTTPRequestHandler) -> None:
    read_frame(request)
    request.wfile.write(data(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
    while True:
        request.wfile.write(data(b"x"))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("case", "respond"),
    [
        ("nobody listens", accepting(lambda request: request.wfile.write(frame(BINARY, b"\1refused")) and None)),
        ("no HTTP", pod(b"SSH-2.0-OpenSSH\r\n")),
        ("broken off", pod(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nfi")),
        ("half an answer", pod(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nfi", frame(CLOSE, b""))),
        ("silence", accepting(hang)),
        ("drips", accepting(dripping)),
    ],
)
def test_what_goes_wrong_behind_the_port_is_the_pods(case: str, respond: Respond) -> None:
    started = time.monotonic()
    with server(NO_PROXY, respond) as api:
        assert ask_pod(api, Via.PORT_FORWARD, AIM, POD) is None, case
    assert time.monotonic() - started < MUCH_LATER_SECONDS


def test_no_more_is_kept_of_an_answer_than_may_be() -> None:
    with server(NO_PROXY, accepting(huge)) as api:
        answer = ask_pod(api, Via.PORT_FORWARD, replace(AIM, timeout=30.0), POD)
    assert answer is not None and answer.truncated and len(answer.body) == LARGEST_BODY


def test_a_server_that_breaks_off_before_the_port_is_open_is_no_pods_fault() -> None:
    with server(NO_PROXY, lambda request: None) as api, pytest.raises(Blocked, match="no port could be forwarded"):
        ask_pod(api, Via.PORT_FORWARD, AIM, POD)


class Wire:
    """A line over a pair of sockets."""

    def __init__(self, near: socket.socket) -> None:
        self._near = near
        self.sendall = near.sendall

    def receive(self) -> bytes:
        return self._near.recv(4096)


@contextmanager
def pod_with_a_certificate(directory: Path) -> Iterator[Wire]:
    pair = Authority.create(directory / "pki").server("pod", ["DNS:pod"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    near, far = socket.socketpair()

    def serve() -> None:
        with suppress(OSError), context.wrap_socket(far, server_side=True) as encrypted:
            encrypted.recv(4096)
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with near:
        yield Wire(near)
    thread.join(MUCH_LATER_SECONDS)


def test_a_pod_that_encrypts_is_spoken_to_in_tls(tmp_path: Path) -> None:
    with pod_with_a_certificate(tmp_path) as line:
        answer = ask_forwarded(line, True, "/", {}, 200_000)
    assert answer is not None and (answer.status, answer.body) == (200, b"x" * 100_000)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a b", "/a%20b"),
        ("/caf\u00e9?q=x y&z=%20", "/caf%C3%A9?q=x%20y&z=%20"),
        ("/\r\nX-Y: 1", "/%0D%0AX-Y:%201"),
        ("/api/v1/ready", "/api/v1/ready"),
    ],
)
def test_what_stands_in_no_url_is_escaped_and_is_no_pods_fault(path: str, sent: str) -> None:
    asked: list[str] = []

    def respond(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        passed(request)

    with serving(respond) as url, connect(Connection(host=url, api_key="x")) as api:
        aim = Aim("shop", path, int(url.rpartition(":")[2]), "http", 5.0)
        answer = ask_pod(api, Via.POD, aim, ProbedPod("web-5d5f-a", "2", ip="127.0.0.1"))
    assert answer is not None and answer.status == 200
    assert asked == [sent]
