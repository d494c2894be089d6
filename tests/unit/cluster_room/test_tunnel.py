# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarded ports through a server that goes wrong on request; a real kubelet forwards them in tests/integration."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    AdmissionDenied,
    ApiError,
    ConnectionLost,
    Forbidden,
    PodRefused,
    ServerError,
    Timeout,
)
from tests.unit.probes.forwarding import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    PORT,
    accepting,
    data,
    frame,
    read_frame,
)
from tests.unit.probes.serving import MUCH_LATER_SECONDS, Respond, hang, serving

TOKEN = "s3cr3t-t0ken"


@contextmanager
def api_at(respond: Respond) -> Iterator[Api]:
    with serving(respond) as url, connect(Connection(host=url, api_key=TOKEN)) as api:
        yield api


def received(respond: Respond, seconds: float = 5.0, sent: bytes = b"") -> bytes:
    """All that came until the end."""
    with api_at(respond) as api, api.tunnel("shop", "web-1", PORT, seconds=seconds) as tunnel:
        if sent:
            tunnel.sendall(sent)
        got = b""
        while data := tunnel.receive():
            got += data
        return got


def telling(*frames: bytes) -> Respond:
    def talk(request: BaseHTTPRequestHandler) -> None:
        for each in frames:
            request.wfile.write(each)
        request.wfile.write(frame(CLOSE, b""))

    return accepting(talk)


@pytest.mark.parametrize("size", [1, 124, 125, 126, 65534, 65535, 65536, 200_000])
def test_bytes_of_any_number_go_both_ways(size: int) -> None:
    def echo(request: BaseHTTPRequestHandler) -> None:
        opcode, message = read_frame(request)
        assert opcode == BINARY
        request.wfile.write(frame(BINARY, message) + frame(CLOSE, b""))

    sent = bytes(number % 251 for number in range(size))
    assert received(accepting(echo), sent=sent) == sent


def test_a_port_of_a_pod_is_asked_for_with_our_credentials() -> None:
    asked: list[tuple[str, str, str]] = []

    def talk(request: BaseHTTPRequestHandler) -> None:
        names = ("Authorization", "Sec-WebSocket-Protocol")
        asked.append((request.path, *(request.headers[name] for name in names)))
        request.wfile.write(frame(CLOSE, b""))

    assert received(accepting(talk)) == b""
    target = f"/api/v1/namespaces/shop/pods/web-1/portforward?ports={PORT}"
    assert asked == [(target, f"Bearer {TOKEN}", "v4.channel.k8s.io")]


def test_messages_in_pieces_are_joined_and_pings_are_answered() -> None:
    answered: list[tuple[int, bytes]] = []

    def talk(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(frame(BINARY, b"\0abc", final=False) + frame(CONTINUATION, b"def"))
        request.wfile.write(frame(PING, b"there?"))
        answered.append(read_frame(request))
        request.wfile.write(data(b"ghi") + frame(CLOSE, b""))

    assert received(accepting(talk)) == b"abcdefghi"
    assert answered == [(PONG, b"there?")]


def test_what_the_kubelet_says_of_the_port_is_the_pods_refusal() -> None:
    words = b"error forwarding port 8080 to pod 1: connection refused\x1b[31m"
    with pytest.raises(PodRefused, match="connection refused") as told:
        received(telling(frame(BINARY, b"\1" + words)))
    assert "\x1b" not in str(told.value)


def refusing(message: str) -> Respond:
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "message": message, "code": 403}).encode()

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(403)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return respond


NO_GET = 'pods "web-1" is forbidden: User "me" cannot get resource "pods/portforward" in API group "" in the namespace "shop"'
# Kubernetes says no more than this when only the right to create is missing.
NO_CREATE = 'pods "web-1" is forbidden: '
WEBHOOK = 'admission webhook "no-tunnels" denied the request: not here'


def polite(request: BaseHTTPRequestHandler) -> None:
    """A proxy on the way that knows no WebSockets."""
    request.send_response(200)
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize(
    ("case", "respond", "kind", "says"),
    [
        ("no right", refusing(NO_GET), Forbidden, "Missing right: get pods/portforward in namespace shop"),
        ("no second right", refusing(NO_CREATE), Forbidden, "Missing right: create pods/portforward in namespace shop"),
        ("a rule", refusing(WEBHOOK), AdmissionDenied, "not here"),
        ("no WebSocket", polite, ApiError, "HTTP 200"),
        ("another key", accepting(lambda request: None, wrong="bm9uZQ=="), ServerError, "RFC 6455"),
        ("masked", telling(frame(BINARY, b"\0x", masked=True)), ConnectionLost, "no API server sends"),
        ("huge", accepting(lambda request: request.wfile.write(b"\x82\x7f" + b"\x7f" * 8) and None), ConnectionLost, "no API"),
        ("mixed up", telling(frame(BINARY, b"\0x", final=False), data(b"y")), ConnectionLost, "mixes messages up"),
        ("broken off", accepting(lambda request: request.wfile.write(b"\x82") and None), ConnectionLost, "unexpectedly"),
    ],
)  # fmt: skip
def test_each_fault_is_told_without_a_secret(case: str, respond: Respond, kind: type, says: str) -> None:
    with pytest.raises(kind, match=says) as told:
        received(respond)
    assert TOKEN not in str(told.value), case


def endless_pieces(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(frame(BINARY, b"\0", final=False))
    while True:
        request.wfile.write(frame(CONTINUATION, b"x" * 65536, final=False))


def test_a_message_that_never_ends_is_given_up() -> None:
    with pytest.raises(ConnectionLost, match="too long"):
        received(accepting(endless_pieces))


def drip(request: BaseHTTPRequestHandler) -> None:
    while True:
        request.wfile.write(frame(PING, b""))
        time.sleep(0.05)


@pytest.mark.parametrize(
    "respond",
    [accepting(drip), accepting(hang), hang],
    ids=["drips", "hangs", "hangs before it accepts"],
)
def test_the_time_of_a_tunnel_is_bounded(respond: Respond) -> None:
    begun = time.monotonic()
    with pytest.raises(Timeout):
        received(respond, seconds=0.5)
    assert time.monotonic() - begun < MUCH_LATER_SECONDS


def test_leaving_closes_the_connection() -> None:
    ended = threading.Event()

    def talk(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(data(b"here"))
        with suppress(OSError):  # with something unread on the other side it ends less politely
            assert request.rfile.read(1) == b""
        ended.set()

    with api_at(accepting(talk)) as api:
        with api.tunnel("shop", "web-1", PORT, seconds=60.0) as tunnel:
            assert tunnel.receive() == b"here"
            assert not ended.is_set()
        assert ended.wait(MUCH_LATER_SECONDS)
